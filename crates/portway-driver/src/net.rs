use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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

    /// Takes over a unix socket that listens already, at a path that is somebody else's business, and
    /// does not block.
    ///
    /// # Errors
    /// What the system says; that there are no unix sockets here, if this is left as it is.
    #[cfg(unix)]
    fn adopt_unix(&self, listener: std::os::unix::net::UnixListener) -> io::Result<Self::Listener> {
        drop(listener);
        Err(io::Error::new(io::ErrorKind::Unsupported, "this runtime has no unix sockets"))
    }
}

/// A listening socket. Dropping it frees the port.
pub trait Listener: Send + Unpin + 'static {
    /// A connection.
    type Socket: Socket;

    /// The address it is bound to, with the real port.
    ///
    /// # Errors
    /// What the system says, and always for a unix socket.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next connection and where it comes from, which through a unix socket is nowhere.
    ///
    /// # Errors
    /// What the system says; the listener goes on after it.
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Socket, Option<SocketAddr>)>>;
}

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Addr {
    /// An address.
    Ip(SocketAddr),
    /// A host name, to be looked up, and a port.
    Host(String, u16),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

/// An address of this machine that programs connect to: a port, or a unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocalAddr {
    /// A port of an address.
    Ip(SocketAddr),
    /// The path of a unix socket.
    Unix(Arc<Path>),
}

impl LocalAddr {
    /// The address with its port; `None` of a unix socket.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }

    /// The path of a unix socket; `None` of a port.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Ip(_) => None,
            Self::Unix(path) => Some(path),
        }
    }
}

impl fmt::Display for LocalAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<SocketAddr> for LocalAddr {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

impl From<LocalAddr> for Addr {
    fn from(addr: LocalAddr) -> Self {
        match addr {
            LocalAddr::Ip(addr) => Self::Ip(addr),
            LocalAddr::Unix(path) => Self::Unix(path.to_path_buf()),
        }
    }
}

/// How many connections wait to be accepted, at most.
pub(crate) const QUEUE: i32 = 1_024;

/// A listening TCP socket, set up alike for every runtime: not blocking, a long queue, its port usable
/// again right after us, and IPv6 without IPv4 in it, so that the two do not get in each other's way.
///
/// # Errors
/// What the system says.
pub fn listening_socket(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
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
