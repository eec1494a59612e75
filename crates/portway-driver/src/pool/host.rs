use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use portway_proto::{
    CloseReason, HalfClose, OpenError, OverflowPolicy, Port, Retired, Reuse, Session, StreamError,
    StreamId, WireForm,
};

use super::lingering::Lingerer;
use super::mailbox::Mailbox;
use super::rooms::{Review, RoomId};
use super::{Guest, Pool, Ticket};
use crate::bridge::Step;
use crate::connection::Moved;
use crate::dial::Dialled;
use crate::notice::Notice;
use crate::relay::{Hold, Local, RelayEnd};
use crate::runtime::Deadline;
use crate::{
    Bridge, Connector, Endpoint, ListenEvent, Meter, RelayFailure, RelayReport, Runtime,
    SessionOrigin, Socket, WireTransport, after,
};

/// The one task of a session: serves its connections, and keeps it alive between them.
///
/// ```text
///            guest               last one left or quiet         five pings answered
///  Serving ◀──────── Idle    Serving ───────────────▶ Checking ────────────────────▶ Idle
///                                                        │                            │
///                                       unhealthy, or too many kept        unused for too long
///                                                        ▼                            ▼
///                                                     Leaving ◀───────────────────────┘
/// ```
pub(super) struct Host<R: Runtime, C: Connector, S> {
    pool: Arc<Pool<R, C, S>>,
    id: RoomId,
    mailbox: Arc<Mailbox<S>>,
    bridge: Bridge<R, WireTransport<C::Io>, S>,
    endpoint: Endpoint,
    /// Ports as asked for, and where they lead.
    ports: Vec<(Port, Port)>,
    form: WireForm,
    took: Duration,
    /// How the next guest comes to this session.
    origin: SessionOrigin,
    /// The form gives every connection a session of its own.
    fixed: bool,
    plan: Plan,
    /// Guests whose bytes move.
    guests: BTreeMap<StreamId, Seated>,
    /// Guests whose exchange looks done, and who only wait for their end: they take no room.
    quiet: BTreeMap<StreamId, Seated>,
    /// Those among them that nobody has come beside yet: what they receive may still slow the
    /// session down.
    unhurried: BTreeSet<StreamId>,
    /// Their sessions tell how they ended, so they wait for that.
    gone: Vec<(Ticket, RelayReport)>,
    /// No more guests after those that are here.
    worn: bool,
    finish: Notice,
    close: Notice,
    abort: Notice,
    due: Option<Instant>,
    /// When a guest may have become quiet.
    look_at: Option<Instant>,
    deadline: Deadline<R>,
}

/// A guest with a stream of its own.
#[derive(Debug)]
struct Seated {
    ticket: Ticket,
    lingerer: Option<Lingerer>,
    /// It has had to go. Where the wire has no half-close it still waits for a moment (v4), and must
    /// not be told again and again meanwhile.
    hurried: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Serving,
    /// Nobody is here; `asked` once the pings are on their way.
    Checking {
        asked: bool,
    },
    Idle,
    Leaving,
}

impl<R: Runtime, C: Connector, S: Socket> Host<R, C, S> {
    /// How long a session that is left gives connections which only wait for their end, beyond what
    /// the half-close policy gives them.
    const PATIENCE: Duration = Duration::from_secs(5);

    pub(super) fn new(
        pool: Arc<Pool<R, C, S>>,
        id: RoomId,
        mailbox: Arc<Mailbox<S>>,
        dialled: Dialled<C::Io>,
        asked: &[Port],
        origin: SessionOrigin,
    ) -> Self {
        let Dialled { session, transport, endpoint, form, took } = dialled;
        let fixed = !session.capabilities().dynamic_open;
        let meter = Arc::clone(&pool.shared) as Arc<dyn Meter>;
        let (runtime, rules) = (pool.runtime.clone(), pool.options.rules());
        let bridge = Bridge::new(runtime, session, transport, rules).with_meter(meter);
        let ports = asked.iter().copied().zip(endpoint.ports.iter().copied()).collect();
        let plan = match origin {
            SessionOrigin::Dialled => Plan::Serving,
            SessionOrigin::Spare | SessionOrigin::Reused => Plan::Checking { asked: false },
        };
        let life = &pool.shared.life;
        let notices = [life.finishing(), life.closing(), life.aborting()];
        let [finish, close, abort] = notices.map(Notice::new);
        Self {
            pool,
            id,
            mailbox,
            bridge,
            endpoint,
            ports,
            form,
            took,
            origin,
            fixed,
            plan,
            guests: BTreeMap::new(),
            quiet: BTreeMap::new(),
            unhurried: BTreeSet::new(),
            gone: Vec::new(),
            worn: false,
            finish,
            close,
            abort,
            due: None,
            look_at: None,
            deadline: Deadline::new(),
        }
    }

    // -- guests

    fn welcome(&mut self, cx: &Context<'_>) {
        while let Some(guest) = self.mailbox.pop(cx.waker()) {
            self.seat(guest);
        }
        self.worn |= self.mailbox.is_retired();
        if self.plan == Plan::Serving && !self.guests.is_empty() {
            // Whoever comes later did not have it dialled, and was not awaited.
            self.origin = SessionOrigin::Reused;
        }
    }

    fn seat(&mut self, guest: Guest<S>) {
        let Guest { ticket, local } = guest;
        if self.plan == Plan::Leaving {
            return self.pool.admit(Guest { ticket, local });
        }
        let asked = ticket.bound.remote;
        let port = self.ports.iter().find(|(known, _)| *known == asked).map(|(_, port)| *port);
        let port = port.unwrap_or(asked);
        // What fails on a session that was dialled for it fails for good.
        let fresh = self.origin == SessionOrigin::Dialled || ticket.second_try;
        let hold = if ticket.second_try {
            Hold::Nothing
        } else if fresh {
            Hold::UntilReached
        } else {
            Hold::UntilOpened { limit: self.pool.options.session.send_buffer() }
        };
        match self.bridge.add(port, local, hold) {
            Ok(id) => {
                self.tell_connected(&ticket, port);
                self.plan = Plan::Serving;
                self.due = None;
                let now = self.pool.runtime.now();
                for quiet in std::mem::take(&mut self.unhurried) {
                    // Nobody is slowed down by what was over.
                    if let Ok(mut half) = self.bridge.session().recv(quiet) {
                        half.set_overflow(OverflowPolicy::Reset, now);
                    }
                }
                self.guests.insert(id, Seated { ticket, lingerer: None, hurried: false });
            }
            Err((local, error)) if fresh => {
                let closed = self.bridge.closed().cloned().unwrap_or(CloseReason::Disconnected);
                let failure = StreamError::Session(closed);
                ticket.span.in_scope(|| tracing::debug!(%error, "a new session opens nothing"));
                self.give_up(ticket, local, failure);
            }
            Err((local, error)) => {
                ticket.span.in_scope(|| tracing::debug!(%error, "another session is needed"));
                if !matches!(error, OpenError::TooManyStreams { .. }) {
                    self.worn = true;
                }
                self.pool.lock().left(self.id);
                self.pool.redial(Guest { ticket, local });
            }
        }
    }

    fn tell_connected(&self, ticket: &Ticket, port: Port) {
        let dialled = self.origin == SessionOrigin::Dialled;
        if !dialled {
            self.pool.shared.note_reused();
        }
        let endpoint = Endpoint { ports: vec![port], ..self.endpoint.clone() };
        self.pool.shared.events.send(ListenEvent::Connected {
            connection: ticket.number,
            endpoint,
            form: self.form,
            origin: self.origin,
            took: if dialled { self.took } else { Duration::ZERO },
        });
    }

    fn give_up(&self, ticket: Ticket, mut local: Local<S>, failure: StreamError) {
        local.socket.abort();
        let port = Some(ticket.bound.remote);
        let failure = Some(RelayFailure::Stream(failure));
        let report = RelayReport { port, failure, ..RelayReport::default() };
        self.pool.tell_ended(ticket, report, self.bridge.closed().cloned());
    }

    fn farewell(&mut self, id: StreamId, end: RelayEnd<S>) {
        let guest = self.guests.remove(&id);
        if guest.is_some() {
            self.pool.lock().left(self.id);
        }
        self.unhurried.remove(&id);
        let Some(Seated { ticket, lingerer, .. }) = guest.or_else(|| self.quiet.remove(&id)) else {
            return;
        };
        drop(lingerer);
        match end {
            RelayEnd::Over(report) if self.fixed => self.gone.push((ticket, report)),
            RelayEnd::Over(report) => {
                if says_that_the_pod_is_gone(&report) {
                    self.retire();
                    self.pool.distrust(&self.endpoint);
                }
                let closed = self.bridge.closed().cloned();
                self.pool.tell_ended(ticket, report, closed);
            }
            RelayEnd::Unreached(local, report) => {
                ticket.span.in_scope(|| tracing::debug!("the pod was not reached: has it gone?"));
                // On a wire where its end is the session's, that is closed with it.
                let closed = self.bridge.closed().cloned();
                let closed = closed.or_else(|| self.fixed.then_some(CloseReason::Local));
                if !self.fixed {
                    self.retire();
                    self.pool.distrust(&self.endpoint);
                }
                self.pool.move_on(Guest { ticket, local }, &self.endpoint, report, closed);
            }
            RelayEnd::Unserved(local, error) => {
                ticket.span.in_scope(|| tracing::debug!(%error, "once more, on a new session"));
                self.retire();
                self.pool
                    .shared
                    .events
                    .send(ListenEvent::Retried { connection: ticket.number, error });
                self.pool.redial(Guest { ticket, local });
            }
        }
    }

    // -- the session

    /// Takes no more guests.
    fn retire(&mut self) {
        self.worn = true;
        self.pool.close_room(self.id, &self.mailbox);
    }

    fn leave(&mut self, now: Instant) {
        self.plan = Plan::Leaving;
        self.pool.close_room(self.id, &self.mailbox);
        // Those that only wait for their end do so, for as long as the policy and a runtime take to
        // end them: behind a pod that takes nothing the server never hears of it.
        self.due = match self.pool.options.session.half_close() {
            HalfClose::Never => None,
            HalfClose::WhenIdle { answered, .. } => {
                Some(after(after(now, answered), Self::PATIENCE))
            }
            HalfClose::Immediate | _ => Some(after(now, Self::PATIENCE)),
        };
        self.bridge.session().retire(CloseReason::Local, now);
        self.pool.see_to_spare();
    }

    fn over(&mut self, closed: &CloseReason) {
        tracing::debug!(%closed, pod = self.endpoint.pod, "session over");
        for (ticket, report) in std::mem::take(&mut self.gone) {
            self.pool.tell_ended(ticket, report, Some(closed.clone()));
        }
        self.pool.close_room(self.id, &self.mailbox);
        if !self.fixed {
            self.pool.see_to_spare();
        }
    }

    /// What the listener's owner wants.
    fn heed(&mut self, cx: &mut Context<'_>) {
        let now = self.pool.runtime.now();
        // After the guests that are here.
        self.worn |= self.finish.take(cx);
        let (close, abort) = (self.close.take(cx), self.abort.take(cx));
        if abort && self.plan == Plan::Leaving {
            return self.bridge.abort();
        }
        if close || abort {
            self.bridge.abort_relays();
            self.leave(now);
            self.bridge.session().close(CloseReason::Local, now);
        }
    }

    /// Looks at the guests of which there is news.
    fn poll_guests(&mut self) -> Moved {
        let mut moved = Moved::Nothing;
        while let Some(id) = self.bridge.next_polled() {
            moved |= self.poll_lingering(id);
            moved |= self.poll_return(id);
        }
        moved |= self.poll_quiet();
        moved
    }

    /// Ends the wait for the pod of a connection that may linger no more.
    fn poll_lingering(&mut self, id: StreamId) -> Moved {
        let seated = self.guests.get_mut(&id).or_else(|| self.quiet.get_mut(&id));
        let Some(Seated { lingerer, hurried: hurried @ false, .. }) = seated else {
            return Moved::Nothing;
        };
        let since = self.bridge.session().send(id).ok().and_then(|half| half.lingering());
        let (Some(since), Some(waker)) = (since, self.bridge.waker(id)) else {
            *lingerer = None;
            return Moved::Nothing;
        };
        let join = || self.pool.lingering.join(since, &waker);
        if !lingerer.get_or_insert_with(join).is_told(since, &waker) {
            return Moved::Nothing;
        }
        *lingerer = None;
        *hurried = true;
        if let Ok(mut half) = self.bridge.session().send(id) {
            half.set_half_close(HalfClose::Immediate, self.pool.runtime.now());
        }
        Moved::Something
    }

    /// Makes room for the next guest on behalf of those whose exchange looks done. The pod's end of it
    /// may take a second or more, and a session each for as long.
    fn poll_quiet(&mut self) -> Moved {
        let now = self.pool.runtime.now();
        let limit = self.pool.options.keeping.max_quiet;
        let mut moved = Moved::Nothing;
        self.look_at = None;
        // Where guests may become quiet there is hardly ever more than one that is not.
        while !self.fixed && self.quiet.len() < limit {
            let mut due = None;
            for id in self.guests.keys() {
                let Some(at) = silent_at(self.bridge.session(), *id) else { continue };
                if at <= now {
                    due = Some(*id);
                    break;
                }
                self.look_at = Some(self.look_at.map_or(at, |look| look.min(at)));
            }
            let Some((id, seated)) = due.and_then(|id| self.guests.remove_entry(&id)) else {
                break;
            };
            self.quiet.insert(id, seated);
            self.unhurried.insert(id);
            self.pool.lock().left(self.id);
            moved = Moved::Something;
        }
        moved
    }

    /// Gives a guest that was not done after all its session back, if nobody has come since.
    fn poll_return(&mut self, id: StreamId) -> Moved {
        let now = self.pool.runtime.now();
        let alone = self.guests.is_empty() && self.plan != Plan::Leaving;
        if !alone || !self.quiet.contains_key(&id) {
            return Moved::Nothing;
        }
        if silent_at(self.bridge.session(), id).is_none_or(|at| at <= now) {
            return Moved::Nothing;
        }
        self.guests.extend(self.quiet.remove_entry(&id));
        self.unhurried.remove(&id);
        self.plan = Plan::Serving;
        self.due = None;
        self.pool.lock().came_back(self.id);
        if let Ok(mut half) = self.bridge.session().recv(id) {
            half.set_overflow(self.pool.options.session.overflow(1), now);
        }
        Moved::Something
    }

    /// Where the session stands between two guests. Something: the bridge has to look at it.
    fn poll_plan(&mut self) -> Moved {
        let now = self.pool.runtime.now();
        let was = self.plan;
        match self.plan {
            Plan::Serving if self.fixed || !self.guests.is_empty() => {}
            Plan::Leaving => {
                if self.due.is_some_and(|at| at <= now) {
                    self.due = None;
                    self.bridge.session().close(CloseReason::Local, now);
                    return Moved::Something;
                }
            }
            _ if self.worn => self.leave(now),
            Plan::Serving => self.plan = Plan::Checking { asked: false },
            Plan::Checking { asked } => match self.bridge.session().reusable(now) {
                Reuse::Ready => match self.pool.park(self.id) {
                    Review::Stay(until) => {
                        self.plan = Plan::Idle;
                        self.due = Some(until);
                    }
                    Review::Leave => self.leave(now),
                },
                Reuse::Checking if !asked => self.plan = Plan::Checking { asked: true },
                Reuse::Checking | Reuse::InUse => {}
                no @ (Reuse::No(_) | _) => {
                    tracing::debug!(?no, "the session is not used again");
                    self.leave(now);
                    if no == Reuse::No(Retired::Unanswered) {
                        self.bridge.session().close(CloseReason::Local, now);
                    }
                }
            },
            Plan::Idle => {
                if self.due.is_some_and(|at| at <= now) {
                    let review = self.pool.lock().review(self.id, now);
                    match review {
                        Review::Stay(until) => self.due = Some(until),
                        Review::Leave => self.leave(now),
                    }
                }
            }
        }
        Moved::when(self.plan != was)
    }
}

impl<R: Runtime, C: Connector, S: Socket> Future for Host<R, C, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.heed(cx);
        loop {
            this.welcome(cx);
            match this.bridge.poll_step(cx) {
                Poll::Ready(Step::Ended(id, end)) => {
                    this.farewell(id, end);
                    continue;
                }
                Poll::Ready(Step::Closed(closed)) => {
                    this.over(&closed);
                    return Poll::Ready(());
                }
                Poll::Pending => {}
            }
            let mut moved = this.poll_guests();
            moved |= this.poll_plan();
            if moved == Moved::Something {
                continue;
            }
            let at = [this.due, this.look_at].into_iter().flatten().min();
            if this.deadline.poll(&this.pool.runtime, at, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

/// When the silence of the pod after an exchange that looks done is no pause in an answer any more.
fn silent_at(session: &mut Session, id: StreamId) -> Option<Instant> {
    const AFTER: Duration = Duration::from_millis(10);
    let since = session.send(id).ok()?.settled()?;
    Some(after(since, AFTER))
}

/// Nothing came of it but a text: the pod, or what the port leads to, is perhaps not there any more,
/// and a new session would find where it went.
const fn says_that_the_pod_is_gone(report: &RelayReport) -> bool {
    let text = matches!(report.failure, Some(RelayFailure::Stream(StreamError::Remote(_))));
    text && report.bytes_down == 0
}
