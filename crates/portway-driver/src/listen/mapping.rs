use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use portway_proto::Port;

/// A local port and the port in the pod that it leads to.
///
/// ```
/// use portway_driver::{Mapping, Port};
/// let http = Port::new(80).expect("not zero");
/// let mapping = Mapping::new(8080, http);
/// let anywhere = Mapping::new(0, http).on(["127.0.0.2".parse()?]);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    local: u16,
    remote: Port,
    addresses: Vec<IpAddr>,
}

impl Mapping {
    /// Listens on `local` (0: a free port) of `127.0.0.1` and `::1`. One of the two is enough, and
    /// both have the same port.
    pub const fn new(local: u16, remote: Port) -> Self {
        Self { local, remote, addresses: Vec::new() }
    }

    /// Listens on these addresses instead; all of them have to work.
    #[must_use]
    pub fn on(mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        self.addresses = addresses.into_iter().collect();
        self
    }

    /// The local port asked for; 0 is a free one.
    pub const fn local(&self) -> u16 {
        self.local
    }

    /// The port in the pod.
    pub const fn remote(&self) -> Port {
        self.remote
    }

    /// The addresses to listen on, and whether one of them is enough.
    pub(crate) fn addresses(&self) -> (Vec<IpAddr>, bool) {
        if self.addresses.is_empty() {
            (vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()], true)
        } else {
            (self.addresses.clone(), false)
        }
    }
}

/// An address that is listened on, and where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bound {
    /// The local address with its real port.
    pub local: SocketAddr,
    /// The port in the pod, as asked for.
    pub remote: Port,
}
