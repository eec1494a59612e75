use std::time::Duration;

use crate::rng::Rng;

/// How a simulation behaves.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Reads and writes are cut short now and then, and what is ready is not ready at once.
    pub(crate) jitter: bool,
    /// One turn in so many polls a task that nobody has woken; 0 for none.
    pub(crate) spurious: usize,
    /// One moment of rest in so many is used to look for tasks that were forgotten; 0 for none.
    pub(crate) probe: usize,
    /// The most that one poll takes.
    pub(crate) poll_cost: Duration,
    /// Polls without a moment of rest that are taken for a livelock.
    pub(crate) max_polls: u64,
}

impl Settings {
    /// Half of the seeds are disturbed by wake-ups for nothing, which would rescue a task that was
    /// forgotten; the other half looks for such tasks.
    pub(crate) fn of(seed: u64) -> Self {
        let disturbed = Rng::new(!seed).one_in(2);
        let (spurious, probe) = if disturbed { (64, 0) } else { (0, 4) };
        Self { jitter: true, spurious, probe, poll_cost: Duration::ZERO, max_polls: 1_000_000 }
    }
}
