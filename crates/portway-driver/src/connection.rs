use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use portway_proto::Session;

use crate::transport::{Transport, TransportError};

/// The transport below a session: the part of the run loop that knows no local socket.
///
/// The loop, once for all runtimes, in this order: timers by the clock (not by a timer's readiness,
/// which a runtime may delay), then inbound, then whatever the owner moves between streams and
/// sockets, then outbound, then events.
#[derive(Debug)]
pub(crate) struct Connection<T> {
    transport: T,
    state: State,
    /// When the last messages of a closed session are given up.
    leave_by: Option<Instant>,
    /// When to ask a transport that must not be read whether it is still there.
    look_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Messages go both ways.
    Open,
    /// Our direction broke. What the peer said before it noticed is still read: an error text may be
    /// among it, and the end of it all is the end of the transport.
    Mute,
    /// The session is closed; its last messages are being written.
    Leaving,
    /// Over.
    Gone,
}

/// Whether a step moved anything. What moved may have made another step possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    Nothing,
    Something,
}

impl Moved {
    pub(crate) fn when(moved: bool) -> Self {
        if moved { Self::Something } else { Self::Nothing }
    }
}

impl std::ops::BitOrAssign for Moved {
    fn bitor_assign(&mut self, other: Self) {
        if other == Self::Something {
            *self = Self::Something;
        }
    }
}

impl<T: Transport> Connection<T> {
    /// Messages taken from the transport before the others get their turn.
    const INBOUND_BUDGET: usize = 64;

    /// How long a peer may take to take the last messages of a closed session.
    const GOODBYE: Duration = Duration::from_secs(2);

    pub(crate) fn new(transport: T) -> Self {
        Self { transport, state: State::Open, leave_by: None, look_at: None }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// When to poll again at the latest, besides the session's own timers.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.leave_by, self.look_at].into_iter().flatten().min().filter(|_| !self.is_gone())
    }

    pub(crate) fn handle_timeout(&self, session: &mut Session, now: Instant) {
        if session.poll_timeout().is_some_and(|at| at <= now) {
            session.handle_timeout(now);
        }
    }

    /// Transport to session.
    pub(crate) fn poll_inbound(
        &mut self,
        cx: &mut Context<'_>,
        session: &mut Session,
        now: Instant,
    ) -> Moved {
        let mut moved = Moved::Nothing;
        for _ in 0..Self::INBOUND_BUDGET {
            if !session.wants_read() {
                moved |= self.look(session, now);
                break;
            }
            self.look_at = None;
            match self.transport.poll_receive(cx) {
                Poll::Ready(Ok(Some(piece))) => session.handle_incoming(piece, now),
                Poll::Ready(Ok(None)) => session.handle_disconnect(now),
                Poll::Ready(Err(TransportError::Violation(violation))) => {
                    session.handle_violation(violation, now);
                }
                Poll::Ready(Err(TransportError::Io(error))) => {
                    tracing::debug!(%error, "transport lost");
                    session.handle_disconnect(now);
                }
                Poll::Pending => break,
            }
            moved = Moved::Something;
        }
        moved
    }

    /// Where streams take nothing the transport is not read, and a reset of it would go unnoticed for
    /// as long as that lasts: it is asked once a second.
    fn look(&mut self, session: &mut Session, now: Instant) -> Moved {
        const EVERY: Duration = Duration::from_secs(1);
        if session.is_closed() || self.state != State::Open {
            self.look_at = None;
            return Moved::Nothing;
        }
        if self.look_at.is_some_and(|at| at > now) {
            return Moved::Nothing;
        }
        let due = self.look_at.replace(now + EVERY).is_some();
        let Some(error) = due.then(|| self.transport.take_error()).flatten() else {
            return Moved::Nothing;
        };
        tracing::debug!(%error, "transport lost");
        session.handle_disconnect(now);
        Moved::Something
    }

    /// Session to transport, and the way out after the end.
    pub(crate) fn poll_outbound(
        &mut self,
        cx: &mut Context<'_>,
        session: &mut Session,
        now: Instant,
    ) -> Moved {
        if self.state == State::Gone {
            return Moved::Nothing;
        }
        if self.state == State::Mute {
            while session.poll_transmit(now).is_some() {}
            if session.is_closed() {
                self.state = State::Gone;
            }
            return Moved::when(self.is_gone());
        }
        if session.is_closed() {
            let by = *self.leave_by.get_or_insert(now + Self::GOODBYE);
            if by <= now {
                self.transport.abort();
                self.state = State::Gone;
                return Moved::Something;
            }
        }
        let mut moved = Moved::Nothing;
        loop {
            while self.transport.has_room()
                && let Some(transmit) = session.poll_transmit(now)
            {
                self.transport.send(transmit);
                moved = Moved::Something;
            }
            let was_full = !self.transport.has_room();
            let flush = self.transport.poll_flush(cx);
            session.handle_flush(self.transport.unsent(), now);
            match flush {
                // There is room again, and perhaps more to put into it.
                Poll::Ready(Ok(())) if was_full => moved = Moved::Something,
                Poll::Ready(Ok(())) => break,
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, "the transport takes no more");
                    self.state = State::Mute;
                    return Moved::Something;
                }
                Poll::Pending => return moved,
            }
        }
        if session.is_closed() && self.state == State::Open {
            self.state = State::Leaving;
        }
        if self.state == State::Leaving && self.transport.poll_shutdown(cx).is_ready() {
            self.state = State::Gone;
            moved = Moved::Something;
        }
        moved
    }

    /// Memory that an idle connection should not keep.
    pub(crate) fn keeps_memory(&self) -> bool {
        self.transport.keeps_memory()
    }

    /// Gives that memory back.
    pub(crate) fn release_memory(&mut self) {
        self.transport.release_memory();
    }

    /// Drops the transport with no goodbye.
    pub(crate) fn abort(&mut self, session: &mut Session, now: Instant) {
        session.abort(now);
        self.transport.abort();
        self.state = State::Gone;
    }
}
