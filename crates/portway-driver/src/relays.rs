use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use portway_proto::{Session, StreamEvent, StreamId};

use crate::connection::Moved;
use crate::ready::{Bell, ReadyList};
use crate::relay::{PodSocket, Relay, RelayEnd, RelayFailure, RelayRules};
use crate::{Meter, Socket};

/// The relays of a session. Only those are looked at that have something to do: whose socket is ready,
/// whose stream an event was about, or whose time has come.
pub(crate) struct Relays<S> {
    seats: BTreeMap<StreamId, Box<Seat<S>>>,
    rules: RelayRules,
    meter: Option<Arc<dyn Meter>>,
    ready: Arc<ReadyList>,
    /// Those that are looked at in this turn; kept for its memory.
    batch: Vec<StreamId>,
    /// Those that were, for whoever has to look at them too.
    polled: Vec<StreamId>,
    deadlines: BTreeSet<(Instant, StreamId)>,
    /// Those that keep memory.
    keepers: Vec<StreamId>,
    ended: VecDeque<(StreamId, RelayEnd<S>)>,
}

/// Reaches the pod for a stream that a client opened. An error is the text that the client sees.
pub type DialPod<S> = Pin<Box<dyn Future<Output = Result<PodSocket<S>, String>> + Send>>;

struct Seat<S> {
    work: Work<S>,
    bell: Arc<Bell>,
    /// The same bell, for sockets.
    waker: Waker,
    /// As it stands in the order of all.
    deadline: Option<Instant>,
    keeps_memory: bool,
}

#[allow(clippy::large_enum_variant, reason = "its seat is boxed, and few are dials")]
enum Work<S> {
    /// Server: the pod is being reached.
    Dial(DialPod<S>),
    Relay(Relay<S>),
}

impl<S: Socket> Relays<S> {
    pub(crate) fn new(rules: RelayRules) -> Self {
        Self {
            seats: BTreeMap::new(),
            rules,
            meter: None,
            ready: Arc::default(),
            batch: Vec::new(),
            polled: Vec::new(),
            deadlines: BTreeSet::new(),
            keepers: Vec::new(),
            ended: VecDeque::new(),
        }
    }

    pub(crate) fn set_meter(&mut self, meter: Arc<dyn Meter>) {
        self.meter = Some(meter);
    }

    pub(crate) const fn rules(&self) -> RelayRules {
        self.rules
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    pub(crate) fn add(&mut self, relay: Relay<S>) {
        self.seat(relay.id(), Work::Relay(relay));
    }

    /// Server: there will be one once the pod is reached.
    pub(crate) fn dial(&mut self, id: StreamId, dial: DialPod<S>) {
        self.seat(id, Work::Dial(dial));
    }

    /// What wakes the task to look at this one.
    pub(crate) fn waker(&self, id: StreamId) -> Option<&Waker> {
        self.seats.get(&id).map(|seat| &seat.waker)
    }

    /// The task to be woken once one of them has something to do.
    pub(crate) fn listen(&self, cx: &Context<'_>) {
        self.ready.listen(cx);
    }

    /// Something happened to a stream: its relay, if there is one, is looked at next.
    pub(crate) fn hear(&mut self, id: StreamId, event: StreamEvent) -> Moved {
        let Some(seat) = self.seats.get_mut(&id) else { return Moved::Nothing };
        if let (StreamEvent::Opened { .. }, Work::Relay(relay)) = (event, &mut seat.work) {
            relay.opened();
        }
        seat.bell.ring();
        Moved::Something
    }

    /// Moves what can be moved: one round of those that have something to do.
    pub(crate) fn poll(&mut self, session: &mut Session, now: Instant) -> Moved {
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.pop_first();
            if let Some(seat) = self.seats.get_mut(&id) {
                seat.deadline = None;
                seat.bell.ring();
            }
        }
        let mut moved = Moved::Nothing;
        let mut batch = std::mem::take(&mut self.batch);
        self.ready.take(&mut batch);
        for id in batch.drain(..) {
            moved |= self.poll_one(id, session, now);
        }
        self.batch = batch;
        moved
    }

    /// A relay that is over, and its stream released.
    pub(crate) fn next_ended(&mut self) -> Option<(StreamId, RelayEnd<S>)> {
        self.ended.pop_front()
    }

    /// The next of those that were looked at since this was asked; perhaps more than once.
    pub(crate) fn next_polled(&mut self) -> Option<StreamId> {
        self.polled.pop()
    }

    /// Nobody asks for those that were looked at.
    pub(crate) fn forget_polled(&mut self) {
        self.polled.clear();
    }

    /// When to poll again at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Memory that idle connections should not keep.
    pub(crate) const fn keep_memory(&self) -> bool {
        !self.keepers.is_empty()
    }

    /// Gives that memory back.
    pub(crate) fn release_memory(&mut self) {
        for id in self.keepers.drain(..) {
            if let Some(seat) = self.seats.get_mut(&id) {
                seat.keeps_memory = false;
                if let Work::Relay(relay) = &mut seat.work {
                    relay.release_memory();
                }
            }
        }
    }

    /// Resets every socket.
    pub(crate) fn abort(&mut self, session: &mut Session, now: Instant) {
        self.deadlines.clear();
        self.keepers.clear();
        for (id, seat) in std::mem::take(&mut self.seats) {
            match seat.work {
                Work::Dial(_) => session.release(id, now),
                Work::Relay(mut relay) => {
                    relay.abort(session, RelayFailure::Aborted, now);
                    self.ended.push_back((id, relay.into_end()));
                }
            }
        }
    }

    /// A relay that could move something, and that nobody woke for it: a wake-up was lost. Sockets are
    /// not asked. They may have become ready just now, and to ask would leave another waker with them.
    #[cfg(debug_assertions)]
    pub(crate) fn forgotten(&self, session: &mut Session, now: Instant) -> Option<StreamId> {
        let mut asleep = self.seats.iter().filter(|(_, seat)| !seat.bell.is_rung());
        let due = asleep.find(|(id, seat)| match &seat.work {
            Work::Dial(_) => session.is_done(**id),
            Work::Relay(relay) => relay.is_due(session, now),
        });
        due.map(|(id, _)| *id)
    }

    fn seat(&mut self, id: StreamId, work: Work<S>) {
        let bell = Bell::new(id, &self.ready);
        let waker = Waker::from(Arc::clone(&bell));
        bell.ring();
        let seat = Seat { work, bell, waker, deadline: None, keeps_memory: false };
        self.seats.insert(id, Box::new(seat));
    }

    fn poll_one(&mut self, id: StreamId, session: &mut Session, now: Instant) -> Moved {
        let Some(seat) = self.seats.get_mut(&id) else { return Moved::Nothing };
        seat.bell.answer();
        self.polled.push(id);
        let mut cx = Context::from_waker(&seat.waker);
        let mut moved = Moved::Nothing;
        if let Work::Dial(dial) = &mut seat.work {
            let Poll::Ready(result) = dial.as_mut().poll(&mut cx) else {
                // A client that went away meanwhile: nobody waits for the pod any more.
                if session.is_done(id) {
                    session.release(id, now);
                    self.seats.remove(&id);
                    return Moved::Something;
                }
                return Moved::Nothing;
            };
            seat.work = Work::Relay(dialled(id, result, self.rules, session, now));
            moved = Moved::Something;
        }
        let Work::Relay(relay) = &mut seat.work else { return moved };
        let before = relay.bytes();
        if !relay.is_over() {
            moved |= relay.poll(&mut cx, session, now);
        }
        let after = relay.bytes();
        if let Some(meter) = self.meter.as_ref().filter(|_| after != before) {
            meter.moved(after.0 - before.0, after.1 - before.1);
        }
        let over = relay.is_over() && session.is_done(id);
        let deadline = relay.deadline().filter(|_| !over);
        if seat.deadline != deadline {
            if let Some(at) = seat.deadline {
                self.deadlines.remove(&(at, id));
            }
            self.deadlines.extend(deadline.map(|at| (at, id)));
            seat.deadline = deadline;
        }
        if relay.keeps_memory() && !seat.keeps_memory {
            seat.keeps_memory = true;
            self.keepers.push(id);
        }
        if over {
            session.release(id, now);
            if let Some(Work::Relay(relay)) = self.seats.remove(&id).map(|seat| seat.work) {
                self.ended.push_back((id, relay.into_end()));
            }
            moved = Moved::Something;
        }
        moved
    }
}

/// Server: what came of the dial.
fn dialled<S: Socket>(
    id: StreamId,
    result: Result<PodSocket<S>, String>,
    rules: RelayRules,
    session: &mut Session,
    now: Instant,
) -> Relay<S> {
    let port = session.port(id);
    match result {
        Ok(pod) => Relay::pod(id, port, pod, rules.at_pod(session.capabilities())),
        Err(text) => {
            if let Ok(mut half) = session.send(id) {
                // Refused where the stream is over.
                let _ = half.fail(&text, now);
            }
            Relay::refused(id, port, rules, text)
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Relays<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relays = self.seats.iter().map(|(id, seat)| match &seat.work {
            Work::Dial(_) => (id, None),
            Work::Relay(relay) => (id, Some(relay)),
        });
        f.debug_map().entries(relays).finish()
    }
}
