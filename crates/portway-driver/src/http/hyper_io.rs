use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use hyper::upgrade::Upgraded;

use crate::Socket;
use crate::socket::{ReadBuf, ReadSize};

/// A [`Socket`] as hyper's I/O traits want it, for as long as HTTP is spoken on it: the client's end
/// and a server's.
///
/// After the upgrade [`reclaim`](Self::reclaim) takes the socket back out of hyper.
#[derive(Debug)]
pub struct HyperIo<S> {
    socket: S,
    /// Read from the socket and not passed on to hyper.
    memory: BytesMut,
}

impl<S: Socket> HyperIo<S> {
    /// Lends a socket to hyper.
    pub fn new(socket: S) -> Self {
        Self { socket, memory: BytesMut::new() }
    }

    /// The socket, and the bytes that came behind the head: the first ones of what HTTP was upgraded
    /// to.
    ///
    /// # Errors
    /// Hands back a connection that is not a `HyperIo<S>`.
    pub fn reclaim(upgraded: Upgraded) -> Result<(S, Bytes), Upgraded> {
        let parts = upgraded.downcast::<Self>()?;
        let Self { socket, memory } = parts.io;
        if memory.is_empty() {
            return Ok((socket, parts.read_buf));
        }
        let mut both = BytesMut::from(parts.read_buf);
        both.extend_from_slice(&memory);
        Ok((socket, both.freeze()))
    }
}

impl<S: Socket> hyper::rt::Read for HyperIo<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.memory.is_empty() {
            let mut read = ReadBuf::new(&mut this.memory, ReadSize::MIN);
            match this.socket.poll_read(cx, &mut read) {
                Poll::Ready(result) => result?,
                Poll::Pending => return Poll::Pending,
            };
        }
        let n = this.memory.len().min(buf.remaining());
        buf.put_slice(&this.memory[..n]);
        this.memory.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> hyper::rt::Write for HyperIo<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().socket.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().socket.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().socket.poll_shutdown_write(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().socket.poll_write_vectored(cx, bufs)
    }
}
