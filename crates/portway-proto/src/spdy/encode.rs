use bytes::{BufMut, BytesMut};

use super::frame::{CONTROL, FIN, ID, MAX_PAYLOAD, VERSION, kind};
use super::status;

/// Appends a SYN_STREAM, with no associated stream and priority 0: a Go peer sorts by priority, and
/// frames of one stream keep their order only while all have the same (protocol.md C.8).
///
/// `stream` is not 0. `block` comes from the connection's one [`HeaderEncoder`](super::HeaderEncoder),
/// in the order of the frames.
pub fn put_syn_stream(out: &mut BytesMut, stream: u32, fin: bool, block: &[u8]) {
    let block = fitting(block, 10);
    out.reserve(HEAD + 10 + block.len());
    put_head(out, kind::SYN_STREAM, fin, 10 + block.len());
    out.put_u32(stream & ID);
    out.put_u32(0);
    out.put_u16(0);
    out.put_slice(block);
}

/// Appends a SYN_REPLY. `stream` is not 0; of `block` the same holds as in [`put_syn_stream`].
pub fn put_syn_reply(out: &mut BytesMut, stream: u32, fin: bool, block: &[u8]) {
    let block = fitting(block, 4);
    out.reserve(HEAD + 4 + block.len());
    put_head(out, kind::SYN_REPLY, fin, 4 + block.len());
    out.put_u32(stream & ID);
    out.put_slice(block);
}

/// Appends a RST_STREAM. `stream` is not 0. A `status` of 0, which kills a Go peer's connection,
/// becomes [`PROTOCOL_ERROR`](status::PROTOCOL_ERROR).
pub fn put_rst_stream(out: &mut BytesMut, stream: u32, status: u32) {
    put_head(out, kind::RST_STREAM, false, 8);
    out.put_u32(stream & ID);
    out.put_u32(status.max(status::PROTOCOL_ERROR));
}

/// Appends a PING: our own, or the answer to one. `id` is not 0.
pub fn put_ping(out: &mut BytesMut, id: u32) {
    put_head(out, kind::PING, false, 4);
    out.put_u32(id);
}

/// Appends a GOAWAY: `last` is the highest stream of the peer's that we took, 0 if it opened none. A
/// Go peer stops reading at once (protocol.md trap 31).
pub fn put_go_away(out: &mut BytesMut, last: u32, status: u32) {
    put_head(out, kind::GO_AWAY, false, 8);
    out.put_u32(last & ID);
    out.put_u32(status);
}

/// What stands in front of `len` bytes of DATA: at most [`MAX_PAYLOAD`], to which a greater `len` is
/// cut. `stream` is not 0. A FIN alone is a frame with a `len` of 0.
pub const fn data_head(stream: u32, len: usize, fin: bool) -> [u8; HEAD] {
    let [a, b, c, d] = (stream & ID).to_be_bytes();
    let [e, f, g] = length(len);
    [a, b, c, d, if fin { FIN } else { 0 }, e, f, g]
}

/// Bytes in front of every frame's payload.
const HEAD: usize = 8;

fn put_head(out: &mut BytesMut, kind: u16, fin: bool, len: usize) {
    out.put_u16(CONTROL | VERSION);
    out.put_u16(kind);
    out.put_u8(if fin { FIN } else { 0 });
    out.put_slice(&length(len));
}

/// As much of a header block as a frame holds. None is near it, and a cut one ends the connection in
/// the peer's inflate instead of sending it astray.
fn fitting(block: &[u8], fields: usize) -> &[u8] {
    block.get(..MAX_PAYLOAD - fields).unwrap_or(block)
}

const fn length(len: usize) -> [u8; 3] {
    let len = if len > MAX_PAYLOAD { MAX_PAYLOAD } else { len };
    #[allow(clippy::cast_possible_truncation, reason = "cut to 24 bits above")]
    let [_, high, middle, low] = (len as u32).to_be_bytes();
    [high, middle, low]
}
