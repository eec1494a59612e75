use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, Write};

use crate::Socket;
use crate::socket::ReadBuf;

/// Anything with hyper's I/O traits as a [`Socket`]: above all what
/// [`hyper::upgrade::on`] gives a program whose own HTTP server or client has done the upgrade.
///
/// Such an `Upgraded` hands out by itself what was read behind the head, so that the leftover of the
/// session is empty. It cannot reset: [`abort`](Socket::abort) does nothing here.
#[derive(Debug)]
pub struct HyperSocket<T>(T);

impl<T> HyperSocket<T> {
    /// Takes the connection over.
    pub const fn new(io: T) -> Self {
        Self(io)
    }
}

impl<T: Read + Write + Send + Unpin + 'static> Socket for HyperSocket<T> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        buf.poll_fill(|space| {
            let mut space = hyper::rt::ReadBuf::new(space);
            let polled = Pin::new(&mut self.0).poll_read(cx, space.unfilled());
            polled.map_ok(|()| space.filled().len())
        })
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn abort(&mut self) {}
}
