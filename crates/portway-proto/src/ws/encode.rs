use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::header::{self, MAX_CONTROL, MAX_OVERHEAD};
use super::mask::Mask;
use crate::{Kind, Transmit};

/// A header of a server is without a key.
const MAX_HEAD: usize = MAX_OVERHEAD - 4 + Transmit::MAX_HEAD;

/// A server's frame: a few bytes kept inline in front of the caller's bytes, for a vectored write.
///
/// It is a [`Buf`]: hand its chunks to the socket and [`advance`](Buf::advance) by what was written.
#[derive(Debug, Clone)]
pub struct Frame {
    inline: [u8; MAX_HEAD],
    /// What of `inline` is not written yet.
    start: usize,
    end: usize,
    body: Bytes,
}

impl Frame {
    /// A message with nothing around it, for a transport that is a plain stream of bytes: its head
    /// inline, its body where it is.
    pub fn bare(transmit: Transmit) -> Self {
        let mut inline = [0; MAX_HEAD];
        let end = transmit.head().len();
        inline.iter_mut().zip(transmit.head()).for_each(|(to, from)| *to = *from);
        Self { inline, start: 0, end, body: transmit.into_body() }
    }

    /// What is left of the frame's header and of the head of its message: at most 18 bytes.
    pub fn head(&self) -> &[u8] {
        self.inline.get(self.start..self.end).unwrap_or_default()
    }

    /// What is left of the message's body: the bytes that the caller gave, where they are.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }
}

impl Buf for Frame {
    fn remaining(&self) -> usize {
        self.head().len() + self.body.len()
    }

    fn chunk(&self) -> &[u8] {
        if self.head().is_empty() { &self.body } else { self.head() }
    }

    fn chunks_vectored<'a>(&'a self, to: &mut [IoSlice<'a>]) -> usize {
        let chunks = [self.head(), &self.body];
        let chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
        to.iter_mut().zip(chunks).map(|(to, chunk)| *to = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, count: usize) {
        let of_head = count.min(self.head().len());
        self.start += of_head;
        self.body.advance(count - of_head);
    }
}

/// A server's frame around a message: unfragmented, without a mask, and without a copy of the body.
///
/// A control message carries at most 125 bytes (RFC 6455 section 5.5): what is beyond is cut off, from
/// the reason of a Close in whole characters.
pub fn encode(transmit: Transmit) -> Frame {
    let mut inline = [0; MAX_HEAD];
    let body_length = body_length(&transmit);
    let mut room = inline.as_mut_slice();
    header::put(transmit.kind(), transmit.head().len() + body_length, None, &mut room);
    room.put_slice(transmit.head());
    let end = MAX_HEAD - room.remaining_mut();
    let mut body = transmit.into_body();
    body.truncate(body_length);
    Frame { inline, start: 0, end, body }
}

/// Appends a client's frame around a message to `out`: unfragmented, copied and masked in one pass.
///
/// `key` has to be fresh for each frame and beyond prediction by whoever chose the payload (RFC 6455
/// section 10.3). `out` grows by at most [`MAX_OVERHEAD`] plus [`Transmit::len`] bytes and is the
/// caller's to bound. A control message is cut as in [`encode`].
pub fn encode_masked(transmit: &Transmit, key: [u8; 4], out: &mut BytesMut) {
    let body_length = body_length(transmit);
    let length = transmit.head().len() + body_length;
    out.reserve(MAX_OVERHEAD + length);
    header::put(transmit.kind(), length, Some(key), out);
    let mut mask = Mask::new(key);
    mask.copy(transmit.head(), out);
    mask.copy(transmit.body().get(..body_length).unwrap_or_default(), out);
}

/// How much of the body fits into the frame.
fn body_length(transmit: &Transmit) -> usize {
    let body = transmit.body();
    let room = MAX_CONTROL - transmit.head().len();
    match transmit.kind() {
        Kind::Binary | Kind::Text => body.len(),
        Kind::Ping | Kind::Pong => body.len().min(room),
        Kind::Close => {
            let mut end = body.len().min(room);
            while body.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
                end = end.saturating_sub(1);
            }
            end
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CloseFrame;

    fn server(transmit: &Transmit) -> Vec<u8> {
        let frame = encode(transmit.clone());
        [frame.head(), frame.body()].concat()
    }

    fn client(transmit: &Transmit) -> Vec<u8> {
        let mut out = BytesMut::new();
        encode_masked(transmit, [0x37, 0xfa, 0x21, 0x3d], &mut out);
        out.to_vec()
    }

    /// RFC 6455 section 5.7.
    #[test]
    fn rfc_examples() {
        let hello = Bytes::from_static(b"Hello");
        let text = Transmit::new(Kind::Text, hello.clone());
        assert_eq!(server(&text), b"\x81\x05Hello");
        assert_eq!(client(&text), b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        assert_eq!(server(&Transmit::new(Kind::Ping, hello.clone())), b"\x89\x05Hello");
        let pong = Transmit::new(Kind::Pong, hello);
        assert_eq!(client(&pong), b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    }

    /// protocol.md B.2.
    #[test]
    fn kubernetes_examples() {
        let prefix = Transmit::with_head(Kind::Binary, [1, 0x90, 0x1f], Bytes::new());
        assert_eq!(server(&prefix), b"\x82\x03\x01\x90\x1f");
        let get = Transmit::with_head(Kind::Binary, [0], Bytes::from_static(b"GET"));
        assert_eq!(server(&get), b"\x82\x04\0GET");
        assert_eq!(client(&get), b"\x82\x84\x37\xfa\x21\x3d\x37\xbd\x64\x69");
        let close = Transmit::close(&CloseFrame::new(CloseFrame::NORMAL, ""));
        assert_eq!(server(&close), b"\x88\x02\x03\xe8");
    }

    #[test]
    fn a_control_message_is_cut_to_what_it_can_carry() {
        let ping = Transmit::with_head(Kind::Ping, [1, 2, 3], vec![4; 200].into());
        let expected = [&[0x89, 125, 1, 2, 3][..], &[4; 122]].concat();
        assert_eq!(server(&ping), expected);
        assert_eq!(client(&ping).len(), 6 + 125);
        let mut frame = CloseFrame::new(CloseFrame::NORMAL, "");
        frame.reason = "x".repeat(122) + "é";
        let expected = [&[0x88, 124, 3, 0xe8][..], &[b'x'; 122]].concat();
        assert_eq!(server(&Transmit::close(&frame)), expected);
        frame.reason = "é".repeat(100);
        assert_eq!(server(&Transmit::close(&frame)).len(), 2 + 2 + 122);
    }

    #[test]
    fn the_body_stays_where_it_is() {
        let body = Bytes::from(vec![7; 70_000]);
        let at = body.as_ptr();
        let frame = encode(Transmit::with_head(Kind::Binary, [1; 8], body));
        assert_eq!(frame.head().len(), MAX_HEAD);
        assert_eq!((frame.body().as_ptr(), frame.body().len()), (at, 70_000));
    }

    #[test]
    fn a_bare_message_is_its_own_bytes() {
        let body = Bytes::from_static(b"body");
        let at = body.as_ptr();
        let frame = Frame::bare(Transmit::with_head(Kind::Binary, [1, 2], body));
        assert_eq!((frame.head(), frame.body().as_ptr()), (&[1, 2][..], at));
        assert_eq!(frame.remaining(), 6);
    }

    #[test]
    fn partial_writes_at_every_byte() {
        let transmit = Transmit::with_head(Kind::Binary, [1, 2], Bytes::from_static(b"body"));
        let whole = server(&transmit);
        for written in 0..=whole.len() {
            let mut frame = encode(transmit.clone());
            frame.advance(written);
            assert_eq!(frame.remaining(), whole.len() - written);
            assert_eq!([frame.head(), frame.body()].concat(), whole[written..]);
            let mut slices = [IoSlice::new(&[]); 3];
            let count = frame.chunks_vectored(&mut slices);
            let chunks: Vec<&[u8]> = slices[..count].iter().map(|slice| &**slice).collect();
            assert_eq!(chunks.concat(), whole[written..]);
            assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
            assert_eq!(frame.chunk(), chunks.first().copied().unwrap_or_default());
        }
    }

    #[test]
    fn a_message_is_appended() {
        let mut out = BytesMut::from(&b"before"[..]);
        encode_masked(&Transmit::new(Kind::Binary, Bytes::new()), [1, 2, 3, 4], &mut out);
        assert_eq!(out[..], *b"before\x82\x80\x01\x02\x03\x04");
    }
}
