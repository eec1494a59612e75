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

#[cfg(test)]
mod tests {
    use super::*;

    /// The fixed examples of protocol.md C.3 and the frames of C.4.
    #[test]
    fn frames_are_on_the_wire_as_specified() {
        let put = |put: fn(&mut BytesMut)| {
            let mut out = BytesMut::from(&b"before"[..]);
            put(&mut out);
            assert_eq!(out.split_to(6), b"before"[..], "a frame is appended");
            out.to_vec()
        };
        assert_eq!(data_head(3, 3, false), *b"\0\0\0\x03\0\0\0\x03");
        assert_eq!(data_head(3, 0, true), *b"\0\0\0\x03\x01\0\0\0");
        assert_eq!(
            put(|out| put_rst_stream(out, 3, status::CANCEL)),
            b"\x80\x03\0\x03\0\0\0\x08\0\0\0\x03\0\0\0\x05"
        );
        assert_eq!(put(|out| put_ping(out, 1)), b"\x80\x03\0\x06\0\0\0\x04\0\0\0\x01");
        assert_eq!(
            put(|out| put_go_away(out, 0, status::GOAWAY_OK)),
            b"\x80\x03\0\x07\0\0\0\x08\0\0\0\0\0\0\0\0"
        );
        assert_eq!(
            put(|out| put_syn_stream(out, 3, false, b"block")),
            b"\x80\x03\0\x01\0\0\0\x0f\0\0\0\x03\0\0\0\0\0\0block"
        );
        assert_eq!(
            put(|out| put_syn_stream(out, 1, true, b"")),
            b"\x80\x03\0\x01\x01\0\0\x0a\0\0\0\x01\0\0\0\0\0\0"
        );
        assert_eq!(
            put(|out| put_syn_reply(out, 1, false, b"block")),
            b"\x80\x03\0\x02\0\0\0\x09\0\0\0\x01block"
        );
        assert_eq!(
            put(|out| put_syn_reply(out, 1, true, b"")),
            b"\x80\x03\0\x02\x01\0\0\x04\0\0\0\x01"
        );
    }

    #[test]
    fn what_a_go_peer_would_choke_on_is_not_sent() {
        assert_eq!(data_head(u32::MAX, 0, false), *b"\x7f\xff\xff\xff\0\0\0\0", "a reserved bit");
        assert_eq!(data_head(1, MAX_PAYLOAD, false)[5..], [0xff; 3]);
        assert_eq!(data_head(1, MAX_PAYLOAD + 1, false)[5..], [0xff; 3], "25 bits of length");
        let mut out = BytesMut::new();
        put_rst_stream(&mut out, 1 << 31 | 3, 0);
        assert_eq!(out[8..], *b"\0\0\0\x03\0\0\0\x01", "no status");
        for (put, fields) in
            [(put_syn_stream as fn(&mut BytesMut, u32, bool, &[u8]), 10), (put_syn_reply, 4)]
        {
            for room in [0, 1] {
                let mut out = BytesMut::new();
                put(&mut out, 1, false, &vec![0; MAX_PAYLOAD - fields + room]);
                assert_eq!((out.len(), &out[5..8]), (HEAD + MAX_PAYLOAD, &[0xff; 3][..]));
            }
        }
    }
}
