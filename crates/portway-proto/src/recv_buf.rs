use bytes::Bytes;

use crate::chunks::Chunks;

/// What was received for a stream and not consumed yet: waiting, or in the application's hands.
#[derive(Debug, Default)]
pub(crate) struct RecvBuf {
    waiting: Chunks,
    in_hand: usize,
}

impl RecvBuf {
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.waiting.push(bytes);
    }

    /// The next chunk; its bytes stay counted until [`Self::consumed`].
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        let chunk = self.waiting.pop(usize::MAX)?;
        self.in_hand += chunk.len();
        Some(chunk)
    }

    /// Gives bytes back that were popped; more than that is cut to it.
    pub(crate) fn consumed(&mut self, bytes: usize) {
        self.in_hand = self.in_hand.saturating_sub(bytes);
    }

    /// Drops what waits. What the application holds stays counted.
    pub(crate) fn discard(&mut self) {
        self.waiting.discard();
    }

    /// Nothing waits to be read.
    pub(crate) const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes that count.
    pub(crate) const fn held(&self) -> usize {
        self.waiting.len() + self.in_hand
    }
}
