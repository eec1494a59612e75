mod port_stream;
mod shared;

pub use port_stream::PortStream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portway_proto::handshake::OfferError;
use portway_proto::{CloseReason, OpenError, Port, Stats, StreamId, WireForm};

use self::shared::{Mover, Owner, Shared};
use crate::dial::{Dialled, dial};
use crate::{ConnectError, Connector, DialError, Endpoint, Options, Runtime};

/// One session with [`PortStream`]s into a pod, in process: no local port is opened.
///
/// The session lives for as long as this or any of its streams does.
#[derive(Debug)]
pub struct Forward {
    shared: Owner,
    asked: Vec<Port>,
    /// What each port asked for is in the pod.
    ports: BTreeMap<Port, Port>,
    /// Streams that are there from the start and were not asked for yet.
    unopened: BTreeMap<Port, StreamId>,
    endpoint: Endpoint,
    form: WireForm,
    took: Duration,
}

/// Dials and starts the task that moves the messages.
pub(crate) async fn forward<R: Runtime, C: Connector>(
    runtime: R,
    connector: C,
    ports: &[Port],
    options: &Options,
) -> Result<Forward, ConnectError> {
    // Two that are asked for may lead to one, but one is asked for once.
    let again = ports.iter().enumerate().find(|(at, port)| ports[..*at].contains(port));
    if let Some((_, &port)) = again {
        return Err(DialError::from(OfferError::DuplicatePort { port }).into());
    }
    let remembered = connector.remembered();
    let dialled = Box::pin(dial(&runtime, &connector, ports, options, &remembered)).await?;
    let Dialled { mut session, transport, endpoint, form, took } = dialled;
    let asked = ports.to_vec();
    let ports: BTreeMap<Port, Port> =
        ports.iter().copied().zip(endpoint.ports.iter().copied()).collect();
    let mut unopened = BTreeMap::new();
    if !session.capabilities().dynamic_open {
        // They are dialled already; to a session that has ended their error texts would be lost.
        for (asked, actual) in &ports {
            if let Ok(id) = session.open(*actual, runtime.now()) {
                unopened.insert(*asked, id);
            }
        }
    }
    let shared = Arc::new(Shared::new(runtime.clone(), session));
    let owner = Owner::new(&shared);
    runtime.clone().spawn(Mover::new(runtime, shared, transport));
    Ok(Forward { shared: owner, asked, ports, unopened, endpoint, form, took })
}

impl Forward {
    /// A connection to a port. It takes bytes at once: nothing is waited for.
    ///
    /// In a tunnel and over plain SPDY as often as wanted, and to any port of the pod. v4 carries
    /// each port that was asked for once.
    ///
    /// # Errors
    /// v4: the port was not asked for, or is open already. Else: the session is over, takes no new
    /// streams, or has as many as it may.
    pub fn open(&mut self, port: Port) -> Result<PortStream, OpenError> {
        let id = match self.unopened.remove(&port) {
            Some(id) => id,
            None => {
                let actual = self.ports.get(&port).copied().unwrap_or(port);
                self.shared.change(|inner, now| inner.session.open(actual, now))?
            }
        };
        Ok(PortStream::new(self.shared.clone(), id, port))
    }

    /// The ports that were asked for, in that order.
    pub fn ports(&self) -> &[Port] {
        &self.asked
    }

    /// The pod that was reached.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The wire form agreed on.
    pub const fn form(&self) -> WireForm {
        self.form
    }

    /// How long it took to resolve, dial and upgrade.
    pub const fn took(&self) -> Duration {
        self.took
    }

    /// Counters of the session.
    pub fn stats(&self) -> Stats {
        self.shared.lock().session.stats()
    }

    /// Asks the far end whether it is there, and waits for the answer: how long that took. In a tunnel and
    /// over plain SPDY the pod's node answers, on v4 whoever ends the WebSocket. No program in the pod
    /// notices. A server that does not answer is waited for until the session ends: bound it in time.
    /// Cancellation-safe.
    ///
    /// # Errors
    /// The session is over.
    pub async fn round_trip(&self) -> Result<Duration, CloseReason> {
        self.shared.round_trip().await
    }

    /// Waits for the end of the session. Cancellation-safe.
    pub async fn closed(&self) -> CloseReason {
        self.shared.closed().await
    }

    /// Ends the session: what was written is still sent, then the peer is told. Streams that are
    /// held somewhere fail. Returns when it is over and its task with it, which is bounded by the close
    /// timeout of the session's config and two seconds for the last messages.
    pub async fn shutdown(self) -> CloseReason {
        self.shared.change(|inner, now| inner.session.close(CloseReason::Local, now));
        self.shared.gone().await
    }
}

impl Drop for Forward {
    /// What nobody can open any more must not hold the others up.
    fn drop(&mut self) {
        let unopened = std::mem::take(&mut self.unopened);
        self.shared.change(|inner, now| {
            for id in unopened.into_values() {
                inner.session.release(id, now);
            }
        });
    }
}
