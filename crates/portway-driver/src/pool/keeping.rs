use std::time::Duration;

/// How the local connections of a listener are put on sessions, where the wire form opens streams as
/// it goes. On v4 every connection has a session of its own, whatever is said here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Sessions {
    /// A session carries one live connection at a time, so that none can slow another down. One that
    /// has ended leaves its session to the next.
    #[default]
    Exclusive,
    /// A session carries up to so many connections, for the fewest upgrades.
    ///
    /// SPDY has no flow control that Kubernetes' servers would take part in, so a program that does
    /// not read stops the others of its session once its receive buffer is full: for at most 30 s,
    /// then it is reset ([`OverflowPolicy`](crate::proto::OverflowPolicy)). The loss of a session ends
    /// all its connections. [`Config::worst_case`](crate::Config::worst_case) of `max_streams` is what
    /// a session can hold in memory.
    Shared {
        /// Connections of one session at a time; at least 1.
        max_streams: usize,
    },
}

impl Sessions {
    pub(crate) fn per_session(self) -> usize {
        match self {
            Self::Exclusive => 1,
            Self::Shared { max_streams } => max_streams.max(1),
        }
    }
}

/// Which sessions are kept for connections to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeping {
    pub(crate) per_session: usize,
    /// One is dialled ahead of need.
    pub(crate) spare: bool,
    /// How many wait for a connection besides the last.
    pub(crate) max_idle: usize,
    /// For how long they do.
    pub(crate) idle_time: Duration,
    /// For how long the last one does, since a program has connected.
    pub(crate) spare_time: Duration,
    /// How old a session may be to be used again.
    pub(crate) max_age: Duration,
}

impl Keeping {
    pub(crate) const DEFAULT: Self = Self {
        per_session: 1,
        spare: true,
        max_idle: 8,
        idle_time: Duration::from_secs(60),
        spare_time: Duration::from_secs(5 * 60),
        max_age: Duration::from_secs(10 * 60),
    };
}
