use std::sync::Arc;

use bytes::Bytes;

use crate::{CloseFrame, Port, WireForm};

/// Why a session could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// v4 fixes the ports at the upgrade, so there has to be one.
    #[error("no port given: {0} carries at least one")]
    NoPort(WireForm),
    /// More ports than the channel byte can number.
    #[error("{given} ports given: {form} carries at most {limit} on one session")]
    TooManyPorts {
        /// The form asked for.
        form: WireForm,
        /// How many ports were given.
        given: usize,
        /// How many fit.
        limit: usize,
    },
    /// A client may ask for a port once: it could not tell two streams of one port apart.
    #[error("port {0} given twice: one session carries each port once")]
    DuplicatePort(Port),
}

/// Why a stream could not be opened. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The upgrade request did not name this port, and this wire form cannot add one.
    #[error("port {0} was not in the upgrade request")]
    NotRequested(Port),
    /// The port's only stream was opened before.
    #[error("port {0} is open already: this wire form carries one connection per port")]
    AlreadyOpen(Port),
    /// As many streams as [`Config::max_streams`](crate::Config::max_streams) are there already.
    #[error("the session carries {limit} streams already, as many as it may")]
    TooManyStreams {
        /// The limit.
        limit: usize,
    },
    /// The session takes no new streams any more, while those it has go on.
    #[error("the session takes no new streams: {0}")]
    Retired(Retired),
    /// Only a client opens streams.
    #[error("a server accepts streams, it opens none")]
    NotAClient,
    /// The session is over.
    #[error("the session is closed")]
    Closed,
}

/// The id names no stream of this session (any more): it was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such stream: it was released, or belongs to another session")]
#[non_exhaustive]
pub struct UnknownStream;

/// Why bytes were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The send buffer is full. Holds what did not fit; [`Writable`](crate::StreamEvent::Writable)
    /// comes when there is room.
    #[error("the send buffer is full")]
    Blocked(Bytes),
    /// `finish()` was called before.
    #[error("the sending half was finished")]
    Finished,
    /// The stream is over: `failure()` says why, unless the remote ended it cleanly.
    #[error("the stream has ended")]
    Ended,
}

/// Why there is nothing to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing is here yet; [`Readable`](crate::StreamEvent::Readable) comes when there is.
    #[error("nothing to read yet")]
    Blocked,
    /// The stream failed, and everything that came before was read: see `failure()`.
    #[error("the stream failed")]
    Failed,
    /// `stop()` was called before.
    #[error("the receiving half was stopped")]
    Stopped,
}

/// What killed one stream. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The server said why, in its own words.
    #[error("{0}")]
    Remote(RemoteText),
    /// We gave it up with `reset()`.
    #[error("the stream was reset locally")]
    Reset,
    /// The local consumer was too slow, and the overflow policy says that this ends the stream.
    #[error("the local consumer was too slow: more than the receive buffer was waiting for it")]
    Overflow,
    /// The peer gave the stream up without a word.
    #[error("the other side reset the stream")]
    RemoteReset,
    /// The server would not open it.
    #[error("the server refused to open the stream")]
    Refused,
    /// The server did not answer the opening of the stream in time: something in it is stuck.
    #[error("the server did not open the stream in time")]
    OpenTimeout,
    /// The server was going away and had not begun with it: nothing reached the pod.
    #[error("the server is going away and did not take the stream")]
    NotProcessed,
    /// The session ended under it.
    #[error("{0}")]
    Session(CloseReason),
}

/// Why a session takes no new streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Retired {
    /// Its wire form fixes the streams at the upgrade.
    #[error("its wire form fixes them at the upgrade")]
    Fixed,
    /// It is closed, or about to be.
    #[error("it is closing")]
    Closing,
    /// The server announced that it goes away.
    #[error("the server is going away")]
    GoingAway,
    /// A stream was not opened in time: part of the server is stuck, for this session.
    #[error("the server left an earlier stream unopened")]
    OpenTimeout,
    /// Some of the five pings of the health check stayed unanswered: the same, seen earlier.
    #[error("the server did not answer the health check")]
    Unanswered,
    /// All stream numbers were used.
    #[error("its stream numbers are used up")]
    Exhausted,
}

/// What [`Session::reusable`](crate::Session::reusable) found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reuse {
    /// Nothing of earlier streams is left, and the server is alive: open the next.
    Ready,
    /// A stream is there whose exchange may go on.
    InUse,
    /// The health check is under way; ask again after the next input.
    Checking,
    /// Never again.
    No(Retired),
}

/// An error text from the other side: lossily decoded, bounded, and shown without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteText {
    text: Arc<str>,
    truncated: bool,
}

impl RemoteText {
    pub(crate) fn new(bytes: &[u8], truncated: bool) -> Self {
        Self { text: String::from_utf8_lossy(bytes).into(), truncated }
    }

    /// The text as it came, control characters and all: never put it on a terminal as it is.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// There was more than [`Config::error_text`](crate::Config::error_text) allows.
    pub const fn truncated(&self) -> bool {
        self.truncated
    }

    /// The container runtime says in it that it had no connection to the port: nothing that was sent
    /// has reached a program (protocol.md B.8). False of a connection that broke, and of every text that
    /// is not known.
    pub fn says_unreached(&self) -> bool {
        const NO_PROGRAM: &[&str] = &["failed to connect to localhost:"];
        // Of the sandbox around it: what follows is its name.
        const NO_SANDBOX: &[(&str, &str)] = &[
            ("failed to find sandbox ", "not found"),
            ("network namespace for sandbox ", "is closed"),
            ("could not find sandbox ", ""),
            ("sandbox ", " is not running"),
            ("PodSandbox with ID starting with ", "not found"),
        ];
        if !self.text.starts_with("error forwarding port ") {
            return false;
        }
        let follows = |&(begin, end): &(&str, &str)| {
            self.text.split_once(begin).is_some_and(|(_, rest)| rest.contains(end))
        };
        NO_PROGRAM.iter().any(|words| self.text.contains(words)) || NO_SANDBOX.iter().any(follows)
    }
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// Every stream was done, or the peer closed with code 1000.
    #[error("the session ended")]
    Done,
    /// `close(CloseReason::Local)`: the application wanted it.
    #[error("the session was closed locally")]
    Local,
    /// `close(CloseReason::Shutdown)`: this process is going away.
    #[error("the session was closed for a shutdown")]
    Shutdown,
    /// `abort()`: dropped with no goodbye.
    #[error("the session was aborted locally")]
    Aborted,
    /// The peer closed with a code other than 1000.
    #[error("the server closed the session with code {code}{}{}", if reason.is_empty() { "" } else { ": " }, crate::text::printable(reason))]
    Peer {
        /// The WebSocket close code; 1005 where the frame had none.
        code: u16,
        /// The peer's words.
        reason: Arc<str>,
    },
    /// The transport ended without a Close. Ordinary behind Kubernetes' proxies.
    #[error("the connection to the server was lost")]
    Disconnected,
    /// The peer broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Violation(Violation),
    /// The server announced that it goes away, and the streams it had are over.
    #[error("the server is going away")]
    GoingAway,
    /// The server did not announce the ports in time.
    #[error("the server did not announce its ports in time")]
    OpenTimeout,
    /// Keep-alives stayed unanswered.
    #[error("the server does not answer keep-alives any more")]
    PeerDead,
    /// Nothing moved for [`Config::idle_timeout`](crate::Config::idle_timeout).
    #[error("nothing moved for longer than the idle timeout")]
    Idle,
}

impl CloseReason {
    /// The Close frame that tells the peer.
    pub(crate) fn close_frame(&self) -> CloseFrame {
        match self {
            Self::Violation(violation) => {
                CloseFrame::new(violation.close_code(), &violation.to_string())
            }
            Self::Shutdown => CloseFrame::new(CloseFrame::GOING_AWAY, "shutting down"),
            Self::Idle => CloseFrame::new(CloseFrame::GOING_AWAY, "idle timeout"),
            Self::Done
            | Self::Local
            | Self::Aborted
            | Self::Peer { .. }
            | Self::Disconnected
            | Self::GoingAway
            | Self::OpenTimeout
            | Self::PeerDead => CloseFrame::new(CloseFrame::NORMAL, ""),
        }
    }

    /// No stream lost anything by it.
    pub const fn is_clean(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// How the peer broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The first message of a channel carries 2 bytes of port.
    #[error("the first message on channel {channel} has {len} of the 2 bytes of its port prefix")]
    ShortPrefix {
        /// The v4 channel number.
        channel: u8,
        /// Payload bytes that came.
        len: usize,
    },
    /// The first message of a channel names another port.
    #[error("channel {channel} announces port {actual}, expected {expected}")]
    WrongPort {
        /// The v4 channel number.
        channel: u8,
        /// The port asked for at this place of the request.
        expected: Port,
        /// The number that came.
        actual: u16,
    },
    /// A text message where the wire form is binary.
    #[error("a text message on a binary session")]
    TextMessage,
    /// Text that is not base64 where the wire form is base64.
    #[error("channel {channel} carries text that is not base64")]
    Base64 {
        /// The v4 channel number.
        channel: u8,
    },
    /// The SPDY bytes are broken.
    #[error("{0}")]
    Spdy(#[from] crate::spdy::SpdyViolation),
    /// The peer asks for answers and does not take them.
    #[error("{waiting} answers wait to be sent: the other side asks faster than it listens")]
    Flood {
        /// How many.
        waiting: usize,
    },
    /// The transport's framing is broken: what a codec below the session found.
    #[error("{0}")]
    Framing(#[from] crate::ws::WsViolation),
}

impl Violation {
    /// The WebSocket close code that names it.
    pub fn close_code(&self) -> u16 {
        match self {
            Self::ShortPrefix { .. }
            | Self::WrongPort { .. }
            | Self::Base64 { .. }
            | Self::Spdy(_)
            | Self::Flood { .. } => CloseFrame::PROTOCOL_ERROR,
            Self::TextMessage => CloseFrame::UNSUPPORTED_DATA,
            Self::Framing(violation) => violation.close_code(),
        }
    }
}

impl std::fmt::Display for RemoteText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::text::printable(&self.text).fmt(f)?;
        if self.truncated { f.write_str(" [cut]") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_says_that_the_pod_was_not_reached_is_known() {
        for (cause, expected) in [
            (
                "failed to execute portforward in network namespace \"/var/run/netns/cni-1\": failed to connect to localhost:80 inside namespace \"4f\", IPv4: dial tcp4 127.0.0.1:80: connect: connection refused IPv6 dial tcp6 [::1]:80: connect: connection refused ",
                true,
            ),
            (
                "port forward into network namespace \"/var/run/netns/1\": failed to connect to localhost:80 inside namespace 4f: dial tcp4 127.0.0.1:80: connect: connection refused",
                true,
            ),
            ("failed to find sandbox \"4f\" in store: not found", true),
            ("network namespace for sandbox \"4f\" is closed", true),
            ("sandbox 4f is not running", true),
            ("could not find sandbox 4f", true),
            ("rpc error: PodSandbox with ID starting with 4f not found: ID does not exist", true),
            // The connection stood: what was sent may have arrived.
            ("read tcp4 127.0.0.1:5->127.0.0.1:80: read: connection reset by peer", false),
            ("write tcp4 127.0.0.1:5->127.0.0.1:80: write: broken pipe", false),
            ("something else", false),
        ] {
            let text = format!("error forwarding port 80 to pod 4f, uid : {cause}");
            assert_eq!(
                RemoteText::new(text.as_bytes(), false).says_unreached(),
                expected,
                "{text}"
            );
        }
        let other = "the program says: failed to connect to localhost:80";
        assert!(!RemoteText::new(other.as_bytes(), false).says_unreached());
    }
}
