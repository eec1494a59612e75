//! Two halves of a test that no code of portway can make wrong in the same way twice:
//! [`Peer`] runs Kubernetes' own port-forward server code and [`GoClient`] its client's, and [`load`]
//! drives any forwarder's local listeners with blocking sockets and threads. Nothing here uses portway.
//!
//! Everything about them panics freely: a panic is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

mod conn;
mod go;
mod go_client;
mod kubectl;
pub mod load;
mod pattern;
mod peer;
mod process;
mod recorder;
mod relay;
mod target;
mod vitals;

pub use conn::{Conn, End};
pub use go::require_go;
pub use go_client::{GoClient, GoClientEnd, GoForwarder};
pub use kubectl::{Kubectl, KubectlExit, KubectlForward, KubectlOutput, Kubectled};
pub use pattern::Pattern;
pub use peer::{Peer, PeerOptions, PeerStats};
pub use recorder::Recorder;
pub use relay::{Fault, Relay};
pub use target::Target;
pub use vitals::Vitals;
