//! A connection that is read and written by hand.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use portway_driver::{ReadBuf, Socket};

/// A socket with what is to be written, and what was read and not taken yet.
#[derive(Debug)]
pub struct Pipe<S> {
    socket: S,
    out: BytesMut,
    read: BytesMut,
}

impl<S: Socket> Pipe<S> {
    /// Bytes of one read.
    const READ: usize = 64 * 1024;

    /// Takes over a socket.
    pub fn new(socket: S) -> Self {
        Self { socket, out: BytesMut::new(), read: BytesMut::new() }
    }

    /// Bytes to write, with the next read at the latest.
    pub fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Waits until everything pushed was taken by the system.
    ///
    /// # Errors
    /// What the system says.
    pub async fn flush(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_write(cx)).await
    }

    /// Waits for bytes, and writes meanwhile; 0 is the end. They are at the end of [`bytes`](Self::bytes).
    ///
    /// # Errors
    /// What the system says about reading. An error of writing is told by the next flush.
    pub async fn fill(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// What [`fill`](Self::fill) waits for.
    ///
    /// # Errors
    /// What the system says about reading.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.out.is_empty() {
            // Who broke our writing may have said something before.
            let _ = self.poll_write(cx);
        }
        self.socket.poll_read(cx, &mut ReadBuf::new(&mut self.read, Self::READ))
    }

    /// What was read: to be taken from its front.
    pub fn bytes(&mut self) -> &mut BytesMut {
        &mut self.read
    }

    /// Waits until that many bytes are there and takes them; fewer if the end comes first.
    ///
    /// # Errors
    /// What the system says.
    pub async fn take(&mut self, len: usize) -> io::Result<BytesMut> {
        while self.read.len() < len && self.fill().await? > 0 {}
        let len = len.min(self.read.len());
        Ok(self.read.split_to(len))
    }

    /// Writes what is left, and a FIN.
    ///
    /// # Errors
    /// What the system says.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.flush().await?;
        std::future::poll_fn(|cx| self.socket.poll_shutdown_write(cx)).await
    }

    /// Ends both directions, with an RST.
    pub fn reset(mut self) {
        self.socket.abort();
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(self.socket.poll_write_vectored(cx, &[IoSlice::new(&self.out)]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        self.socket.poll_flush(cx)
    }
}
