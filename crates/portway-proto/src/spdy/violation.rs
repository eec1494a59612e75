/// How the peer broke SPDY/3.1, or a limit of ours. The connection cannot go on after it: the place in
/// the stream of frames, or the state of the header stream, is lost.
///
/// It names kinds and numbers and never quotes the peer, so its text is safe to print.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpdyViolation {
    /// A control frame of another version. Go does not look, but nothing speaks another one: it means
    /// that the place in the stream is lost.
    #[error("SPDY control frame of version {version}, expected 3")]
    Version {
        /// The version that came.
        version: u16,
    },
    /// A length that this kind of control frame cannot have.
    #[error("SPDY {frame} frame with a length of {length}, expected {expected}")]
    Length {
        /// Which kind of frame.
        frame: &'static str,
        /// Bytes of payload it claims.
        length: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// A frame with a header block, over [`Limits::control_frame`](super::Limits::control_frame).
    #[error("SPDY {frame} frame of {length} bytes, the limit is {limit}")]
    FrameTooBig {
        /// Which kind of frame.
        frame: &'static str,
        /// Bytes of payload it claims.
        length: usize,
        /// The most we take.
        limit: usize,
    },
    /// A frame on stream 0, which is none.
    #[error("SPDY {frame} frame on stream 0")]
    StreamZero {
        /// Which kind of frame.
        frame: &'static str,
    },
    /// A PING with the id 0.
    #[error("SPDY PING with id 0")]
    PingZero,
    /// A RST_STREAM with the status 0, which is none.
    #[error("SPDY RST_STREAM with status 0")]
    StatusZero,
    /// A SETTINGS frame whose count says another length than the frame.
    #[error("SPDY SETTINGS of {count} entries in a frame with room for {room}")]
    SettingsCount {
        /// How many it says.
        count: u32,
        /// How many the frame's length says.
        room: usize,
    },
    /// More entries than [`Limits::settings`](super::Limits::settings).
    #[error("SPDY SETTINGS of {entries} entries, the limit is {limit}")]
    TooManySettings {
        /// How many the frame's length says.
        entries: usize,
        /// The most we take.
        limit: usize,
    },
    /// The first header block does not start with a zlib header that inflate can go on from.
    #[error("SPDY header stream starts with {0:#06x}, which is no zlib header")]
    ZlibHeader(u16),
    /// The first header block wants another dictionary than SPDY's.
    #[error("SPDY header stream with dictionary {0:#010x}, expected 0xe3c6a7c2")]
    Dictionary(u32),
    /// What came is no deflate stream, or points to before its start.
    #[error("SPDY header block is not deflated")]
    Deflate,
    /// A header block that ends the zlib stream, which lives as long as the connection.
    #[error("SPDY header block ends the header stream")]
    FinalBlock,
    /// A header block that does not end with the `00 00 ff ff` of a sync flush: a Go peer would wait
    /// for the rest (protocol.md C.4).
    #[error("SPDY header block does not end at a sync flush")]
    NotFlushed,
    /// A header block that inflates to more than
    /// [`Limits::header_block`](super::Limits::header_block).
    #[error("SPDY header block of more than {limit} bytes")]
    BlockTooBig {
        /// The most bytes that a block may inflate to.
        limit: usize,
    },
    /// A block with more headers than [`Limits::headers`](super::Limits::headers).
    #[error("SPDY header block with {count} headers, the limit is {limit}")]
    TooManyHeaders {
        /// How many it says.
        count: u32,
        /// The most we take.
        limit: usize,
    },
    /// A name longer than [`Limits::name`](super::Limits::name).
    #[error("SPDY header name of {length} bytes, the limit is {limit}")]
    NameTooLong {
        /// The length it says.
        length: u32,
        /// The most we take.
        limit: usize,
    },
    /// A value longer than [`Limits::value`](super::Limits::value).
    #[error("SPDY header value of {length} bytes, the limit is {limit}")]
    ValueTooLong {
        /// The length it says.
        length: u32,
        /// The most we take.
        limit: usize,
    },
    /// A count or a length that goes beyond the block's end.
    #[error("SPDY header block ends after {left} of {needed} bytes")]
    ShortBlock {
        /// Bytes that should follow.
        needed: u64,
        /// Bytes that follow.
        left: usize,
    },
    /// Bytes after the last header.
    #[error("SPDY header block with {left} bytes after its last header")]
    LongBlock {
        /// How many bytes.
        left: usize,
    },
    /// A name without a byte.
    #[error("SPDY header without a name")]
    EmptyName,
    /// A name with an upper-case letter, or with a byte that is no visible ASCII.
    #[error("SPDY header name with byte {byte:#04x}")]
    BadName {
        /// The first such byte.
        byte: u8,
    },
    /// A name that occurs twice.
    #[error("SPDY header block with the same name twice")]
    DuplicateName,
}
