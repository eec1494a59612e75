use std::io;

use portway_proto::{Port, StreamError};

/// How one forwarded connection went.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RelayReport {
    /// The port of the pod.
    pub port: Option<Port>,
    /// Bytes from the socket, towards the peer.
    pub bytes_up: u64,
    /// Bytes to the socket, from the peer.
    pub bytes_down: u64,
    /// What went wrong, if anything did.
    pub failure: Option<RelayFailure>,
}

/// What the connections of a session come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RelayTotals {
    /// How many there were.
    pub connections: u64,
    /// Of those, how many ended with a failure.
    pub failed: u64,
    /// Bytes from their sockets, towards the peer.
    pub bytes_up: u64,
    /// Bytes to their sockets, from the peer.
    pub bytes_down: u64,
}

impl RelayTotals {
    pub(crate) fn add(&mut self, report: &RelayReport) {
        self.connections += 1;
        self.failed += u64::from(report.failure.is_some());
        self.bytes_up += report.bytes_up;
        self.bytes_down += report.bytes_down;
    }
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
