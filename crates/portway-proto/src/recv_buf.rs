use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// What was received for a stream and not consumed yet.
///
/// Pieces are kept as they came, inside the transport's read buffers. Only a small piece that finds
/// others waiting is copied and gathered: thousands of tiny messages would otherwise each keep a
/// whole read buffer alive, out of proportion to the bytes that count.
#[derive(Debug, Default)]
pub(crate) struct RecvBuf {
    chunks: VecDeque<Bytes>,
    gathered: BytesMut,
    waiting: usize,
    in_hand: usize,
}

impl RecvBuf {
    /// Smaller pieces are gathered when others wait before them.
    const SMALL: usize = 4 * 1024;
    /// Gathered bytes become a chunk at this size.
    const GATHER: usize = 32 * 1024;

    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.waiting += bytes.len();
        if bytes.len() < Self::SMALL && !self.is_empty_before(&bytes) {
            self.gathered.extend_from_slice(&bytes);
            if self.gathered.len() >= Self::GATHER {
                self.end_gathering();
            }
        } else {
            self.end_gathering();
            self.chunks.push_back(bytes);
        }
    }

    /// The next chunk; its bytes stay counted until [`Self::consumed`].
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        if self.chunks.is_empty() {
            self.end_gathering();
        }
        let chunk = self.chunks.pop_front()?;
        self.waiting -= chunk.len();
        self.in_hand += chunk.len();
        Some(chunk)
    }

    /// Gives bytes back that were popped; more than that is cut to it.
    pub(crate) fn consumed(&mut self, bytes: usize) {
        self.in_hand = self.in_hand.saturating_sub(bytes);
    }

    /// Drops what waits. What the application holds stays counted.
    pub(crate) fn discard(&mut self) -> usize {
        self.chunks = VecDeque::new();
        self.gathered = BytesMut::new();
        std::mem::take(&mut self.waiting)
    }

    /// Nothing waits to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Bytes that count: waiting or in the application's hands.
    pub(crate) fn held(&self) -> usize {
        self.waiting + self.in_hand
    }

    fn is_empty_before(&self, pushed: &Bytes) -> bool {
        self.waiting == pushed.len()
    }

    fn end_gathering(&mut self) {
        if !self.gathered.is_empty() {
            self.chunks.push_back(self.gathered.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_piece_is_passed_on_and_small_ones_behind_it_are_gathered_in_order() {
        let mut buf = RecvBuf::default();
        let first = Bytes::from(vec![1_u8; 10]);
        buf.push(first.clone());
        for value in 2..=200_u8 {
            buf.push(Bytes::from(vec![value; 10]));
        }
        let large = Bytes::from(vec![201_u8; RecvBuf::SMALL]);
        buf.push(large.clone());
        assert_eq!(buf.held(), 2_000 + RecvBuf::SMALL);

        let read = buf.pop().unwrap();
        assert_eq!(read.as_ptr(), first.as_ptr(), "the first is not copied");
        let read = buf.pop().unwrap();
        assert_eq!(read, (2..=200).flat_map(|v| [v; 10]).collect::<Vec<u8>>());
        let read = buf.pop().unwrap();
        assert_eq!(read.as_ptr(), large.as_ptr(), "a large one is not copied");
        assert_eq!(buf.pop(), None);

        assert_eq!(buf.held(), 2_000 + RecvBuf::SMALL, "held until consumed");
        buf.consumed(2_000 + RecvBuf::SMALL);
        assert_eq!(buf.held(), 0);
    }
}
