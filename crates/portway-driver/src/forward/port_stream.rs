use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use portway_proto::{Port, ReadError, StreamError, StreamId, WriteError};

use super::shared::Owner;

/// The bytes of one connection into the pod: `AsyncRead + AsyncWrite` of futures-io and of tokio.
///
/// The error travels with the stream: when the server says why the connection failed, `read` returns
/// everything that came before and then an `io::Error` that holds a [`StreamError`] with its words
/// ([`PortStream::error`] has it too). Writing never waits for the pod to be dialled.
///
/// # Ends
///
/// `close` (futures-io) and `shutdown` (tokio) end the writing direction once everything written has
/// left; what that means to the pod is the [`HalfClose`](portway_proto::HalfClose) policy's. Reading
/// goes on. Dropping the stream gives both directions up at once and frees what it holds. The session
/// lives for as long as any of its streams does; nothing else has to be kept.
///
/// # Cancellation
///
/// All methods are safe to cancel: a read that is dropped has taken no bytes, and a write has taken
/// what it says it has.
#[derive(Debug)]
pub struct PortStream {
    shared: Owner,
    id: StreamId,
    port: Port,
    /// Taken from the session and not read yet.
    chunk: Bytes,
}

impl PortStream {
    pub(crate) fn new(shared: Owner, id: StreamId, port: Port) -> Self {
        Self { shared, id, port, chunk: Bytes::new() }
    }

    /// The port in the pod, as asked for.
    pub const fn port(&self) -> Port {
        self.port
    }

    /// Why the stream failed, if it did.
    pub fn error(&self) -> Option<StreamError> {
        self.shared.lock().session.failure(self.id).cloned()
    }

    /// Gives both directions up at once, where the wire can say it with a reset.
    pub fn reset(&mut self) {
        self.chunk = Bytes::new();
        self.shared.change(|inner, now| {
            if let Ok(mut half) = inner.session.send(self.id) {
                half.reset(now);
            }
        });
    }

    /// The next bytes as they came, without a copy; `None` at the clean end.
    ///
    /// # Errors
    /// As `read`.
    pub fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if let Err(pending) = self.poll_fill(cx) {
            return pending.map_ok(|_| None);
        }
        let bytes = std::mem::take(&mut self.chunk);
        self.consumed(bytes.len());
        Poll::Ready(Ok(Some(bytes)))
    }

    /// The next bytes as they came, without a copy; `None` at the clean end. Cancellation-safe.
    ///
    /// # Errors
    /// As `read`.
    pub async fn bytes(&mut self) -> io::Result<Option<Bytes>> {
        std::future::poll_fn(|cx| self.poll_bytes(cx)).await
    }

    /// Makes sure that there are bytes to read; `Err` is what to return instead, 0 for the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Result<(), Poll<io::Result<usize>>> {
        if !self.chunk.is_empty() {
            return Ok(());
        }
        let mut inner = self.shared.lock();
        let Ok(mut half) = inner.session.recv(self.id) else {
            return Err(Poll::Ready(Ok(0)));
        };
        match half.read() {
            Ok(Some(bytes)) => {
                self.chunk = bytes;
                Ok(())
            }
            Ok(None) | Err(ReadError::Stopped) => Err(Poll::Ready(Ok(0))),
            Err(ReadError::Blocked) => {
                inner.wakers(self.id).read = Some(cx.waker().clone());
                Err(Poll::Pending)
            }
            Err(_) => Err(Poll::Ready(Err(inner.io_error(self.id)))),
        }
    }

    fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        mut put: impl FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<usize>> {
        if let Err(instead) = self.poll_fill(cx) {
            return instead;
        }
        let read = put(&self.chunk);
        self.chunk.advance(read);
        self.consumed(read);
        Poll::Ready(Ok(read))
    }

    fn consumed(&self, bytes: usize) {
        self.shared.consumed(self.id, bytes);
    }

    fn poll_write_from(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.shared.change(|inner, _| {
            let Ok(mut half) = inner.session.send(self.id) else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            let wanted: usize = bufs.iter().map(|buf| buf.len()).sum();
            let room = half.capacity().min(wanted);
            if room == 0 && wanted > 0 && half.is_open() {
                half.want_writable();
                inner.wakers(self.id).write = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let mut bytes = Vec::with_capacity(room);
            for buf in bufs {
                let take = buf.len().min(room - bytes.len());
                bytes.extend_from_slice(&buf[..take]);
            }
            match half.write(bytes.into()) {
                Ok(()) => Poll::Ready(Ok(room)),
                Err(WriteError::Finished) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Err(_) => Poll::Ready(Err(inner.io_error(self.id))),
            }
        })
    }

    /// Ready once everything written was handed to the transport.
    fn poll_flushed(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.shared.lock();
        let Ok(half) = inner.session.send(self.id) else { return Poll::Ready(Ok(())) };
        if half.is_flushed() {
            return Poll::Ready(Ok(()));
        }
        inner.wait_for_flush(self.id, cx.waker().clone());
        Poll::Pending
    }

    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.change(|inner, now| {
            if let Ok(mut half) = inner.session.send(self.id) {
                // Said before, or over anyway.
                let _ = half.finish(now);
            }
        });
        self.poll_flushed(cx)
    }
}

impl Drop for PortStream {
    fn drop(&mut self) {
        self.shared.change(|inner, now| {
            inner.forget(self.id);
            inner.session.release(self.id, now);
        });
    }
}

impl futures_io::AsyncRead for PortStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.get_mut().poll_read_into(cx, |bytes| {
            let n = bytes.len().min(buf.len());
            buf[..n].copy_from_slice(&bytes[..n]);
            n
        })
    }
}

impl futures_io::AsyncWrite for PortStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_from(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_from(cx, bufs)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flushed(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finish(cx)
    }
}

impl tokio::io::AsyncRead for PortStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let read = self.get_mut().poll_read_into(cx, |bytes| {
            let n = bytes.len().min(buf.remaining());
            buf.put_slice(&bytes[..n]);
            n
        });
        read.map_ok(drop)
    }
}

impl tokio::io::AsyncWrite for PortStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_from(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_from(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flushed(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finish(cx)
    }
}
