use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// What RFC 6455 section 1.3 appends to a key before hashing it.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The 16 bytes behind `Sec-WebSocket-Key`: fresh random ones for every request.
///
/// They keep no secret. That the answer contains their hash shows that it was made for this request
/// by something that speaks WebSocket and not by a cache (RFC 6455 section 1.3).
///
/// ```
/// use portway_proto::handshake::Key;
/// let key = Key::new(*b"the sample nonce");
/// assert_eq!(key.header(), "dGhlIHNhbXBsZSBub25jZQ==");
/// assert_eq!(key.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 16]);

impl Key {
    /// A key of these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The value of `Sec-WebSocket-Key`.
    pub fn header(self) -> String {
        STANDARD.encode(self.0)
    }

    /// The value that `Sec-WebSocket-Accept` of the answer must have.
    pub fn accept(self) -> String {
        accept(self.header().as_bytes())
    }
}

/// The value of `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` as it came in.
pub(super) fn accept(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}
