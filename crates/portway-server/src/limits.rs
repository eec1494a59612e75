use std::time::Duration;

/// What a client can make the server hold, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub(crate) head: usize,
    pub(crate) body: usize,
    pub(crate) handshake: Duration,
    pub(crate) dial: Duration,
    pub(crate) handshakes: usize,
    pub(crate) requests: usize,
    pub(crate) sessions: usize,
    pub(crate) max_message: usize,
}

impl Limits {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            head: 16 * 1024,
            body: 1024 * 1024,
            handshake: Duration::from_secs(10),
            dial: Duration::from_secs(10),
            handshakes: 256,
            requests: 1_000,
            sessions: 1_024,
            max_message: 32 * 1024 * 1024,
        }
    }

    /// Bytes of a request's head; a longer one is answered with 431 (or 414). At least 8 KiB, which
    /// is the default of hyper's; default 16 KiB. For requests that this library reads itself.
    #[must_use]
    pub const fn with_head(mut self, bytes: usize) -> Self {
        const MIN: usize = 8 * 1024;
        self.head = if bytes < MIN { MIN } else { bytes };
        self
    }

    /// Bytes of the body of a request for a [`Fallback`](crate::Fallback), the only ones that are read;
    /// a longer one is answered with 413. Default 1 MiB.
    #[must_use]
    pub const fn with_body(mut self, bytes: usize) -> Self {
        self.body = bytes;
        self
    }

    /// How long a client may take to send a request, from the moment it has connected or got the
    /// last answer; and how long authorizer and pod lookup may take together. Default 10 s.
    #[must_use]
    pub const fn with_handshake(mut self, wait: Duration) -> Self {
        self.handshake = wait;
        self
    }

    /// How long a pod may take to accept a connection. Default 10 s.
    #[must_use]
    pub const fn with_dial(mut self, wait: Duration) -> Self {
        self.dial = wait;
        self
    }

    /// Connections of one listener that have not got a session yet; further ones wait in the
    /// system's queue. Default 256.
    #[must_use]
    pub const fn with_handshakes(mut self, connections: usize) -> Self {
        self.handshakes = if connections == 0 { 1 } else { connections };
        self
    }

    /// Requests that one connection may make; it is closed behind the last answer. Default 1,000.
    #[must_use]
    pub const fn with_requests(mut self, requests: usize) -> Self {
        self.requests = if requests == 0 { 1 } else { requests };
        self
    }

    /// Sessions at a time, over all listeners and embeddings of a server; further ones are answered
    /// with 429 and `Retry-After`. Default 1,024.
    #[must_use]
    pub const fn with_sessions(mut self, sessions: usize) -> Self {
        self.sessions = sessions;
        self
    }

    /// Bytes of one message of a client; a longer one ends its session. Messages are passed on as
    /// they arrive, so the limit costs no memory. Default 32 MiB, as the reference (protocol.md B.6).
    #[must_use]
    pub const fn with_max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
