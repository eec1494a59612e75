use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::sched::Sched;
use crate::store::Store;
use crate::stream::{EventBit, RecvInput, RecvState, SendInput, SendState, Stream};
use crate::timer::{Owner, Timer, Timers};
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
    /// Server: streams that wait for `accept()`.
    unclaimed: VecDeque<StreamId>,
    /// Every port was announced.
    announced: bool,
    /// The session has begun to close.
    pub(crate) closing: bool,
    ready_due: bool,
    closed: Closed,
    /// Streams that keep the session paused.
    pausing: usize,
    /// Streams whose exchange looks done.
    settled: usize,
    /// Bytes that the transport was given and has not written.
    unsent: usize,
    /// Streams whose last bytes may be among them.
    unsent_tails: Vec<StreamId>,
    /// Streams whose sending came to its own end, and that were not given up afterwards.
    finished: usize,
}

/// Whether the peer still answers (rulings: misses count only while we sent no data since the last
/// answered ping, because a v4 server that a slow pod blocks answers nothing).
#[derive(Debug)]
pub(crate) struct Liveness {
    misses: u32,
    /// The number of the latest ping, its payload.
    ping: u32,
    /// A ping is on the wire, and nothing came since.
    unanswered: bool,
    /// How many pings in a row have to be answered to prove that the peer took all that was sent
    /// before them: as many as it has workers that can be stuck one by one.
    workers: u32,
    /// Data that may block the peer: sent, and not proven to be taken.
    unproven: bool,
    /// How many of the latest pings were sent after the last data.
    since_data: u32,
    /// Which of them were answered; the latest is the lowest bit.
    answered: u32,
    /// How many of all pings were not.
    waiting: u32,
    /// When the latest single ping went out, until its answer is there.
    asked: Option<(u32, Instant)>,
    /// When, in reading time, something other than our keep-alives moved.
    pub(crate) last_activity: Instant,
}

impl Liveness {
    /// A worker of a Go peer that is stuck for good takes 50 more frames, and with the next the peer
    /// stops reading the session (protocol.md C.8). Of our pings every fifth goes there. They leave half
    /// of that to the streams of others, which would stop too.
    const MOST_WAITING: u32 = 25;

    const fn new(now: Instant) -> Self {
        Self {
            misses: 0,
            ping: 0,
            unanswered: false,
            workers: 1,
            unproven: false,
            since_data: 0,
            answered: 0,
            waiting: 0,
            asked: None,
            last_activity: now,
        }
    }

    /// The peer said something.
    const fn heard(&mut self) {
        self.misses = 0;
        self.unanswered = false;
    }

    /// The peer deals what comes to so many workers in turn; at most 32.
    pub(crate) const fn set_workers(&mut self, workers: u32) {
        self.workers = workers;
    }

    const fn sent_data(&mut self) {
        self.unproven = true;
        self.since_data = 0;
        self.answered = 0;
    }

    /// A ping goes out: its number.
    pub(crate) const fn next_ping(&mut self) -> u32 {
        self.ping = self.ping.wrapping_add(1);
        self.waiting = self.waiting.saturating_add(1);
        self.unanswered = true;
        self.answered <<= 1;
        self.since_data = if self.since_data < u32::BITS { self.since_data + 1 } else { u32::BITS };
        self.ping
    }

    /// The same, for a ping whose answer is timed.
    pub(crate) const fn next_timed_ping(&mut self, now: Instant) -> u32 {
        let number = self.next_ping();
        self.asked = Some((number, now));
        number
    }

    /// How long an answer took, if it is that of the latest ping that was timed.
    pub(crate) fn round_trip(&mut self, number: u32, now: Instant) -> Option<Duration> {
        let (_, at) = self.asked.take_if(|(asked, _)| *asked == number)?;
        Some(now.saturating_duration_since(at))
    }

    /// The answers to a ping for each worker prove that the peer took all data before them. Nothing
    /// else does, not even data of the peer's: who talks need not listen.
    pub(crate) const fn pong(&mut self, number: u32) {
        self.waiting = self.waiting.saturating_sub(1);
        let age = self.ping.wrapping_sub(number);
        if age >= self.since_data {
            return;
        }
        self.answered |= 1 << age;
        let (mut in_a_row, mut more) = (self.answered, self.workers);
        while more > 1 {
            in_a_row &= in_a_row >> 1;
            more -= 1;
        }
        if in_a_row != 0 {
            self.unproven = false;
            // What was sent before them waits nowhere.
            self.waiting = 0;
        }
    }

    /// A ping is due; false where so many wait already that one more could do harm. It is any of those
    /// whose answer is missed then.
    pub(crate) const fn may_ping(&mut self) -> bool {
        let enough = self.workers > 1 && self.waiting >= Self::MOST_WAITING;
        self.unanswered |= enough;
        !enough
    }

    /// The latest ping had its time: how many in a row stayed unanswered.
    pub(crate) const fn count_miss(&mut self) -> u32 {
        if self.unproven {
            self.misses = 0;
        } else if self.unanswered {
            self.misses += 1;
        }
        self.misses
    }
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
        Self {
            side,
            capabilities,
            config,
            store: Store::default(),
            sched: Sched::default(),
            timers: Timers::default(),
            stats: Stats::default(),
            liveness: Liveness::new(now),
            events: VecDeque::new(),
            unclaimed: VecDeque::new(),
            announced: false,
            closing: false,
            ready_due: false,
            closed: Closed::NotYet,
            pausing: 0,
            settled: 0,
            unsent: 0,
            unsent_tails: Vec::new(),
            finished: 0,
        }
    }

    /// An answer to a ping of ours.
    pub(crate) fn note_pong(&mut self, number: u32, now: Instant) {
        self.liveness.pong(number);
        if let Some(took) = self.liveness.round_trip(number, now) {
            self.stats.round_trip = Some(took);
        }
    }

    pub(crate) fn arm_keep_alive(&mut self, now: Instant) {
        if let Some(interval) = self.config.keep_alive() {
            self.timers.arm(Owner::Session, Timer::KeepAlive, interval, now);
        }
    }

    // -- what the transport has written

    /// So much of what it was given waits in the transport; whether that is news.
    pub(crate) fn note_unsent(&mut self, left: usize, now: Instant) -> bool {
        let news = self.unsent != left;
        if news {
            self.unsent = left;
            // A pod that has yet to get the question is not silent.
            let written_at = self.timers.reading_time(now);
            for id in &self.unsent_tails {
                if let Some(stream) = self.store.get_mut(*id) {
                    stream.note_flushed(written_at);
                }
            }
        }
        if left == 0 {
            self.unsent_tails.clear();
        }
        news
    }

    /// Nobody waits any more for a peer that takes its time; whether somebody did.
    pub(crate) const fn hurry(&mut self) -> bool {
        let waited = self.owes_an_end();
        self.finished = 0;
        waited
    }

    /// The peer has yet to be given what a stream said before its own end.
    pub(crate) const fn owes_an_end(&self) -> bool {
        self.unsent > 0 && self.finished > 0
    }

    // -- what came from the peer

    /// Something came; `activity` unless it only answers a keep-alive of ours.
    pub(crate) fn note_alive(&mut self, activity: bool, now: Instant) {
        self.liveness.heard();
        if activity {
            self.note_activity(now);
        }
    }

    pub(crate) fn note_activity(&mut self, now: Instant) {
        self.liveness.last_activity = self.timers.reading_time(now);
    }

    /// Every port was announced: news only to a session that has not begun to close.
    pub(crate) fn ready(&mut self) {
        self.timers.disarm(Owner::Session, Timer::Open);
        self.announced = true;
        self.ready_due = !self.closing;
    }

    pub(crate) const fn is_announced(&self) -> bool {
        self.announced
    }

    /// The other side has announced the stream.
    pub(crate) fn opened(&mut self, id: StreamId) {
        if self.recv_input(id, RecvInput::Opened) {
            self.raise(id, EventBit::Opened);
            if self.side == Side::Server {
                self.unclaimed.push_back(id);
            }
        }
    }

    /// Server: the next stream that nobody has taken yet.
    pub(crate) fn next_unclaimed(&mut self) -> Option<StreamId> {
        let store = &self.store;
        std::iter::from_fn(|| self.unclaimed.pop_front()).find(|id| store.get(*id).is_some())
    }

    /// Data for a stream.
    pub(crate) fn receive(&mut self, id: StreamId, bytes: Bytes, now: Instant) {
        if bytes.is_empty() {
            return;
        }
        let limit = self.config.recv_buffer();
        let heard_at = self.timers.reading_time(now);
        let live = self.store.get_mut(id).filter(|stream| stream.recv.is_live());
        let Some(stream) = live else {
            self.stats.ignored_late += bytes.len() as u64;
            return;
        };
        self.stats.bytes_in += bytes.len() as u64;
        stream.note_data_in(heard_at);
        // One piece may go over the limit, as with the other policies: who keeps up is not punished
        // for the size of the peer's messages.
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
        // Also one that is no longer read: its writer must hear why nobody listens.
        let open = self.store.get_mut(id);
        let open = open.filter(|stream| !stream.is_done() && stream.failure.is_none());
        let Some(stream) = open else {
            self.stats.ignored_late += text.len() as u64;
            return;
        };
        stream.error_text.push(text, limit);
        if end && !stream.error_text.is_empty() {
            self.timers.arm(Owner::Stream(id), Timer::ErrorSettle, settle, now);
            self.kill_send(id);
        }
    }

    // -- ends

    /// No more comes for this stream: with what was received and, if there is one, the error text.
    pub(crate) fn end_recv(&mut self, id: StreamId, failure: Option<StreamError>, now: Instant) {
        let Some(stream) = self.store.get_mut(id).filter(|stream| !stream.has_ended()) else {
            return;
        };
        let failure = stream.take_text().or(failure);
        self.timers.disarm(Owner::Stream(id), Timer::ErrorSettle);
        let failed = failure.is_some();
        if stream.failure.is_none() {
            stream.failure = failure;
        }
        let nothing_waits = stream.recv_buf.is_empty();
        let was_live = self.recv_input(id, RecvInput::End);
        if failed {
            self.raise(id, EventBit::Failed);
            self.kill_send(id);
        }
        if was_live {
            // The end itself is something to read.
            self.raise(id, EventBit::Readable);
            if nothing_waits {
                self.recv_input(id, RecvInput::Drained);
            }
        } else {
            // Nobody reads; if nobody can write either, the text was the last that was waited for.
            self.check_done(id);
        }
        self.update_pause(id, now);
    }

    /// The application reads no more.
    pub(crate) fn stop_recv(&mut self, id: StreamId, now: Instant) {
        if let Some(stream) = self.store.get_mut(id) {
            stream.recv_buf.discard();
        }
        self.recv_input(id, RecvInput::Stop);
        self.update_pause(id, now);
        self.linger(id, now);
    }

    /// Server: a stream that no application has heard of is gone.
    pub(crate) fn discard(&mut self, id: StreamId, now: Instant) {
        self.stop_recv(id, now);
        self.remove(id);
    }

    /// Nobody asks for the stream any more.
    pub(crate) fn remove(&mut self, id: StreamId) {
        self.timers.disarm_stream(id);
        self.unsent_tails.retain(|tail| *tail != id);
        let stream = self.store.remove(id);
        self.settled -= usize::from(stream.is_some_and(|stream| stream.settled().is_some()));
    }

    /// Every stream that is there only waits for its end.
    pub(crate) fn all_settled(&self) -> bool {
        let settled = self.store.iter().filter(|(_, stream)| stream.settled().is_some());
        debug_assert_eq!(self.settled, settled.count());
        self.settled == self.store.len()
    }

    /// Nothing more is sent on this stream; what waits is dropped.
    pub(crate) fn kill_send(&mut self, id: StreamId) {
        let lingered = self.store.get(id).is_some_and(|stream| stream.lingering().is_some());
        if self.send_input(id, SendInput::Kill)
            && let Some(stream) = self.store.get_mut(id)
        {
            stream.send_buf.discard();
            stream.farewell = None;
            self.timers.disarm(Owner::Stream(id), Timer::HalfClose);
            if lingered {
                self.raise(id, EventBit::Lingering);
            }
        }
    }

    /// Both directions are given up.
    pub(crate) fn abandon(&mut self, id: StreamId, why: StreamError, now: Instant) {
        let Some(stream) = self.store.get_mut(id) else { return };
        let was_done = stream.is_done();
        if !was_done {
            let ended = usize::from(stream.send == SendState::Finished);
            self.finished = self.finished.saturating_sub(ended);
            let why = stream.take_text().unwrap_or(why);
            let may_be_read = !stream.recv.is_over();
            for timer in [Timer::Open, Timer::ErrorSettle] {
                self.timers.disarm(Owner::Stream(id), timer);
            }
            if stream.failure.is_none() {
                stream.failure = Some(why);
                self.raise(id, EventBit::Failed);
            }
            if may_be_read {
                // The failure is something to read.
                self.raise(id, EventBit::Readable);
            }
            self.schedule_end(id);
        }
        self.kill_send(id);
        self.stop_recv(id, now);
        if !was_done {
            // Both halves may have been over before, and only a text that might have gone on was not.
            self.check_done(id);
        }
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

    /// The stream is to be made known to the peer.
    pub(crate) fn schedule_open(&mut self, id: StreamId) {
        if let Some(stream) = self.store.get_mut(id) {
            stream.scheduled = true;
            self.sched.push(id);
        }
    }

    /// The stream has an end to say that cannot wait for its turn, where the wire has words for it.
    fn schedule_end(&mut self, id: StreamId) {
        if self.capabilities.reset {
            self.sched.push_front(id);
        }
    }

    pub(crate) fn count_out(&mut self, id: StreamId, bytes: usize) {
        self.stats.bytes_out += bytes as u64;
        self.liveness.sent_data();
        if let Some(stream) = self.store.get_mut(id) {
            stream.note_data_out();
        }
    }

    /// A message of the stream was handed to the transport.
    pub(crate) fn after_send(&mut self, id: StreamId, now: Instant) {
        self.stats.messages_out += 1;
        self.liveness.last_activity = self.timers.reading_time(now);
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
        let flushed_at = self.timers.reading_time(now);
        if let Some(stream) = self.store.get_mut(id) {
            stream.note_flushed(flushed_at);
        }
        self.unsent_tails.push(id);
        self.send_input(id, SendInput::Flushed);
        if !self.let_fin_go(id, now) {
            self.raise(id, EventBit::Lingering);
        }
    }

    /// Looks whether the FIN still has to wait.
    pub(crate) fn linger(&mut self, id: StreamId, now: Instant) {
        if self.let_fin_go(id, now) {
            self.raise(id, EventBit::Lingering);
        }
    }

    /// Lets the FIN go, or says when to look again.
    fn let_fin_go(&mut self, id: StreamId, now: Instant) -> bool {
        let now = self.timers.reading_time(now);
        let half_close = self.capabilities.half_close;
        let Some(stream) = self.store.get_mut(id) else { return false };
        if stream.send != SendState::Lingering {
            return false;
        }
        // Nobody waits for an answer: the pod has ended, the application stopped reading, or the
        // pod is on our side.
        let due = if self.side == Side::Server || !stream.recv.is_live() {
            Some(now)
        } else {
            stream.fin_due(half_close)
        };
        let later = due.filter(|at| *at > now);
        self.timers.arm_at(Owner::Stream(id), Timer::HalfClose, later);
        let goes = due.is_some() && later.is_none() && self.send_input(id, SendInput::FinDue);
        if goes {
            self.finished += 1;
            self.schedule_end(id);
        }
        goes
    }

    // -- waits

    /// Arms a timer of a stream, unless it runs already.
    pub(crate) fn arm_once(&mut self, id: StreamId, timer: Timer, wait: Duration, now: Instant) {
        if self.store.get(id).is_some() && !self.timers.runs(Owner::Stream(id), timer) {
            self.timers.arm(Owner::Stream(id), timer, wait, now);
        }
    }

    pub(crate) fn disarm(&mut self, id: StreamId, timer: Timer) {
        self.timers.disarm(Owner::Stream(id), timer);
    }

    pub(crate) fn has_error_text(&self, id: StreamId) -> bool {
        self.store.get(id).is_some_and(|stream| !stream.error_text.is_empty())
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
        let full = stream.recv.is_live()
            && stream.recv_buf.held() >= limit
            && stream.overflow != OverflowPolicy::Reset;
        if full == stream.pausing {
            return;
        }
        stream.pausing = full;
        if full {
            self.arm_stall(id, now);
            self.pausing += 1;
            if self.pausing == 1 {
                self.stats.pauses += 1;
                self.timers.pause(now);
            }
        } else {
            self.timers.disarm(Owner::Stream(id), Timer::Stall);
            self.pausing -= 1;
            if self.pausing == 0 {
                self.timers.resume(now);
            }
        }
    }

    /// The session pauses for this stream: for how long, its policy says.
    pub(crate) fn arm_stall(&mut self, id: StreamId, now: Instant) {
        let wait = self.store.get(id).and_then(|stream| match stream.overflow {
            OverflowPolicy::PauseThenReset(wait) if stream.pausing => Some(wait),
            OverflowPolicy::PauseThenReset(_) | OverflowPolicy::Pause | OverflowPolicy::Reset => {
                None
            }
        });
        let at = wait.and_then(|wait| now.checked_add(wait));
        self.timers.arm_at(Owner::Stream(id), Timer::Stall, at);
    }

    // -- events

    pub(crate) fn raise(&mut self, id: StreamId, event: EventBit) {
        // `Closed` is the last event: after it, calls say what there is.
        if matches!(self.closed, Closed::Reported) {
            return;
        }
        let Some(stream) = self.store.get_mut(id) else { return };
        stream.raise(event);
        // A stream that nobody knows of yet has no news: they come with `Opened`.
        let unknown = self.side == Side::Server && stream.recv == RecvState::Opening;
        if !stream.announced && !unknown {
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
        let was_settled = stream.settled().is_some();
        stream.send = next;
        self.settled += usize::from(stream.settled().is_some());
        self.settled -= usize::from(was_settled);
        // Who waits to write has an error to hear of now.
        if stream.take_writable(0) {
            self.raise(id, EventBit::Writable);
        }
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
