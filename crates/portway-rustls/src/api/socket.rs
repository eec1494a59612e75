use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use portway_driver::{ReadBuf, Socket};

use crate::TlsSocket;

/// A connection to an API server: with TLS, or plain where its address says `http`.
#[derive(Debug)]
#[non_exhaustive]
pub enum ApiSocket<S> {
    /// As it is.
    Plain(S),
    /// With TLS around it.
    Tls(TlsSocket<S>),
}

impl<S: Socket> Socket for ApiSocket<S> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_read(cx, buf),
            Self::Tls(socket) => socket.poll_read(cx, buf),
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_write_vectored(cx, bufs),
            Self::Tls(socket) => socket.poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_flush(cx),
            Self::Tls(socket) => socket.poll_flush(cx),
        }
    }

    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_shutdown_write(cx),
            Self::Tls(socket) => socket.poll_shutdown_write(cx),
        }
    }

    fn take_error(&mut self) -> Option<io::Error> {
        match self {
            Self::Plain(socket) => socket.take_error(),
            Self::Tls(socket) => socket.take_error(),
        }
    }

    fn abort(&mut self) {
        match self {
            Self::Plain(socket) => socket.abort(),
            Self::Tls(socket) => socket.abort(),
        }
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self {
            Self::Plain(socket) => socket.addresses(),
            Self::Tls(socket) => socket.addresses(),
        }
    }
}
