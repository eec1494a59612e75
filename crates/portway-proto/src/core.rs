use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::sched::Sched;
use crate::store::Store;
use crate::stream::{EventBit, RecvInput, SendInput, SendState, Stream};
use crate::timer::{Timer, Timers};
use crate::{
    Capabilities, CloseReason, Config, Event, OverflowPolicy, Side, Stats, StreamError, StreamId,
};

/// What a session knows whatever its mux: the streams, their buffers, their ends, and who is told.
/// The muxes turn messages into calls on it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) side: Side,
    pub(crate) capabilities: Capabilities,
    pub(crate) config: Arc<Config>,
    pub(crate) store: Store,
    pub(crate) sched: Sched,
    pub(crate) timers: Timers,
    pub(crate) stats: Stats,
    pub(crate) liveness: Liveness,
    events: VecDeque<StreamId>,
    ready_due: bool,
    /// Every port was announced.
    pub(crate) announced: bool,
    closed: Closed,
    /// Streams that keep the session paused, and since when.
    pausing: usize,
    paused_since: Option<Instant>,
}

/// Whether the peer still answers (rulings: misses count only while we sent no data since the last
/// ping that was answered, because a peer that a slow consumer blocks answers nothing). Whatever
/// else comes shows that it lives, but not that it reads.
#[derive(Debug)]
pub(crate) struct Liveness {
    pub(crate) misses: u32,
    pub(crate) unanswered: bool,
    pub(crate) sent_since_answer: bool,
    pub(crate) sent_since_ping: bool,
    pub(crate) last_activity: Instant,
}

/// The one `Closed` event.
#[derive(Debug)]
enum Closed {
    NotYet,
    Due(CloseReason),
    Reported,
}

impl Core {
    pub(crate) fn new(
        side: Side,
        capabilities: Capabilities,
        config: Arc<Config>,
        now: Instant,
    ) -> Self {
        let liveness = Liveness {
            misses: 0,
            unanswered: false,
            sent_since_answer: false,
            sent_since_ping: false,
            last_activity: now,
        };
        Self {
            side,
            capabilities,
            config,
            store: Store::default(),
            sched: Sched::default(),
            timers: Timers::default(),
            stats: Stats::default(),
            liveness,
            events: VecDeque::new(),
            ready_due: false,
            announced: false,
            closed: Closed::NotYet,
            pausing: 0,
            paused_since: None,
        }
    }

    pub(crate) fn insert(&mut self, stream: Stream) -> StreamId {
        let id = self.store.insert(stream);
        if self.side == Side::Server {
            self.opened(id);
        }
        id
    }

    // -- what came from the peer

    pub(crate) fn note_alive(&mut self) {
        self.liveness.misses = 0;
        self.liveness.unanswered = false;
    }

    /// A ping was answered. What we sent behind it may still keep the peer from the next.
    pub(crate) fn note_pong(&mut self) {
        self.stats.pongs += 1;
        self.liveness.sent_since_answer = self.liveness.sent_since_ping;
    }

    /// A ping was handed to the transport.
    pub(crate) fn note_ping(&mut self) {
        self.stats.pings += 1;
        self.liveness.sent_since_ping = false;
    }

    /// Something came that is not the answer to what we asked.
    pub(crate) fn note_activity(&mut self, now: Instant) {
        self.liveness.last_activity = now;
    }

    /// Every port was announced.
    pub(crate) fn ready(&mut self) {
        self.timers.disarm(Timer::Open);
        self.announced = true;
        self.ready_due = true;
    }

    /// The other side has announced the stream.
    pub(crate) fn opened(&mut self, id: StreamId) {
        if self.recv_input(id, RecvInput::Opened) {
            self.raise(id, EventBit::Opened);
        }
    }

    /// Data for a stream.
    pub(crate) fn receive(&mut self, id: StreamId, bytes: Bytes, now: Instant) {
        if bytes.is_empty() {
            return;
        }
        let limit = self.config.recv_buffer();
        let live = self.store.get_mut(id).filter(|stream| stream.recv.is_live());
        let Some(stream) = live else {
            self.stats.ignored_late += bytes.len() as u64;
            return;
        };
        self.stats.bytes_in += bytes.len() as u64;
        stream.note_data_in(now);
        // Full is what makes the other policies pause: one piece may go over the limit, not two.
        if stream.overflow == OverflowPolicy::Reset && stream.recv_buf.held() >= limit {
            self.overflow(id, now);
            return;
        }
        let was_empty = stream.recv_buf.is_empty();
        stream.recv_buf.push(bytes);
        if was_empty {
            self.raise(id, EventBit::Readable);
        }
        self.update_pause(id, now);
    }

    /// Error text for a stream; `end` of the message that carried it.
    pub(crate) fn receive_error(&mut self, id: StreamId, text: &[u8], end: bool, now: Instant) {
        let limit = self.config.error_text();
        let settle = self.config.error_settle();
        // Who reads no more may still write, and has to know.
        let live = self.store.get_mut(id).filter(|s| s.recv.is_live() || !s.send.is_over());
        let Some(stream) = live else {
            self.stats.ignored_late += text.len() as u64;
            return;
        };
        stream.error_text.push(text, limit);
        if !end || stream.error_text.is_empty() {
            return;
        }
        if stream.recv.is_live() {
            stream.timers.arm(Timer::ErrorSettle, settle, now);
        } else {
            self.fail(id, None);
        }
        self.kill_send(id);
    }

    // -- ends

    /// No more comes for this stream: with what was received and, if there is one, the error text.
    pub(crate) fn end_recv(&mut self, id: StreamId, failure: Option<StreamError>, now: Instant) {
        let Some(stream) = self.store.get(id) else { return };
        let live = stream.recv.is_live();
        if !live && stream.send.is_over() {
            return;
        }
        let nothing_waits = stream.recv_buf.is_empty();
        self.fail(id, failure);
        if !live {
            return;
        }
        self.recv_input(id, RecvInput::End);
        // The end itself is something to read.
        self.raise(id, EventBit::Readable);
        if nothing_waits {
            self.recv_input(id, RecvInput::Drained);
        }
        self.update_pause(id, now);
    }

    /// Latches why the stream died: the remote's text, or else what `otherwise` says.
    fn fail(&mut self, id: StreamId, otherwise: Option<StreamError>) {
        let Some(stream) = self.store.get_mut(id) else { return };
        stream.timers.disarm(Timer::ErrorSettle);
        let failure = if stream.error_text.is_empty() {
            otherwise
        } else {
            Some(StreamError::Remote(stream.error_text.take()))
        };
        if failure.is_some() && stream.failure.is_none() {
            stream.failure = failure;
            self.raise(id, EventBit::Failed);
            self.kill_send(id);
        }
    }

    /// The application reads no more.
    pub(crate) fn stop_recv(&mut self, id: StreamId, now: Instant) {
        self.fail(id, None);
        if let Some(stream) = self.store.get_mut(id) {
            stream.recv_buf.discard();
        }
        self.recv_input(id, RecvInput::Stop);
        self.update_pause(id, now);
        self.linger(id, now);
    }

    /// Nothing more is sent on this stream; what waits is dropped.
    pub(crate) fn kill_send(&mut self, id: StreamId) {
        if self.send_input(id, SendInput::Kill)
            && let Some(stream) = self.store.get_mut(id)
        {
            stream.send_buf.discard();
            stream.farewell = None;
            stream.timers.disarm(Timer::HalfClose);
            if stream.take_writable(0) {
                self.raise(id, EventBit::Writable);
            }
        }
    }

    /// Both directions are given up.
    pub(crate) fn abandon(&mut self, id: StreamId, why: StreamError, now: Instant) {
        if self.store.get(id).is_some_and(|stream| !stream.is_done()) {
            self.fail(id, Some(why));
        }
        self.kill_send(id);
        self.stop_recv(id, now);
    }

    /// The consumer is too slow. What it did not take is dropped with the stream: nobody reads it.
    pub(crate) fn overflow(&mut self, id: StreamId, now: Instant) {
        self.stats.overflows += 1;
        self.abandon(id, StreamError::Overflow, now);
    }

    /// The session ends under all streams.
    pub(crate) fn end_all(&mut self, reason: &CloseReason, now: Instant) {
        for slot in 0..self.store.slots() {
            let Some(id) = self.store.id_at(slot) else { continue };
            let failure = (!reason.is_clean()).then(|| StreamError::Session(reason.clone()));
            self.end_recv(id, failure, now);
            self.kill_send(id);
        }
    }

    // -- the sending half

    /// The stream has something to send, or an end to come to.
    pub(crate) fn schedule(&mut self, id: StreamId) {
        let Some(stream) = self.store.get_mut(id) else { return };
        let something = !stream.send_buf.is_empty() || stream.farewell.is_some();
        if something && !stream.scheduled && !stream.send.is_over() {
            stream.scheduled = true;
            self.sched.push(id);
        }
    }

    pub(crate) fn count_out(&mut self, id: StreamId, bytes: usize) {
        self.stats.bytes_out += bytes as u64;
        self.liveness.sent_since_answer = true;
        self.liveness.sent_since_ping = true;
        if let Some(stream) = self.store.get_mut(id) {
            stream.note_data_out();
        }
    }

    /// A message of the stream was handed to the transport.
    pub(crate) fn after_send(&mut self, id: StreamId, now: Instant) {
        self.stats.messages_out += 1;
        self.liveness.last_activity = now;
        let limit = self.config.send_buffer();
        if self.store.get_mut(id).is_some_and(|stream| stream.take_writable(limit)) {
            self.raise(id, EventBit::Writable);
        }
        self.schedule(id);
        self.flushed(id, now);
    }

    /// Nothing waits any more after `finish()`: from here on the half-close policy decides.
    pub(crate) fn flushed(&mut self, id: StreamId, now: Instant) {
        let Some(stream) = self.store.get(id) else { return };
        let waits = !stream.send_buf.is_empty() || stream.farewell.is_some();
        if stream.send != SendState::Finishing || waits {
            return;
        }
        self.send_input(id, SendInput::Flushed);
        if let Some(stream) = self.store.get_mut(id) {
            stream.note_flushed(now);
        }
        self.linger(id, now);
    }

    /// Lets the FIN go, or says when to look again.
    pub(crate) fn linger(&mut self, id: StreamId, now: Instant) {
        let half_close = self.capabilities.half_close;
        let Some(stream) = self.store.get_mut(id) else { return };
        if stream.send != SendState::Lingering {
            return;
        }
        // Nobody waits for an answer: the pod has ended, the application stopped reading, or the
        // pod is on our side.
        let due = if self.side == Side::Server || !stream.recv.is_live() {
            Some(now)
        } else {
            stream.fin_due(half_close)
        };
        let later = due.filter(|at| *at > now);
        stream.timers.arm_at(Timer::HalfClose, later);
        if due.is_some() && later.is_none() {
            self.send_input(id, SendInput::FinDue);
        }
    }

    // -- backpressure

    /// False while a consumer is behind and its policy says to wait for it.
    pub(crate) const fn is_paused(&self) -> bool {
        self.pausing > 0
    }

    /// Looks whether this stream keeps the session paused; call after every change of its buffer.
    pub(crate) fn update_pause(&mut self, id: StreamId, now: Instant) {
        let limit = self.config.recv_buffer();
        let Some(stream) = self.store.get_mut(id) else { return };
        let waits = stream.overflow != OverflowPolicy::Reset;
        let pauses = waits && stream.recv.is_live() && stream.recv_buf.held() >= limit;
        if pauses == stream.pausing {
            return;
        }
        stream.pausing = pauses;
        if pauses {
            stream.arm_stall(now);
            self.pausing += 1;
            if self.pausing == 1 {
                self.stats.pauses += 1;
                self.paused_since = Some(now);
            }
        } else {
            stream.timers.disarm(Timer::Stall);
            self.pausing -= 1;
            if self.pausing == 0 {
                self.resume(now);
            }
        }
    }

    /// What timers wait for may have been lying unread: they go on where they stood.
    fn resume(&mut self, now: Instant) {
        let Some(since) = self.paused_since.take() else { return };
        let paused_for = now.saturating_duration_since(since);
        self.timers.resume(paused_for);
        self.liveness.last_activity = (self.liveness.last_activity + paused_for).min(now);
        for slot in 0..self.store.slots() {
            let Some(id) = self.store.id_at(slot) else { continue };
            if let Some(stream) = self.store.get_mut(id) {
                stream.resume(paused_for, now);
            }
            // What began to linger during the pause was moved too far.
            self.linger(id, now);
        }
    }

    // -- events

    pub(crate) fn raise(&mut self, id: StreamId, event: EventBit) {
        // `Closed` is the last event: after it, calls say what there is.
        if matches!(self.closed, Closed::Reported) {
            return;
        }
        let Some(stream) = self.store.get_mut(id) else { return };
        stream.raise(event);
        if !stream.announced {
            stream.announced = true;
            self.events.push_back(id);
        }
    }

    pub(crate) fn report_closed(&mut self, reason: CloseReason) {
        if matches!(self.closed, Closed::NotYet) {
            self.closed = Closed::Due(reason);
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.ready_due) {
            return Some(Event::Ready);
        }
        while let Some(id) = self.events.front().copied() {
            let stream = self.store.get_mut(id);
            let event = stream.and_then(|stream| {
                let event = stream.take_event();
                stream.announced = stream.has_events();
                event.map(|event| (event, stream.announced))
            });
            match event {
                Some((event, more)) => {
                    if !more {
                        self.events.pop_front();
                    }
                    return Some(Event::Stream { id, event });
                }
                None => {
                    self.events.pop_front();
                }
            }
        }
        let Closed::Due(reason) = &self.closed else { return None };
        let reason = reason.clone();
        self.closed = Closed::Reported;
        Some(Event::Closed(reason))
    }

    // -- the machines

    pub(crate) fn send_input(&mut self, id: StreamId, input: SendInput) -> bool {
        let Some(stream) = self.store.get_mut(id) else { return false };
        let Some(next) = stream.send.after(input) else { return false };
        stream.send = next;
        self.check_done(id);
        true
    }

    pub(crate) fn recv_input(&mut self, id: StreamId, input: RecvInput) -> bool {
        let Some(stream) = self.store.get_mut(id) else { return false };
        let Some(next) = stream.recv.after(input) else { return false };
        stream.recv = next;
        self.check_done(id);
        true
    }

    fn check_done(&mut self, id: StreamId) {
        if self.store.get(id).is_some_and(Stream::is_done) {
            self.raise(id, EventBit::Done);
        }
    }
}
