use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use portway_driver::{ReadBuf, Socket};

/// What one direction holds before its writer has to wait.
const CAPACITY: usize = 64 * 1024;

/// One connection as the program in a pod has it: `AsyncRead + AsyncWrite` of futures-io and of tokio.
///
/// It behaves as a TCP connection does: `close` (futures-io) or `shutdown` (tokio) is a FIN, and to
/// drop it is one too, or a reset where bytes had arrived that the program did not read.
#[derive(Debug)]
pub struct PodStream(End);

/// The other end of it, for the server.
#[derive(Debug)]
pub(crate) struct Pipe(End);

/// One end of a connection within this process.
struct End {
    reader: piper::Reader,
    /// `None` behind a FIN.
    writer: Option<piper::Writer>,
    /// One end was reset, and so is the other.
    reset: Arc<AtomicBool>,
}

/// A connection, and both its ends.
pub(crate) fn connection() -> (PodStream, Pipe) {
    let reset = Arc::new(AtomicBool::new(false));
    let (near_reader, far_writer) = piper::pipe(CAPACITY);
    let (far_reader, near_writer) = piper::pipe(CAPACITY);
    let near = End { reader: near_reader, writer: Some(near_writer), reset: Arc::clone(&reset) };
    let far = End { reader: far_reader, writer: Some(far_writer), reset };
    (PodStream(near), Pipe(far))
}

impl PodStream {
    /// Resets the connection: on TCP an RST. What the other side has not read is lost.
    pub fn reset(mut self) {
        self.0.abort();
    }
}

impl End {
    fn is_reset(&self) -> bool {
        self.reset.load(Ordering::SeqCst)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let read = ready!(self.reader.poll_drain_bytes(cx, buf));
        Poll::Ready(if self.is_reset() {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(read)
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let Some(writer) = &mut self.writer else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let written = ready!(writer.poll_fill_bytes(cx, buf));
        Poll::Ready(match written {
            _ if self.is_reset() => Err(io::ErrorKind::ConnectionReset.into()),
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            written => Ok(written),
        })
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut written = 0;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            match self.poll_write(cx, buf) {
                Poll::Ready(Ok(n)) => {
                    written += n;
                    // What is behind it must not go before the rest of it.
                    if n < buf.len() {
                        break;
                    }
                }
                other if written == 0 => return other,
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(written))
    }

    fn finish(&mut self) {
        self.writer = None;
    }

    fn abort(&mut self) {
        self.reset.store(true, Ordering::SeqCst);
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End")
            .field("unread", &self.reader.len())
            .field("finished", &self.writer.is_none())
            .field("reset", &self.is_reset())
            .finish()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // As the system does when a program closes over unread bytes.
        if !self.reader.is_empty() {
            self.abort();
        }
    }
}

impl Socket for Pipe {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        // First without memory, which only what is there needs.
        ready!(self.0.reader.poll(cx));
        buf.poll_fill(|space| self.0.poll_read(cx, space))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_vectored(cx, bufs)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.finish();
        Poll::Ready(Ok(()))
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.0.is_reset().then(|| io::ErrorKind::ConnectionReset.into())
    }

    fn abort(&mut self) {
        self.0.abort();
    }
}

impl futures_io::AsyncRead for PodStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().0.poll_read(cx, buf)
    }
}

impl futures_io::AsyncWrite for PodStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().0.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.finish();
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncRead for PodStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(self.get_mut().0.poll_read(cx, buf.initialize_unfilled()))?;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl tokio::io::AsyncWrite for PodStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().0.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().0.finish();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;
    use futures_lite::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn read(pipe: &mut Pipe) -> io::Result<Vec<u8>> {
        let mut memory = bytes::BytesMut::new();
        std::future::poll_fn(|cx| pipe.poll_read(cx, &mut ReadBuf::new(&mut memory, 100))).await?;
        Ok(memory.to_vec())
    }

    #[test]
    fn bytes_and_ends_arrive_in_their_order() {
        block_on(async {
            let (mut program, mut server) = connection();
            program.write_all(b"hello").await.unwrap();
            program.close().await.unwrap();
            assert_eq!(read(&mut server).await.unwrap(), b"hello");
            assert_eq!(read(&mut server).await.unwrap(), b"");
            // The other direction goes on.
            let hi = [IoSlice::new(b""), IoSlice::new(b"h"), IoSlice::new(b"i")];
            let written = std::future::poll_fn(|cx| server.poll_write_vectored(cx, &hi)).await;
            assert_eq!(written.unwrap(), 2);
            drop(server);
            let mut heard = String::new();
            program.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "hi");
        });
    }

    #[test]
    fn what_does_not_fit_waits_for_its_turn() {
        let (mut program, mut server) = connection();
        let sent: Vec<u8> = (0..200 * CAPACITY).map(|i| (i / 251) as u8).collect();
        // Beside the writer, so that there is room again in the middle of a write.
        let reading = std::thread::spawn(move || {
            let mut received = Vec::new();
            block_on(program.read_to_end(&mut received)).map(|_| received)
        });
        block_on(async {
            let mut left = &sent[..];
            while !left.is_empty() {
                let (first, rest) = left.split_at(left.len().min(50_000));
                let (second, third) = rest.split_at(rest.len().min(30_000));
                let pieces = [first, second, third].map(IoSlice::new);
                let write = |cx: &mut Context<'_>| server.poll_write_vectored(cx, &pieces);
                left = &left[std::future::poll_fn(write).await.unwrap()..];
            }
        });
        drop(server);
        assert!(reading.join().unwrap().unwrap() == sent, "bytes changed their places");
    }

    #[test]
    fn a_reset_and_a_close_over_unread_bytes_break_the_other_end() {
        block_on(async {
            let reset = |error: io::Error| assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            let (program, mut server) = connection();
            program.reset();
            reset(server.take_error().unwrap());
            reset(read(&mut server).await.unwrap_err());

            let (mut program, server) = connection();
            program.write_all(b"never read").await.unwrap();
            drop(server);
            reset(program.read(&mut [0]).await.unwrap_err());
            reset(program.write(b"x").await.unwrap_err());
        });
    }
}
