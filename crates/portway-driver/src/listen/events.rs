use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_broadcast::{InactiveReceiver, Receiver, RecvError, Sender};
use portway_proto::{CloseReason, Port, StreamError, WireForm};

use crate::{ConnectError, Endpoint, LocalAddr, RelayReport, ResolveError};

/// What happens at a listener. Connections are numbered from 1.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ListenEvent {
    /// A program has connected.
    Accepted {
        /// The number of the connection.
        connection: u64,
        /// The local address it came in at.
        local: LocalAddr,
        /// Where it came from; through a unix socket from nowhere.
        from: Option<SocketAddr>,
        /// The port in the pod it leads to, as asked for.
        remote: Port,
    },
    /// Its session stands.
    Connected {
        /// The number of the connection.
        connection: u64,
        /// The pod it leads to.
        endpoint: Endpoint,
        /// The wire form agreed on.
        form: WireForm,
        /// Where the session came from.
        origin: SessionOrigin,
        /// How long that took: no time where a session was there.
        took: Duration,
    },
    /// The session that was there for it turned out dead before its stream was open: a new one is
    /// dialled, gets the same bytes, and `Connected` comes again. In the rare case that the server had
    /// passed them on, and was lost before it could say so, the pod gets them twice, on two connections.
    /// The same is done, and nothing can come twice, where the server says that it could not reach the
    /// pod, and the target [has moved](crate::Connector::has_moved) since.
    Retried {
        /// The number of the connection.
        connection: u64,
        /// What the session that was there died of, or what was said of the pod.
        error: StreamError,
    },
    /// No session came about; the connection was reset.
    Failed {
        /// The number of the connection.
        connection: u64,
        /// The local address it came in at.
        local: LocalAddr,
        /// The port in the pod, as asked for.
        remote: Port,
        /// Why.
        error: ConnectError,
    },
    /// The connection is over.
    Ended {
        /// The number of the connection.
        connection: u64,
        /// The local address it came in at.
        local: LocalAddr,
        /// The port in the pod, as asked for.
        remote: Port,
        /// How it went.
        report: RelayReport,
        /// Why its session ended; `None` where that goes on.
        closed: Option<CloseReason>,
    },
    /// The system could not hand over a connection; it is tried again.
    AcceptFailed {
        /// The local address.
        local: LocalAddr,
        /// What the system said.
        error: Arc<std::io::Error>,
        /// When it is tried again.
        retry_after: Duration,
    },
    /// As many connections are open as allowed: no more are accepted until one ends.
    Full {
        /// How many.
        sessions: usize,
    },
    /// Something about the target, which every connection to come is concerned by.
    Target(TargetEvent),
    /// This many events were lost, because nobody fetched them.
    Missed(u64),
}

/// What happens to a target that moves, as its [`Connector`](crate::Connector) sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TargetEvent {
    /// It does not lead to this pod any more: no new connection is sent there.
    Lost {
        /// The namespace of the pod.
        namespace: String,
        /// The pod.
        pod: String,
        /// Why, in words.
        reason: String,
    },
    /// It leads to no pod at the moment: connections wait while it is looked for.
    Resolving {
        /// What stands in the way.
        error: ResolveError,
    },
    /// It leads to a pod again, perhaps to the same one.
    Restored {
        /// The namespace of the pod.
        namespace: String,
        /// The pod.
        pod: String,
        /// How long it led to none.
        after: Duration,
    },
    /// The server does not tell what happens to its pods: every connection looks its pod up, and has a
    /// session dialled for it.
    Unwatched {
        /// Why.
        error: ResolveError,
    },
}

impl fmt::Display for TargetEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { pod, reason, .. } => write!(f, "lost pod {pod}: {reason}"),
            Self::Resolving { error } => write!(f, "connections wait for a pod: {error}"),
            Self::Restored { pod, after, .. } => {
                write!(f, "connections go to pod {pod} after {:.1} s", after.as_secs_f32())
            }
            Self::Unwatched { error } => {
                write!(f, "every connection looks its pod up: {error}")
            }
        }
    }
}

/// Where a [`Connector`](crate::Connector) tells a listener what happens to its target.
///
/// With every event the listener asks again [which of its sessions](crate::Connector::is_current)
/// still lead there: say what is known before it is told, and hold no lock that the answer needs.
#[derive(Clone)]
pub struct TargetSink {
    events: EventSink,
    reconsider: Arc<dyn Fn() + Send + Sync>,
}

impl TargetSink {
    pub(crate) fn new(events: EventSink, reconsider: impl Fn() + Send + Sync + 'static) -> Self {
        Self { events, reconsider: Arc::new(reconsider) }
    }

    /// Tells it. Never waits.
    pub fn send(&self, event: TargetEvent) {
        (self.reconsider)();
        self.events.send(ListenEvent::Target(event));
    }
}

impl fmt::Debug for TargetSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetSink").finish_non_exhaustive()
    }
}

/// Where the session of a connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionOrigin {
    /// It was dialled for this connection.
    Dialled,
    /// It was dialled ahead of need, and waited.
    Spare,
    /// It has carried another connection before, or still does.
    Reused,
}

/// The events of a listener from the moment this was made, in order.
///
/// Fetch them: only the latest 1,024 are kept, and [`ListenEvent::Missed`] says what was lost.
#[derive(Debug, Clone)]
pub struct Events {
    receiver: Receiver<ListenEvent>,
}

impl Events {
    /// The next event; `None` once the listener is gone. Cancellation-safe: a dropped future takes
    /// no event with it.
    pub async fn next(&mut self) -> Option<ListenEvent> {
        match self.receiver.recv_direct().await {
            Ok(event) => Some(event),
            Err(RecvError::Overflowed(missed)) => Some(ListenEvent::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// The listener's end of its events.
#[derive(Debug, Clone)]
pub(crate) struct EventSink {
    sender: Sender<ListenEvent>,
    /// Keeps the channel open while nobody listens.
    keep: InactiveReceiver<ListenEvent>,
}

impl EventSink {
    const KEPT: usize = 1_024;

    pub(crate) fn new() -> Self {
        let (mut sender, receiver) = async_broadcast::broadcast(Self::KEPT);
        sender.set_overflow(true);
        sender.set_await_active(false);
        Self { sender, keep: receiver.deactivate() }
    }

    pub(crate) fn send(&self, event: ListenEvent) {
        // The only failures are that nobody listens, and that the channel was closed.
        let _ = self.sender.try_broadcast(event);
    }

    pub(crate) fn subscribe(&self) -> Events {
        Events { receiver: self.keep.activate_cloned() }
    }

    pub(crate) fn close(&self) {
        self.sender.close();
    }
}
