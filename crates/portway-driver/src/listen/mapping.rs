use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;

use portway_proto::Port;

use crate::LocalAddr;

/// A local port, or a unix socket, and the port in the pod that it leads to.
///
/// ```
/// use portway_driver::{Mapping, Port};
/// let http = Port::new(80).expect("not zero");
/// let mapping = Mapping::new(8080, http);
/// let anywhere = Mapping::new(0, http).on(["127.0.0.2".parse()?]);
/// let socket = Mapping::unix("/run/user/1000/web.sock", http);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    local: Local,
    remote: Port,
}

/// Where a mapping listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Local {
    /// On a port of these addresses, which are those of localhost if there are none.
    Port(u16, Vec<IpAddr>),
    /// On a unix socket.
    Unix(Arc<Path>),
}

impl Mapping {
    /// Listens on `local` (0: a free port) of `127.0.0.1` and `::1`. One of the two is enough, and
    /// both have the same port.
    pub const fn new(local: u16, remote: Port) -> Self {
        Self { local: Local::Port(local, Vec::new()), remote }
    }

    /// Listens on a unix socket at this path, which nobody but our user may connect to (mode 0600, from
    /// the first moment).
    ///
    /// What is there already is refused, unless it is the socket of a program that is gone: nobody
    /// accepts at it. The file is removed when the listener ends, if it is still the same.
    ///
    /// Half-close is as on TCP. A reset is not, because unix sockets have none: where a TCP connection
    /// would end with one (the pod refused the port, or was lost), the program sees a reset only if it
    /// has sent something that was not read any more, and otherwise an end like any other. Where a
    /// stream that was cut must not pass for a whole one, use a port, or a protocol that says how much
    /// there is.
    pub fn unix(path: impl AsRef<Path>, remote: Port) -> Self {
        Self { local: Local::Unix(path.as_ref().into()), remote }
    }

    /// Listens on these addresses instead; all of them have to work. A unix socket has none.
    #[must_use]
    pub fn on(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        if let Local::Port(_, on) = &mut self.local {
            *on = addresses.into_iter().collect();
        }
        self
    }

    /// The port in the pod.
    pub const fn remote(&self) -> Port {
        self.remote
    }

    /// The local port asked for, of which 0 is a free one; `None` of a unix socket.
    pub const fn local_port(&self) -> Option<u16> {
        match &self.local {
            Local::Port(port, _) => Some(*port),
            Local::Unix(_) => None,
        }
    }

    /// Where it listens.
    pub(crate) const fn local(&self) -> &Local {
        &self.local
    }
}

/// The addresses to listen on, and whether one of them is enough.
pub(crate) fn addresses(on: &[IpAddr]) -> (Vec<IpAddr>, bool) {
    if on.is_empty() {
        (vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()], true)
    } else {
        (on.to_vec(), false)
    }
}

/// An address that is listened on, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bound {
    /// The local address with its real port, or the unix socket.
    pub local: LocalAddr,
    /// The port in the pod, as asked for.
    pub remote: Port,
}
