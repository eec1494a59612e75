use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

use crate::rng::Rng;

/// What is to happen, by the time at which it is due. What is due at the same moment happens in an
/// order that is drawn.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    queue: BTreeMap<Key, Entry>,
    made: u64,
    timers: BTreeMap<u64, Timer>,
}

/// One thing that is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Timer(u64),
    /// What an end of a connection has sent arrives.
    Deliver {
        conn: u64,
        from: usize,
    },
    /// What was planned for a connection.
    Fault {
        conn: u64,
    },
    /// An end has waited for too long for a sign that its bytes arrive.
    GiveUp {
        conn: u64,
        end: usize,
    },
}

/// When, a number that was drawn, and one that makes it unique.
type Key = (Duration, u64, u64);

#[derive(Debug)]
struct Timer {
    at: Duration,
    waker: Option<Waker>,
    queued: Option<Key>,
}

impl Agenda {
    pub(crate) fn push(&mut self, at: Duration, entry: Entry, rng: &mut Rng) -> Key {
        self.made += 1;
        let key = (at, rng.number(), self.made);
        self.queue.insert(key, entry);
        key
    }

    /// The next moment at which anything happens.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|((at, ..), _)| *at)
    }

    /// Something that is due by now.
    pub(crate) fn pop_due(&mut self, now: Duration) -> Option<Entry> {
        if self.next()? > now {
            return None;
        }
        self.queue.pop_first().map(|(_, entry)| entry)
    }

    // -- timers

    pub(crate) fn add_timer(&mut self, at: Duration) -> u64 {
        self.made += 1;
        self.timers.insert(self.made, Timer { at, waker: None, queued: None });
        self.made
    }

    /// True once its time has come; else `waker` is called then.
    pub(crate) fn poll_timer(
        &mut self,
        id: u64,
        waker: &Waker,
        now: Duration,
        rng: &mut Rng,
    ) -> bool {
        let Some(timer) = self.timers.get_mut(&id) else { return true };
        if timer.at <= now {
            return true;
        }
        timer.waker = Some(waker.clone());
        if timer.queued.is_none() {
            let at = timer.at;
            let key = self.push(at, Entry::Timer(id), rng);
            if let Some(timer) = self.timers.get_mut(&id) {
                timer.queued = Some(key);
            }
        }
        false
    }

    /// Sets it anew; who waits for it goes on waiting.
    pub(crate) fn reset_timer(&mut self, id: u64, at: Duration, rng: &mut Rng) {
        let Some(timer) = self.timers.get_mut(&id) else { return };
        timer.at = at;
        if let Some(key) = timer.queued.take() {
            self.queue.remove(&key);
            let key = self.push(at, Entry::Timer(id), rng);
            if let Some(timer) = self.timers.get_mut(&id) {
                timer.queued = Some(key);
            }
        }
    }

    /// It is due: who is to be woken.
    pub(crate) fn fire_timer(&mut self, id: u64) -> Option<Waker> {
        let timer = self.timers.get_mut(&id)?;
        timer.queued = None;
        timer.waker.take()
    }

    pub(crate) fn drop_timer(&mut self, id: u64) {
        if let Some(key) = self.timers.remove(&id).and_then(|timer| timer.queued) {
            self.queue.remove(&key);
        }
    }

    /// Those that exist, and when each is due.
    pub(crate) fn timers(&self) -> impl Iterator<Item = (u64, Duration, bool)> {
        self.timers.iter().map(|(id, timer)| (*id, timer.at, timer.waker.is_some()))
    }
}
