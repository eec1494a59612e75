use std::collections::VecDeque;

use bytes::Bytes;

/// A program's connection, and what was read from it that no pod has got. Its end, where that was read
/// too, is read again.
#[derive(Debug)]
pub(crate) struct Local<S> {
    pub(crate) socket: S,
    pub(crate) read: VecDeque<Bytes>,
}

impl<S> Local<S> {
    /// Nothing was read yet.
    pub(crate) const fn new(socket: S) -> Self {
        Self { socket, read: VecDeque::new() }
    }
}

/// Copies of what was read from a socket and written to a session: slices of the same memory.
#[derive(Debug)]
pub(super) struct Held {
    read: VecDeque<Bytes>,
    len: usize,
    limit: usize,
}

impl Held {
    pub(super) fn new(read: VecDeque<Bytes>, limit: usize) -> Self {
        let len = read.iter().map(Bytes::len).sum();
        Self { read, len, limit }
    }

    /// Bytes that may still be read.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.len)
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        self.read.push_back(bytes);
    }

    pub(super) fn into_local<S>(self, socket: S) -> Local<S> {
        Local { socket, read: self.read }
    }
}
