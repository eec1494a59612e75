use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Bytes in order, in the pieces in which they came.
///
/// Pieces are kept where they are, slices of somebody's buffer. Only a small piece that finds others
/// waiting is copied and gathered: thousands of tiny ones would otherwise hold memory out of all
/// proportion to the bytes that count, since each keeps the whole of its buffer alive.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    chunks: VecDeque<Bytes>,
    gathered: BytesMut,
    len: usize,
}

impl Chunks {
    /// Smaller pieces are gathered when others wait before them.
    const SMALL: usize = 4 * 1024;
    /// Gathered bytes become a chunk at this size.
    const GATHER: usize = 32 * 1024;

    pub(crate) fn push(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let others_wait = self.len > 0;
        self.len += bytes.len();
        if others_wait && bytes.len() < Self::SMALL {
            self.gathered.extend_from_slice(&bytes);
            if self.gathered.len() >= Self::GATHER {
                self.end_gathering();
            }
        } else {
            self.end_gathering();
            self.chunks.push_back(bytes);
        }
    }

    /// The next bytes, at most `max`, split off without a copy.
    pub(crate) fn pop(&mut self, max: usize) -> Option<Bytes> {
        if self.chunks.is_empty() {
            self.end_gathering();
        }
        let front = self.chunks.front_mut()?;
        let bytes = if front.len() > max {
            front.split_to(max)
        } else {
            self.chunks.pop_front().unwrap_or_default()
        };
        self.len -= bytes.len();
        Some(bytes)
    }

    /// Drops everything, and the memory with it.
    pub(crate) fn discard(&mut self) {
        *self = Self::default();
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that wait.
    pub(crate) const fn len(&self) -> usize {
        self.len
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
        let mut chunks = Chunks::default();
        let first = Bytes::from(vec![1_u8; 10]);
        chunks.push(first.clone());
        for value in 2..=200_u8 {
            chunks.push(Bytes::from(vec![value; 10]));
        }
        let large = Bytes::from(vec![201_u8; Chunks::SMALL]);
        chunks.push(large.clone());
        assert_eq!(chunks.len(), 2_000 + Chunks::SMALL);

        let read = chunks.pop(usize::MAX).unwrap();
        assert_eq!(read.as_ptr(), first.as_ptr(), "the first is not copied");
        let read = chunks.pop(usize::MAX).unwrap();
        assert_eq!(read, (2..=200).flat_map(|v| [v; 10]).collect::<Vec<u8>>());
        let read = chunks.pop(100).unwrap();
        assert_eq!((read.as_ptr(), read.len()), (large.as_ptr(), 100), "split without a copy");
        assert_eq!(chunks.len(), Chunks::SMALL - 100);
        chunks.pop(usize::MAX).unwrap();
        assert_eq!(chunks.pop(usize::MAX), None);
        assert!(chunks.is_empty());
    }

    #[test]
    fn a_quarter_million_single_bytes_do_not_take_a_buffer_each() {
        let mut chunks = Chunks::default();
        for _ in 0..256 * 1024 {
            chunks.push(Bytes::from_static(b"x"));
        }
        assert!(chunks.chunks.len() <= 1 + 256 * 1024 / Chunks::GATHER);
    }
}
