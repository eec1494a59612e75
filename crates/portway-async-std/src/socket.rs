use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_io::Async;
use portway_driver::{Listener, ReadBuf, Socket, listening_socket};
use socket2::SockRef;

/// A TCP connection of async-std's.
#[derive(Debug)]
pub struct AsyncStdSocket {
    stream: Async<TcpStream>,
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
        Self::over(Async::new(stream.try_into()?)?)
    }

    fn over(stream: Async<TcpStream>) -> io::Result<Self> {
        stream.get_ref().set_nodelay(true)?;
        Ok(Self { stream, more: true })
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
                self.stream.get_ref().read(space)
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
            match self.stream.get_ref().write_vectored(bufs) {
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
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.stream.get_ref().take_error().unwrap_or_else(Some)
    }

    fn abort(&mut self) {
        // Refused only where the connection is gone already.
        let _ = SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO));
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let stream = self.stream.get_ref();
        Some((stream.local_addr().ok()?, stream.peer_addr().ok()?))
    }
}

/// A listening TCP socket of async-std's.
#[derive(Debug)]
pub struct AsyncStdListener(Async<TcpListener>);

impl AsyncStdListener {
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self(Async::new_nonblocking(listening_socket(addr)?)?))
    }
}

impl Listener for AsyncStdListener {
    type Socket = AsyncStdSocket;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(AsyncStdSocket, SocketAddr)>> {
        loop {
            match self.0.get_ref().accept() {
                Ok((stream, from)) => {
                    let socket = Async::new(stream).and_then(AsyncStdSocket::over);
                    return Poll::Ready(socket.map(|socket| (socket, from)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            ready!(self.0.poll_readable(cx))?;
        }
    }
}
