use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_lock::{Semaphore, SemaphoreGuardArc};
use event_listener::{Event, EventListener};

use super::events::EventSink;
use super::opened::Opened;
use crate::pool::{Guest, Pool, Ticket};
use crate::relay::Local;
use crate::{Bound, Connector, Lifecycle, ListenEvent, Listener, Meter, Presence, Runtime, Socket};

/// Counters of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ListenStats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open now.
    pub open: usize,
    /// Connections for which no session came about.
    pub failed: u64,
    /// Connections that ended with an error after their session stood.
    pub broken: u64,
    /// Sessions dialled, for a connection or ahead of need.
    pub dialled: u64,
    /// Connections that got a session which was there.
    pub reused: u64,
    /// Sessions that wait for a connection now.
    pub idle: usize,
    /// Bytes from programs into the pod.
    pub bytes_up: u64,
    /// Bytes from the pod to programs.
    pub bytes_down: u64,
}

/// What all doors and connections of a listener share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) events: EventSink,
    pub(crate) life: Arc<Lifecycle>,
    slots: Arc<Semaphore>,
    accepted: AtomicU64,
    failed: AtomicU64,
    broken: AtomicU64,
    dialled: AtomicU64,
    reused: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
    /// One of these has changed. While nobody waits for it, it costs a look at a pointer.
    counted: Event,
}

/// One open address: accepts programs and hands them to the pool.
pub(crate) struct Door<R, C, S> {
    runtime: R,
    pool: Arc<Pool<R, C, S>>,
    shared: Arc<Shared>,
    bound: Bound,
    _presence: Presence,
}

impl<R: Runtime, C: Connector, S: Socket> Door<R, C, S> {
    pub(crate) fn new(
        runtime: &R,
        pool: &Arc<Pool<R, C, S>>,
        shared: &Arc<Shared>,
        bound: Bound,
    ) -> Self {
        Self {
            runtime: runtime.clone(),
            pool: Arc::clone(pool),
            shared: Arc::clone(shared),
            bound,
            _presence: shared.life.door(),
        }
    }

    /// Until the listener is told to stop. An error of the system is waited out: a listener dies
    /// only when its owner says so.
    pub(crate) async fn serve<L: Listener<Socket = S>>(self, mut opened: Opened<L>) {
        let mut patience = Self::FIRST_RETRY;
        loop {
            let accept = std::future::poll_fn(|cx| opened.listener.poll_accept(cx));
            match self.shared.life.accepting(accept).await {
                None => break,
                Some(Ok((mut socket, from))) => {
                    patience = Self::FIRST_RETRY;
                    // Taken only for somebody who is there: another door may have use for it.
                    let Some(slot) = self.shared.life.accepting(self.slot()).await else {
                        socket.abort();
                        break;
                    };
                    self.welcome(socket, from, slot);
                }
                Some(Err(error)) => {
                    tracing::warn!(local = %self.bound.local, %error, "cannot accept");
                    self.shared.events.send(ListenEvent::AcceptFailed {
                        local: self.bound.local.clone(),
                        error: Arc::new(error),
                        retry_after: patience,
                    });
                    let retry = self.runtime.sleep_until(self.runtime.now() + patience);
                    if self.shared.life.accepting(retry).await.is_none() {
                        break;
                    }
                    patience = (patience * 2).min(Self::LAST_RETRY);
                }
            }
        }
    }

    const FIRST_RETRY: Duration = Duration::from_millis(5);
    const LAST_RETRY: Duration = Duration::from_secs(1);

    /// A place among the sessions allowed.
    async fn slot(&self) -> SemaphoreGuardArc {
        if let Some(slot) = self.shared.slots.try_acquire_arc() {
            return slot;
        }
        self.shared.events.send(ListenEvent::Full { sessions: self.shared.stats().open });
        self.shared.slots.acquire_arc().await
    }

    fn welcome(&self, socket: S, from: Option<SocketAddr>, slot: SemaphoreGuardArc) {
        let Bound { local, remote } = self.bound.clone();
        let connection = self.shared.note_accepted();
        let ticket = Ticket {
            number: connection,
            bound: self.bound.clone(),
            second_try: false,
            span: tracing::debug_span!("connection", number = connection, %local, %remote),
            _slot: slot,
            _presence: self.shared.life.connection(),
        };
        self.shared.events.send(ListenEvent::Accepted { connection, local, from, remote });
        self.pool.admit(Guest { ticket, local: Local::new(socket) });
    }
}

impl Shared {
    pub(crate) fn new(life: Arc<Lifecycle>, max_sessions: usize) -> Self {
        Self {
            events: EventSink::new(),
            life,
            slots: Arc::new(Semaphore::new(max_sessions)),
            accepted: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            dialled: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            bytes_up: AtomicU64::new(0),
            bytes_down: AtomicU64::new(0),
            counted: Event::new(),
        }
    }

    pub(crate) fn stats(&self) -> ListenStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ListenStats {
            accepted: get(&self.accepted),
            open: self.life.connections(),
            failed: get(&self.failed),
            broken: get(&self.broken),
            dialled: get(&self.dialled),
            reused: get(&self.reused),
            // The pool knows.
            idle: 0,
            bytes_up: get(&self.bytes_up),
            bytes_down: get(&self.bytes_down),
        }
    }
}

impl Shared {
    /// Returns the number of the connection.
    fn note_accepted(&self) -> u64 {
        self.count(&self.accepted)
    }

    pub(crate) fn note_failed(&self) {
        self.count(&self.failed);
    }

    pub(crate) fn note_broken(&self) {
        self.count(&self.broken);
    }

    pub(crate) fn note_dialled(&self) {
        self.count(&self.dialled);
    }

    pub(crate) fn note_reused(&self) {
        self.count(&self.reused);
    }

    /// Told when a counter has changed.
    pub(super) fn counted(&self) -> EventListener {
        self.counted.listen()
    }

    fn count(&self, counter: &AtomicU64) -> u64 {
        let counted = counter.fetch_add(1, Ordering::Relaxed) + 1;
        self.counted.notify(usize::MAX);
        counted
    }
}

impl Meter for Shared {
    fn moved(&self, up: u64, down: u64) {
        self.bytes_up.fetch_add(up, Ordering::Relaxed);
        self.bytes_down.fetch_add(down, Ordering::Relaxed);
        self.counted.notify(usize::MAX);
    }
}
