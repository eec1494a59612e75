use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use portway_driver::{Listener, ReadBuf, Socket, listening_socket};
use smol::Async;
use socket2::SockRef;

/// A TCP connection of smol's.
#[derive(Debug)]
pub struct SmolSocket {
    stream: Arc<Async<TcpStream>>,
    /// The last read got all it asked for, or there was none yet: something is probably there, and
    /// trying costs less than to ask the reactor.
    more: bool,
}

impl SmolSocket {
    /// Takes over a connection.
    ///
    /// # Errors
    /// The system does not let its options be set.
    pub fn new(stream: smol::net::TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream: stream.into(), more: true })
    }
}

impl Socket for SmolSocket {
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

/// A listening TCP socket of smol's.
#[derive(Debug)]
pub struct SmolListener(Async<TcpListener>);

impl SmolListener {
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self(Async::new_nonblocking(listening_socket(addr)?)?))
    }
}

impl Listener for SmolListener {
    type Socket = SmolSocket;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(SmolSocket, SocketAddr)>> {
        loop {
            match self.0.get_ref().accept() {
                Ok((stream, from)) => {
                    let socket = Async::new(stream).and_then(|s| SmolSocket::new(s.into()));
                    return Poll::Ready(socket.map(|socket| (socket, from)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            ready!(self.0.poll_readable(cx))?;
        }
    }
}
