use std::collections::VecDeque;

use bytes::Bytes;

/// What the application gave a stream to send, untouched.
#[derive(Debug, Default)]
pub(crate) struct SendBuf {
    chunks: VecDeque<Bytes>,
    held: usize,
}

impl SendBuf {
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.held += bytes.len();
        self.chunks.push_back(bytes);
    }

    /// The next bytes to send, at most `max`, split from the caller's without a copy.
    pub(crate) fn pop(&mut self, max: usize) -> Option<Bytes> {
        let front = self.chunks.front_mut()?;
        let bytes = if front.len() > max {
            front.split_to(max)
        } else {
            self.chunks.pop_front().unwrap_or_default()
        };
        self.held -= bytes.len();
        Some(bytes)
    }

    pub(crate) fn discard(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Bytes that wait to be sent.
    pub(crate) fn held(&self) -> usize {
        self.held
    }
}
