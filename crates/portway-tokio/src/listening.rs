use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use crate::TokioSocket;

/// What a listening socket is made of.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listening {
    pub(crate) fn tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        TcpListener::from_std(listener).map(Self::Tcp)
    }

    #[cfg(unix)]
    pub(crate) fn unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        UnixListener::from_std(listener).map(Self::Unix)
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            #[cfg(unix)]
            Self::Unix(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TokioSocket, Option<SocketAddr>)>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(TokioSocket::new(stream).map(|socket| (socket, Some(from))))
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok((TokioSocket::unix(stream), None)))
            }
        }
    }
}
