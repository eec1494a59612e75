mod port_stream;
mod shared;

pub use port_stream::PortStream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portway_proto::{CloseReason, Port, Stats, WireForm};

use self::shared::{Mover, Shared};
use crate::dial::{Dialled, dial};
use crate::{ConnectError, Connector, Endpoint, Options, Runtime};

/// One session with a [`PortStream`] for each port, in process: no local port is opened.
///
/// Take the streams out and drop this: the session lives for as long as any stream does.
#[derive(Debug)]
pub struct Forward {
    shared: Arc<Shared>,
    streams: BTreeMap<Port, PortStream>,
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
    let remembered = connector.remembered();
    let dialled = Box::pin(dial(&runtime, &connector, ports, options, &remembered)).await?;
    let Dialled { mut session, transport, endpoint, form, took } = dialled;
    let mut ids = Vec::new();
    for (asked, actual) in ports.iter().zip(&endpoint.ports) {
        if let Ok(id) = session.open(*actual, runtime.now()) {
            ids.push((*asked, id));
        }
    }
    let shared = Arc::new(Shared::new(runtime.clone(), session));
    let stream = |(port, id)| (port, PortStream::new(Arc::clone(&shared), id, port));
    let streams = ids.into_iter().map(stream).collect();
    runtime.clone().spawn(Mover::new(runtime, Arc::clone(&shared), transport));
    Ok(Forward { shared, streams, endpoint, form, took })
}

impl Forward {
    /// The stream of a port; once.
    pub fn take(&mut self, port: Port) -> Option<PortStream> {
        self.streams.remove(&port)
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

    /// Waits for the end of the session. Cancellation-safe.
    pub async fn closed(&self) -> CloseReason {
        self.shared.closed().await
    }

    /// Ends the session: what was written is still sent, then the peer is told. Streams that are
    /// held somewhere fail. Returns when it is over, which is bounded by the close timeout of the
    /// session's config.
    pub async fn shutdown(self) -> CloseReason {
        self.shared.change(|inner, now| inner.session.close(CloseReason::Local, now));
        self.shared.closed().await
    }
}
