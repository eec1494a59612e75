use portway_cluster::LookupError;
use portway_driver::{ConnectError, ListenError};
use portway_resolve::{InvalidPortSpec, InvalidTarget};

/// Why there is no forward.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KubeForwardError {
    /// The target is none.
    #[error("cannot forward to '{given}': {source}")]
    Target {
        /// What stood there.
        given: String,
        /// What is wrong with it.
        source: InvalidTarget,
    },
    /// A port is none.
    #[error("cannot forward port '{given}': {source}")]
    Port {
        /// What stood there.
        given: String,
        /// What is wrong with it.
        source: InvalidPortSpec,
    },
    /// The target leads to no pod, or not for these ports.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A local port could not be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The pod could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}
