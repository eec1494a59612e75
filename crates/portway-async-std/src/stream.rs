use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll};

use async_io::Async;
use socket2::SockRef;

/// What a socket is made of.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(Async<TcpStream>),
    #[cfg(unix)]
    Unix(Async<UnixStream>),
}

impl Stream {
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_readable(cx),
            #[cfg(unix)]
            Self::Unix(stream) => stream.poll_readable(cx),
        }
    }

    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_writable(cx),
            #[cfg(unix)]
            Self::Unix(stream) => stream.poll_writable(cx),
        }
    }

    pub(crate) fn read(&self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.get_ref().read(space),
            #[cfg(unix)]
            Self::Unix(stream) => stream.get_ref().read(space),
        }
    }

    pub(crate) fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.get_ref().write_vectored(bufs),
            #[cfg(unix)]
            Self::Unix(stream) => stream.get_ref().write_vectored(bufs),
        }
    }

    /// For what is the same of both.
    pub(crate) fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream.get_ref()),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream.get_ref()),
        }
    }
}
