//! The way to a real API server on any runtime, with no kube: TLS by [rustls], certificates, tokens,
//! proxies.
//!
//! - [`ApiServer`] is an address and all that is needed to be let in: the [`Api`] of a
//!   [`TargetConnector`].
//! - [`TlsSocket`] is a [`Socket`](portway_driver::Socket) around another one, in either role, so that
//!   whatever portway speaks over TCP it speaks over TLS.
//! - [`TlsListener`] puts it around every connection that a listener accepts, which makes a
//!   `portway-server` one with TLS.
//!
//! - [`Kubeconfig`] reads the files of kubectl, and [`ClusterAccess::in_cluster`] the service account of a
//!   pod (feature `kubeconfig`, which is on by default).
//!
//! Certificates are checked unless somebody asks for
//! [that](ClientTls::dangerously_trusting_anybody) not to be done, by that name, and it is warned of. All
//! cryptography is that of `ring`.

// Says in the documentation which feature each thing needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
mod config;
mod error;
#[cfg(feature = "kubeconfig")]
mod kubeconfig;
mod listener;
mod tls_socket;

pub use api::{
    Answer, ApiServer, ApiServerError, ApiSocket, CutShort, InvalidProxy, Proxy, Token, TokenError,
};
pub use config::{ClientTls, ServerTls, TlsConfigError};
pub use error::TlsError;
#[cfg(feature = "kubeconfig")]
pub use kubeconfig::{Choice, ClusterAccess, Kubeconfig, KubeconfigError};
pub use listener::TlsListener;
pub use portway_cluster::{Api, ApiError, Destination, LookupError, Policy, TargetConnector};
pub use portway_resolve::{PortSpec, Selector, Target};
pub use rustls;
pub use tls_socket::TlsSocket;
