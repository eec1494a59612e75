use std::ops::RangeInclusive;
use std::time::Duration;

/// What the way between two ends is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub(super) latency: RangeInclusive<Duration>,
    pub(super) bytes_per_second: Option<u64>,
    pub(super) capacity: usize,
    pub(super) patience: Duration,
    pub(super) answers: bool,
    pub(super) refuses: bool,
}

impl Link {
    /// As within one machine: no time passes, and 64 KiB each way are on their way at most.
    pub const fn new() -> Self {
        Self {
            latency: Duration::ZERO..=Duration::ZERO,
            bytes_per_second: None,
            capacity: 64 * 1024,
            patience: Duration::from_secs(15 * 60),
            answers: true,
            refuses: false,
        }
    }

    /// How long what is sent is on its way, drawn for each piece; nothing overtakes anything.
    #[must_use]
    pub const fn with_latency(mut self, latency: RangeInclusive<Duration>) -> Self {
        self.latency = latency;
        self
    }

    /// How much passes, each way. Default: as much as comes.
    #[must_use]
    pub const fn with_bytes_per_second(mut self, bytes: u64) -> Self {
        self.bytes_per_second = if bytes == 0 { Some(1) } else { Some(bytes) };
        self
    }

    /// Bytes that are written and not read yet, each way: the buffers of both systems together.
    #[must_use]
    pub const fn with_capacity(mut self, bytes: usize) -> Self {
        self.capacity = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// For how long a system goes on sending what nobody acknowledges. Default 15 min, as Linux.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Every connection is refused, as if nobody listened.
    #[must_use]
    pub const fn refusing(mut self) -> Self {
        self.refuses = true;
        self
    }

    /// Nobody is there to refuse a connection either.
    #[must_use]
    pub const fn unreachable(mut self) -> Self {
        self.answers = false;
        self
    }
}

impl Default for Link {
    fn default() -> Self {
        Self::new()
    }
}
