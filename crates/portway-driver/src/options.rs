use std::sync::Arc;
use std::time::Duration;

use portway_proto::Config;

use crate::pool::Keeping;
use crate::{Protocol, RelayRules, Sessions};

/// How forwards behave; the defaults suit a program that has not thought about it.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) protocol: Protocol,
    pub(crate) session: Arc<Config>,
    pub(crate) max_sessions: usize,
    pub(crate) max_message: usize,
    pub(crate) read_size: usize,
    pub(crate) keeping: Keeping,
    pub(crate) max_lingering: usize,
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            protocol: Protocol::default(),
            session: Arc::new(Self::session()),
            max_sessions: 16_384,
            max_message: 1024 * 1024,
            read_size: RelayRules::READ_SIZE,
            keeping: Keeping::DEFAULT,
            max_lingering: 64,
        }
    }

    /// One read fits a session's buffers, both ways: a smaller one would cut what is moved at once.
    const fn session() -> Config {
        Config::client()
            .with_recv_buffer(RelayRules::READ_SIZE)
            .with_send_buffer(RelayRules::READ_SIZE)
    }

    /// Which wire forms may be spoken. Default: whatever works.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Limits, policies and waits of each session. Default: those of [`Config::client`], with buffers
    /// of 512 KiB each way.
    #[must_use]
    pub fn with_session(mut self, config: Config) -> Self {
        self.session = Arc::new(config);
        self
    }

    /// Connections of one listener at a time; further programs wait, all but one for each local address
    /// in the system's queue. Default 16,384.
    #[must_use]
    pub fn with_max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions.max(1);
        self
    }

    /// Bytes of one incoming message; a server sends at most 32 KiB + 1 (protocol.md B.5). Messages
    /// are passed on as they arrive, so the limit costs no memory. Default 1 MiB.
    #[must_use]
    pub fn with_max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Most bytes of one read from a socket. A connection holds up to twice that for each of its two
    /// sockets while it moves data; an idle one holds nothing. Default 512 KiB.
    #[must_use]
    pub fn with_read_size(mut self, bytes: usize) -> Self {
        self.read_size = bytes;
        self
    }

    /// How the connections of a listener are put on sessions. Default [`Sessions::Exclusive`].
    #[must_use]
    pub fn with_sessions(mut self, sessions: Sessions) -> Self {
        self.keeping = self.keeping.of(sessions);
        self
    }

    /// Whether a listener keeps one session ahead of need, so that a program that connects finds one.
    /// A session that turns out dead as it is used costs the connection nothing, see
    /// [`ListenEvent::Retried`](crate::ListenEvent::Retried).
    ///
    /// It is dialled when the listener is opened and whenever the last that waits is taken, and only
    /// in a form that opens nothing in the pod before it is used; that it cannot be dialled is no
    /// event. Nothing is dialled ahead for [`Sessions::Shared`]. Default: yes.
    #[must_use]
    pub fn with_spare(mut self, spare: bool) -> Self {
        self.keeping.spare = spare;
        self
    }

    /// For how long the last session that waits is kept after a program has connected, and a spare
    /// replaced. An idle listener has no session after that, and its next connection dials. Default
    /// 5 min: beyond the pauses of somebody who works with it, well below what proxies and load
    /// balancers take for abandoned.
    #[must_use]
    pub fn with_spare_time(mut self, wait: Duration) -> Self {
        self.keeping.spare_time = wait;
        self
    }

    /// How many sessions wait for a connection besides the last one. Each is a connection at the
    /// server. Default 64: a load test that opens 32 at once dials no more once it is under way, and
    /// after the idle time they are gone.
    #[must_use]
    pub fn with_max_idle(mut self, sessions: usize) -> Self {
        self.keeping.max_idle = sessions;
        self
    }

    /// For how long they wait. Default 60 s.
    #[must_use]
    pub fn with_idle_time(mut self, wait: Duration) -> Self {
        self.keeping.idle_time = wait;
        self
    }

    /// How old a session may be to take another connection; one that carries any is left alone.
    /// Default 10 min: which pod it leads to, and who we are, was decided when it was dialled.
    #[must_use]
    pub fn with_max_age(mut self, age: Duration) -> Self {
        self.keeping.max_age = age;
        self
    }

    /// How many connections of a listener may wait for the pod after their program has ended its
    /// sending ([`HalfClose`](crate::proto::HalfClose)). One more ends the wait of the one whose pod
    /// has been silent longest. Default 64.
    #[must_use]
    pub fn with_max_lingering(mut self, connections: usize) -> Self {
        self.max_lingering = connections;
        self
    }

    /// What a listener's sessions go by.
    pub(crate) fn for_listener(mut self) -> Self {
        let Keeping { per_session, max_quiet, .. } = self.keeping;
        self.keeping.spare &= per_session == 1;
        let mut config = (*self.session).clone().with_max_streams(per_session + max_quiet);
        if per_session == 1 {
            // Of its streams one is live.
            let alone = config.overflow(1);
            config = config.with_overflow(alone);
        }
        self.session = Arc::new(config);
        self
    }

    pub(crate) fn rules(&self) -> RelayRules {
        RelayRules { read_size: self.read_size, ..RelayRules::FAITHFUL }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use portway_proto::OverflowPolicy;

    use super::*;

    #[test]
    fn only_who_shares_a_session_can_be_reset_for_not_reading() {
        let policy = |options: Options| {
            let config = options.for_listener().session;
            config.overflow(config.max_streams())
        };
        assert_eq!(policy(Options::new()), OverflowPolicy::Pause);
        let shared = Options::new().with_sessions(Sessions::Shared { max_streams: 3 });
        let bound = Duration::from_secs(30);
        assert_eq!(policy(shared), OverflowPolicy::PauseThenReset(bound));
    }
}
