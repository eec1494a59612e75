use std::future::Future;
use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use portway_driver::{Listener, ReadBuf, Socket, listening_socket};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// A TCP connection of tokio's.
#[derive(Debug)]
pub struct TokioSocket {
    stream: TcpStream,
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
        Ok(Self { stream, unasked: true })
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
            match buf.fill(|space| (&*SockRef::from(&self.stream)).read(space)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
        // First without memory, which only what is there needs. Then not `try_read_buf`: after a read
        // that left room it would ask the system once more, only to hear that there is nothing.
        ready!(self.stream.poll_read_ready(cx))?;
        pin!(self.stream.read_buf(&mut buf.space())).poll(cx)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&self.stream).shutdown(Shutdown::Write))
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.stream.take_error().unwrap_or_else(Some)
    }

    fn abort(&mut self) {
        // Refused only where the connection is gone already.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some((self.stream.local_addr().ok()?, self.stream.peer_addr().ok()?))
    }
}

/// A listening TCP socket of tokio's.
#[derive(Debug)]
pub struct TokioListener(TcpListener);

impl TokioListener {
    pub(crate) fn bind(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self(TcpListener::from_std(listening_socket(addr)?)?))
    }
}

impl Listener for TokioListener {
    type Socket = TokioSocket;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TokioSocket, SocketAddr)>> {
        let (stream, from) = ready!(self.0.poll_accept(cx))?;
        Poll::Ready(TokioSocket::new(stream).map(|socket| (socket, from)))
    }
}
