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

/// Copies of what was read from a socket and written to a session.
#[derive(Debug)]
pub(super) struct Held {
    read: VecDeque<Bytes>,
    len: usize,
    limit: usize,
    /// The server has opened the stream, and may pass bytes on to the pod.
    opened: bool,
}

impl Held {
    /// What is kept of a stream that is open, by which time nobody has to wait for it: mostly a request.
    const KEPT: usize = 16 * 1024;

    /// No more than `limit` bytes are read before the server has opened the stream. Without a limit it is
    /// taken to be open.
    pub(super) fn new(read: VecDeque<Bytes>, limit: Option<usize>) -> Self {
        let len = read.iter().map(Bytes::len).sum();
        Self { read, len, limit: limit.unwrap_or(usize::MAX), opened: limit.is_none() }
    }

    pub(super) const fn is_opened(&self) -> bool {
        self.opened
    }

    /// Bytes that may still be read.
    pub(super) const fn room(&self) -> usize {
        if self.opened { usize::MAX } else { self.limit.saturating_sub(self.len) }
    }

    /// From here on only a pod that was never reached gives them back. Until it is opened they are slices
    /// of the same memory; from now on it may take long, and they keep no large buffer alive.
    pub(super) fn opened(mut self) -> Option<Self> {
        self.opened = true;
        for bytes in &mut self.read {
            *bytes = Bytes::copy_from_slice(bytes);
        }
        Some(self).filter(|held| held.len <= Self::KEPT)
    }

    /// Not if they are too many.
    pub(super) fn with(mut self, bytes: &Bytes) -> Option<Self> {
        self.len += bytes.len();
        if self.opened && self.len > Self::KEPT {
            return None;
        }
        self.read.push_back(if self.opened {
            Bytes::copy_from_slice(bytes)
        } else {
            bytes.clone()
        });
        Some(self)
    }

    pub(super) fn into_local<S>(self, socket: S) -> Local<S> {
        Local { socket, read: self.read }
    }
}
