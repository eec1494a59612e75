use std::time::Instant;

use bytes::Bytes;

use super::Session;
use crate::stream::{EventBit, SendInput, SendState, Stream};
use crate::{HalfClose, Side, StreamError, StreamId, WriteError};

/// Our direction of one stream.
#[derive(Debug)]
pub struct SendHalf<'a> {
    pub(super) session: &'a mut Session,
    pub(super) id: StreamId,
}

impl SendHalf<'_> {
    /// Bytes that [`write`](Self::write) takes now. 0 where it would block, and after the end.
    pub fn capacity(&self) -> usize {
        let limit = self.session.core.config.send_buffer();
        self.stream().map_or(0, |stream| stream.capacity(limit))
    }

    /// Takes any `Bytes`, split at the message limit later and never copied.
    ///
    /// # Errors
    /// [`WriteError::Blocked`] hands back what did not fit: wait for
    /// [`Writable`](crate::StreamEvent::Writable). The others are final.
    pub fn write(&mut self, mut data: Bytes) -> Result<(), WriteError> {
        let limit = self.session.core.config.send_buffer();
        let Some(stream) = self.stream_mut() else { return Err(WriteError::Ended) };
        match stream.send {
            SendState::Open => {}
            SendState::Finishing | SendState::Lingering | SendState::Finished => {
                return Err(WriteError::Finished);
            }
            SendState::Dead => return Err(WriteError::Ended),
        }
        let fits = data.split_to(stream.capacity(limit).min(data.len()));
        if !fits.is_empty() {
            stream.send_buf.push(fits);
        }
        if !data.is_empty() {
            stream.note_blocked_writer();
        }
        self.session.core.schedule(self.id);
        if data.is_empty() { Ok(()) } else { Err(WriteError::Blocked(data)) }
    }

    /// Asks for [`Writable`](crate::StreamEvent::Writable) once at least half of the send buffer is
    /// free, for a caller that saw no capacity and has nothing to write yet. It comes at once where
    /// that is so already, or where [`write`](Self::write) has an error to tell.
    pub fn want_writable(&mut self) {
        let limit = self.session.core.config.send_buffer();
        let Some(stream) = self.stream_mut() else { return };
        stream.note_blocked_writer();
        if stream.take_writable(limit) {
            self.session.core.raise(self.id, EventBit::Writable);
        }
    }

    /// No more data from us: what reaches the wire and when is the [`HalfClose`] policy's. What was
    /// written before is sent before.
    ///
    /// # Errors
    /// It was finished before, or the stream is over.
    pub fn finish(&mut self, now: Instant) -> Result<(), WriteError> {
        if !self.session.core.send_input(self.id, SendInput::Finish) {
            let dead = self.stream().is_none_or(|stream| stream.send == SendState::Dead);
            return Err(if dead { WriteError::Ended } else { WriteError::Finished });
        }
        self.session.core.flushed(self.id, now);
        self.session.check_over(now);
        Ok(())
    }

    /// The half takes bytes: now, or once there is room.
    pub fn is_open(&self) -> bool {
        self.stream().is_some_and(|stream| stream.send == SendState::Open)
    }

    /// Nothing more is sent on this half, whatever happens.
    pub fn is_over(&self) -> bool {
        self.stream().is_none_or(|stream| stream.send.is_over())
    }

    /// Everything written was handed to the transport.
    pub fn is_flushed(&self) -> bool {
        self.stream().is_none_or(|stream| stream.send_buf.is_empty() && stream.farewell.is_none())
    }

    /// Gives both directions up at once. Where the wire cannot say it (v4), what comes for the
    /// stream is ignored from now on, and the session closes if it was the last.
    pub fn reset(&mut self, now: Instant) {
        self.session.core.abandon(self.id, StreamError::Reset, now);
        self.session.check_over(now);
    }

    /// Server: the error text, after the data written so far; then the stream ends. The text is cut
    /// at [`Config::error_text`](crate::Config::error_text) bytes.
    ///
    /// # Errors
    /// We are the client, or the stream was finished or is over.
    pub fn fail(&mut self, text: &str, now: Instant) -> Result<(), WriteError> {
        let core = &mut self.session.core;
        let mut end = text.len().min(core.config.error_text());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = Bytes::copy_from_slice(text.get(..end).unwrap_or_default().as_bytes());
        if core.side == Side::Client || !core.send_input(self.id, SendInput::Finish) {
            return Err(WriteError::Finished);
        }
        if let Some(stream) = core.store.get_mut(self.id).filter(|_| !text.is_empty()) {
            stream.farewell = Some(text);
        }
        core.stop_recv(self.id, now);
        core.schedule(self.id);
        core.flushed(self.id, now);
        self.session.check_over(now);
        Ok(())
    }

    /// Another half-close policy than the config's, from now on.
    pub fn set_half_close(&mut self, policy: HalfClose, now: Instant) {
        if let Some(stream) = self.stream_mut() {
            stream.half_close = policy;
        }
        self.session.core.linger(self.id, now);
        self.session.check_over(now);
    }

    /// The local end was reached and everything sent, and the policy holds the end back. Since when
    /// the pod has been silent: the longest silent is the first that a caller with too many gives up.
    pub fn lingering(&self) -> Option<Instant> {
        self.by_clock(self.stream()?.lingering()?)
    }

    /// The local end was reached and everything sent, and the last bytes before it came from the pod:
    /// the exchange looks done, and only the pod's end is missing. Since when the pod has been silent.
    pub fn settled(&self) -> Option<Instant> {
        self.by_clock(self.stream()?.settled()?)
    }

    fn by_clock(&self, at: Instant) -> Option<Instant> {
        self.session.core.timers.clock_time(at)
    }

    fn stream(&self) -> Option<&Stream> {
        self.session.core.store.get(self.id)
    }

    fn stream_mut(&mut self) -> Option<&mut Stream> {
        self.session.core.store.get_mut(self.id)
    }
}
