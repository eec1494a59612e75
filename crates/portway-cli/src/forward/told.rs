use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portway_tokio::proto::{StreamError, printable};
use portway_tokio::{
    ConnectError, Events, ListenEvent, Port, RelayFailure, SessionOrigin, TargetEvent,
};

use crate::event::{End, Origin, What};
use crate::report::Teller;

/// What the listener of one forward has to say, in the words of [`What`].
#[derive(Debug)]
pub(crate) struct Told {
    forward: Arc<str>,
    /// The ports of the pod, where they are others than those asked for.
    remotes: HashMap<Port, Port>,
    accepted: HashMap<u64, Instant>,
    missed: u64,
}

impl Told {
    pub(crate) fn new(forward: Arc<str>, remotes: HashMap<Port, Port>) -> Self {
        Self { forward, remotes, accepted: HashMap::new(), missed: 0 }
    }

    /// Tells of everything until the listener is gone, and calls `lost` whenever the way to a pod is.
    pub(crate) async fn tell(mut self, mut events: Events, teller: Teller, lost: impl Fn()) {
        while let Some(event) = events.next().await {
            if is_loss(&event) {
                lost();
            }
            let Some(what) = self.what(event, Instant::now()) else { continue };
            if !teller.has_room() {
                self.missed += 1;
                continue;
            }
            let events = std::mem::take(&mut self.missed);
            if events > 0 {
                teller.tell(What::Missed { forward: Arc::clone(&self.forward), events });
            }
            teller.tell(what);
        }
    }

    /// One event, as far as anybody should know.
    pub(crate) fn what(&mut self, event: ListenEvent, now: Instant) -> Option<What> {
        let forward = Arc::clone(&self.forward);
        Some(match event {
            ListenEvent::Accepted { connection, local, from, remote } => {
                self.accepted.insert(connection, now);
                What::Accepted { forward, connection, local, from, remote: self.remote(remote) }
            }
            ListenEvent::Connected { connection, endpoint, form, origin, took } => {
                What::Connected {
                    forward,
                    connection,
                    namespace: endpoint.namespace,
                    pod: endpoint.pod,
                    form: form.to_string(),
                    origin: origin_of(origin),
                    took,
                }
            }
            ListenEvent::Retried { connection, error } => {
                What::Retried { forward, connection, error: error.to_string() }
            }
            ListenEvent::Failed { connection, local, remote, error } => {
                self.accepted.remove(&connection);
                let remote = self.remote(remote);
                What::Failed { forward, connection, local, remote, error: reason(&error) }
            }
            ListenEvent::Ended { connection, local, remote, report, .. } => {
                let began = self.accepted.remove(&connection);
                let (end, error) = end_of(report.failure);
                What::Ended {
                    forward,
                    connection,
                    local,
                    remote: self.remote(remote),
                    bytes_up: report.bytes_up,
                    bytes_down: report.bytes_down,
                    lasted: began.map_or(Duration::ZERO, |began| now - began),
                    end,
                    error,
                }
            }
            ListenEvent::Full { sessions } => What::Full { forward, connections: sessions },
            ListenEvent::Missed(events) => What::Missed { forward, events },
            ListenEvent::Target(event) => self.target(event)?,
            // What cannot be accepted is logged by the driver.
            ListenEvent::AcceptFailed { .. } | _ => return None,
        })
    }

    fn target(&self, event: TargetEvent) -> Option<What> {
        let forward = Arc::clone(&self.forward);
        Some(match event {
            TargetEvent::Lost { namespace, pod, reason } => {
                What::Lost { forward, namespace, pod, reason }
            }
            TargetEvent::Resolving { error } => {
                What::Resolving { forward, error: error.to_string() }
            }
            TargetEvent::Restored { namespace, pod, after } => {
                What::Restored { forward, namespace, pod, after }
            }
            TargetEvent::Unwatched { error } => {
                What::Unwatched { forward, error: error.to_string() }
            }
            _ => return None,
        })
    }

    fn remote(&self, asked: Port) -> u16 {
        self.remotes.get(&asked).copied().unwrap_or(asked).get()
    }
}

/// Why there is no session, as one line.
pub(crate) fn reason(error: &ConnectError) -> String {
    let text = error.to_string();
    printable(&text).limit(1_500).to_string()
}

/// For kubectl this is the end; a port that is refused is not, though kubectl takes it for one.
fn is_loss(event: &ListenEvent) -> bool {
    match event {
        ListenEvent::Target(event) => matches!(event, TargetEvent::Lost { .. }),
        ListenEvent::Ended { report, .. } => {
            matches!(report.failure, Some(RelayFailure::Stream(StreamError::Session(_))))
        }
        ListenEvent::Failed { error, .. } => matches!(error, ConnectError::Resolve(_)),
        ListenEvent::Accepted { .. }
        | ListenEvent::Connected { .. }
        | ListenEvent::Retried { .. }
        | ListenEvent::AcceptFailed { .. }
        | ListenEvent::Full { .. }
        | ListenEvent::Missed(_)
        | _ => false,
    }
}

const fn origin_of(origin: SessionOrigin) -> Origin {
    match origin {
        SessionOrigin::Spare => Origin::Spare,
        SessionOrigin::Reused => Origin::Reused,
        SessionOrigin::Dialled | _ => Origin::Dialled,
    }
}

fn end_of(failure: Option<RelayFailure>) -> (End, Option<String>) {
    match failure {
        None => (End::Clean, None),
        Some(failure @ RelayFailure::Socket(_)) => (End::Program, Some(failure.to_string())),
        Some(failure @ RelayFailure::Aborted) => (End::Stopped, Some(failure.to_string())),
        Some(failure) => (End::Failed, Some(failure.to_string())),
    }
}
