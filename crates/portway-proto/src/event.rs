use crate::{CloseReason, Port, StreamId};

/// Something the application must know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The session is usable: in v4 every port was announced as asked for.
    Ready,
    /// Something about one stream.
    Stream {
        /// Which.
        id: StreamId,
        /// What.
        event: StreamEvent,
    },
    /// The session is over: exactly once, and nothing comes after it. Streams can still be read.
    Closed(CloseReason),
}

/// Something about one stream. Edge-triggered: reported when it becomes true, at most one of each
/// pending per stream, so that the queue is bounded by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// Client: the server has announced it. Server: it waits in `accept()`.
    Opened {
        /// The port in the pod.
        port: Port,
    },
    /// `read()` returns something again: data, the end, or the failure.
    Readable,
    /// `write()` takes bytes again, after it was full, or has an error to tell.
    Writable,
    /// Our end is held back by the half-close policy from now on, or is no more: see
    /// [`SendHalf::lingering`](crate::SendHalf::lingering).
    Lingering,
    /// The stream failed: `failure()` says why. What came before can still be read, except after an
    /// overflow or a reset of ours. Whoever waits to read or to write is told so by `Readable` and
    /// `Writable` as well.
    Failed,
    /// Both halves are over: nothing more happens until `release()`.
    Done,
}
