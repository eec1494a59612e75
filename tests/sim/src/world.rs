use std::task::Waker;
use std::time::Duration;

use crate::agenda::{Agenda, Entry};
use crate::net::Network;
use crate::rng::Rng;
use crate::settings::Settings;
use crate::task::Tasks;
use crate::trace::{Happening, Trace};

/// Everything that the handles of a simulation share: time, tasks, network, chance.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) rng: Rng,
    /// Since the beginning.
    pub(crate) now: Duration,
    pub(crate) trace: Trace,
    pub(crate) agenda: Agenda,
    pub(crate) tasks: Tasks,
    pub(crate) net: Network,
    /// To be woken once nothing is locked.
    pub(crate) wake: Vec<Waker>,
    /// Who wants to know when nothing can run before time moves.
    pub(crate) settling: Vec<Waker>,
    /// A task is polled that nobody has woken: chance keeps out of it.
    pub(crate) probing: bool,
    /// What was done since the flag was cleared.
    pub(crate) worked: Option<Happening>,
}

impl World {
    pub(crate) fn new(seed: u64, settings: Settings) -> Self {
        Self {
            settings,
            rng: Rng::new(seed),
            now: Duration::ZERO,
            trace: Trace::new(),
            agenda: Agenda::default(),
            tasks: Tasks::default(),
            net: Network::default(),
            wake: Vec::new(),
            settling: Vec::new(),
            probing: false,
            worked: None,
        }
    }

    pub(crate) fn note(&mut self, happening: Happening) {
        if happening.is_work() {
            self.worked = self.worked.or(Some(happening));
        }
        self.trace.push(happening, self.now);
    }

    /// Does what is due by now.
    pub(crate) fn fire_due(&mut self) {
        while let Some(entry) = self.agenda.pop_due(self.now) {
            match entry {
                Entry::Timer(timer) => {
                    self.note(Happening::Fired { timer });
                    self.wake.extend(self.agenda.fire_timer(timer));
                }
                Entry::Deliver { conn, from } => self.deliver(conn, from),
                Entry::Fault { conn } => self.planned_fault(conn),
                Entry::GiveUp { conn, end } => self.give_up(conn, end),
            }
        }
    }

    /// Something is to happen after a while.
    pub(crate) fn after(&mut self, wait: Duration, entry: Entry) {
        self.agenda.push(self.now + wait, entry, &mut self.rng);
    }

    /// Chance has a hand in what a socket does now.
    pub(crate) fn jitter(&mut self, one_in: usize) -> bool {
        self.settings.jitter && !self.probing && self.rng.one_in(one_in)
    }
}
