use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::task::{Context, Poll, ready};

use smol::Async;

use crate::SmolSocket;

/// What a listening socket is made of.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(Async<TcpListener>),
    #[cfg(unix)]
    Unix(Async<UnixListener>),
}

impl Listening {
    pub(crate) fn tcp(listener: TcpListener) -> io::Result<Self> {
        Async::new_nonblocking(listener).map(Self::Tcp)
    }

    #[cfg(unix)]
    pub(crate) fn unix(listener: UnixListener) -> io::Result<Self> {
        Async::new_nonblocking(listener).map(Self::Unix)
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.get_ref().local_addr(),
            #[cfg(unix)]
            Self::Unix(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(SmolSocket, Option<SocketAddr>)>> {
        loop {
            match self.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            ready!(self.poll_readable(cx))?;
        }
    }

    fn accept(&self) -> io::Result<(SmolSocket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.get_ref().accept()?;
                Ok((SmolSocket::tcp(Async::new(stream)?.into())?, Some(from)))
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                let (stream, _) = listener.get_ref().accept()?;
                Ok((SmolSocket::unix(Async::new(stream)?), None))
            }
        }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(listener) => listener.poll_readable(cx),
            #[cfg(unix)]
            Self::Unix(listener) => listener.poll_readable(cx),
        }
    }
}
