use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use super::pod::Manner;
use super::setup::Setup;
use crate::{Fault, Link, Rng, Sim, When};

/// Plans what befalls connections: on one hop much, on the others little.
pub(super) fn plan(sim: &Sim, server: SocketAddr, doors: &[SocketAddr], rng: &mut Rng) {
    let worst = rng.below(3);
    let one_in = move |hop| if hop == worst { 3 } else { 12 };
    sim.plan_faults(server, move |rng| fate(rng, one_in(0)));
    for door in doors {
        sim.plan_faults(*door, move |rng| fate(rng, one_in(1)));
    }
    for manner in Manner::ALL {
        sim.plan_faults(manner.addr(), move |rng| fate(rng, one_in(2)));
    }
}

/// For a while nobody reaches an address any more: who is connected notices nothing.
#[derive(Debug, Clone)]
pub(super) struct Outage {
    pub(super) to: SocketAddr,
    pub(super) from: Duration,
    pub(super) until: Duration,
    link: Link,
    /// Nobody says so; else every connection is refused.
    unanswered: bool,
}

impl Outage {
    /// Sometimes one, of the server or of a pod.
    pub(super) fn draw(server: SocketAddr, setup: &Setup, rng: &mut Rng) -> Option<Self> {
        if !rng.one_in(4) {
            return None;
        }
        let manner = rng.pick(&Manner::ALL);
        let (to, link) = match rng.one_in(2) {
            true => (server, setup.hop.clone()),
            false => (manner.addr(), setup.pod.clone()),
        };
        let from = rng.time(Duration::ZERO..=Duration::from_secs(3));
        let until = from + rng.time(Duration::from_millis(100)..=Duration::from_secs(6));
        Some(Self { to, from, until, link, unanswered: rng.one_in(2) })
    }

    pub(super) async fn happen(self, sim: Sim) {
        let Self { to, from, until, link, unanswered } = self;
        sim.sleep(from).await;
        let gone = if unanswered { link.clone().unreachable() } else { link.clone().refusing() };
        sim.set_link(to, gone);
        sim.sleep(until - from).await;
        sim.set_link(to, link);
    }
}

/// Sometimes a system has no descriptor left for those who connect to one of these.
pub(super) async fn exhaust(sim: Sim, doors: Vec<SocketAddr>, mut rng: Rng) {
    if !rng.one_in(3) {
        return;
    }
    sim.sleep(rng.time(Duration::ZERO..=Duration::from_secs(3))).await;
    sim.fail_accepts(rng.pick(&doors), rng.within(1..=8), ErrorKind::OutOfMemory);
}

/// The longest stall: below what the half-close policy waits where an answer is owed.
const STALL: Duration = Duration::from_secs(2);

fn fate(rng: &mut Rng, one_in: usize) -> Option<(When, Fault)> {
    if !rng.one_in(one_in) {
        return None;
    }
    let bytes = rng.pick(&[40, 400, 4_000, 40_000]);
    let when = match rng.below(3) {
        0 => When::After(rng.time(Duration::ZERO..=Duration::from_secs(5))),
        1 => When::Sent(rng.within(1..=bytes) as u64),
        _ => When::Answered(rng.within(1..=bytes) as u64),
    };
    let fault = match rng.below(5) {
        0 => Fault::Silence,
        1 | 2 => Fault::Stall(rng.time(Duration::from_millis(1)..=STALL)),
        _ => Fault::Cut,
    };
    Some((when, fault))
}
