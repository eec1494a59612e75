use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, Waker};

use portway_driver::Listener;

use super::SimSocket;
use crate::Sim;
use crate::task::Wait;
use crate::trace::Happening;
use crate::world::World;

/// A listening socket of the simulation.
#[derive(Debug)]
pub struct SimListener {
    sim: Sim,
    addr: SocketAddr,
}

/// What the system keeps for one.
#[derive(Default)]
pub(super) struct Queue {
    /// Connected, not accepted.
    waiting: VecDeque<u64>,
    errors: VecDeque<io::ErrorKind>,
    waker: Option<Waker>,
}

impl SimListener {
    pub(crate) fn bind(sim: &Sim, addr: SocketAddr) -> io::Result<Self> {
        let addr = sim.with(|world| {
            let mut addr = addr;
            if addr.port() == 0 {
                addr.set_port(world.net.free_port());
            }
            if world.net.listeners.keys().any(|taken| collides(*taken, addr)) {
                return Err(io::Error::from(io::ErrorKind::AddrInUse));
            }
            world.note(Happening::Bound { port: addr.port() });
            world.net.listeners.insert(addr, Queue::default());
            Ok(addr)
        })?;
        Ok(Self { sim: sim.clone(), addr })
    }
}

impl Listener for SimListener {
    type Socket = SimSocket;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(SimSocket, Option<SocketAddr>)>> {
        let accepted = self.sim.with(|world| {
            let yields = world.jitter(16);
            let queue = world.net.listeners.get_mut(&self.addr)?;
            if yields && !queue.waiting.is_empty() {
                world.wake.push(cx.waker().clone());
                return None;
            }
            if let Some(error) = queue.errors.pop_front() {
                return Some(Err(io::Error::from(error)));
            }
            if let Some(conn) = queue.waiting.pop_front() {
                world.note(Happening::Accepted { conn });
                return Some(Ok(conn));
            }
            queue.waker = Some(cx.waker().clone());
            world.tasks.waits(Wait::Accept { port: self.addr.port() });
            None
        });
        match accepted {
            Some(Ok(conn)) => {
                let socket = SimSocket::new(self.sim.clone(), conn, 1);
                let from = socket.peer();
                Poll::Ready(Ok((socket, Some(from))))
            }
            Some(Err(error)) => Poll::Ready(Err(error)),
            None => Poll::Pending,
        }
    }
}

impl Drop for SimListener {
    /// Who was not accepted is reset.
    fn drop(&mut self) {
        self.sim.with(|world| {
            let queue = world.net.listeners.remove(&self.addr);
            for conn in queue.into_iter().flat_map(|queue| queue.waiting) {
                world.abort(conn, 1);
                world.close(conn, 1);
            }
        });
    }
}

impl World {
    /// The listener that a connection to this address reaches.
    pub(super) fn listener_at(&self, to: SocketAddr) -> Option<SocketAddr> {
        let reached = |addr: &&SocketAddr| collides(**addr, to);
        self.net.listeners.keys().find(reached).copied()
    }

    /// Its queue is as long as it may be.
    pub(super) fn is_full(&self, listener: SocketAddr) -> bool {
        const QUEUE: usize = 1_024;
        self.net.listeners.get(&listener).is_some_and(|queue| queue.waiting.len() >= QUEUE)
    }

    pub(super) fn enqueue(&mut self, listener: SocketAddr, conn: u64) {
        if let Some(queue) = self.net.listeners.get_mut(&listener) {
            queue.waiting.push_back(conn);
            self.wake.extend(queue.waker.take());
        }
    }

    pub(crate) fn fail_accepts(&mut self, at: SocketAddr, times: usize, error: io::ErrorKind) {
        if let Some(queue) = self.net.listeners.get_mut(&at) {
            queue.errors.extend(std::iter::repeat_n(error, times));
            self.wake.extend(queue.waker.take());
        }
    }
}

/// One listener is in the way of another, or reached at its address.
fn collides(taken: SocketAddr, addr: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    let family = taken.is_ipv4() == addr.is_ipv4();
    let ips = taken.ip() == addr.ip() || any(taken.ip()) || any(addr.ip());
    taken.port() == addr.port() && family && ips
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} wait to be accepted", self.waiting.len())?;
        if self.waker.is_some() { write!(f, ", somebody accepts") } else { Ok(()) }
    }
}
