mod mux;
mod recv_half;
mod send_half;

pub use recv_half::RecvHalf;
pub use send_half::SendHalf;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use self::mux::Mux;
use crate::core::Core;
use crate::stream::{SendInput, SendState, Stream};
use crate::timer::{Owner, Timer};
use crate::{
    Capabilities, CloseFrame, CloseReason, Config, ConfigError, Event, Incoming, Kind, OpenError,
    Port, Retired, Reuse, Side, Stats, StreamError, StreamId, Transmit, UnknownStream, Violation,
    WireForm,
};

/// One upgraded connection and the streams it carries. See the [crate docs](crate) for the contract
/// and the run loop.
#[derive(Debug)]
pub struct Session {
    core: Core,
    mux: Mux,
    state: State,
    /// The pong that is owed: to the latest ping, as RFC 6455 section 5.5.3 allows.
    pong: Option<Bytes>,
    ping_due: bool,
    keep_alive_due: bool,
}

#[derive(Debug)]
enum State {
    Open,
    Closing(Closing),
    Closed,
}

/// The way from the decision to close to the end.
#[derive(Debug)]
struct Closing {
    reason: CloseReason,
    /// The Close message that is still to be handed to the transport.
    frame: Option<CloseFrame>,
    /// The peer says nothing more, or nothing we would listen to.
    peer_is_done: bool,
}

impl Session {
    /// Our side asked for `ports`, in this order, and the server has upgraded.
    ///
    /// # Errors
    /// v4: no port, a port twice, or more ports than the form can number: check before dialling.
    /// On SPDY every stream names its port, and `ports` is not looked at.
    pub fn client(
        config: Arc<Config>,
        form: WireForm,
        ports: &[Port],
        now: Instant,
    ) -> Result<Self, ConfigError> {
        Self::new(Side::Client, config, form, ports, now)
    }

    /// Our side is next to the pod and has upgraded a client that asked for `ports`.
    ///
    /// # Errors
    /// v4: no port, or more ports than the form can number. A port may be there twice.
    pub fn server(
        config: Arc<Config>,
        form: WireForm,
        ports: &[Port],
        now: Instant,
    ) -> Result<Self, ConfigError> {
        Self::new(Side::Server, config, form, ports, now)
    }

    fn new(
        side: Side,
        config: Arc<Config>,
        form: WireForm,
        ports: &[Port],
        now: Instant,
    ) -> Result<Self, ConfigError> {
        let mut core = Core::new(side, form.capabilities(), config, now);
        let mux = Mux::new(&mut core, form, ports)?;
        match side {
            Side::Client if core.is_announced() => {}
            Side::Client => {
                core.timers.arm(Owner::Session, Timer::Open, core.config.open_timeout(), now);
            }
            Side::Server => core.ready(),
        }
        core.arm_keep_alive(now);
        if let Some(wait) = core.config.idle_timeout() {
            core.timers.arm(Owner::Session, Timer::Idle, wait, now);
        }
        let state = State::Open;
        Ok(Self { core, mux, state, pong: None, ping_due: false, keep_alive_due: false })
    }

    // -- inputs

    /// Feed what the transport read. Call while [`wants_read`](Self::wants_read); a piece handed in
    /// against it is taken all the same, and held on top of the limit.
    ///
    /// Never fails for the caller: a violation closes the session, and [`Event::Closed`] names it.
    pub fn handle_incoming(&mut self, piece: Incoming, now: Instant) {
        if !self.is_listening() {
            return;
        }
        let activity = match piece {
            Incoming::Pong(_) => false,
            Incoming::Binary { .. } => self.mux.every_message_counts(),
            Incoming::Text { .. } | Incoming::Ping(_) | Incoming::Close(_) => true,
        };
        self.core.note_alive(activity, now);
        let result = match piece {
            Incoming::Ping(payload) => {
                // Nothing follows our Close.
                if self.may_send() {
                    self.pong = Some(payload);
                }
                Ok(())
            }
            Incoming::Pong(payload) => {
                self.mux.handle_pong(&mut self.core, &payload, now);
                Ok(())
            }
            Incoming::Close(frame) => {
                self.handle_close(frame, now);
                Ok(())
            }
            Incoming::Binary { bytes, end } => {
                self.mux.handle_data(&mut self.core, bytes, end, now)
            }
            Incoming::Text { bytes, end } if self.mux.takes_text(self.core.side) => {
                self.mux.handle_data(&mut self.core, bytes, end, now)
            }
            Incoming::Text { .. } => Err(Violation::TextMessage),
        };
        if let Err(violation) = result {
            self.begin_close(CloseReason::Violation(violation), now);
        }
        self.check_over(now);
    }

    /// The transport's codec found that the peer broke its framing: nothing after it can be read.
    pub fn handle_violation(&mut self, violation: impl Into<Violation>, now: Instant) {
        if self.is_listening() {
            self.begin_close(CloseReason::Violation(violation.into()), now);
        }
    }

    /// The transport ended, with or without a Close message before it.
    pub fn handle_disconnect(&mut self, now: Instant) {
        self.finish_close(CloseReason::Disconnected, now);
    }

    /// Of what [`poll_transmit`](Self::poll_transmit) gave it, `left` bytes still wait in the
    /// transport. Call after it was flushed, as far as it went: a clean end, and the answer to it, have
    /// the time that the peer takes to be given what comes before. Never called, a message counts as
    /// written once it is handed over.
    pub fn handle_flush(&mut self, left: usize, now: Instant) {
        if self.core.note_unsent(left, now) && matches!(self.state, State::Closing(_)) {
            self.arm_close(now);
        }
    }

    /// Time reached [`poll_timeout`](Self::poll_timeout). Calling early is allowed and does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        // The end of a pause brings back what it had suspended, so look again until nothing is due.
        // So does a close, when its own wait is zero.
        while self.handle_expired(now) {
            self.check_over(now);
        }
    }

    // -- outputs

    /// The next message for the transport. Call *only when the transport can take one*: what stays
    /// here is what the send buffers count. `None` until an input or a call on a stream changes that.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        if let State::Closed = self.state {
            return None;
        }
        if let Some(control) = self.mux.control(&mut self.core) {
            return Some(control);
        }
        if let Some(payload) = self.pong.take() {
            return Some(Transmit::new(Kind::Pong, payload));
        }
        if std::mem::take(&mut self.ping_due) {
            self.core.stats.pings += 1;
            self.core.arm_keep_alive(now);
            let number = self.core.liveness.next_timed_ping(now);
            return Some(self.mux.ping(self.core.side, number));
        }
        if std::mem::take(&mut self.keep_alive_due)
            && let Some(keep_alive) = self.mux.keep_alive(self.core.side)
        {
            return Some(keep_alive);
        }
        while let Some(id) = self.core.sched.pop() {
            if let Some(stream) = self.core.store.get_mut(id) {
                stream.scheduled = false;
            }
            if let Some(transmit) = self.mux.transmit(&mut self.core, id, now) {
                self.note_progress(now);
                return Some(transmit);
            }
        }
        self.poll_close(now)
    }

    /// The next event; `None` until something happens.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.poll_event()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). Changes after any other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.timers.next().map(|(at, _)| at)
    }

    /// What [`poll_timeout`](Self::poll_timeout) is about: for logs and tests.
    pub fn timeout_reason(&self) -> Option<Timer> {
        self.core.timers.next().map(|(_, timer)| timer)
    }

    /// False: do not read the transport, a consumer is behind, or the peer itself is with our answers
    /// (or nothing that comes matters any more). May become true with every [`RecvHalf::consumed`]
    /// and every [`poll_transmit`](Self::poll_transmit).
    pub fn wants_read(&self) -> bool {
        self.is_listening() && !self.core.is_paused() && self.mux.takes_more()
    }

    // -- streams

    /// Client: the stream of `port`. It takes bytes at once; [`Opened`](crate::StreamEvent::Opened)
    /// says that the server knows of it.
    ///
    /// On v4 open right after the upgrade, without waiting for [`Event::Ready`]: a session that the
    /// server has closed by then opens nothing, and its error text would be out of reach. Read once
    /// at first: what was [`Readable`](crate::StreamEvent::Readable) before is not reported again.
    ///
    /// # Errors
    /// A port that was not asked for, or is open already.
    pub fn open(&mut self, port: Port, _now: Instant) -> Result<StreamId, OpenError> {
        if self.core.side == Side::Server {
            return Err(OpenError::NotAClient);
        }
        if !matches!(self.state, State::Open) {
            return Err(OpenError::Closed);
        }
        let id = self.mux.open(&mut self.core, port)?;
        self.claim(id);
        Ok(id)
    }

    /// Server: the next stream that the client opened, in its order.
    pub fn accept(&mut self) -> Option<StreamId> {
        let id = self.core.next_unclaimed()?;
        self.claim(id);
        Some(id)
    }

    /// The sending half of a stream.
    ///
    /// # Errors
    /// The stream was released.
    pub fn send(&mut self, id: StreamId) -> Result<SendHalf<'_>, UnknownStream> {
        self.core.store.get(id).ok_or(UnknownStream)?;
        Ok(SendHalf { session: self, id })
    }

    /// The receiving half of a stream.
    ///
    /// # Errors
    /// The stream was released.
    pub fn recv(&mut self, id: StreamId) -> Result<RecvHalf<'_>, UnknownStream> {
        self.core.store.get(id).ok_or(UnknownStream)?;
        Ok(RecvHalf { session: self, id })
    }

    /// The port of a stream.
    pub fn port(&self, id: StreamId) -> Option<Port> {
        self.core.store.get(id).map(|stream| stream.port)
    }

    /// Why the stream died, if it did. The remote's text wins over everything.
    pub fn failure(&self, id: StreamId) -> Option<&StreamError> {
        self.core.store.get(id)?.failure.as_ref()
    }

    /// Both halves of the stream are over, or it was released.
    pub fn is_done(&self, id: StreamId) -> bool {
        self.core.store.get(id).is_none_or(Stream::is_done)
    }

    /// Forgets a stream; one that is not done is reset first.
    pub fn release(&mut self, id: StreamId, now: Instant) {
        let send = self.core.store.get(id).map_or(SendState::Dead, |stream| stream.send);
        self.core.abandon(id, StreamError::Reset, now);
        self.core.remove(id);
        self.mux.released(&mut self.core, id, send);
        self.check_over(now);
    }

    // -- lifecycle

    /// Client: whether the session can carry another connection now that its streams are released, or
    /// only wait for their end ([`SendHalf::settled`]).
    ///
    /// The first call after that starts a health check: five pings, sent after everything else. A
    /// Kubernetes server deals them to its five workers in turn, so that five answers prove that
    /// none is stuck behind an earlier connection (protocol.md C.8). What was never used is ready.
    pub fn reusable(&mut self, now: Instant) -> Reuse {
        if self.core.side == Side::Server || !matches!(self.state, State::Open) {
            return Reuse::No(Retired::Closing);
        }
        self.mux.reusable(&mut self.core, now)
    }

    /// Takes no new streams, and closes with the last of those that are there: at once, if there is
    /// none. v4 does so anyway.
    pub fn retire(&mut self, why: CloseReason, now: Instant) {
        self.mux.retire(why);
        self.check_over(now);
    }

    /// Ends the session: what was written is still sent, then a Close message, then the peer's
    /// answer is waited for. After a [`CloseReason::Violation`] nothing of that but the Close. One that
    /// closes already is waited for no longer than the close timeout without progress.
    pub fn close(&mut self, why: CloseReason, now: Instant) {
        if self.core.hurry() {
            self.arm_close(now);
        }
        self.begin_close(why, now);
    }

    /// Ends the session at once: nothing more is sent.
    pub fn abort(&mut self, now: Instant) {
        self.finish_close(CloseReason::Aborted, now);
    }

    /// [`Event::Closed`] has come or is about to.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Sends a keep-alive ping now, and not when it is due: its answer tells the
    /// [round trip](Stats::round_trip). On SPDY the far end answers, on v4 whoever ends the WebSocket.
    ///
    /// A session that is closing, or that has left so many pings unanswered that one more could do harm,
    /// sends none.
    pub fn ping(&mut self, _now: Instant) {
        if matches!(self.state, State::Open) && self.core.liveness.may_ping() {
            self.ping_due = true;
            self.keep_alive_due = true;
        }
    }

    /// What the wire can say.
    pub fn capabilities(&self) -> Capabilities {
        self.core.capabilities
    }

    /// Counters since the beginning.
    pub fn stats(&self) -> Stats {
        let mut stats = self.core.stats;
        stats.buffered = self.core.store.iter().map(|(_, stream)| stream.held()).sum();
        stats
    }

    /// How many streams are there: opened or announced, and not released.
    pub fn streams(&self) -> usize {
        self.core.store.len()
    }

    // -- helpers

    fn claim(&mut self, id: StreamId) {
        if let Some(stream) = self.core.store.get_mut(id) {
            stream.claimed = true;
        }
    }

    /// What comes in still means something.
    fn is_listening(&self) -> bool {
        match &self.state {
            State::Open => true,
            State::Closing(closing) => !closing.peer_is_done,
            State::Closed => false,
        }
    }

    /// Our Close is not on the wire yet.
    fn may_send(&self) -> bool {
        match &self.state {
            State::Open => true,
            State::Closing(closing) => closing.frame.is_some(),
            State::Closed => false,
        }
    }

    fn handle_close(&mut self, frame: Option<CloseFrame>, now: Instant) {
        // 1005 is RFC 6455's word for "no code given".
        let CloseFrame { code, reason } = frame.unwrap_or_else(|| CloseFrame::new(1005, ""));
        let clean = self.core.is_announced() && !self.mux.is_busy();
        let reason = match &self.state {
            _ if code == CloseFrame::NORMAL && clean => CloseReason::Done,
            // The answer to our own goodbye, which is what cut the streams.
            State::Closing(closing) if closing.frame.is_none() && !closing.reason.is_clean() => {
                closing.reason.clone()
            }
            State::Open | State::Closing(_) | State::Closed => {
                CloseReason::Peer { code, reason: reason.into() }
            }
        };
        self.end_streams(&reason, now);
        let echo = if CloseFrame::may_be_sent(code) { code } else { CloseFrame::NORMAL };
        match &mut self.state {
            State::Open => {
                let frame = Some(CloseFrame::new(echo, ""));
                let closing = Closing { reason, frame, peer_is_done: true };
                self.enter_closing(closing, now);
            }
            State::Closing(closing) if closing.frame.is_some() => closing.peer_is_done = true,
            State::Closing(closing) => {
                let reason = closing.reason.clone();
                self.finish_close(reason, now);
            }
            State::Closed => {}
        }
    }

    /// The session ends under all streams, for those that have not come to their own end.
    fn end_streams(&mut self, reason: &CloseReason, now: Instant) {
        self.mux.settle(&mut self.core, now);
        self.core.end_all(reason, now);
    }

    fn begin_close(&mut self, reason: CloseReason, now: Instant) {
        if !matches!(self.state, State::Open) {
            // A violation while we wait for the peer's Close: there is nothing left to wait for.
            if let CloseReason::Violation(_) = reason {
                self.finish_close(reason, now);
            }
            return;
        }
        let peer_is_done = matches!(reason, CloseReason::Violation(_));
        if peer_is_done {
            self.end_streams(&reason, now);
        } else {
            for slot in 0..self.core.store.slots() {
                if let Some(id) = self.core.store.id_at(slot) {
                    self.core.send_input(id, SendInput::Finish);
                }
            }
        }
        let frame = Some(reason.close_frame());
        self.enter_closing(Closing { reason, frame, peer_is_done }, now);
    }

    fn enter_closing(&mut self, closing: Closing, now: Instant) {
        self.state = State::Closing(closing);
        self.core.closing = true;
        self.ping_due = false;
        self.keep_alive_due = false;
        for timer in [Timer::Open, Timer::KeepAlive, Timer::Idle] {
            self.core.timers.disarm(Owner::Session, timer);
        }
        self.arm_close(now);
    }

    /// The Close message, once nothing goes before it.
    fn poll_close(&mut self, now: Instant) -> Option<Transmit> {
        let State::Closing(closing) = &mut self.state else { return None };
        let frame = closing.frame.as_ref()?;
        // A peer that said goodbye itself wants to hear of nothing but its faults.
        let welcome = !closing.peer_is_done || matches!(closing.reason, CloseReason::Violation(_));
        if welcome && let Some(goodbye) = self.mux.goodbye(&closing.reason) {
            return Some(goodbye);
        }
        let frame = frame.clone();
        closing.frame = None;
        if closing.peer_is_done {
            let reason = closing.reason.clone();
            self.finish_close(reason, now);
        }
        Some(Transmit::close(&frame))
    }

    /// The end. Whatever could still come is what `cause` says; the session ends for the reason it
    /// began to close for, if it did.
    fn finish_close(&mut self, cause: CloseReason, now: Instant) {
        let reason = match std::mem::replace(&mut self.state, State::Closed) {
            State::Open => cause.clone(),
            State::Closing(closing) => closing.reason,
            State::Closed => return,
        };
        self.end_streams(&cause, now);
        self.core.timers.disarm_all();
        self.pong = None;
        self.ping_due = false;
        self.keep_alive_due = false;
        self.core.report_closed(reason);
    }

    /// A message went out. While closing, the peer's answer is due only some time after the last.
    fn note_progress(&mut self, now: Instant) {
        match self.state {
            State::Open => self.check_over(now),
            State::Closing(_) => self.arm_close(now),
            State::Closed => {}
        }
    }

    /// Closes a session in which no stream has anything to say any more.
    fn check_over(&mut self, now: Instant) {
        if matches!(self.state, State::Open)
            && let Some(reason) = self.mux.over(&self.core)
        {
            self.begin_close(reason, now);
        }
    }

    fn arm_close(&mut self, now: Instant) {
        let State::Closing(closing) = &self.state else { return };
        let wait = if closing.reason.is_clean() && self.core.owes_an_end() {
            self.core.config.drain_timeout()
        } else {
            self.core.config.close_timeout()
        };
        self.core.timers.arm(Owner::Session, Timer::Close, wait, now);
    }

    /// Handles every timer that is due; whether there was one.
    fn handle_expired(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some((owner, timer)) = self.core.timers.expire(now) {
            match owner {
                Owner::Session => self.handle_timer(timer, now),
                Owner::Stream(id) => self.handle_stream_timer(id, timer, now),
            }
            any = true;
        }
        any
    }

    fn handle_timer(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::Open => {
                let reason = CloseReason::OpenTimeout;
                self.end_streams(&reason, now);
                self.begin_close(reason, now);
            }
            Timer::KeepAlive => self.keep_alive(now),
            Timer::Idle => {
                let wait = self.core.config.idle_timeout().unwrap_or_default();
                let last = self.core.liveness.last_activity;
                let quiet = self.core.timers.reading_time(now).saturating_duration_since(last);
                match wait.checked_sub(quiet).filter(|left| !left.is_zero()) {
                    Some(left) => self.core.timers.arm(Owner::Session, Timer::Idle, left, now),
                    None => self.begin_close(CloseReason::Idle, now),
                }
            }
            Timer::Close => self.finish_close(CloseReason::Disconnected, now),
            Timer::Check => self.mux.check_timeout(),
            Timer::HalfClose | Timer::Stall | Timer::ErrorSettle => {}
        }
    }

    fn handle_stream_timer(&mut self, id: StreamId, timer: Timer, now: Instant) {
        match timer {
            Timer::HalfClose => self.core.linger(id, now),
            Timer::Stall => self.core.overflow(id, now),
            Timer::ErrorSettle => self.mux.settle_timeout(&mut self.core, id, now),
            Timer::Open => self.mux.open_timeout(&mut self.core, id, now),
            Timer::KeepAlive | Timer::Idle | Timer::Close | Timer::Check => {}
        }
    }

    fn keep_alive(&mut self, now: Instant) {
        if self.core.liveness.count_miss() >= self.core.config.keep_alive_misses() {
            self.finish_close(CloseReason::PeerDead, now);
            return;
        }
        if !self.core.liveness.may_ping() {
            self.core.arm_keep_alive(now);
            return;
        }
        // The answer is due some time after the transport has taken the ping, not before.
        self.ping_due = true;
        self.keep_alive_due = true;
    }
}
