use bytes::Bytes;

/// What came in, a frame or a piece of one (protocol.md C.3).
///
/// Flags and reserved bits that mean nothing to port-forward are not here, and are not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// A piece of a DATA frame. A frame without payload is one empty piece, and no other piece is empty.
    Data {
        /// The stream, never 0.
        stream: u32,
        /// A slice of the input it came in.
        bytes: Bytes,
        /// The stream's sender says no more after this. Only on the last piece of a frame.
        fin: bool,
        /// The frame ends with this piece.
        end: bool,
    },
    /// The peer opens a stream.
    SynStream {
        /// The stream, never 0.
        stream: u32,
        /// The stream it belongs to, 0 for none. Kubernetes has none.
        associated: u32,
        /// There will be no DATA from the peer.
        fin: bool,
        /// For the [`HeaderDecoder`](super::HeaderDecoder), wanted or not.
        block: Bytes,
    },
    /// The peer takes a stream that we opened.
    SynReply {
        /// The stream, never 0.
        stream: u32,
        /// There will be no DATA from the peer.
        fin: bool,
        /// For the [`HeaderDecoder`](super::HeaderDecoder), wanted or not.
        block: Bytes,
    },
    /// The peer gives a stream up.
    RstStream {
        /// The stream, never 0.
        stream: u32,
        /// Why, one of [`status`](super::status) or not; never 0.
        status: u32,
    },
    /// Settings, unread: port-forward has none that matter.
    Settings {
        /// How many there were.
        entries: u32,
    },
    /// A PING of the peer, or the answer to ours: parity tells (protocol.md C.5).
    Ping {
        /// Never 0.
        id: u32,
    },
    /// The peer takes no more streams.
    GoAway {
        /// The last of our streams that it took.
        last: u32,
        /// Why, one of [`status`](super::status) or not.
        status: u32,
    },
    /// More headers for a stream.
    Headers {
        /// The stream, never 0.
        stream: u32,
        /// There will be no DATA from the peer.
        fin: bool,
        /// For the [`HeaderDecoder`](super::HeaderDecoder), wanted or not.
        block: Bytes,
    },
    /// More room in a window that nobody keeps (protocol.md trap 21).
    WindowUpdate {
        /// The stream, or 0 for the session.
        stream: u32,
        /// How many bytes.
        delta: u32,
    },
    /// A control frame of a type that we do not know, and have skipped.
    Unknown {
        /// The type.
        kind: u16,
    },
}

/// Types of control frames.
pub(super) mod kind {
    pub(in super::super) const SYN_STREAM: u16 = 1;
    pub(in super::super) const SYN_REPLY: u16 = 2;
    pub(in super::super) const RST_STREAM: u16 = 3;
    pub(in super::super) const SETTINGS: u16 = 4;
    pub(in super::super) const PING: u16 = 6;
    pub(in super::super) const GO_AWAY: u16 = 7;
    pub(in super::super) const HEADERS: u16 = 8;
    pub(in super::super) const WINDOW_UPDATE: u16 = 9;
}

/// Version 3, as 3.1 has it on the wire too.
pub(super) const VERSION: u16 = 3;

/// In the first two bytes: a control frame, and the version follows.
pub(super) const CONTROL: u16 = 0x8000;

/// The only flag with a meaning in port-forward.
pub(super) const FIN: u8 = 1;

/// The top bit of a stream id is reserved.
pub(super) const ID: u32 = 0x7fff_ffff;

/// The most payload of a frame, in bytes: lengths have 24 bits.
pub const MAX_PAYLOAD: usize = 0xff_ffff;
