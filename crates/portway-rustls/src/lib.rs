//! TLS for portway by [rustls]: on any runtime, in both roles.
//!
//! [`TlsSocket`] is a [`Socket`](portway_driver::Socket) around another one, so that whatever portway
//! speaks over TCP it speaks over TLS. [`TlsListener`] puts it around every connection that a listener
//! accepts, which makes a `portway-server` one with TLS.
//!
//! Certificates are checked, always: there is no switch here that turns it off. All cryptography is
//! that of `ring`.

mod config;
mod error;
mod listener;
mod socket;

pub use config::{ClientTls, ServerTls, TlsConfigError};
pub use error::TlsError;
pub use listener::TlsListener;
pub use rustls;
pub use socket::TlsSocket;
