use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use crate::Socket;

/// What the driver needs of a network: connections out and listeners.
pub trait Net: Clone + Send + Sync + Unpin + 'static {
    /// A connection.
    type Socket: Socket;
    /// A listening socket.
    type Listener: Listener<Socket = Self::Socket>;

    /// Opens a connection. A host name is looked up; its addresses are tried in their order.
    fn connect(&self, to: &Addr) -> impl Future<Output = io::Result<Self::Socket>> + Send;

    /// Listens on an address; port 0 takes a free one.
    fn bind(&self, addr: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;
}

/// A listening socket. Dropping it frees the port.
pub trait Listener: Send + Unpin + 'static {
    /// A connection.
    type Socket: Socket;

    /// The address it is bound to, with the real port.
    ///
    /// # Errors
    /// What the system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next connection and its peer.
    ///
    /// # Errors
    /// What the system says; the listener goes on after it.
    fn poll_accept(&mut self, cx: &mut Context<'_>)
    -> Poll<io::Result<(Self::Socket, SocketAddr)>>;
}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Addr {
    /// An address.
    Ip(SocketAddr),
    /// A host name, to be looked up, and a port.
    Host(String, u16),
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

/// A listening TCP socket, set up alike for every runtime: not blocking, a long queue, its port usable
/// again right after us, and IPv6 without IPv4 in it, so that the two do not get in each other's way.
///
/// # Errors
/// What the system says.
pub fn listening_socket(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    const QUEUE: i32 = 1_024;
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(addr),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Windows the option means something else: that the port may be stolen.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(QUEUE)?;
    Ok(socket.into())
}
