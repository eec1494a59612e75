use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use portway_driver::Listener;
use rustls::ServerConfig;

use crate::TlsSocket;

/// TLS around every connection that a listener accepts.
///
/// Hands are shaken when somebody reads the connection, so that a client which takes its time holds up
/// nobody: a server bounds it together with its own handshake.
///
/// ```no_run
/// # async fn serve(
/// #     server: portway_server::Server<portway_tokio::Tokio, portway_server::LocalPods<portway_tokio::Tokio>>,
/// #     rt: portway_tokio::Tokio,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// use portway_rustls::{ServerTls, TlsListener};
/// use portway_tokio::Net;
///
/// let tls = ServerTls::new(&std::fs::read("server.crt")?, &std::fs::read("server.key")?)?.config()?;
/// let listener = rt.bind("127.0.0.1:6443".parse()?).await?;
/// let serving = server.serve(TlsListener::new(listener, tls))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TlsListener<L> {
    listener: L,
    config: Arc<ServerConfig>,
}

impl<L: Listener> TlsListener<L> {
    /// Takes over a listener.
    pub const fn new(listener: L, config: Arc<ServerConfig>) -> Self {
        Self { listener, config }
    }
}

impl<L: Listener> Listener for TlsListener<L> {
    type Socket = TlsSocket<L::Socket>;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Socket, Option<SocketAddr>)>> {
        let (socket, client) = ready!(self.listener.poll_accept(cx))?;
        let socket = TlsSocket::accept_lazily(socket, Arc::clone(&self.config))?;
        Poll::Ready(Ok((socket, client)))
    }
}
