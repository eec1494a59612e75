use std::time::Duration;

use portway_tokio::proto::HalfClose;
use portway_tokio::{Config, Options, Protocol, RelayRules, Sessions};

use crate::args::value::Reconnect;

/// How a forward behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Policies {
    pub(crate) reconnect: Reconnect,
    /// The library's own if `None`, and so below.
    pub(crate) half_close: Option<HalfClose>,
    pub(crate) sessions: Sessions,
    /// Bytes for each connection and direction.
    pub(crate) buffer: Option<usize>,
    pub(crate) protocol: Protocol,
}

impl Policies {
    /// What the driver makes of it, where a server may take so long to answer.
    pub(crate) fn options(&self, answer_timeout: Option<Duration>) -> Options {
        let buffer = self.buffer.unwrap_or(RelayRules::READ_SIZE);
        let mut config = Config::client().with_recv_buffer(buffer).with_send_buffer(buffer);
        if let Some(wait) = answer_timeout {
            config = config.with_open_timeout(wait);
        }
        if let Some(policy) = self.half_close {
            config = config.with_half_close(policy);
        }
        Options::new()
            .with_session(config)
            .with_read_size(buffer)
            .with_sessions(self.sessions)
            .with_protocol(self.protocol)
    }
}
