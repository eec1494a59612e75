use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::StreamId;

/// What a deadline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Timer {
    /// The server's announcement of the ports is due, or of one stream; a server's wait for the
    /// second half of a stream.
    Open,
    /// The next keep-alive is due.
    KeepAlive,
    /// Nothing moved for the idle timeout.
    Idle,
    /// The peer's answer to our Close is due, or the next progress of the transport towards it.
    Close,
    /// A stream whose local end was reached has waited long enough for the pod.
    HalfClose,
    /// A full stream has kept the session paused for as long as its policy allows.
    Stall,
    /// No more of an error text is waited for.
    ErrorSettle,
    /// The answers to the health check are due.
    Check,
}

impl Timer {
    const COUNT: usize = 8;

    /// Suspended while nobody reads the transport: what these wait for may be lying there unread.
    const fn needs_reading(self) -> bool {
        match self {
            Self::Open
            | Self::KeepAlive
            | Self::Idle
            | Self::HalfClose
            | Self::ErrorSettle
            | Self::Check => true,
            // A close has to end even if nobody reads any more.
            Self::Stall | Self::Close => false,
        }
    }

    const ALL: [Self; Self::COUNT] = [
        Self::Open,
        Self::KeepAlive,
        Self::Idle,
        Self::Close,
        Self::HalfClose,
        Self::Stall,
        Self::ErrorSettle,
        Self::Check,
    ];
}

/// Whose a deadline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Session,
    Stream(StreamId),
}

/// The deadlines of a session and of its streams, and the clock of those that wait for the peer.
///
/// Kept in their order: what the next one is gets asked with every message, and a session may have a
/// thousand streams. The time of whatever waits for the peer (reading time) stands still during a pause,
/// so that the end of one moves no deadline.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    armed: BTreeMap<(Owner, Timer), Instant>,
    by_clock: BTreeSet<Deadline>,
    by_reading: BTreeSet<Deadline>,
    paused_since: Option<Instant>,
    /// How long all pauses before this one were.
    paused_for: Duration,
}

type Deadline = (Instant, Owner, Timer);

impl Timers {
    /// A wait beyond what an `Instant` can name is for ever.
    pub(crate) fn arm(&mut self, owner: Owner, timer: Timer, wait: Duration, now: Instant) {
        let now = if timer.needs_reading() { self.reading_time(now) } else { now };
        self.arm_at(owner, timer, now.checked_add(wait));
    }

    /// In the time that the timer goes by.
    pub(crate) fn arm_at(&mut self, owner: Owner, timer: Timer, at: Option<Instant>) {
        self.disarm(owner, timer);
        if let Some(at) = at {
            self.armed.insert((owner, timer), at);
            self.order(timer).insert((at, owner, timer));
        }
    }

    pub(crate) fn runs(&self, owner: Owner, timer: Timer) -> bool {
        self.armed.contains_key(&(owner, timer))
    }

    pub(crate) fn disarm(&mut self, owner: Owner, timer: Timer) {
        if let Some(at) = self.armed.remove(&(owner, timer)) {
            self.order(timer).remove(&(at, owner, timer));
        }
    }

    /// The stream is gone.
    pub(crate) fn disarm_stream(&mut self, id: StreamId) {
        for timer in Timer::ALL {
            self.disarm(Owner::Stream(id), timer);
        }
    }

    pub(crate) fn disarm_all(&mut self) {
        self.armed.clear();
        self.by_clock.clear();
        self.by_reading.clear();
    }

    /// The earliest deadline that counts now.
    pub(crate) fn next(&self) -> Option<(Instant, Timer)> {
        self.first().map(|(at, _, timer)| (at, timer))
    }

    /// Takes one timer that is due.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<(Owner, Timer)> {
        let (_, owner, timer) = self.first().filter(|(at, ..)| *at <= now)?;
        self.disarm(owner, timer);
        Some((owner, timer))
    }

    /// Nobody reads the transport from now on: what waits for the peer may be lying there unread.
    pub(crate) fn pause(&mut self, now: Instant) {
        self.paused_since.get_or_insert(now);
    }

    /// It is read again.
    pub(crate) fn resume(&mut self, now: Instant) {
        if let Some(since) = self.paused_since.take() {
            let pause = now.saturating_duration_since(since);
            self.paused_for = self.paused_for.saturating_add(pause);
        }
    }

    /// The time for everything that waits for the peer.
    pub(crate) fn reading_time(&self, now: Instant) -> Instant {
        let now = self.paused_since.unwrap_or(now);
        now.checked_sub(self.paused_for).unwrap_or(now)
    }

    /// When by the clock it will be `at` in reading time, if no pause comes between; `None` for never.
    pub(crate) fn clock_time(&self, at: Instant) -> Option<Instant> {
        at.checked_add(self.paused_for)
    }

    fn first(&self) -> Option<Deadline> {
        let by_clock = self.by_clock.first().copied();
        let by_reading = self.by_reading.first().filter(|_| self.paused_since.is_none());
        let by_reading = by_reading
            .and_then(|(at, owner, timer)| self.clock_time(*at).map(|at| (at, *owner, *timer)));
        by_clock.into_iter().chain(by_reading).min()
    }

    fn order(&mut self, timer: Timer) -> &mut BTreeSet<Deadline> {
        if timer.needs_reading() { &mut self.by_reading } else { &mut self.by_clock }
    }
}
