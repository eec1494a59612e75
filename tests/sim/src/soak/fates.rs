use std::net::SocketAddr;
use std::time::Duration;

use super::pod::Manner;
use crate::{Fault, Rng, Sim, When};

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
