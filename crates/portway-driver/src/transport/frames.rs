use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use portway_proto::ws::Frame;

use super::{WRITE_BATCH, nonzero};
use crate::Socket;

/// Frames on their way out: the session's own bytes, written from where they are.
#[derive(Debug, Default)]
pub(super) struct Frames {
    queue: VecDeque<Frame>,
    /// Bytes of all of them.
    held: usize,
    /// The socket has not taken them all at once: no more come before it has. That there is room again is
    /// seen by whoever flushes, and nobody else would be woken for it.
    writing: bool,
}

impl Frames {
    pub(super) const fn has_room(&self) -> bool {
        self.held < WRITE_BATCH && !self.writing
    }

    /// Bytes that are not written.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    pub(super) fn push(&mut self, frame: Frame) {
        self.held += frame.remaining();
        self.queue.push_back(frame);
    }

    /// Until nothing is left.
    pub(super) fn poll_write<S: Socket>(
        &mut self,
        socket: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.held > 0 {
            let mut slices = [IoSlice::new(&[]); 64];
            let used = self.fill(&mut slices);
            let written = socket.poll_write_vectored(cx, &slices[..used]);
            self.writing = written.is_pending();
            self.advance(nonzero(ready!(written)?)?);
        }
        self.queue.clear();
        self.queue.shrink_to(8);
        Poll::Ready(Ok(()))
    }

    fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = self.queue.iter().flat_map(|frame| [frame.head(), frame.body().as_ref()]);
        let mut used = 0;
        for (slot, part) in slices.iter_mut().zip(parts.filter(|part| !part.is_empty())) {
            *slot = IoSlice::new(part);
            used += 1;
        }
        used
    }

    fn advance(&mut self, mut written: usize) {
        self.held -= written;
        while let Some(frame) = self.queue.front_mut() {
            let of_frame = written.min(frame.remaining());
            frame.advance(of_frame);
            written -= of_frame;
            if frame.has_remaining() {
                return;
            }
            self.queue.pop_front();
        }
    }
}
