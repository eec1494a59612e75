use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_lock::SemaphoreGuardArc;
use bytes::Bytes;
use event_listener::EventListener;
use http::Response;
use portway_driver::proto::handshake::Accepted;
use portway_driver::proto::{Session, Side};
use portway_driver::{
    Bridge, BridgeReport, DialPod, PodSocket, Port, RelayReport, Runtime, Socket, WireForm,
    WireTransport, Wording, after, until,
};
use tracing::Instrument;

use crate::{Pods, Server, ServerEvent, Target, wording};

/// A request that was let in: answer it, and run its session on the connection.
///
/// It holds a place among the sessions allowed until it is dropped or its session is over.
#[must_use = "the session does not begin before it is run"]
pub struct Admission<R, P: Pods> {
    pub(crate) server: Server<R, P>,
    pub(crate) number: u64,
    pub(crate) target: Target,
    pub(crate) client: Option<SocketAddr>,
    pub(crate) accepted: Accepted,
    /// The ports that may be dialled; `None` is every port.
    pub(crate) granted: Option<Vec<Port>>,
    pub(crate) pod: Arc<P::Pod>,
    pub(crate) session: Session,
    pub(crate) slot: SemaphoreGuardArc,
}

impl<R: Runtime, P: Pods> Admission<R, P> {
    /// The answer to send: 101. The session's bytes follow it.
    pub fn response(&self) -> Response<()> {
        self.accepted.response()
    }

    /// The pod.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The ports of the session in their order; empty where streams name theirs.
    pub fn ports(&self) -> &[Port] {
        self.accepted.ports()
    }

    /// The wire form agreed on.
    pub const fn form(&self) -> WireForm {
        self.accepted.form()
    }

    /// Runs the session until it is over. `leftover` is what was read behind the head of the
    /// request. Dropping the future ends everything at once.
    pub async fn run<S: Socket>(self, socket: S, leftover: Bytes) -> BridgeReport {
        self.run_until(socket, leftover, None).await
    }

    pub(crate) async fn run_until<S: Socket>(
        self,
        socket: S,
        leftover: Bytes,
        ends: Option<Ends>,
    ) -> BridgeReport {
        let Self { server, number, target, client, accepted, granted, pod, session, slot } = self;
        let form = accepted.form();
        let span = tracing::debug_span!("session", number, %target, %form);
        let ports = accepted.ports().to_vec();
        let settings = Arc::clone(&server.settings);
        let dialler = Dialler { server: server.clone(), target: target.clone(), granted, pod };
        let (max_message, read_size) = (settings.limits.max_message, settings.rules.read_size);
        let watcher = server.clone();
        let transport =
            WireTransport::for_form(form, Side::Server, socket, leftover, max_message, read_size);
        let mut bridge = Bridge::new(server.runtime.clone(), session, transport, settings.rules)
            .with_pods(move |port| dialler.dial(port))
            .with_reports(move |report| tell(&watcher, number, report));
        if let Some(Ends { retire, close, abort }) = ends {
            bridge = bridge.with_retire(retire).with_close(close).with_stop(abort);
        }
        server.notify(ServerEvent::Opened { session: number, target, ports, form, client });
        let report = async {
            tracing::debug!("opened");
            let report = bridge.await;
            let closed = &report.closed;
            tracing::debug!(%closed, "ended");
            report
        };
        let report = report.instrument(span).await;
        drop(slot);
        server.notify(ServerEvent::Ended { session: number, report: report.clone() });
        report
    }
}

fn tell<R: Runtime, P: Pods>(server: &Server<R, P>, session: u64, report: RelayReport) {
    let (up, down) = (report.bytes_up, report.bytes_down);
    let port = report.port.map(Port::get);
    match &report.failure {
        Some(failure) => tracing::debug!(port, %failure, up, down, "connection broken"),
        None => tracing::debug!(port, up, down, "connection ended"),
    }
    server.notify(ServerEvent::Disconnected { session, report });
}

/// How a session is told to end.
pub(crate) struct Ends {
    pub(crate) retire: EventListener,
    pub(crate) close: EventListener,
    pub(crate) abort: EventListener,
}

/// Reaches the ports of one session's pod.
struct Dialler<R, P: Pods> {
    server: Server<R, P>,
    target: Target,
    granted: Option<Vec<Port>>,
    pod: Arc<P::Pod>,
}

impl<R: Runtime, P: Pods> Dialler<R, P> {
    fn dial(&self, port: Port) -> DialPod<P::Socket> {
        let name = self.target.pod.clone();
        if self.granted.as_ref().is_some_and(|granted| !granted.contains(&port)) {
            let text = wording::forwarding(port, &name, "the port is not allowed");
            return Box::pin(std::future::ready(Err(text)));
        }
        let (pods, pod) = (Arc::clone(&self.server.pods), Arc::clone(&self.pod));
        let runtime = self.server.runtime.clone();
        let deadline = after(runtime.now(), self.server.settings.limits.dial);
        Box::pin(async move {
            let dialled = match until(&runtime, deadline, pods.dial(&pod, port)).await {
                Ok(dialled) => dialled.map_err(|error| error.to_string()),
                Err(_) => Err(wording::too_slow(port)),
            };
            let socket = dialled.map_err(|cause| wording::forwarding(port, &name, &cause))?;
            let addresses = socket.addresses();
            let words = Wording::new(move |during, error| {
                wording::forwarding(port, &name, &wording::copying(during, addresses, error))
            });
            Ok(PodSocket::new(socket, words))
        })
    }
}

impl<R, P: Pods> fmt::Debug for Admission<R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("number", &self.number)
            .field("target", &self.target)
            .field("accepted", &self.accepted)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use portway_smol::Smol;

    use super::*;
    use crate::{LocalPod, LocalPods};

    /// v4 asks for its ports in the request; of the forms in which a stream names its port only this
    /// can know.
    #[test]
    fn a_port_that_was_not_granted_is_not_dialled() {
        let server = Server::new(Smol::global(), LocalPods::new(Smol::global()));
        let dialler = Dialler {
            server,
            target: Target::new("default", "web-0"),
            granted: Port::new(80).map(|port| vec![port]),
            pod: Arc::new(LocalPod::closed()),
        };
        let dial = |port| smol::block_on(dialler.dial(Port::new(port).unwrap())).unwrap_err();
        let denied = "error forwarding port 81 to pod web-0, uid : the port is not allowed";
        assert_eq!(dial(81), denied);
        assert!(dial(80).ends_with("connect: connection refused"));
    }
}
