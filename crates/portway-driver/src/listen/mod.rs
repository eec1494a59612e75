mod bind;
mod counters;
mod door;
mod events;
mod mapping;
mod opened;
#[cfg(unix)]
mod socket_file;

pub use bind::ListenError;
pub use counters::Counters;
pub use door::ListenStats;
pub(crate) use door::Shared;
pub use events::{Events, ListenEvent, SessionOrigin, TargetEvent, TargetSink};
pub use mapping::{Bound, Mapping};

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use portway_proto::{CloseReason, Port, WireForm};

use self::bind::bind;
use self::door::Door;
use crate::dial::{Dialled, dial};
use crate::pool::Pool;
use crate::{
    Bridge, ConnectError, Connector, Endpoint, Lifecycle, Net, Options, Remembered, Runtime, Socket,
};

/// Local ports that lead into a pod. Every program that connects has a session to itself while it is
/// connected, unless [`Sessions::Shared`](crate::Sessions::Shared) says otherwise, so that none can slow
/// another down, and none ends but by its own errors.
///
/// It is ready when it exists: its ports are open, and programs that connect are served.
/// [`probe`](Self::probe) says whether the way into the pod is open too. Dropping it ends every
/// connection at once, and the sessions behind them with a goodbye; [`shutdown`](Self::shutdown) lets connections finish.
pub struct Listening {
    shared: Arc<Shared>,
    bound: Vec<Bound>,
    idle: Arc<IdleFn>,
    probe: ProbeFn,
}

type IdleFn = Box<dyn Fn() -> usize + Send + Sync>;

type ProbeFn = Box<dyn Fn() -> BoxFuture<Result<Probe, ConnectError>> + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What one upgrade has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// The pod that was reached.
    pub endpoint: Endpoint,
    /// The wire form agreed on.
    pub form: WireForm,
    /// How long it took.
    pub took: Duration,
}

/// What a shutdown had to cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// Connections that had not ended by the deadline, and were reset.
    pub connections: usize,
}

/// Opens the local ports and serves them in the background.
pub(crate) async fn listen<R, C>(
    runtime: R,
    connector: C,
    mappings: Vec<Mapping>,
    options: Options,
) -> Result<Listening, ListenError>
where
    R: Runtime + Net,
    C: Connector,
{
    if mappings.is_empty() {
        return Err(ListenError::Nothing);
    }
    let life = Arc::new(Lifecycle::new(runtime.clone()));
    let shared = Arc::new(Shared::new(life, options.max_sessions));
    let mut bound = Vec::new();
    let mut doors = Vec::new();
    for mapping in &mappings {
        for opened in bind(&runtime, mapping).await? {
            let local = opened.local.clone();
            if local.socket_addr().is_some_and(|addr| addr.ip().is_unspecified()) {
                tracing::warn!(%local, "listening on a wildcard address: anybody who reaches this machine reaches the pod");
            }
            let open = Bound { local, remote: mapping.remote() };
            bound.push(open.clone());
            doors.push((opened, open));
        }
    }
    let options = options.for_listener();
    let remembered = connector.remembered();
    let mut ports: Vec<Port> = Vec::new();
    for port in mappings.iter().map(Mapping::remote) {
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    let pool = Pool::new(
        runtime.clone(),
        connector.clone(),
        options.clone(),
        remembered.clone(),
        ports.as_slice().into(),
        Arc::clone(&shared),
    );
    for (opened, bound) in doors {
        runtime.spawn(Door::new(&runtime, &pool, &shared, bound).serve(opened));
    }
    runtime.spawn(watch(connector.clone(), Arc::clone(&pool), Arc::clone(&shared)));
    let idle: Arc<IdleFn> = Arc::new(Box::new(move || pool.idle()));
    let probe: ProbeFn = Box::new(move || {
        let (runtime, connector) = (runtime.clone(), connector.clone());
        let (options, port) = (options.clone(), ports.first().copied());
        let remembered = remembered.clone();
        Box::pin(async move {
            let ports: Vec<Port> = port.into_iter().collect();
            probe(&runtime, &connector, &ports, &options, &remembered).await
        })
    });
    Ok(Listening { shared, bound, idle, probe })
}

impl Listening {
    /// What is open, in the order of the mappings: addresses with their real ports, and unix sockets.
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }

    /// The first local port's address: the one to use where there is one mapping. Where there are only
    /// unix sockets, which [`bound`](Self::bound) has, it is `0.0.0.0:0`.
    pub fn local_addr(&self) -> SocketAddr {
        let first = self.bound.iter().find_map(|bound| bound.local.socket_addr());
        first.unwrap_or_else(|| ([0, 0, 0, 0], 0).into())
    }

    /// Does one upgrade, for the first mapping, as a connection would, and says what the server
    /// answered. In a tunnel or over plain SPDY the pod notices nothing of it. On v4 it is dialled by
    /// the upgrade, so its program sees a connection that ends at once.
    ///
    /// # Errors
    /// What a connection would have failed with.
    pub async fn probe(&self) -> Result<Probe, ConnectError> {
        (self.probe)().await
    }

    /// Counters as of now.
    pub fn stats(&self) -> ListenStats {
        self.counters().stats()
    }

    /// The same counters for somebody else, who can also wait for them to change.
    pub fn counters(&self) -> Counters {
        Counters::new(Arc::clone(&self.shared), Arc::downgrade(&self.idle))
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        self.shared.events.subscribe()
    }

    /// Stops accepting, waits until every connection has ended, but no longer than `deadline`, and
    /// resets what is left then. Sessions end with a goodbye, and what waits for a connection at once.
    /// A server that does not answer it holds this up for no longer than half a second after the
    /// deadline. When it returns, nothing of the listener runs any more.
    pub async fn shutdown(self, deadline: Duration) -> Leftover {
        let connections = self.shared.life.shutdown(deadline).await;
        Leftover { connections }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shared.life.abort();
        self.shared.events.close();
    }
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening")
            .field("bound", &self.bound)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Looks after the target until no more connections are accepted.
fn watch<R: Runtime, C: Connector, S: Socket>(
    connector: C,
    pool: Arc<Pool<R, C, S>>,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> {
    let presence = shared.life.helper();
    let sink = TargetSink::new(shared.events.clone(), move || {
        pool.reconsider();
        pool.see_to_spare();
    });
    async move {
        let _presence = presence;
        shared.life.accepting(connector.watch(sink)).await;
    }
}

/// One upgrade, and an end to it.
async fn probe<R: Runtime, C: Connector>(
    runtime: &R,
    connector: &C,
    ports: &[Port],
    options: &Options,
    remembered: &Remembered,
) -> Result<Probe, ConnectError> {
    let dialled = dial(runtime, connector, ports, options, remembered).await?;
    let Dialled { mut session, transport, endpoint, form, took } = dialled;
    session.close(CloseReason::Local, runtime.now());
    let rules = options.rules();
    let goodbye: Bridge<R, _, C::Io> = Bridge::new(runtime.clone(), session, transport, rules);
    goodbye.await;
    Ok(Probe { endpoint, form, took })
}
