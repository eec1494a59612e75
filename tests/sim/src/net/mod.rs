//! Sockets and what is between them, as programs on Linux see them.

mod conn;
mod connect;
mod fault;
mod flow;
mod link;
mod listener;
mod socket;

pub(crate) use connect::connect;
pub use fault::{Fault, FaultRecord, When};
pub use link::Link;
pub use listener::SimListener;
pub use socket::SimSocket;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use self::conn::Conn;
use self::listener::Queue;
use crate::rng::Rng;

/// Every listener and connection there is.
#[derive(Default)]
pub(crate) struct Network {
    default_link: Link,
    links: BTreeMap<SocketAddr, Link>,
    hosts: BTreeMap<String, Vec<IpAddr>>,
    plans: BTreeMap<SocketAddr, (Rng, Plan)>,
    listeners: BTreeMap<SocketAddr, Queue>,
    conns: BTreeMap<u64, Conn>,
    made: u64,
    ports: u16,
    faults: Vec<FaultRecord>,
}

/// What has gone one way through a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// Bytes that were written.
    pub written: u64,
    /// Those of them that were not read yet.
    pub on_the_way: usize,
}

/// What befalls the next connection to an address.
pub(crate) type Plan = Box<dyn FnMut(&mut Rng) -> Option<(When, Fault)> + Send>;

impl Network {
    pub(crate) fn set_default_link(&mut self, link: Link) {
        self.default_link = link;
    }

    pub(crate) fn set_link(&mut self, to: SocketAddr, link: Link) {
        self.links.insert(to, link);
    }

    pub(crate) fn add_host(&mut self, name: String, addresses: Vec<IpAddr>) {
        self.hosts.insert(name, addresses);
    }

    pub(crate) fn plan_faults(&mut self, to: SocketAddr, rng: Rng, plan: Plan) {
        self.plans.insert(to, (rng, plan));
    }

    pub(crate) fn connections(&self, to: SocketAddr) -> Vec<u64> {
        let open = |conn: &Conn| conn.ends[1].addr == to && conn.ends.iter().any(|end| end.open);
        self.conns.iter().filter(|(_, conn)| open(conn)).map(|(number, _)| *number).collect()
    }

    /// What has gone from each end of a connection to the other, unless one of them is gone.
    pub(crate) fn moved(&self, connection: u64) -> Option<[Moved; 2]> {
        let conn = self.conns.get(&connection)?;
        let stands = conn.ends.iter().all(|end| end.open && !end.gone) && !conn.silent;
        stands.then(|| {
            conn.pipes
                .each_ref()
                .map(|pipe| Moved { written: pipe.written, on_the_way: pipe.held() })
        })
    }

    pub(crate) fn faults(&self) -> &[FaultRecord] {
        &self.faults
    }

    /// Ends that somebody holds, and listeners.
    pub(crate) fn open(&self) -> (usize, usize) {
        let ends = self.conns.values().flat_map(|conn| &conn.ends);
        (ends.filter(|end| end.open).count(), self.listeners.len())
    }

    fn link_to(&self, to: SocketAddr) -> &Link {
        self.links.get(&to).unwrap_or(&self.default_link)
    }

    /// A port that nobody listens on, on any address.
    fn free_port(&mut self) -> u16 {
        const FIRST: u16 = 32_768;
        loop {
            self.ports = self.ports.checked_add(1).unwrap_or(0).max(FIRST);
            if self.listeners.keys().all(|addr| addr.port() != self.ports) {
                return self.ports;
            }
        }
    }

    /// Forgets a connection of which nothing is left.
    fn clear(&mut self, number: u64) {
        if self.conns.get(&number).is_some_and(Conn::is_over) {
            self.conns.remove(&number);
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (addr, queue) in &self.listeners {
            writeln!(f, "  listener {addr}: {queue:?}")?;
        }
        self.conns
            .iter()
            .try_for_each(|(number, conn)| write!(f, "  connection {number}: {conn:?}"))
    }
}
