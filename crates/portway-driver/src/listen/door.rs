use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_lock::{Semaphore, SemaphoreGuardArc};
use tracing::Instrument;

use super::events::EventSink;
use crate::dial::{Dialled, dial};
use crate::{
    Bound, Bridge, BridgeReport, ConnectError, Connector, Lifecycle, ListenEvent, Listener, Meter,
    Options, Presence, Remembered, Runtime, Socket,
};

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
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

/// One open address: accepts programs and starts a task for each.
pub(crate) struct Door<R, C> {
    runtime: R,
    connector: C,
    options: Arc<Options>,
    remembered: Remembered,
    shared: Arc<Shared>,
    bound: Bound,
    _presence: Presence,
}

impl<R: Runtime, C: Connector> Door<R, C> {
    pub(crate) fn new(
        runtime: &R,
        connector: &C,
        options: &Arc<Options>,
        remembered: &Remembered,
        shared: &Arc<Shared>,
        bound: Bound,
    ) -> Self {
        Self {
            runtime: runtime.clone(),
            connector: connector.clone(),
            options: Arc::clone(options),
            remembered: remembered.clone(),
            shared: Arc::clone(shared),
            bound,
            _presence: shared.life.door(),
        }
    }

    /// Until the listener is told to stop. An error of the system is waited out: a listener dies
    /// only when its owner says so.
    pub(crate) async fn serve<L: Listener>(self, mut listener: L) {
        let mut patience = Self::FIRST_RETRY;
        while let Some(slot) = self.shared.life.accepting(self.slot()).await {
            let accept = std::future::poll_fn(|cx| listener.poll_accept(cx));
            match self.shared.life.accepting(accept).await {
                None => break,
                Some(Ok((socket, from))) => {
                    patience = Self::FIRST_RETRY;
                    self.welcome(socket, from, slot);
                }
                Some(Err(error)) => {
                    tracing::warn!(local = %self.bound.local, %error, "cannot accept");
                    self.shared.events.send(ListenEvent::AcceptFailed {
                        local: self.bound.local,
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

    fn welcome<S: Socket>(&self, socket: S, from: SocketAddr, slot: SemaphoreGuardArc) {
        let Bound { local, remote, .. } = self.bound;
        let connection = self.shared.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        self.shared.events.send(ListenEvent::Accepted { connection, local, from, remote });
        let guest = Guest {
            runtime: self.runtime.clone(),
            connector: self.connector.clone(),
            options: Arc::clone(&self.options),
            remembered: self.remembered.clone(),
            shared: Arc::clone(&self.shared),
            bound: self.bound,
            number: connection,
            _slot: slot,
            _presence: self.shared.life.connection(),
        };
        let span = tracing::debug_span!("connection", number = connection, %local, %remote);
        self.runtime.spawn(guest.serve(socket).instrument(span));
    }
}

/// One program that has connected.
struct Guest<R, C> {
    runtime: R,
    connector: C,
    options: Arc<Options>,
    remembered: Remembered,
    shared: Arc<Shared>,
    bound: Bound,
    number: u64,
    _slot: SemaphoreGuardArc,
    _presence: Presence,
}

impl<R: Runtime, C: Connector> Guest<R, C> {
    async fn serve<S: Socket>(self, mut socket: S) {
        // Boxed: what a dial needs is given back before the bytes begin to move, and an idle
        // connection should not carry it.
        let dialling = Box::pin(self.shared.life.open(self.dial()));
        let Some(dialled) = dialling.await else {
            socket.abort();
            return;
        };
        match dialled {
            Ok(dialled) => self.bridge(dialled, socket).await,
            Err(error) => {
                socket.abort();
                tracing::debug!(%error, "no session");
                self.shared.failed.fetch_add(1, Ordering::Relaxed);
                self.shared.events.send(ListenEvent::Failed { connection: self.number, error });
            }
        }
    }

    async fn dial(&self) -> Result<Dialled<C::Io>, ConnectError> {
        let ports = [self.bound.remote];
        dial(&self.runtime, &self.connector, &ports, &self.options, &self.remembered).await
    }

    async fn bridge<S: Socket>(&self, dialled: Dialled<C::Io>, socket: S) {
        let Dialled { mut session, transport, endpoint, form, took } = dialled;
        let connection = self.number;
        let port = endpoint.ports.first().copied().unwrap_or(self.bound.remote);
        let opened = session.open(port, self.runtime.now());
        self.shared.events.send(ListenEvent::Connected { connection, endpoint, form, took });
        let mut bridge =
            Bridge::new(self.runtime.clone(), session, transport, self.options.rules())
                .with_meter(Arc::clone(&self.shared) as Arc<dyn Meter>);
        if let Ok(id) = opened {
            bridge = bridge.with_socket(id, socket);
        }
        if let Some(stop) = self.shared.life.closing() {
            bridge = bridge.with_stop(stop);
        }
        let BridgeReport { closed, relays, .. } = bridge.await;
        let report = relays.into_iter().next().unwrap_or_default();
        if let Some(failure) = &report.failure {
            tracing::debug!(%failure, up = report.bytes_up, down = report.bytes_down, "broken");
            self.shared.broken.fetch_add(1, Ordering::Relaxed);
        } else {
            tracing::debug!(up = report.bytes_up, down = report.bytes_down, "ended");
        }
        self.shared.events.send(ListenEvent::Ended { connection, report, closed });
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
            bytes_up: AtomicU64::new(0),
            bytes_down: AtomicU64::new(0),
        }
    }

    pub(crate) fn stats(&self) -> ListenStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ListenStats {
            accepted: get(&self.accepted),
            open: self.life.connections(),
            failed: get(&self.failed),
            broken: get(&self.broken),
            bytes_up: get(&self.bytes_up),
            bytes_down: get(&self.bytes_down),
        }
    }
}

impl Meter for Shared {
    fn moved(&self, up: u64, down: u64) {
        self.bytes_up.fetch_add(up, Ordering::Relaxed);
        self.bytes_down.fetch_add(down, Ordering::Relaxed);
    }
}
