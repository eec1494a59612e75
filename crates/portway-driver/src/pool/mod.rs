//! Which session a local connection gets, and what becomes of the session after it.
//!
//! A session has one task, its [`Host`], for all of its life: it owns session, transport and the sockets
//! of its connections, and between two connections it answers pings, sends keep-alives and notices
//! losses. A connection is handed to it through a [`Mailbox`], once; its bytes go through no queue and
//! no lock. Who gets which is decided in [`Rooms`].

mod guest;
mod host;
mod keeping;
mod lingering;
mod mailbox;
mod rooms;

pub(crate) use guest::{Guest, Ticket};
pub(crate) use keeping::Keeping;
pub use keeping::Sessions;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use portway_proto::{CloseReason, Port};

use self::host::Host;
use self::lingering::Lingering;
use self::mailbox::Mailbox;
use self::rooms::{Dialling, Lodging, Review, RoomId, Rooms};
use crate::dial::{Dialled, dial, dial_ahead};
use crate::listen::Shared;
use crate::{
    ConnectError, Connector, Endpoint, ListenEvent, Options, Presence, RelayFailure, RelayReport,
    Remembered, Runtime, SessionOrigin, Socket, after,
};

/// The sessions of one listener.
pub(crate) struct Pool<R, C, S> {
    runtime: R,
    connector: C,
    options: Options,
    remembered: Remembered,
    /// Those of all mappings, each once.
    ports: Arc<[Port]>,
    shared: Arc<Shared>,
    lingering: Arc<Lingering>,
    rooms: Mutex<Rooms<S>>,
}

impl<R: Runtime, C: Connector, S: Socket> Pool<R, C, S> {
    /// A spare whose dial failed is tried again after this long, then after twice that, up to
    const FIRST_RETRY: Duration = Duration::from_secs(1);
    /// this.
    const LAST_RETRY: Duration = Duration::from_secs(60);

    pub(crate) fn new(
        runtime: R,
        connector: C,
        options: Options,
        remembered: Remembered,
        ports: Arc<[Port]>,
        shared: Arc<Shared>,
    ) -> Arc<Self> {
        let now = runtime.now();
        let lingering = Lingering::new(options.max_lingering, now);
        let rooms = Mutex::new(Rooms::new(options.keeping, now));
        let pool =
            Self { runtime, connector, options, remembered, ports, shared, lingering, rooms };
        let pool = Arc::new(pool);
        pool.see_to_spare();
        pool
    }

    /// A program has connected.
    pub(crate) fn admit(self: &Arc<Self>, guest: Guest<S>) {
        let sticky = self.connector.is_sticky();
        let lodging = self.lock().lodge(guest, &self.ports, sticky, self.runtime.now());
        match lodging {
            Lodging::There(waker) => waker.into_iter().for_each(Waker::wake),
            Lodging::Dial(dialling) => {
                let presence = self.shared.life.helper();
                self.runtime.spawn(Arc::clone(self).dial_for(dialling, presence));
            }
        }
        self.see_to_spare();
    }

    /// A session failed it before anything was lost: once more, on a new one.
    fn redial(self: &Arc<Self>, mut guest: Guest<S>) {
        guest.ticket.second_try = true;
        self.admit(guest);
    }

    /// The pod at `from` was not reached, and nothing was lost: once more, if the target does not lead there
    /// any more. If it does, a port of it is closed, and that is its end.
    fn move_on(
        self: &Arc<Self>,
        mut guest: Guest<S>,
        from: &Endpoint,
        report: RelayReport,
        closed: Option<CloseReason>,
    ) {
        let (this, from) = (Arc::clone(self), from.clone());
        let presence = self.shared.life.helper();
        self.runtime.spawn(async move {
            let _presence = presence;
            let moved = this.shared.life.open(this.connector.has_moved(&from)).await;
            match (moved, &report.failure) {
                (Some(true), Some(RelayFailure::Stream(error))) => {
                    let (connection, error) = (guest.ticket.number, error.clone());
                    this.shared.events.send(ListenEvent::Retried { connection, error });
                    this.redial(guest);
                }
                _ => {
                    guest.local.socket.abort();
                    this.tell_ended(guest.ticket, report, closed);
                }
            }
        });
    }

    /// A session takes no more guests; those who were sent to it and not welcomed go elsewhere.
    fn close_room(self: &Arc<Self>, id: RoomId, mailbox: &Mailbox<S>) {
        self.evict(id, mailbox).into_iter().for_each(|guest| self.admit(guest));
    }

    fn evict(&self, id: RoomId, mailbox: &Mailbox<S>) -> VecDeque<Guest<S>> {
        self.lock().remove(id);
        mailbox.drain()
    }

    /// A session is empty and healthy.
    fn park(&self, id: RoomId) -> Review {
        let sticky = self.connector.is_sticky();
        self.lock().park(id, sticky, self.runtime.now())
    }

    /// The pod may have gone: nothing that is idle is used again.
    fn distrust(&self, endpoint: &Endpoint) {
        self.connector.doubt(endpoint);
        let wakers = self.lock().distrust();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The target may lead somewhere else: sessions to where it led take nobody else.
    pub(crate) fn reconsider(self: &Arc<Self>) {
        let wakers = self.lock().keep_current(|endpoint| self.connector.is_current(endpoint));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Dials a spare if one is missing.
    pub(crate) fn see_to_spare(self: &Arc<Self>) {
        if self.connector.is_sticky() && self.lock().claim_spare(self.runtime.now()) {
            let presence = self.shared.life.helper();
            self.runtime.spawn(Arc::clone(self).keep_spare(presence));
        }
    }

    /// The life of a session that is dialled for somebody.
    async fn dial_for(self: Arc<Self>, dialling: Dialling<S>, _presence: Presence) {
        let Dialling { id, mailbox, ports, ahead } = dialling;
        // Boxed: what a dial needs is given back before the bytes begin to move, and an idle
        // connection should not carry it.
        let dialled = Box::pin(self.shared.life.open(self.dial(&ports, ahead))).await;
        match dialled {
            None => self.evict(id, &mailbox).iter_mut().for_each(|it| it.local.socket.abort()),
            Some(Err(error)) => {
                for guest in self.evict(id, &mailbox) {
                    self.refuse(guest, error.clone());
                }
            }
            Some(Ok(None)) => {
                self.lock().note_fixed();
                self.close_room(id, &mailbox);
            }
            Some(Ok(Some(dialled))) => {
                let fixed = !dialled.session.capabilities().dynamic_open;
                self.lock().dialled(id, &dialled.endpoint, fixed);
                self.reconsider();
                if fixed {
                    let mut guests = mailbox.drain();
                    let first = guests.pop_front();
                    // Its task does not sleep yet.
                    let _ = first.and_then(|guest| mailbox.push(guest));
                    guests.into_iter().for_each(|guest| self.admit(guest));
                } else {
                    self.see_to_spare();
                }
                self.host(id, mailbox, dialled, &ports, SessionOrigin::Dialled).await;
            }
        }
    }

    async fn dial(
        &self,
        ports: &[Port],
        ahead: bool,
    ) -> Result<Option<Dialled<C::Io>>, ConnectError> {
        let Self { runtime, connector, options, remembered, .. } = self;
        if ahead {
            return dial_ahead(runtime, connector, ports, options, remembered).await;
        }
        dial(runtime, connector, ports, options, remembered).await.map(Some)
    }

    /// The life of a session that is dialled for nobody yet.
    async fn keep_spare(self: Arc<Self>, _presence: Presence) {
        let ports = Arc::clone(&self.ports);
        let life = &self.shared.life;
        let mut patience = Self::FIRST_RETRY;
        loop {
            let dialling = Box::pin(life.accepting(self.dial(&ports, true)));
            match dialling.await {
                None => break,
                Some(Ok(None)) => {
                    self.lock().note_fixed();
                    break;
                }
                Some(Ok(Some(dialled))) => {
                    let now = self.runtime.now();
                    let (id, mailbox) = self.lock().add_spare(&ports, &dialled.endpoint, now);
                    self.reconsider();
                    self.host(id, mailbox, dialled, &ports, SessionOrigin::Spare).await;
                    return;
                }
                // Nobody waits for it: whoever connects next will be told by a dial of their own.
                Some(Err(error)) => tracing::debug!(%error, ?patience, "no spare session"),
            }
            let retry = self.runtime.sleep_until(after(self.runtime.now(), patience));
            let goes_on = life.accepting(retry).await.is_some();
            let wanted = goes_on && self.connector.is_sticky();
            if !wanted || !self.lock().wants_spare(self.runtime.now()) {
                break;
            }
            patience = (patience * 2).min(Self::LAST_RETRY);
        }
        self.lock().give_up_spare();
    }

    /// Runs a session until it is over.
    fn host(
        self: &Arc<Self>,
        id: RoomId,
        mailbox: Arc<Mailbox<S>>,
        dialled: Dialled<C::Io>,
        asked: &[Port],
        origin: SessionOrigin,
    ) -> Host<R, C, S> {
        self.shared.note_dialled();
        Host::new(Arc::clone(self), id, mailbox, dialled, asked, origin)
    }

    fn refuse(&self, mut guest: Guest<S>, error: ConnectError) {
        guest.local.socket.abort();
        let ticket = guest.ticket;
        ticket.span.in_scope(|| tracing::debug!(%error, "no session"));
        self.shared.note_failed();
        self.shared.events.send(ListenEvent::Failed {
            connection: ticket.number,
            local: ticket.bound.local.clone(),
            remote: ticket.bound.remote,
            error,
        });
    }

    fn tell_ended(&self, ticket: Ticket, report: RelayReport, closed: Option<CloseReason>) {
        ticket.span.in_scope(|| match &report.failure {
            Some(failure) => {
                tracing::debug!(%failure, up = report.bytes_up, down = report.bytes_down, "broken");
            }
            None => tracing::debug!(up = report.bytes_up, down = report.bytes_down, "ended"),
        });
        let shared = &self.shared;
        if report.failure.is_some() {
            shared.note_broken();
        }
        shared.events.send(ListenEvent::Ended {
            connection: ticket.number,
            local: ticket.bound.local.clone(),
            remote: ticket.bound.remote,
            report,
            closed,
        });
    }

    /// Sessions that wait for a connection.
    pub(crate) fn idle(&self) -> usize {
        self.lock().idle()
    }

    fn lock(&self) -> MutexGuard<'_, Rooms<S>> {
        // Nothing in there panics halfway.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
