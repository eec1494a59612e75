use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::rng::mix;

/// What happened, in order: all of it as one number, the end of it in words.
///
/// What bytes were carried is not in it: masking keys are random, and nothing may depend on them.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    recent: VecDeque<(Duration, Happening)>,
}

/// One thing that happened. Tasks, connections and timers are named by the order of their making.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    Spawned { task: u64 },
    Polled { task: u64 },
    Ended { task: u64 },
    Fired { timer: u64 },
    Bound { port: u16 },
    Connected { conn: u64 },
    Refused { port: u16 },
    Accepted { conn: u64 },
    Wrote { conn: u64, end: u8, bytes: usize },
    Read { conn: u64, end: u8, bytes: usize },
    ReadFin { conn: u64, end: u8 },
    SentFin { conn: u64, end: u8 },
    SentRst { conn: u64, end: u8 },
    GotRst { conn: u64, end: u8 },
    Closed { conn: u64, end: u8 },
    Cut { conn: u64 },
    Silenced { conn: u64 },
    Stalled { conn: u64 },
    Noted { what: u64 },
}

impl Trace {
    const KEPT: usize = 40;

    pub(crate) const fn new() -> Self {
        Self { hash: 0, recent: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, happening: Happening, now: Duration) {
        let [a, b, c, d] = happening.numbers();
        let time = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        for number in [time, a, b, c, d] {
            self.hash = mix(self.hash.wrapping_add(number).wrapping_add(0x9E37_79B9_7F4A_7C15));
        }
        if self.recent.len() == Self::KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back((now, happening));
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }
}

impl Happening {
    fn numbers(self) -> [u64; 4] {
        match self {
            Self::Spawned { task } => [1, task, 0, 0],
            Self::Polled { task } => [2, task, 0, 0],
            Self::Ended { task } => [3, task, 0, 0],
            Self::Fired { timer } => [4, timer, 0, 0],
            Self::Bound { port } => [5, port.into(), 0, 0],
            Self::Connected { conn } => [6, conn, 0, 0],
            Self::Refused { port } => [7, port.into(), 0, 0],
            Self::Accepted { conn } => [8, conn, 0, 0],
            Self::Wrote { conn, end, bytes } => [9, conn, end.into(), bytes as u64],
            Self::Read { conn, end, bytes } => [10, conn, end.into(), bytes as u64],
            Self::ReadFin { conn, end } => [11, conn, end.into(), 0],
            Self::SentFin { conn, end } => [12, conn, end.into(), 0],
            Self::SentRst { conn, end } => [13, conn, end.into(), 0],
            Self::GotRst { conn, end } => [14, conn, end.into(), 0],
            Self::Closed { conn, end } => [15, conn, end.into(), 0],
            Self::Cut { conn } => [16, conn, 0, 0],
            Self::Silenced { conn } => [17, conn, 0, 0],
            Self::Stalled { conn } => [18, conn, 0, 0],
            Self::Noted { what } => [19, what, 0, 0],
        }
    }

    /// Something that somebody did, as opposed to looking whether there is something to do.
    pub(crate) const fn is_work(self) -> bool {
        !matches!(
            self,
            Self::Polled { .. } | Self::Fired { .. } | Self::GotRst { .. } | Self::Noted { .. }
        )
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.recent.iter().try_for_each(|(at, what)| writeln!(f, "  {at:?} {what:?}"))
    }
}
