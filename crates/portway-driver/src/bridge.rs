use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use event_listener::EventListener;
use portway_proto::{CloseReason, Event, OpenError, Port, Session, StreamId};

use crate::connection::{Connection, Moved};
use crate::notice::Notice;
use crate::relay::{Hold, Local, Relay, RelayEnd, RelayReport, RelayRules, RelayTotals};
use crate::relays::{DialPod, Relays};
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
    relays: Relays<S>,
    /// Server: how to dial the pod.
    pods: Option<Pods<S>>,
    retire: Notice,
    close: Notice,
    stop: Notice,
    deadline: Deadline<R>,
    last_moved: Instant,
    /// When to see whether memory that is kept for more is to be given back.
    look_at: Option<Instant>,
    closed: Option<CloseReason>,
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

type Pods<S> = Box<dyn FnMut(Port) -> DialPod<S> + Send>;

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
            relays: Relays::new(rules),
            pods: None,
            retire: Notice::default(),
            close: Notice::default(),
            stop: Notice::default(),
            deadline: Deadline::new(),
            last_moved,
            look_at: None,
            closed: None,
            reports: Vec::new(),
            totals: RelayTotals::default(),
            tell: None,
        }
    }

    /// Relays between a stream and a socket.
    pub fn with_socket(mut self, id: StreamId, socket: S) -> Self {
        let port = self.session.port(id);
        self.relays.add(Relay::new(id, port, socket, self.relays.rules()));
        self
    }

    /// Server: dials the pod for every stream that the client opens.
    pub fn with_pods(mut self, dial: impl FnMut(Port) -> DialPod<S> + Send + 'static) -> Self {
        self.pods = Some(Box::new(dial));
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
        self.relays.set_meter(meter);
        self
    }

    /// Relays between a new stream and a program's connection; see [`Relay::local`] for `hold`.
    pub(crate) fn add(
        &mut self,
        port: Port,
        local: Local<S>,
        hold: Hold,
    ) -> Result<StreamId, (Local<S>, OpenError)> {
        match self.session.open(port, self.runtime.now()) {
            Ok(id) => {
                self.relays.add(Relay::local(id, port, local, self.relays.rules(), hold));
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

    /// The next stream whose relay has been looked at since this was asked, perhaps more than once:
    /// of all others there is no news.
    pub(crate) fn next_polled(&mut self) -> Option<StreamId> {
        self.relays.next_polled()
    }

    /// What makes a stream's relay be looked at.
    pub(crate) fn waker(&self, id: StreamId) -> Option<Waker> {
        self.relays.waker(id).cloned()
    }

    /// Resets every socket, and goes on with the session.
    pub(crate) fn abort_relays(&mut self) {
        self.relays.abort(&mut self.session, self.runtime.now());
    }

    /// Moves what can be moved, until something is over.
    pub(crate) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step<S>> {
        self.relays.listen(cx);
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
            if let Some((id, end)) = self.relays.next_ended() {
                return Poll::Ready(Step::Ended(id, end));
            }
            if self.is_over() {
                let closed = self.closed.take().unwrap_or(CloseReason::Disconnected);
                return Poll::Ready(Step::Closed(closed));
            }
            if moved == Moved::Something {
                continue;
            }
            let deadlines = [
                self.session.poll_timeout(),
                self.connection.deadline(),
                self.relays.deadline(),
                self.look_at,
            ];
            let at = deadlines.into_iter().flatten().min();
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
        self.dial_pods();
        moved |= self.hear();
        moved |= self.relays.poll(&mut self.session, now);
        moved |= self.connection.poll_outbound(cx, &mut self.session, now);
        moved |= self.hear();
        #[cfg(debug_assertions)]
        if moved == Moved::Nothing {
            let forgotten = self.relays.forgotten(&mut self.session, now);
            assert_eq!(forgotten, None, "a wake-up was lost: {:?}", self.session);
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
        if !self.relays.keep_memory() && !self.connection.keeps_memory() {
            self.look_at = None;
        } else if self.look_at.is_none_or(|at| at <= now) {
            let due = self.last_moved + Self::KEEP;
            self.look_at = (now < due).then_some(due);
            if self.look_at.is_none() {
                self.relays.release_memory();
                self.connection.release_memory();
            }
        }
    }

    /// What has happened to the session and its streams.
    fn hear(&mut self) -> Moved {
        let mut moved = Moved::Nothing;
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Stream { id, event } => moved |= self.relays.hear(id, event),
                Event::Closed(reason) => {
                    self.closed = Some(reason);
                    moved = Moved::Something;
                }
                Event::Ready | _ => {}
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

    fn dial_pods(&mut self) {
        let Some(dial) = &mut self.pods else { return };
        while let Some(id) = self.session.accept() {
            if let Some(port) = self.session.port(id) {
                self.relays.dial(id, dial(port));
            }
        }
    }

    /// Ends everything, with no goodbye.
    pub(crate) fn abort(&mut self) {
        self.abort_relays();
        self.connection.abort(&mut self.session, self.runtime.now());
        self.closed.get_or_insert(CloseReason::Aborted);
    }

    fn is_over(&self) -> bool {
        self.connection.is_gone() && self.relays.is_empty()
    }
}

impl<R: Runtime, T: Transport, S: Socket> Future for Bridge<R, T, S> {
    type Output = BridgeReport;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BridgeReport> {
        let this = self.get_mut();
        loop {
            let step = this.poll_step(cx);
            this.relays.forget_polled();
            match ready!(step) {
                Step::Ended(_, RelayEnd::Over(report)) => this.note_end(report),
                // Only programs' connections are, and only their owner polls for steps.
                Step::Ended(_, RelayEnd::Unserved(..) | RelayEnd::Unreached(..)) => {}
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
