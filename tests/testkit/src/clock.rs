//! Virtual time.

use std::time::{Duration, Instant};

/// Virtual time: it moves when a test says so.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    now: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self { now: Instant::now() }
    }
}

impl Clock {
    /// What time it is.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Lets time pass.
    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    /// Goes to a moment; one that has passed changes nothing.
    pub fn advance_to(&mut self, at: Instant) {
        self.now = self.now.max(at);
    }
}
