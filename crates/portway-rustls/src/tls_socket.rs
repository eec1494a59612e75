use std::fmt;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use portway_driver::{ReadBuf, Socket};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, Error, ServerConfig, ServerConnection};

use crate::TlsError;

/// TLS around another [`Socket`], in either role.
///
/// - The end of our direction is a `close_notify` and the end of the socket's direction below it.
/// - A peer that ends without a `close_notify` is an error of reading, after everything that came
///   before it: something may have been cut off.
/// - [`abort`](Socket::abort) is that of the socket below: an RST on TCP, and no `close_notify`.
///
/// What is written waits for [`poll_flush`](Socket::poll_flush) if the socket below takes no more; that
/// is at most 64 KiB. An idle connection holds no read buffer.
pub struct TlsSocket<S> {
    socket: S,
    tls: Box<Connection>,
    /// Read from the socket and not decrypted yet.
    inbox: BytesMut,
    /// What the peer did wrong: nothing can be read any more.
    failed: Option<Error>,
    closing: bool,
}

impl<S: Socket> TlsSocket<S> {
    /// Bytes of one read of the socket below.
    const READ: usize = 32 * 1024;

    /// The client's end: shakes hands with a server that has to prove that it is `name`. It takes as
    /// long as the server does: the caller bounds it.
    ///
    /// # Errors
    /// Why there is no TLS with this peer.
    pub async fn connect(
        socket: S,
        name: ServerName<'static>,
        config: Arc<ClientConfig>,
    ) -> Result<Self, TlsError> {
        let mut client = Self::new(socket, ClientConnection::new(config, name)?.into());
        std::future::poll_fn(|cx| client.poll_handshake(cx)).await?;
        // The server waits for the end of it.
        std::future::poll_fn(|cx| client.poll_send(cx)).await?;
        Ok(client)
    }

    /// The server's end: shakes hands with a client. It takes as long as the client does: the caller
    /// bounds it.
    ///
    /// # Errors
    /// Why there is no TLS with this peer.
    pub async fn accept(socket: S, config: Arc<ServerConfig>) -> Result<Self, TlsError> {
        let mut server = Self::accept_lazily(socket, config)?;
        std::future::poll_fn(|cx| server.poll_handshake(cx)).await?;
        Ok(server)
    }

    /// The same, but hands are shaken by the first read or write: for a listener, which must not wait
    /// for one client before it takes the next.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn accept_lazily(socket: S, config: Arc<ServerConfig>) -> Result<Self, TlsError> {
        Ok(Self::new(socket, ServerConnection::new(config)?.into()))
    }

    /// What the peer has proved to be, its own certificate first; nothing where it has not, or not yet.
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.tls.peer_certificates().unwrap_or_default()
    }

    /// The socket below.
    pub const fn get_ref(&self) -> &S {
        &self.socket
    }

    fn new(socket: S, tls: Connection) -> Self {
        let (inbox, failed) = (BytesMut::new(), None);
        Self { socket, tls: Box::new(tls), inbox, failed, closing: false }
    }

    /// Until both sides know each other. What is left to be said then may wait to be written.
    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TlsError>> {
        if !self.tls.is_handshaking() {
            return Poll::Ready(Ok(()));
        }
        while self.tls.is_handshaking() {
            // Who broke our writing may have said why before.
            let sent = self.poll_send(cx);
            match self.poll_receive(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(TlsError::HungUp)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => match sent {
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Ready(Ok(())) | Poll::Pending => return Poll::Pending,
                },
            }
        }
        let _ = self.poll_send(cx);
        Poll::Ready(Ok(()))
    }

    /// Takes in a piece of what came, decrypted as far as records are whole. 0 is the end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, TlsError>> {
        if let Some(error) = &self.failed {
            let error = error.clone().into();
            let _ = self.poll_send(cx);
            return Poll::Ready(Err(error));
        }
        if self.inbox.is_empty() {
            let mut space = ReadBuf::new(&mut self.inbox, Self::READ);
            if let Poll::Ready(read) = self.socket.poll_read(cx, &mut space) {
                read?;
            } else {
                self.inbox = BytesMut::new();
                return Poll::Pending;
            }
        }
        let taken = self.tls.read_tls(&mut Incoming(&mut self.inbox))?;
        let answered = self.tls.wants_write();
        self.failed = self.tls.process_new_packets().err();
        if !answered && self.tls.wants_write() {
            // An answer of TLS itself, or the alert that says what was wrong. If it has to wait, it
            // goes out with what is written next.
            let _ = self.poll_send(cx);
        }
        Poll::Ready(match &self.failed {
            Some(error) => Err(error.clone().into()),
            None => Ok(taken),
        })
    }

    /// Writes what was encrypted.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            let mut outgoing = Outgoing { socket: &mut self.socket, cx };
            match self.tls.write_tls(&mut outgoing) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> Socket for TlsSocket<S> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_handshake(cx))?;
        // Memory is taken only once there is something to read.
        loop {
            match self.tls.reader().into_first_chunk() {
                Ok([]) => return Poll::Ready(Ok(0)),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(Err(TlsError::Truncated.into())),
            }
            ready!(self.poll_receive(cx))?;
        }
        let mut space = buf.space();
        let wanted = space.remaining_mut();
        while space.has_remaining_mut() {
            match self.tls.reader().into_first_chunk() {
                Ok([]) => break,
                Ok(chunk) => {
                    let taken = chunk.len().min(space.remaining_mut());
                    space.put_slice(&chunk[..taken]);
                    self.tls.reader().consume(taken);
                }
                // What has come already goes with it; for more there is another call.
                Err(_) if self.inbox.is_empty() => break,
                Err(_) => {
                    // The next call tells of it.
                    let Poll::Ready(Ok(_)) = self.poll_receive(cx) else { break };
                }
            }
        }
        Poll::Ready(Ok(wanted - space.remaining_mut()))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_handshake(cx))?;
        // Nothing is taken while something waits: that is what bounds the memory.
        ready!(self.poll_send(cx))?;
        let taken = self.tls.writer().write_vectored(bufs)?;
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        self.socket.poll_flush(cx)
    }

    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.closing, true) {
            self.tls.send_close_notify();
        }
        ready!(self.poll_flush(cx))?;
        self.socket.poll_shutdown_write(cx)
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.socket.take_error()
    }

    fn abort(&mut self) {
        self.socket.abort();
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.socket.addresses()
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSocket")
            .field("socket", &self.socket)
            .field("tls", &self.tls)
            .field("inbox", &self.inbox.len())
            .finish_non_exhaustive()
    }
}

/// What was read, as rustls takes it. Empty is the end.
struct Incoming<'a>(&'a mut BytesMut);

impl Read for Incoming<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let taken = space.len().min(self.0.len());
        self.0.copy_to_slice(&mut space[..taken]);
        Ok(taken)
    }
}

/// A socket as rustls writes to it.
struct Outgoing<'a, 'b, S> {
    socket: &'a mut S,
    cx: &'a mut Context<'b>,
}

impl<S: Socket> Write for Outgoing<'_, '_, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.socket.poll_write_vectored(self.cx, bufs) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
