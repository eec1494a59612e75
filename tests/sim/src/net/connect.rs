use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use portway_driver::Addr;

use super::conn::Conn;
use super::{SimSocket, When};
use crate::Sim;
use crate::agenda::Entry;
use crate::trace::Happening;
use crate::world::World;

/// Opens a connection to the first address that takes it.
pub(crate) async fn connect(sim: &Sim, to: &Addr) -> io::Result<SimSocket> {
    let addresses = match to {
        Addr::Ip(addr) => vec![*addr],
        Addr::Host(name, port) => {
            let known = sim.with(|world| world.net.hosts.get(name).cloned()).unwrap_or_default();
            known.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect()
        }
        Addr::Unix(_) | _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    let mut error = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for addr in addresses {
        match connect_to(sim, addr).await {
            Ok(socket) => return Ok(socket),
            Err(failed) => error = failed,
        }
    }
    Err(error)
}

async fn connect_to(sim: &Sim, to: SocketAddr) -> io::Result<SimSocket> {
    /// What a system waits for an answer, in all, and before it asks again.
    const PATIENCE: Duration = Duration::from_secs(127);
    const AGAIN: Duration = Duration::from_secs(1);
    let link = sim.with(|world| world.net.link_to(to).clone());
    if !link.answers {
        sim.sleep(PATIENCE).await;
        return Err(io::ErrorKind::TimedOut.into());
    }
    let there = sim.with(|world| world.rng.time(link.latency.clone()));
    let back = sim.with(|world| world.rng.time(link.latency.clone()));
    if !(there + back).is_zero() {
        sim.sleep(there + back).await;
    }
    loop {
        match sim.with(|world| world.make(to)) {
            Made::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
            Made::Full => sim.sleep(AGAIN).await,
            Made::Conn(conn) => return Ok(SimSocket::new(sim.clone(), conn, 0)),
        }
    }
}

enum Made {
    Refused,
    Full,
    Conn(u64),
}

impl World {
    fn make(&mut self, to: SocketAddr) -> Made {
        let listener = self.listener_at(to).filter(|_| !self.net.link_to(to).refuses);
        let Some(listener) = listener else {
            self.note(Happening::Refused { port: to.port() });
            return Made::Refused;
        };
        if self.is_full(listener) {
            return Made::Full;
        }
        let ip = match to.ip() {
            ip if ip.is_loopback() => ip,
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        let from = SocketAddr::new(ip, self.net.free_port());
        self.net.made += 1;
        let number = self.net.made;
        let mut conn = Conn::new(self.net.link_to(to).clone(), from, to);
        if let Some((rng, plan)) = self.net.plans.get_mut(&to) {
            conn.plan = plan(rng);
        }
        if let Some((When::After(wait), _)) = conn.plan {
            self.after(wait, Entry::Fault { conn: number });
        }
        self.net.conns.insert(number, conn);
        self.note(Happening::Connected { conn: number });
        self.enqueue(listener, number);
        Made::Conn(number)
    }
}
