use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use event_listener::EventListener;
use portway_proto::{CloseReason, Event, OpenError, Port, Session, StreamEvent, StreamId};

use crate::connection::{Connection, Moved};
use crate::notice::Notice;
use crate::relay::{
    Local, PodSocket, Relay, RelayEnd, RelayFailure, RelayReport, RelayRules, RelayTotals,
};
use crate::runtime::Deadline;
use crate::{Runtime, Socket, Transport};

/// One task that owns a session, its transport, and the sockets its streams go to: no lock, no
/// channel and no other task between a byte read and a byte written.
///
/// A listener puts one local connection on each; a server as many pod connections as the client
/// asks for. A future: ready when the session is over and every socket closed.
#[must_use = "a bridge moves nothing unless it is awaited"]
pub struct Bridge<R: Runtime, T, S> {
    runtime: R,
    session: Session,
    connection: Connection<T>,
    rules: RelayRules,
    relays: Vec<Relay<S>>,
    pods: Option<Pods<S>>,
    retire: Notice,
    close: Notice,
    stop: Notice,
    meter: Option<Arc<dyn Meter>>,
    deadline: Deadline<R>,
    last_moved: Instant,
    /// When to see whether memory that is kept for more is to be given back.
    look_at: Option<Instant>,
    closed: Option<CloseReason>,
    ended: VecDeque<(StreamId, RelayEnd<S>)>,
    reports: Vec<RelayReport>,
    totals: RelayTotals,
    tell: Option<Tell>,
}

/// What a bridge has come to.
#[derive(Debug)]
pub(crate) enum Step<S> {
    /// A relay is over; its stream is released.
    Ended(StreamId, RelayEnd<S>),
    /// The session is over, and every relay before it.
    Closed(CloseReason),
}

/// Who is told of each connection as it ends.
type Tell = Box<dyn FnMut(RelayReport) + Send>;

/// Told how many bytes moved, as they move.
pub trait Meter: Send + Sync + 'static {
    /// `up` bytes towards the peer and `down` bytes from it, since the last call.
    fn moved(&self, up: u64, down: u64);
}

/// Reaches the pod for a stream that a client opened. An error is the text that the client sees.
pub type DialPod<S> = Pin<Box<dyn Future<Output = Result<PodSocket<S>, String>> + Send>>;

/// A server's side of the pod: how to dial it, and the dials under way.
struct Pods<S> {
    dial: Box<dyn FnMut(Port) -> DialPod<S> + Send>,
    pending: Vec<(StreamId, DialPod<S>)>,
}

/// How a session and its connections went.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BridgeReport {
    /// Why the session ended.
    pub closed: CloseReason,
    /// How each connection went, in the order of their ends; none where
    /// [somebody else](Bridge::with_reports) was told.
    pub relays: Vec<RelayReport>,
    /// What they come to.
    pub totals: RelayTotals,
}

impl<R: Runtime, T: Transport, S: Socket> Bridge<R, T, S> {
    /// Turns of the loop before other tasks of the runtime get theirs.
    const TURNS: usize = 32;

    /// A session over a transport, and no sockets yet.
    pub fn new(runtime: R, session: Session, transport: T, rules: RelayRules) -> Self {
        let last_moved = runtime.now();
        Self {
            runtime,
            session,
            connection: Connection::new(transport),
            rules,
            relays: Vec::new(),
            pods: None,
            retire: Notice::default(),
            close: Notice::default(),
            stop: Notice::default(),
            meter: None,
            deadline: Deadline::new(),
            last_moved,
            look_at: None,
            closed: None,
            ended: VecDeque::new(),
            reports: Vec::new(),
            totals: RelayTotals::default(),
            tell: None,
        }
    }

    /// Relays between a stream and a socket.
    pub fn with_socket(mut self, id: StreamId, socket: S) -> Self {
        let port = self.session.port(id);
        self.relays.push(Relay::new(id, port, socket, self.rules));
        self
    }

    /// Server: dials the pod for every stream that the client opens.
    pub fn with_pods(mut self, dial: impl FnMut(Port) -> DialPod<S> + Send + 'static) -> Self {
        self.pods = Some(Pods { dial: Box::new(dial), pending: Vec::new() });
        self
    }

    /// Takes no new streams once told so, and closes the session with its last one.
    pub fn with_retire(mut self, retire: EventListener) -> Self {
        self.retire = Notice::new(Some(retire));
        self
    }

    /// Closes the session when told to, with a goodbye: [`CloseReason::Shutdown`]. What the peer has
    /// sent until then still goes to the sockets, which are reset behind it.
    pub fn with_close(mut self, close: EventListener) -> Self {
        self.close = Notice::new(Some(close));
        self
    }

    /// Aborts everything when told to.
    pub fn with_stop(mut self, stop: EventListener) -> Self {
        self.stop = Notice::new(Some(stop));
        self
    }

    /// Tells how each connection went as it ends, instead of keeping all of it for the end: a session
    /// may carry any number of them, one after the other.
    pub fn with_reports(mut self, tell: impl FnMut(RelayReport) + Send + 'static) -> Self {
        self.tell = Some(Box::new(tell));
        self
    }

    /// Reports bytes as they move.
    pub fn with_meter(mut self, meter: Arc<dyn Meter>) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Relays between a new stream and a program's connection; see [`Relay::local`] for `hold`.
    pub(crate) fn add(
        &mut self,
        port: Port,
        local: Local<S>,
        hold: Option<usize>,
    ) -> Result<StreamId, (Local<S>, OpenError)> {
        match self.session.open(port, self.runtime.now()) {
            Ok(id) => {
                self.relays.push(Relay::local(id, port, local, self.rules, hold));
                Ok(id)
            }
            Err(error) => Err((local, error)),
        }
    }

    /// The session: poll the bridge after any change.
    pub(crate) const fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Why the session ended, if it did.
    pub(crate) const fn closed(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Resets every socket, and goes on with the session.
    pub(crate) fn abort_relays(&mut self) {
        let now = self.runtime.now();
        for mut relay in self.relays.drain(..) {
            let id = relay.id();
            relay.abort(&mut self.session, RelayFailure::Aborted, now);
            self.ended.push_back((id, relay.into_end()));
        }
    }

    /// Moves what can be moved, until something is over.
    pub(crate) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step<S>> {
        if self.retire.take(cx) {
            self.session.retire(CloseReason::Shutdown, self.runtime.now());
        }
        if self.close.take(cx) {
            self.session.close(CloseReason::Shutdown, self.runtime.now());
        }
        // Last: who is told of both at once, in the order of `Lifecycle::abort`, is to say no goodbye.
        if self.stop.take(cx) {
            self.abort();
        }
        for _ in 0..Self::TURNS {
            let moved = self.turn(cx);
            if let Some((id, end)) = self.ended.pop_front() {
                return Poll::Ready(Step::Ended(id, end));
            }
            if self.is_over() {
                let closed = self.closed.take().unwrap_or(CloseReason::Disconnected);
                return Poll::Ready(Step::Closed(closed));
            }
            if moved == Moved::Something {
                continue;
            }
            let relays = self.relays.iter().filter_map(Relay::deadline);
            let others = [self.session.poll_timeout(), self.connection.deadline(), self.look_at];
            let at = relays.chain(others.into_iter().flatten()).min();
            if self.deadline.poll(&self.runtime, at, cx).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Moved {
        let now = self.runtime.now();
        self.connection.handle_timeout(&mut self.session, now);
        let mut moved = self.connection.poll_inbound(cx, &mut self.session, now);
        moved |= self.poll_pods(cx, now);
        moved |= self.poll_relays(cx, now);
        moved |= self.connection.poll_outbound(cx, &mut self.session, now);
        // What happens to streams is seen by calling them; only ends and beginnings are heard of here.
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Closed(reason) => self.closed = Some(reason),
                Event::Stream { id, event: StreamEvent::Opened { .. } } => {
                    let Some(relay) = self.relays.iter_mut().find(|it| it.id() == id) else {
                        continue;
                    };
                    relay.opened();
                }
                Event::Stream { .. } | Event::Ready | _ => continue,
            }
            moved = Moved::Something;
        }
        if moved == Moved::Something {
            self.last_moved = now;
        } else {
            self.poll_memory(now);
        }
        moved
    }

    /// How long nothing moves before memory is given back. In the pauses of a transfer it is kept:
    /// taken anew for every wake-up it goes back and forth between the allocator and the system. Kept
    /// for long, it would add up over many connections that each had a burst.
    const KEEP: Duration = Duration::from_millis(5);

    /// Gives memory back after a while without use. Looks at most once in that while, since a timer
    /// that moves with every byte would cost more than it saves.
    fn poll_memory(&mut self, now: Instant) {
        let relays = self.relays.iter().any(Relay::keeps_memory);
        if !relays && !self.connection.keeps_memory() {
            self.look_at = None;
        } else if self.look_at.is_none_or(|at| at <= now) {
            let due = self.last_moved + Self::KEEP;
            self.look_at = (now < due).then_some(due);
            if self.look_at.is_none() {
                self.relays.iter_mut().for_each(Relay::release_memory);
                self.connection.release_memory();
            }
        }
    }

    fn poll_relays(&mut self, cx: &mut Context<'_>, now: Instant) -> Moved {
        let mut moved = Moved::Nothing;
        let mut index = 0;
        while let Some(relay) = self.relays.get_mut(index) {
            let session = &mut self.session;
            let before = relay.bytes();
            if !relay.is_over() {
                moved |= relay.poll(cx, session, now);
            }
            let after = relay.bytes();
            if let Some(meter) = self.meter.as_ref().filter(|_| after != before) {
                meter.moved(after.0 - before.0, after.1 - before.1);
            }
            if relay.is_over() && session.is_done(relay.id()) {
                session.release(relay.id(), now);
                let relay = self.relays.swap_remove(index);
                self.ended.push_back((relay.id(), relay.into_end()));
                moved = Moved::Something;
            } else {
                index += 1;
            }
        }
        moved
    }

    /// A connection is over.
    fn note_end(&mut self, report: RelayReport) {
        self.totals.add(&report);
        match &mut self.tell {
            Some(tell) => tell(report),
            None => self.reports.push(report),
        }
    }

    fn poll_pods(&mut self, cx: &mut Context<'_>, now: Instant) -> Moved {
        let Some(pods) = &mut self.pods else { return Moved::Nothing };
        let session = &mut self.session;
        let mut moved = Moved::Nothing;
        while let Some(id) = session.accept() {
            if let Some(port) = session.port(id) {
                pods.pending.push((id, (pods.dial)(port)));
            }
        }
        let mut index = 0;
        while let Some((id, dial)) = pods.pending.get_mut(index) {
            let id = *id;
            // A client that went away meanwhile: nobody waits for the pod any more.
            let wanted = !session.is_done(id);
            match dial.as_mut().poll(cx) {
                Poll::Pending if wanted => {
                    index += 1;
                    continue;
                }
                Poll::Pending => {}
                Poll::Ready(Ok(pod)) => {
                    let rules = self.rules.at_pod(session.capabilities());
                    self.relays.push(Relay::pod(id, session.port(id), pod, rules));
                }
                Poll::Ready(Err(text)) => {
                    let port = session.port(id);
                    if let Ok(mut half) = session.send(id) {
                        let _ = half.fail(&text, now);
                    }
                    self.relays.push(Relay::refused(id, port, self.rules, text));
                }
            }
            drop(pods.pending.swap_remove(index));
            moved = Moved::Something;
        }
        moved
    }

    /// Ends everything, with no goodbye.
    pub(crate) fn abort(&mut self) {
        self.abort_relays();
        self.connection.abort(&mut self.session, self.runtime.now());
        self.closed.get_or_insert(CloseReason::Aborted);
    }

    fn is_over(&self) -> bool {
        let idle = self.pods.as_ref().is_none_or(|pods| pods.pending.is_empty());
        self.connection.is_gone() && self.relays.is_empty() && idle
    }
}

impl<R: Runtime, T: Transport, S: Socket> Future for Bridge<R, T, S> {
    type Output = BridgeReport;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BridgeReport> {
        let this = self.get_mut();
        loop {
            match ready!(this.poll_step(cx)) {
                Step::Ended(_, RelayEnd::Over(report)) => this.note_end(report),
                // Only programs' connections are, and only their owner polls for steps.
                Step::Ended(_, RelayEnd::Unserved(..)) => {}
                Step::Closed(closed) => {
                    let relays = std::mem::take(&mut this.reports);
                    return Poll::Ready(BridgeReport { closed, relays, totals: this.totals });
                }
            }
        }
    }
}

impl<R: Runtime, T: fmt::Debug, S: fmt::Debug> fmt::Debug for Bridge<R, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge")
            .field("session", &self.session)
            .field("connection", &self.connection)
            .field("relays", &self.relays)
            .finish_non_exhaustive()
    }
}
