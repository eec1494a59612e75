use std::io;

use portway_proto::StreamError;

/// How one forwarded connection went.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RelayReport {
    /// Bytes from the socket, towards the peer.
    pub bytes_up: u64,
    /// Bytes to the socket, from the peer.
    pub bytes_down: u64,
    /// What went wrong, if anything did.
    pub failure: Option<RelayFailure>,
}

/// What went wrong with one forwarded connection.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RelayFailure {
    /// The stream failed, or the session under it.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The socket broke: its program reset or closed the connection before it had everything.
    #[error("the local connection was lost: {0}")]
    Socket(io::ErrorKind),
    /// Server: the pod could not be reached; the client was told so in these words.
    #[error("{0}")]
    Refused(String),
    /// We were told to stop.
    #[error("the connection was aborted by a shutdown")]
    Aborted,
}
