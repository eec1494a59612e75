use std::time::Duration;

/// How the local connections of a listener are put on sessions, where the wire form opens streams as
/// it goes. On v4 every connection has a session of its own, whatever is said here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Sessions {
    /// A session carries one live connection at a time, so that none can slow another down. One that
    /// has ended leaves its session to the next; so does one whose exchange looks done (its program
    /// has ended its sending after the pod's last word) while it waits for the pod's end. Should the
    /// pod speak to that one again after all, and its program not read, it is reset.
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
    const fn per_session(self) -> usize {
        match self {
            Self::Exclusive | Self::Shared { max_streams: 0 } => 1,
            Self::Shared { max_streams } => max_streams,
        }
    }
}

/// Which sessions are kept for connections to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeping {
    pub(crate) per_session: usize,
    /// How many more may wait for their end on it.
    pub(crate) max_quiet: usize,
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
        max_quiet: Self::QUIET,
        spare: true,
        max_idle: 64,
        idle_time: Duration::from_secs(60),
        spare_time: Duration::from_secs(5 * 60),
        max_age: Duration::from_secs(10 * 60),
    };
    /// Enough for a hundred short connections a second on each session, with the second that it takes
    /// a container runtime to end one.
    const QUIET: usize = 128;

    /// As the owner of the listener wants it. Shared sessions count every connection, since that is
    /// what bounds their memory.
    pub(crate) const fn of(mut self, sessions: Sessions) -> Self {
        self.per_session = sessions.per_session();
        self.max_quiet = match sessions {
            Sessions::Exclusive => Self::QUIET,
            Sessions::Shared { .. } => 0,
        };
        self
    }
}
