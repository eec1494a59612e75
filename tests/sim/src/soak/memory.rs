use super::ledger::Ledger;
use crate::{Fault, Moved, Sim};

/// How much portway holds of one connection, while its receiver reads nothing.
///
/// Bytes are conserved: of what one end has given, what the other end was not given yet is on the wires
/// of the simulation, or in portway.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) program: u64,
    pub(super) way: Way,
    pub(super) bytes: u64,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From the pod.
    Down,
    /// To the pod.
    Up,
}

impl Ledger {
    /// Writes down how much portway holds of what goes that way to or from a program; nothing where some
    /// of it may have been dropped for a reason.
    pub(super) fn note_held(&self, sim: &Sim, program: u64, way: Way) {
        let held = self.held(sim, program, way);
        self.lock().held.extend(held);
    }

    fn held(&self, sim: &Sim, program: u64, way: Way) -> Option<Held> {
        let (server, door, pods) = {
            let entries = self.lock();
            let pods = entries.pods.values();
            let pods = pods.filter(|pod| pod.header.is_some_and(|it| it.program == program));
            let pods: Vec<_> = pods.map(|pod| pod.connection).collect();
            (entries.server?, entries.programs.get(&program)?.local?.0, pods)
        };
        let lost = |fault| !matches!(fault, Fault::Stall(_));
        if sim.faults().iter().any(|fault| fault.to == server && lost(fault.fault)) {
            return None;
        }
        // What connects sends first.
        let at = usize::from(way == Way::Down);
        let door = sim.moved(door)?[at];
        let mut pods = pods.into_iter().filter_map(|pod| sim.moved(pod));
        let (Some(pod), None) = (pods.next(), pods.next()) else { return None };
        let (from, to) = if way == Way::Down { (pod[at], door) } else { (door, pod[at]) };
        // Encoded that is more than what it carries, so that less is taken for held.
        let sessions = sim.connections(server).into_iter().filter_map(|hop| sim.moved(hop));
        let between: u64 = sessions.map(|hop| hop[at].on_the_way as u64).sum();
        Some(Held { program, way, bytes: given(from).saturating_sub(to.written + between) })
    }
}

/// What was taken of what was written.
const fn given(moved: Moved) -> u64 {
    moved.written - moved.on_the_way as u64
}
