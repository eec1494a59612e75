mod local;
mod pod;
mod report;
mod rules;

pub(crate) use local::Local;
pub use pod::{PodSocket, SocketUse, Wording};
pub use report::{RelayFailure, RelayReport, RelayTotals};
pub use rules::RelayRules;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use portway_proto::{CloseReason, Port, ReadError, Session, StreamError, StreamId, WriteError};

use self::local::Held;
use crate::Socket;
use crate::connection::Moved;
use crate::socket::ReadMemory;

/// Moves bytes between one socket and one stream, both ways, until both are over.
///
/// The two directions know nothing of each other but their ends. Everything received is written to
/// the socket first; then FIN after a clean end, RST after any other.
#[derive(Debug)]
pub(crate) struct Relay<S> {
    id: StreamId,
    socket: Option<S>,
    rules: RelayRules,
    inward: Inward,
    outward: Outward,
    memory: ReadMemory,
    /// Read from the session and not written to the socket yet.
    in_hand: VecDeque<Bytes>,
    /// When what is left of the other direction is given up.
    give_up: Option<Instant>,
    /// When to ask a socket that must not be read whether it is still there.
    look_at: Option<Instant>,
    /// Server: how the client is told that the pod's socket broke.
    wording: Option<Wording>,
    /// What the client will be told, after everything that the pod said before.
    farewell: Option<String>,
    /// Read from the socket by an earlier relay of it: goes first.
    backlog: VecDeque<Bytes>,
    /// Client: what a session or a pod that turns out dead would cost the program, until it is known to
    /// live.
    held: Option<Held>,
    /// Nothing was lost yet: the socket can be served on another session.
    handed_back: bool,
    /// The socket is not read because nothing more fits anywhere.
    waits_for_room: bool,
    report: RelayReport,
}

/// Until when a program's connection is handed back if what it was put on turns out dead. What is read from
/// it until then is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hold {
    /// It stays where it is.
    Nothing,
    /// [Until the pod was reached](RelayEnd::Unreached): it can only be said not to have been.
    UntilReached,
    /// Also [until the server has opened the stream](RelayEnd::Unserved), before which at most so many
    /// bytes are read.
    UntilOpened {
        /// Bytes.
        limit: usize,
    },
}

/// How a relay ended.
#[derive(Debug)]
pub(crate) enum RelayEnd<S> {
    /// The socket is closed.
    Over(RelayReport),
    /// The session was of no use to it, and another may be.
    Unserved(Local<S>, StreamError),
    /// The pod was never reached, and another may be.
    Unreached(Local<S>, RelayReport),
}

/// Socket to session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inward {
    Open,
    /// The stream takes no more; what the socket still sends is read and dropped, because closing
    /// over unread bytes would turn the FIN behind our data into an RST that can overtake it.
    Discarding,
    Over,
}

/// Session to socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outward {
    Open,
    /// Everything is written; the FIN is next.
    Finishing,
    Over,
}

impl<S: Socket> Relay<S> {
    pub(crate) fn new(id: StreamId, port: Option<Port>, socket: S, rules: RelayRules) -> Self {
        Self::with(id, port, Some(socket), rules)
    }

    /// Client: a program's connection, which is handed back as `hold` says.
    pub(crate) fn local(
        id: StreamId,
        port: Port,
        local: Local<S>,
        rules: RelayRules,
        hold: Hold,
    ) -> Self {
        let Local { socket, read } = local;
        let mut relay = Self::with(id, Some(port), Some(socket), rules);
        relay.report.bytes_up = read.iter().map(|bytes| bytes.len() as u64).sum();
        relay.held = match hold {
            Hold::Nothing => None,
            Hold::UntilReached => Some(Held::new(read.clone(), None)),
            Hold::UntilOpened { limit } => Some(Held::new(read.clone(), Some(limit))),
        };
        relay.backlog = read;
        relay
    }

    fn with(id: StreamId, port: Option<Port>, socket: Option<S>, rules: RelayRules) -> Self {
        Self {
            id,
            socket,
            rules,
            inward: Inward::Open,
            outward: Outward::Open,
            memory: ReadMemory::new(BytesMut::new(), rules.read_size),
            in_hand: VecDeque::new(),
            give_up: None,
            look_at: None,
            wording: None,
            farewell: None,
            backlog: VecDeque::new(),
            held: None,
            handed_back: false,
            waits_for_room: false,
            report: RelayReport { port, ..RelayReport::default() },
        }
    }

    /// Server: a stream and its pod.
    pub(crate) fn pod(
        id: StreamId,
        port: Option<Port>,
        pod: PodSocket<S>,
        rules: RelayRules,
    ) -> Self {
        let mut relay = Self::with(id, port, Some(pod.socket), rules);
        relay.wording = Some(pod.wording);
        relay
    }

    /// A stream whose socket could not be had.
    pub(crate) fn refused(
        id: StreamId,
        port: Option<Port>,
        rules: RelayRules,
        why: String,
    ) -> Self {
        let mut relay = Self::with(id, port, None, rules);
        relay.report.failure = Some(RelayFailure::Refused(why));
        relay
    }

    pub(crate) const fn id(&self) -> StreamId {
        self.id
    }

    /// Bytes moved so far: towards the peer, and from it.
    pub(crate) const fn bytes(&self) -> (u64, u64) {
        (self.report.bytes_up, self.report.bytes_down)
    }

    pub(crate) fn into_end(self) -> RelayEnd<S> {
        match (self.socket, self.held, self.report.failure) {
            (Some(socket), Some(held), failure) if self.handed_back && held.is_opened() => {
                let report = RelayReport { failure, ..self.report };
                RelayEnd::Unreached(held.into_local(socket), report)
            }
            (Some(socket), Some(held), Some(RelayFailure::Stream(error))) if self.handed_back => {
                RelayEnd::Unserved(held.into_local(socket), error)
            }
            (_, _, failure) => RelayEnd::Over(RelayReport { failure, ..self.report }),
        }
    }

    /// Nothing is left to move here: the socket is closed, or for somebody else.
    pub(crate) const fn is_over(&self) -> bool {
        self.socket.is_none() || self.handed_back
    }

    /// The server has opened the stream: from here on what happens to it happens to the program, unless
    /// it turns out that the pod was never reached.
    pub(crate) fn opened(&mut self) {
        self.held = self.held.take().and_then(Held::opened);
    }

    /// When to poll again at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.give_up, self.look_at].into_iter().flatten().min().filter(|_| !self.is_over())
    }

    /// What has happened to the stream, or the time that has come, lets it move something.
    #[cfg(debug_assertions)]
    pub(crate) fn is_due(&self, session: &mut Session, now: Instant) -> bool {
        let id = self.id;
        if self.is_over() {
            return session.is_done(id);
        }
        let failed = session.failure(id).cloned();
        let outward = match (self.outward, self.in_hand.is_empty()) {
            (Outward::Open, true) => session.recv(id).is_ok_and(|half| half.is_readable()),
            (Outward::Open, false) if failed == Some(StreamError::Overflow) => true,
            (Outward::Open, false) => {
                failed.is_some() && self.wording.is_some() && self.give_up.is_none()
            }
            (Outward::Finishing | Outward::Over, _) => false,
        };
        let Ok(half) = session.send(id) else { return true };
        let held = self.held.as_ref().is_some_and(|held| held.room() == 0);
        let room = !half.is_open() || (half.is_flushed() && !held);
        let ended = self.inward == Inward::Open && self.outward == Outward::Over && half.is_over();
        outward
            || (self.waits_for_room && room)
            || (ended && self.give_up.is_none())
            || self.deadline().is_some_and(|at| at <= now)
    }

    /// Memory that an idle connection should not keep.
    pub(crate) const fn keeps_memory(&self) -> bool {
        self.memory.is_kept()
    }

    /// Gives that memory back.
    pub(crate) fn release_memory(&mut self) {
        self.memory.release();
    }

    /// Moves all that can be moved. After that there is nothing to do before the socket wakes it, an
    /// event is about its stream, or its [deadline](Self::deadline) has come.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        session: &mut Session,
        now: Instant,
    ) -> Moved {
        let mut moved = self.poll_outward(cx, session, now);
        moved |= self.poll_inward(cx, session, now);
        moved |= self.check_end(session, now);
        moved
    }

    /// Ends both directions at once, with an RST where the socket can say it.
    pub(crate) fn abort(&mut self, session: &mut Session, failure: RelayFailure, now: Instant) {
        let Some(mut socket) = self.socket.take() else { return };
        socket.abort();
        self.in_hand.clear();
        self.report.failure.get_or_insert(failure);
        session.release(self.id, now);
    }

    /// The socket broke. A client's program is gone and needs to hear nothing. Of a pod's failure the
    /// client is told, once everything that the pod said before is read: a pod that answers and
    /// hangs up in the middle of an upload breaks our writing first.
    fn broken(
        &mut self,
        during: SocketUse,
        error: &io::Error,
        session: &mut Session,
        now: Instant,
    ) {
        let failure = RelayFailure::Socket(error.kind());
        let Some(wording) = &self.wording else { return self.abort(session, failure, now) };
        self.report.failure.get_or_insert(failure);
        self.farewell.get_or_insert_with(|| wording.say(during, error));
        self.in_hand.clear();
        self.outward = Outward::Over;
        match during {
            SocketUse::Read => self.inward = Inward::Over,
            SocketUse::Write => {
                if let Ok(mut half) = session.recv(self.id) {
                    half.stop(now);
                }
            }
        }
    }

    fn poll_outward(&mut self, cx: &mut Context<'_>, session: &mut Session, now: Instant) -> Moved {
        let mut moved = Moved::Nothing;
        while self.outward == Outward::Open {
            let end = self.take_in_hand(session);
            if self.in_hand.is_empty() {
                match end {
                    ReadError::Blocked => break,
                    // The `None` of `read()`: the clean end.
                    ReadError::Stopped if self.held.as_ref().is_none_or(Held::is_opened) => {
                        self.held = None;
                        self.outward = Outward::Finishing;
                    }
                    ReadError::Stopped | ReadError::Failed | _ => {
                        self.fail_with_stream(session, now);
                        return Moved::Something;
                    }
                }
                moved = Moved::Something;
                continue;
            }
            // The failure itself, and not what reading says: the hand may be full before that is reached.
            let failure = session.failure(self.id);
            if failure == Some(&StreamError::Overflow) {
                // The program at the socket does not read: it would never take the rest.
                self.fail_with_stream(session, now);
                return Moved::Something;
            }
            if failure.is_some() && self.wording.is_some() {
                // The client is gone. A pod that never takes the rest is not waited for.
                let grace = self.rules.grace.unwrap_or(Self::DISCARD);
                self.give_up = self.give_up.or_else(|| now.checked_add(grace));
            }
            match self.write_in_hand(cx) {
                Poll::Ready(Ok(written)) => {
                    if let Ok(mut half) = session.recv(self.id) {
                        half.consumed(written, now);
                    }
                    self.report.bytes_down += written as u64;
                    moved = Moved::Something;
                }
                Poll::Ready(Err(error)) => {
                    self.broken(SocketUse::Write, &error, session, now);
                    return Moved::Something;
                }
                Poll::Pending => break,
            }
        }
        if self.outward == Outward::Finishing {
            moved |= self.poll_fin(cx, session, now);
        }
        moved
    }

    /// Fills the hand from the session; says why it did not get more.
    fn take_in_hand(&mut self, session: &mut Session) -> ReadError {
        const HANDFUL: usize = 32;
        let Ok(mut half) = session.recv(self.id) else { return ReadError::Failed };
        while self.in_hand.len() < HANDFUL {
            match half.read() {
                Ok(Some(bytes)) => {
                    // Said by the pod, which has therefore been reached.
                    self.held = None;
                    self.in_hand.push_back(bytes);
                }
                Ok(None) => return ReadError::Stopped,
                Err(error) => return error,
            }
        }
        ReadError::Blocked
    }

    fn write_in_hand(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(socket) = &mut self.socket else { return Poll::Ready(Ok(0)) };
        let mut slices = [IoSlice::new(&[]); 32];
        for (slot, bytes) in slices.iter_mut().zip(&self.in_hand) {
            *slot = IoSlice::new(bytes);
        }
        let used = self.in_hand.len().min(slices.len());
        let written = ready!(socket.poll_write_vectored(cx, &slices[..used]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let mut left = written;
        while let Some(front) = self.in_hand.front_mut() {
            let n = left.min(front.len());
            front.advance(n);
            left -= n;
            if !front.is_empty() {
                break;
            }
            self.in_hand.pop_front();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_fin(&mut self, cx: &mut Context<'_>, session: &mut Session, now: Instant) -> Moved {
        let Some(socket) = self.socket.as_mut().filter(|_| self.rules.pass_fin) else {
            self.outward = Outward::Over;
            return Moved::Something;
        };
        match socket.poll_shutdown_write(cx) {
            Poll::Ready(Ok(())) => {
                self.outward = Outward::Over;
                Moved::Something
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                self.outward = Outward::Over;
                Moved::Something
            }
            Poll::Ready(Err(error)) => {
                self.broken(SocketUse::Write, &error, session, now);
                Moved::Something
            }
            Poll::Pending => Moved::Nothing,
        }
    }

    fn poll_inward(&mut self, cx: &mut Context<'_>, session: &mut Session, now: Instant) -> Moved {
        let mut moved = Moved::Nothing;
        self.waits_for_room = false;
        while self.inward != Inward::Over {
            let Some(socket) = &mut self.socket else { break };
            let Ok(mut half) = session.send(self.id) else { break };
            if let Some(bytes) = self.backlog.pop_front() {
                if let Err(WriteError::Blocked(rest)) = half.write(bytes) {
                    self.backlog.push_front(rest);
                    self.waits_for_room = true;
                    break;
                }
                moved = Moved::Something;
                continue;
            }
            let room = match self.inward {
                Inward::Open if !half.is_open() => {
                    self.inward = Inward::Discarding;
                    continue;
                }
                Inward::Open => {
                    half.capacity().min(self.held.as_ref().map_or(usize::MAX, Held::room))
                }
                Inward::Discarding | Inward::Over => usize::MAX,
            };
            if room == 0 {
                self.waits_for_room = true;
                // Else it is the copy that is full, which goes once the server has opened the stream.
                if half.capacity() == 0 {
                    half.want_writable();
                }
                if let Some(error) = self.look(now) {
                    self.broken(SocketUse::Read, &error, session, now);
                    return Moved::Something;
                }
                break;
            }
            self.look_at = None;
            match socket.poll_read(cx, &mut self.memory.buf(room)) {
                Poll::Ready(Ok(0)) => {
                    self.inward = Inward::Over;
                    // A farewell still has to be said on it.
                    if self.farewell.is_none() {
                        // Refused where the stream is over already.
                        let _ = half.finish(now);
                    }
                }
                Poll::Ready(Ok(read)) => {
                    self.memory.note(read);
                    let bytes = self.memory.bytes.split().freeze();
                    if self.inward == Inward::Discarding {
                        self.held = None;
                    } else {
                        self.report.bytes_up += read as u64;
                        self.held = self.held.take().and_then(|held| held.with(&bytes));
                        match half.write(bytes) {
                            Ok(()) | Err(WriteError::Finished | WriteError::Ended) => {}
                            Err(_) => debug_assert!(false, "no more was read than fits"),
                        }
                    }
                }
                Poll::Ready(Err(error)) => {
                    self.broken(SocketUse::Read, &error, session, now);
                    return Moved::Something;
                }
                Poll::Pending => {
                    self.memory.pause();
                    break;
                }
            }
            moved = Moved::Something;
        }
        moved
    }

    /// The peer takes nothing, so the socket is not read, and a reset of it would go unnoticed for as
    /// long as that lasts: it is asked once a second.
    fn look(&mut self, now: Instant) -> Option<io::Error> {
        const EVERY: Duration = Duration::from_secs(1);
        let due = self.look_at.is_some_and(|at| at <= now);
        if due || self.look_at.is_none() {
            self.look_at = now.checked_add(EVERY);
        }
        self.socket.as_mut().filter(|_| due)?.take_error()
    }

    /// The stream has failed, and everything before that is written.
    fn fail_with_stream(&mut self, session: &mut Session, now: Instant) {
        let failure = session.failure(self.id).cloned();
        let handed_back = self.held.as_ref().is_some_and(|held| match &failure {
            Some(StreamError::Remote(text)) if held.is_opened() => text.says_unreached(),
            _ if held.is_opened() => false,
            failure => failure.as_ref().is_none_or(is_the_sessions),
        });
        if handed_back {
            let error = failure.unwrap_or(StreamError::RemoteReset);
            self.handed_back = true;
            self.report.failure = Some(RelayFailure::Stream(error));
            session.release(self.id, now);
            return;
        }
        let error = failure.unwrap_or(StreamError::Reset);
        self.abort(session, RelayFailure::Stream(error), now);
    }

    /// Closes the socket once both directions are over, or the second has had its time.
    fn check_end(&mut self, session: &mut Session, now: Instant) -> Moved {
        if self.is_over() {
            return Moved::Nothing;
        }
        let inward = self.inward == Inward::Over;
        let outward = self.outward == Outward::Over;
        let discarding = self.inward == Inward::Discarding && outward;
        if self.give_up.is_none() && (inward || outward) {
            let grace = self.rules.grace.or_else(|| discarding.then_some(Self::DISCARD));
            self.give_up = grace.and_then(|grace| now.checked_add(grace));
        }
        let time_is_up = self.give_up.is_some_and(|at| at <= now);
        if !(inward && outward || time_is_up) {
            return Moved::Nothing;
        }
        let cut = !self.in_hand.is_empty() && session.failure(self.id).is_some();
        if cut && self.wording.is_some() {
            // Half of what the client said must not look like all of it.
            self.fail_with_stream(session, now);
        } else {
            self.socket = None;
            self.end_stream(session, now);
        }
        Moved::Something
    }

    /// How long a program may go on sending to a stream that is over before its socket is closed.
    const DISCARD: Duration = Duration::from_secs(2);

    /// The stream ends on both sides, and what was written is still sent. Refused where it is over.
    fn end_stream(&mut self, session: &mut Session, now: Instant) {
        if let Ok(mut half) = session.send(self.id) {
            let _ = match self.farewell.take() {
                Some(text) => half.fail(&text, now),
                None => half.finish(now),
            };
        }
        if let Ok(mut half) = session.recv(self.id) {
            half.stop(now);
        }
    }
}

/// Nothing that the program or we did: on another session it may not happen.
const fn is_the_sessions(error: &StreamError) -> bool {
    !matches!(
        error,
        StreamError::Reset
            | StreamError::Overflow
            | StreamError::Session(
                CloseReason::Local | CloseReason::Shutdown | CloseReason::Aborted
            )
    )
}
