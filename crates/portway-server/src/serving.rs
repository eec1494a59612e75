use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_lock::{Semaphore, SemaphoreGuardArc};
use event_listener::Event;
use portway_driver::{Listener, Runtime, Signal, Socket};

use crate::limits::after;
use crate::{Pods, Server, ServerEvent, reception};

/// A listener that is being served. Dropping it ends everything at once;
/// [`shutdown`](Self::shutdown) lets sessions finish.
pub struct Serving {
    local: SocketAddr,
    life: Arc<Life>,
    sleep: SleepFn,
}

type SleepFn = Box<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What a shutdown had to cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Connections whose sessions had not ended by the deadline.
    pub connections: usize,
}

/// What the accepting task and the connections share.
#[derive(Debug, Default)]
struct Life {
    stop_accepting: Signal,
    abort: Signal,
    connections: AtomicUsize,
    /// The accepting task, until it has dropped the listener.
    doors: AtomicUsize,
    /// A connection or the accepting task has ended.
    ended: Event,
}

impl Serving {
    pub(crate) fn start<R: Runtime, P: Pods, L: Listener>(
        server: Server<R, P>,
        listener: L,
    ) -> io::Result<Self> {
        let local = listener.local_addr()?;
        if !local.ip().is_loopback() && !server.is_guarded() {
            tracing::warn!(%local, "no authorizer: anybody who reaches this address reaches the pods");
        }
        let life = Arc::new(Life::default());
        let runtime = server.runtime.clone();
        let sleeper = runtime.clone();
        let sleep: SleepFn = Box::new(move |wait| {
            let sleep = sleeper.sleep_until(after(sleeper.now(), wait));
            Box::pin(sleep)
        });
        let presence = Presence::door(&life);
        runtime.spawn(accept(presence, server, listener, Arc::clone(&life)));
        Ok(Self { local, life, sleep })
    }

    /// The address that is served, with its real port.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Connections that are open now, with a session or on the way to one.
    pub fn connections(&self) -> usize {
        self.life.connections.load(Ordering::SeqCst)
    }

    /// Stops accepting, cuts off who has no session yet, and waits until every session has ended,
    /// but no longer than `deadline`; what is left then is reset. When it returns, nothing of it
    /// runs any more.
    pub async fn shutdown(self, deadline: Duration) -> Unfinished {
        self.life.stop_accepting.set();
        let mut late = (self.sleep)(deadline);
        let mut drained = Box::pin(self.life.drained());
        let in_time = std::future::poll_fn(|cx| {
            if drained.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            late.as_mut().poll(cx).map(|()| false)
        })
        .await;
        if in_time {
            return Unfinished { connections: 0 };
        }
        let connections = self.connections();
        self.life.abort.set();
        drained.await;
        Unfinished { connections }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.life.stop_accepting.set();
        self.life.abort.set();
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("local", &self.local)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

impl Life {
    /// No connection and no listener is left.
    async fn drained(&self) {
        loop {
            let ended = self.ended.listen();
            let left = [&self.connections, &self.doors];
            if left.iter().all(|counter| counter.load(Ordering::SeqCst) == 0) {
                return;
            }
            ended.await;
        }
    }
}

/// Accepts until told to stop. An error of the system is waited out. The presence is the first
/// parameter because that is dropped last: after the listener.
async fn accept<R: Runtime, P: Pods, L: Listener>(
    _presence: Presence,
    server: Server<R, P>,
    mut listener: L,
    life: Arc<Life>,
) {
    const RETRY: Duration = Duration::from_millis(100);
    let handshakes = Arc::new(Semaphore::new(server.settings.limits.handshakes));
    while let Some(place) = life.stop_accepting.or(handshakes.acquire_arc()).await {
        let accepted = std::future::poll_fn(|cx| listener.poll_accept(cx));
        match life.stop_accepting.or(accepted).await {
            None => break,
            Some(Ok((socket, client))) => {
                let presence = Presence::connection(&life);
                let connection = Connection { server: server.clone(), client, place, presence };
                server.runtime.spawn(connection.serve(socket));
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept");
                server.notify(ServerEvent::AcceptFailed { error: Arc::new(error) });
                let retry = server.runtime.sleep_until(server.runtime.now() + RETRY);
                if life.stop_accepting.or(retry).await.is_none() {
                    break;
                }
            }
        }
    }
}

/// Somebody who has connected.
struct Connection<R, P> {
    server: Server<R, P>,
    client: SocketAddr,
    place: SemaphoreGuardArc,
    presence: Presence,
}

impl<R: Runtime, P: Pods> Connection<R, P> {
    async fn serve<S: Socket>(self, socket: S) {
        let Self { server, client, place, presence } = self;
        let life = &presence.life;
        // Boxed: what HTTP needs is given back before the bytes begin to move.
        let reception = Box::pin(reception::receive(&server, socket, Some(client)));
        let received = life.stop_accepting.or(reception).await;
        drop(place);
        let Some(Some((admission, mut socket, leftover))) = received else { return };
        match life.abort.listen() {
            Some(stop) => drop(admission.run_until(socket, leftover, Some(stop)).await),
            None => socket.abort(),
        }
    }
}

/// Counts something for as long as it is there.
struct Presence {
    life: Arc<Life>,
    counter: fn(&Life) -> &AtomicUsize,
}

impl Presence {
    fn connection(life: &Arc<Life>) -> Self {
        Self::new(life, |life| &life.connections)
    }

    fn door(life: &Arc<Life>) -> Self {
        Self::new(life, |life| &life.doors)
    }

    fn new(life: &Arc<Life>, counter: fn(&Life) -> &AtomicUsize) -> Self {
        counter(life).fetch_add(1, Ordering::SeqCst);
        Self { life: Arc::clone(life), counter }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        (self.counter)(&self.life).fetch_sub(1, Ordering::SeqCst);
        self.life.ended.notify(usize::MAX);
    }
}
