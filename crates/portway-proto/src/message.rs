use bytes::Bytes;

/// A piece of a message as it came in, in order.
///
/// A long or fragmented message arrives as several pieces and is never gathered: each piece but
/// the last has `end: false`. Control messages may stand between the pieces of a data message.
/// A transport without messages (plain SPDY) hands in every read as `Binary` with `end: true`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming {
    /// A piece of a binary message.
    Binary {
        /// The payload; empty only for an empty message or an empty last fragment.
        bytes: Bytes,
        /// The message ends with this piece.
        end: bool,
    },
    /// A piece of a text message. Not checked to be UTF-8.
    Text {
        /// The payload, as in `Binary`.
        bytes: Bytes,
        /// The message ends with this piece.
        end: bool,
    },
    /// A ping with its payload of at most 125 bytes.
    Ping(Bytes),
    /// A pong with its payload of at most 125 bytes.
    Pong(Bytes),
    /// The peer says goodbye; nothing follows.
    Close(Option<CloseFrame>),
}

/// Code and reason of a WebSocket Close message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseFrame {
    /// The status code (RFC 6455 section 7.4).
    pub code: u16,
    /// The reason, for humans; text of the peer's choosing, so never put it on a terminal as it is.
    pub reason: String,
}

impl CloseFrame {
    /// 1000: the purpose of the connection is fulfilled. What Kubernetes sends after almost
    /// everything, failures included (protocol.md trap 13).
    pub const NORMAL: u16 = 1000;
    /// 1001: the endpoint goes away.
    pub const GOING_AWAY: u16 = 1001;
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// 1003: a kind of data that cannot be accepted, such as text where bytes are due.
    pub const UNSUPPORTED_DATA: u16 = 1003;
    /// 1009: a message larger than we take.
    pub const MESSAGE_TOO_BIG: u16 = 1009;
    /// 1011: the endpoint failed.
    pub const INTERNAL_ERROR: u16 = 1011;

    /// A close frame; the reason is cut at 123 bytes, which is all that a control frame can carry.
    pub fn new(code: u16, reason: &str) -> Self {
        let mut end = reason.len().min(123);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self { code, reason: reason[..end].to_owned() }
    }

    /// Codes that RFC 6455 section 7.4 lets stand on the wire; the others mean something to the
    /// local side only, or nothing.
    pub(crate) const fn may_be_sent(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// The kind of an outgoing message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Binary data.
    Binary,
    /// Text data.
    Text,
    /// A WebSocket ping.
    Ping,
    /// A WebSocket pong.
    Pong,
    /// A WebSocket Close: the last message of a session.
    Close,
}

/// One whole message to put on the wire, unfragmented: a few bytes of header kept inline, and the
/// caller's bytes untouched. The payload is `head` followed by `body`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    kind: Kind,
    head_len: u8,
    head: [u8; Self::MAX_HEAD],
    body: Bytes,
}

impl Transmit {
    /// The most that `head` holds: a SPDY DATA header.
    pub const MAX_HEAD: usize = 8;

    /// A message with nothing in front of its body.
    pub fn new(kind: Kind, body: Bytes) -> Self {
        Self { kind, head_len: 0, head: [0; Self::MAX_HEAD], body }
    }

    /// A message whose body is preceded by `head`.
    pub fn with_head<const N: usize>(kind: Kind, head: [u8; N], body: Bytes) -> Self {
        const { assert!(N <= Self::MAX_HEAD) };
        let mut inline = [0; Self::MAX_HEAD];
        for (to, from) in inline.iter_mut().zip(head) {
            *to = from;
        }
        #[allow(clippy::cast_possible_truncation, reason = "N is at most MAX_HEAD")]
        Self { kind, head_len: N as u8, head: inline, body }
    }

    /// A Close message.
    pub fn close(frame: &CloseFrame) -> Self {
        let mut body = Vec::with_capacity(2 + frame.reason.len());
        body.extend_from_slice(&frame.code.to_be_bytes());
        body.extend_from_slice(frame.reason.as_bytes());
        Self::new(Kind::Close, body.into())
    }

    /// What kind of message this is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The inline bytes that come first: at most [`Self::MAX_HEAD`].
    pub fn head(&self) -> &[u8] {
        self.head.get(..usize::from(self.head_len)).unwrap_or_default()
    }

    /// The bytes that follow the head.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body without a copy.
    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// Bytes of payload: head and body.
    #[allow(clippy::len_without_is_empty, reason = "emptiness of a message means nothing here")]
    pub fn len(&self) -> usize {
        usize::from(self.head_len) + self.body.len()
    }
}
