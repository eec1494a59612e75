use std::time::{Duration, Instant};

/// What a deadline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Timer {
    /// The server's announcement of the ports is due, or of one stream; a server's wait for the
    /// second half of a stream.
    Open,
    /// The next keep-alive is due.
    KeepAlive,
    /// Nothing moved for the idle timeout.
    Idle,
    /// The peer's answer to our Close is due.
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
    pub(crate) const fn needs_reading(self) -> bool {
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

/// A deadline for each kind of timer: nothing to tune, nothing to grow.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    deadlines: [Option<Instant>; Timer::COUNT],
}

impl Timers {
    /// A wait beyond what an `Instant` can name is for ever.
    pub(crate) fn arm(&mut self, timer: Timer, wait: Duration, now: Instant) {
        self.set(timer, now.checked_add(wait));
    }

    pub(crate) fn arm_at(&mut self, timer: Timer, at: Option<Instant>) {
        self.set(timer, at);
    }

    pub(crate) fn runs(&self, timer: Timer) -> bool {
        self.deadlines.get(timer as usize).is_some_and(Option::is_some)
    }

    pub(crate) fn disarm(&mut self, timer: Timer) {
        self.set(timer, None);
    }

    pub(crate) fn disarm_all(&mut self) {
        self.deadlines = [None; Timer::COUNT];
    }

    /// The earliest deadline that counts now.
    pub(crate) fn next(&self, paused: bool) -> Option<(Instant, Timer)> {
        Timer::ALL
            .into_iter()
            .zip(self.deadlines)
            .filter(|(timer, _)| !(paused && timer.needs_reading()))
            .filter_map(|(timer, at)| at.map(|at| (at, timer)))
            .min_by_key(|(at, _)| *at)
    }

    /// Takes one timer that is due.
    pub(crate) fn expire(&mut self, paused: bool, now: Instant) -> Option<Timer> {
        let (_, timer) = self.next(paused).filter(|(at, _)| *at <= now)?;
        self.disarm(timer);
        Some(timer)
    }

    /// Moves every suspended deadline on by the length of a pause that has ended.
    pub(crate) fn resume(&mut self, paused_for: Duration) {
        for (timer, deadline) in Timer::ALL.into_iter().zip(&mut self.deadlines) {
            if timer.needs_reading() {
                *deadline = deadline.and_then(|at| at.checked_add(paused_for));
            }
        }
    }

    fn set(&mut self, timer: Timer, at: Option<Instant>) {
        if let Some(deadline) = self.deadlines.get_mut(timer as usize) {
            *deadline = at;
        }
    }
}
