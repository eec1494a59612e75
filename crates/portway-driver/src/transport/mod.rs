mod frames;
mod raw;
mod wire;
mod ws;

pub use raw::RawTransport;
pub use wire::WireTransport;
pub use ws::WsTransport;

use std::io;
use std::task::{Context, Poll};

use portway_proto::{Incoming, Transmit, Violation};

/// A pipe of messages below a session.
pub trait Transport: Send + Unpin + 'static {
    /// The next piece of a message; `None` is the end of the transport.
    ///
    /// # Errors
    /// The connection or the peer's framing broke: nothing more comes.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Incoming>, TransportError>>;

    /// [`send`](Self::send) may be called. If not: after progress of [`poll_flush`](Self::poll_flush).
    fn has_room(&self) -> bool;

    /// Takes one message; call only after [`has_room`](Self::has_room).
    fn send(&mut self, transmit: Transmit);

    /// Bytes of what was taken that are not written.
    fn unsent(&self) -> usize;

    /// Writes what was taken.
    ///
    /// # Errors
    /// The connection broke.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends our direction after everything that was taken.
    ///
    /// # Errors
    /// The connection broke.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Makes the drop that follows abrupt.
    fn abort(&mut self);

    /// An error that the connection has met meanwhile, without reading: how a reset is noticed while
    /// the session takes nothing. Where that cannot be asked, nothing.
    fn take_error(&mut self) -> Option<io::Error> {
        None
    }

    /// Memory is kept for what may come next, which an idle connection should not keep.
    fn keeps_memory(&self) -> bool {
        false
    }

    /// Gives that memory back.
    fn release_memory(&mut self) {}
}

/// Why nothing more can be received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer broke the framing.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// Bytes that are gathered for one write.
const WRITE_BATCH: usize = 512 * 1024;

/// A write of nothing would be tried for ever.
fn nonzero(written: usize) -> io::Result<usize> {
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}
