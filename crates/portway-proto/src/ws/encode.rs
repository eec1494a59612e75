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
