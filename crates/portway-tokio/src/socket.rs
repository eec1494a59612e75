use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use portway_driver::{Listener, ReadBuf, Socket, listening_socket};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::listening::Listening;
use crate::stream::Stream;

/// A connection of tokio's, over TCP or through a unix socket.
#[derive(Debug)]
pub struct TokioSocket {
    stream: Stream,
    /// The runtime has not been asked about it yet, and says that nothing is there whatever is.
    unasked: bool,
}

impl TokioSocket {
    /// Takes over a connection.
    ///
    /// # Errors
    /// The system does not let its options be set.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream: Stream::Tcp(stream), unasked: true })
    }

    #[cfg(unix)]
    pub(crate) const fn unix(stream: UnixStream) -> Self {
        Self { stream: Stream::Unix(stream), unasked: true }
    }
}

impl Socket for TokioSocket {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.unasked) {
            // What a program sends as it connects can go out with the opening of its stream.
            match buf.fill(|space| (&*self.stream.socket()).read(space)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
        // First without memory, which only what is there needs. Then not `try_read_buf`: after a read
        // that left room it would ask the system once more, only to hear that there is nothing.
        ready!(self.stream.poll_readable(cx))?;
        self.stream.poll_read(cx, &mut buf.space())
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_write_vectored(cx, bufs)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.socket().shutdown(Shutdown::Write))
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.stream.socket().take_error().unwrap_or_else(Some)
    }

    fn abort(&mut self) {
        // Refused only where the connection is gone already, and nothing to a unix socket.
        let _ = self.stream.socket().set_linger(Some(Duration::ZERO));
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let socket = self.stream.socket();
        Some((socket.local_addr().ok()?.as_socket()?, socket.peer_addr().ok()?.as_socket()?))
    }
}

/// A listening socket of tokio's.
#[derive(Debug)]
pub struct TokioListener(Listening);

impl TokioListener {
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<Self> {
        Listening::tcp(listening_socket(addr)?).map(Self)
    }

    #[cfg(unix)]
    pub(crate) fn unix(listener: UnixListener) -> io::Result<Self> {
        Listening::unix(listener).map(Self)
    }
}

impl Listener for TokioListener {
    type Socket = TokioSocket;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TokioSocket, Option<SocketAddr>)>> {
        self.0.poll_accept(cx)
    }
}
