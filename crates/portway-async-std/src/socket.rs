use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_io::Async;
use portway_driver::{Listener, ReadBuf, Socket, listening_socket};

use crate::listening::Listening;
use crate::stream::Stream;

/// A connection of async-std's, over TCP or through a unix socket.
#[derive(Debug)]
pub struct AsyncStdSocket {
    stream: Stream,
    /// The last read got all it asked for, or there was none yet: something is probably there, and
    /// trying costs less than to ask the reactor.
    more: bool,
}

impl AsyncStdSocket {
    /// Takes over a connection.
    ///
    /// # Errors
    /// Somebody holds a clone of it, or the system does not let its options be set.
    pub fn new(stream: async_std::net::TcpStream) -> io::Result<Self> {
        Self::tcp(Async::new(stream.try_into()?)?)
    }

    pub(crate) fn tcp(stream: Async<TcpStream>) -> io::Result<Self> {
        stream.get_ref().set_nodelay(true)?;
        Ok(Self { stream: Stream::Tcp(stream), more: true })
    }

    #[cfg(unix)]
    pub(crate) fn unix(stream: Async<UnixStream>) -> Self {
        Self { stream: Stream::Unix(stream), more: true }
    }
}

impl Socket for AsyncStdSocket {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if !self.more {
                ready!(self.stream.poll_readable(cx))?;
            }
            let mut asked = 0;
            let result = buf.fill(|space| {
                asked = space.len();
                self.stream.read(space)
            });
            self.more = result.as_ref().is_ok_and(|read| *read == asked);
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.stream.write_vectored(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            ready!(self.stream.poll_writable(cx))?;
        }
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

/// A listening socket of async-std's.
#[derive(Debug)]
pub struct AsyncStdListener(Listening);

impl AsyncStdListener {
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<Self> {
        Listening::tcp(listening_socket(addr)?).map(Self)
    }

    #[cfg(unix)]
    pub(crate) fn unix(listener: UnixListener) -> io::Result<Self> {
        Listening::unix(listener).map(Self)
    }
}

impl Listener for AsyncStdListener {
    type Socket = AsyncStdSocket;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(AsyncStdSocket, Option<SocketAddr>)>> {
        self.0.poll_accept(cx)
    }
}
