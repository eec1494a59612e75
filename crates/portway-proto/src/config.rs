use std::time::Duration;

use crate::{Side, spdy};

/// Limits, policies and waits of a session; shared by all sessions of a forwarder.
///
/// # Memory
///
/// A stream holds at most [`recv_buffer`](Self::recv_buffer) bytes plus the one piece that went
/// over it, [`send_buffer`](Self::send_buffer) bytes of the application's, and
/// [`error_text`](Self::error_text) bytes of error text. With the defaults and pieces of 64 KiB
/// that is 256 + 64 + 256 + 16 KiB = 592 KiB for a stream whose both directions are stuck, and
/// nothing for an idle one: [`Config::worst_case`] does the sum.
///
/// ```
/// use portway_proto::{Config, HalfClose};
/// let config = Config::client().with_recv_buffer(64 * 1024).with_half_close(HalfClose::Never);
/// assert_eq!(config.worst_case(1, 32 * 1024), (64 + 32 + 256 + 16) * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    recv_buffer: usize,
    send_buffer: usize,
    max_payload: usize,
    error_text: usize,
    half_close: HalfClose,
    overflow: Option<OverflowPolicy>,
    open_timeout: Duration,
    error_settle: Duration,
    close_timeout: Duration,
    drain_timeout: Duration,
    keep_alive: Option<Duration>,
    keep_alive_misses: u32,
    idle_timeout: Option<Duration>,
    max_streams: usize,
    spdy: spdy::Limits,
    error_grace: Duration,
    pair_timeout: Duration,
    check_timeout: Duration,
}

/// What the end of the local program's sending does to the stream.
///
/// The runtimes in the field never pass a client's FIN on to the pod, and cut everything one second
/// after it (protocol.md C.6), so a FIN sent at once truncates the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HalfClose {
    /// FIN at once. Where the wire has no half-close (v4) this acts as
    /// `WhenIdle { unanswered: 1 s, answered: 0 }`, since closing the session is all it can say.
    Immediate,
    /// FIN once the pod has been silent for a while after the local end.
    WhenIdle {
        /// The silence needed where the last bytes before the end went to the pod: an answer is owed.
        unanswered: Duration,
        /// The silence needed where the last bytes before the end came from the pod.
        answered: Duration,
    },
    /// No FIN of ours; the stream ends when the pod ends it.
    Never,
}

impl HalfClose {
    /// 5 s for an answer that is owed, 1 s after an exchange that looks done.
    pub const DEFAULT: Self =
        Self::WhenIdle { unanswered: Duration::from_secs(5), answered: Duration::from_secs(1) };
}

/// What happens when a stream's receive buffer is full because its consumer is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// Stop reading the transport until the consumer has caught up. Loses nothing; all streams of
    /// the session wait. The default where a session has one stream.
    Pause,
    /// Give the stream up with [`StreamError::Overflow`](crate::StreamError::Overflow) when more
    /// comes while its buffer is full; the others do not notice.
    Reset,
    /// Pause for at most this long, then reset. The default, with 30 s, where a session has several
    /// streams.
    PauseThenReset(Duration),
}

impl Config {
    /// The defaults of a client.
    pub const fn client() -> Self {
        Self {
            recv_buffer: 256 * 1024,
            send_buffer: 256 * 1024,
            max_payload: 64 * 1024,
            error_text: 16 * 1024,
            half_close: HalfClose::DEFAULT,
            overflow: None,
            open_timeout: Duration::from_secs(10),
            error_settle: Duration::from_millis(200),
            close_timeout: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(60),
            keep_alive: Some(Duration::from_secs(30)),
            keep_alive_misses: 3,
            idle_timeout: None,
            max_streams: 1024,
            spdy: spdy::Limits::new(),
            error_grace: Duration::from_secs(5),
            pair_timeout: Duration::from_secs(30),
            check_timeout: Duration::from_secs(5),
        }
    }

    /// The defaults of a server: as the client's, with the 4 h idle timeout of containerd
    /// (protocol.md B.6).
    pub const fn server() -> Self {
        let mut config = Self::client();
        config.idle_timeout = Some(Duration::from_secs(4 * 60 * 60));
        config
    }

    /// The defaults of that side.
    pub const fn of(side: Side) -> Self {
        match side {
            Side::Client => Self::client(),
            Side::Server => Self::server(),
        }
    }

    /// Bytes a stream keeps for a consumer that is behind; at least 1. Default 256 KiB.
    #[must_use]
    pub const fn with_recv_buffer(mut self, bytes: usize) -> Self {
        self.recv_buffer = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// Bytes a stream takes from the application before it says `Blocked`; at least 1. Default 256 KiB.
    #[must_use]
    pub const fn with_send_buffer(mut self, bytes: usize) -> Self {
        self.send_buffer = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// Bytes of payload in one outgoing message; at least 1. Default 64 KiB. Kubernetes' v4 server
    /// takes up to 32 MiB and nothing fragmented (protocol.md B.6).
    #[must_use]
    pub const fn with_max_payload(mut self, bytes: usize) -> Self {
        self.max_payload = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// Bytes kept of an error text; the rest is dropped and the text marked as cut. Default 16 KiB.
    #[must_use]
    pub const fn with_error_text(mut self, bytes: usize) -> Self {
        self.error_text = bytes;
        self
    }

    /// The half-close policy of streams that do not set their own. Default [`HalfClose::DEFAULT`].
    #[must_use]
    pub const fn with_half_close(mut self, policy: HalfClose) -> Self {
        self.half_close = policy;
        self
    }

    /// The overflow policy of streams that do not set their own. Default: by the number of streams,
    /// see [`OverflowPolicy`].
    #[must_use]
    pub const fn with_overflow(mut self, policy: OverflowPolicy) -> Self {
        self.overflow = Some(policy);
        self
    }

    /// How long the server may take to announce the ports after the upgrade, or one stream after it
    /// was opened. Default 10 s.
    #[must_use]
    pub const fn with_open_timeout(mut self, wait: Duration) -> Self {
        self.open_timeout = wait;
        self
    }

    /// How long more of an error text, or data that was overtaken by it, is waited for while the
    /// session goes on. Default 200 ms; the end of the session ends the wait.
    #[must_use]
    pub const fn with_error_settle(mut self, wait: Duration) -> Self {
        self.error_settle = wait;
        self
    }

    /// How long the peer may take to answer our Close once it is written. Default 2 s.
    #[must_use]
    pub const fn with_close_timeout(mut self, wait: Duration) -> Self {
        self.close_timeout = wait;
        self
    }

    /// How long the transport may write nothing of what a session has to say before its clean end.
    /// Default 60 s: a program that takes a break gets the rest, one that never reads again is not
    /// waited for.
    #[must_use]
    pub const fn with_drain_timeout(mut self, wait: Duration) -> Self {
        self.drain_timeout = wait;
        self
    }

    /// The interval of keep-alives, `None` or zero for none. Default 30 s. A client of a v4 session sends a
    /// WebSocket ping and an empty message: only the latter moves the server's idle deadline
    /// (protocol.md B.6). On SPDY it is a SPDY ping, which the far end of the chain answers.
    #[must_use]
    pub const fn with_keep_alive(mut self, interval: Option<Duration>) -> Self {
        self.keep_alive = match interval {
            Some(interval) if interval.is_zero() => None,
            other => other,
        };
        self
    }

    /// How many pings in a row may stay unanswered before the peer counts as dead; at least 1.
    /// Default 3. Only those count that were sent with no data between them and the last answered
    /// ping: a server that is blocked by a slow pod answers none (protocol.md B.6).
    #[must_use]
    pub const fn with_keep_alive_misses(mut self, misses: u32) -> Self {
        self.keep_alive_misses = if misses == 0 { 1 } else { misses };
        self
    }

    /// Streams of one session at a time, where the wire form opens them as it goes; at least 1.
    /// A client that has so many opens no more; a server refuses more. Default 1,024.
    #[must_use]
    pub const fn with_max_streams(mut self, streams: usize) -> Self {
        self.max_streams = if streams == 0 { 1 } else { streams };
        self
    }

    /// What a peer's SPDY frames and headers may be. Default: [`spdy::Limits::new`].
    #[must_use]
    pub const fn with_spdy_limits(mut self, limits: spdy::Limits) -> Self {
        self.spdy = limits;
        self
    }

    /// Client, SPDY: how long the end of a stream's error text is waited for after the end of its
    /// data. Only then is it known whether the end was a clean one (protocol.md C.6). Default 5 s.
    #[must_use]
    pub const fn with_error_grace(mut self, wait: Duration) -> Self {
        self.error_grace = wait;
        self
    }

    /// Server, SPDY: how long the second half of a stream is waited for after the first. Default
    /// 30 s, as Kubernetes has it.
    #[must_use]
    pub const fn with_pair_timeout(mut self, wait: Duration) -> Self {
        self.pair_timeout = wait;
        self
    }

    /// Client, SPDY: how long the server may take to answer the health check of
    /// [`Session::reusable`](crate::Session::reusable). Default 5 s: what takes longer is stuck, and a
    /// session is all that it costs to be wrong.
    #[must_use]
    pub const fn with_check_timeout(mut self, wait: Duration) -> Self {
        self.check_timeout = wait;
        self
    }

    /// Ends a session in which nothing moved for this long. The peer's pings and empty messages are
    /// movement; its answers to our keep-alives are not. Default: never for a client, 4 h for a
    /// server.
    #[must_use]
    pub const fn with_idle_timeout(mut self, wait: Option<Duration>) -> Self {
        self.idle_timeout = wait;
        self
    }

    /// See [`with_recv_buffer`](Self::with_recv_buffer).
    pub const fn recv_buffer(&self) -> usize {
        self.recv_buffer
    }

    /// See [`with_send_buffer`](Self::with_send_buffer).
    pub const fn send_buffer(&self) -> usize {
        self.send_buffer
    }

    /// See [`with_max_payload`](Self::with_max_payload).
    pub const fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// See [`with_error_text`](Self::with_error_text).
    pub const fn error_text(&self) -> usize {
        self.error_text
    }

    /// See [`with_half_close`](Self::with_half_close).
    pub const fn half_close(&self) -> HalfClose {
        self.half_close
    }

    /// See [`with_overflow`](Self::with_overflow); `streams` is how many the session can have.
    pub const fn overflow(&self, streams: usize) -> OverflowPolicy {
        match self.overflow {
            Some(policy) => policy,
            None if streams <= 1 => OverflowPolicy::Pause,
            None => OverflowPolicy::PauseThenReset(Duration::from_secs(30)),
        }
    }

    /// See [`with_open_timeout`](Self::with_open_timeout).
    pub const fn open_timeout(&self) -> Duration {
        self.open_timeout
    }

    /// See [`with_error_settle`](Self::with_error_settle).
    pub const fn error_settle(&self) -> Duration {
        self.error_settle
    }

    /// See [`with_close_timeout`](Self::with_close_timeout).
    pub const fn close_timeout(&self) -> Duration {
        self.close_timeout
    }

    /// See [`with_drain_timeout`](Self::with_drain_timeout).
    pub const fn drain_timeout(&self) -> Duration {
        self.drain_timeout
    }

    /// See [`with_keep_alive`](Self::with_keep_alive).
    pub const fn keep_alive(&self) -> Option<Duration> {
        self.keep_alive
    }

    /// See [`with_keep_alive_misses`](Self::with_keep_alive_misses).
    pub const fn keep_alive_misses(&self) -> u32 {
        self.keep_alive_misses
    }

    /// See [`with_idle_timeout`](Self::with_idle_timeout).
    pub const fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }

    /// See [`with_max_streams`](Self::with_max_streams).
    pub const fn max_streams(&self) -> usize {
        self.max_streams
    }

    /// See [`with_spdy_limits`](Self::with_spdy_limits).
    pub const fn spdy_limits(&self) -> spdy::Limits {
        self.spdy
    }

    /// See [`with_error_grace`](Self::with_error_grace).
    pub const fn error_grace(&self) -> Duration {
        self.error_grace
    }

    /// See [`with_pair_timeout`](Self::with_pair_timeout).
    pub const fn pair_timeout(&self) -> Duration {
        self.pair_timeout
    }

    /// See [`with_check_timeout`](Self::with_check_timeout).
    pub const fn check_timeout(&self) -> Duration {
        self.check_timeout
    }

    /// The most bytes a session of `streams` streams can hold, when the transport hands in pieces of
    /// at most `piece` bytes. [`Stats::buffered`](crate::Stats::buffered) never exceeds it.
    pub const fn worst_case(&self, streams: usize, piece: usize) -> usize {
        // A small piece of base64 can complete a group of four characters that began before it.
        let piece = if piece < 8 { 8 } else { piece };
        let stream = self
            .recv_buffer
            .saturating_add(piece)
            .saturating_add(self.send_buffer)
            .saturating_add(self.error_text);
        streams.saturating_mul(stream)
    }
}
