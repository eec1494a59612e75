use std::time::Instant;

use bytes::Bytes;

use super::Session;
use crate::stream::{RecvInput, RecvState};
use crate::{OverflowPolicy, ReadError, StreamId};

/// The peer's direction of one stream.
#[derive(Debug)]
pub struct RecvHalf<'a> {
    pub(super) session: &'a mut Session,
    pub(super) id: StreamId,
}

impl RecvHalf<'_> {
    /// The next bytes in order, or `None` at the clean end. They stay on the budget until
    /// [`consumed`](Self::consumed), so that what a slow local socket has not taken still counts.
    ///
    /// # Errors
    /// [`ReadError::Blocked`]: wait for [`Readable`](crate::StreamEvent::Readable).
    /// [`ReadError::Failed`]: everything before the failure was read.
    pub fn read(&mut self) -> Result<Option<Bytes>, ReadError> {
        let Some(stream) = self.session.core.store.get_mut(self.id) else {
            return Err(ReadError::Stopped);
        };
        if let Some(bytes) = stream.recv_buf.pop() {
            return Ok(Some(bytes));
        }
        self.session.core.recv_input(self.id, RecvInput::Drained);
        let Some(stream) = self.session.core.store.get(self.id) else {
            return Err(ReadError::Stopped);
        };
        if stream.recv.is_live() {
            Err(ReadError::Blocked)
        } else if stream.failure.is_some() {
            Err(ReadError::Failed)
        } else if stream.recv == RecvState::Stopped {
            Err(ReadError::Stopped)
        } else {
            Ok(None)
        }
    }

    /// `read()` would not be blocked: what [`Readable`](crate::StreamEvent::Readable) is the edge of.
    pub fn is_readable(&self) -> bool {
        let stream = self.session.core.store.get(self.id);
        stream.is_none_or(|stream| !stream.recv_buf.is_empty() || !stream.recv.is_live())
    }

    /// `n` of the bytes read are out of our hands.
    pub fn consumed(&mut self, n: usize, now: Instant) {
        if let Some(stream) = self.session.core.store.get_mut(self.id) {
            stream.recv_buf.consumed(n);
        }
        self.session.core.update_pause(self.id, now);
    }

    /// Nothing more is read: what waits is dropped, and what comes is ignored.
    pub fn stop(&mut self, now: Instant) {
        self.session.core.stop_recv(self.id, now);
        self.session.check_over(now);
    }

    /// Another overflow policy than the config's, from now on.
    pub fn set_overflow(&mut self, policy: OverflowPolicy, now: Instant) {
        let core = &mut self.session.core;
        if let Some(stream) = core.store.get_mut(self.id) {
            stream.overflow = policy;
        }
        core.arm_stall(self.id, now);
        core.update_pause(self.id, now);
    }
}
