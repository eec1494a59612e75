use std::sync::Arc;

use portway_proto::Config;

use crate::{Protocol, RelayRules};

/// How forwards behave; the defaults suit a program that has not thought about it.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) protocol: Protocol,
    pub(crate) session: Arc<Config>,
    pub(crate) max_sessions: usize,
    pub(crate) max_message: usize,
    pub(crate) read_size: usize,
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

    /// Sessions of one listener at a time; further programs wait in the system's queue. Default 16,384.
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

    pub(crate) fn rules(&self) -> RelayRules {
        RelayRules { read_size: self.read_size, ..RelayRules::FAITHFUL }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}
