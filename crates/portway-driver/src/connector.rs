use std::fmt::{self, Display};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use portway_proto::handshake::{Action, Offer, OfferError, Refusal, RequestError, UpgradeError};
use portway_proto::{ConfigError, Port, WireForm};

use crate::{NegotiationError, Remembered, Socket, TargetSink};

/// Where targets plug in: finds the pod, and opens an upgraded connection to it.
///
/// [`HttpConnector`](crate::HttpConnector) is the plain one. Tests bring their own. The methods with a
/// default are for targets that move, and nothing that leads to one pod need care about them.
pub trait Connector: Clone + Send + Sync + Unpin + 'static {
    /// The connection below the session.
    type Io: Socket;

    /// Which pod, and which of its ports, now. Asked before every dial, so that a target which has
    /// moved is found again.
    ///
    /// # Errors
    /// There is no such pod at the moment, or it could not be looked up.
    fn resolve(
        &self,
        ports: &[Port],
    ) -> impl Future<Output = Result<Endpoint, ResolveError>> + Send;

    /// Opens a connection and asks once for what is offered. Bounded in time by the implementation.
    /// Asking for something else instead is not its business: that is decided from the error.
    ///
    /// # Errors
    /// What stood in the way, typed: whether to try again is for the caller to say.
    fn dial(
        &self,
        to: &Endpoint,
        offer: &Offer,
    ) -> impl Future<Output = Result<Upgraded<Self::Io>, DialError>> + Send;

    /// Where to keep what is learnt about the server: keep one value and hand out clones of it. By
    /// default every listener and every forward learns anew.
    fn remembered(&self) -> Remembered {
        Remembered::default()
    }

    /// What it leads to is as good for the next connection as for the last, so that a listener may keep
    /// sessions and dial ahead of need. Where it is not, every connection is resolved and dialled by
    /// itself. Asked whenever it matters, and answered at once. Default: yes.
    fn is_sticky(&self) -> bool {
        true
    }

    /// Whether the target still leads there. A session to somewhere else takes no new connection; those
    /// that it carries are left alone. Answered from what is known, at once. Default: yes.
    fn is_current(&self, to: &Endpoint) -> bool {
        let _ = to;
        true
    }

    /// A connection got nothing but an error text: the pod may be gone, or a port of it closed.
    fn doubt(&self, to: &Endpoint) {
        let _ = to;
    }

    /// A connection could not reach the pod at `to`, and nothing of it was passed on. True, after asking
    /// once more: the target does not lead there any more, and is resolved and dialled again for it.
    /// Default: no.
    fn has_moved(&self, to: &Endpoint) -> impl Future<Output = bool> + Send {
        let _ = to;
        std::future::ready(false)
    }

    /// A dial of `to` failed, on behalf of a connection that has waited since `since`. True, after a
    /// back-off: the target is resolved and dialled again. Bounded by the implementation. Default: no.
    fn try_again(
        &self,
        to: &Endpoint,
        error: &ConnectError,
        since: Instant,
    ) -> impl Future<Output = bool> + Send {
        let _ = (to, error, since);
        std::future::ready(false)
    }

    /// Looks after the target for as long as a listener accepts, beside it and never instead of it: the
    /// future is dropped then, and the listener does not end before that. What is noticed goes to
    /// `sink`. Default: nothing is.
    fn watch(&self, sink: TargetSink) -> impl Future<Output = ()> + Send {
        drop(sink);
        std::future::ready(())
    }
}

/// What a target means at one moment: a pod, and its ports in the order they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// The namespace of the pod.
    pub namespace: String,
    /// The name of the pod.
    pub pod: String,
    /// Which pod of that name, where that is known.
    pub uid: Option<String>,
    /// Container ports, one for each port asked for.
    pub ports: Vec<Port>,
}

impl Endpoint {
    /// A pod and its ports.
    pub fn new(namespace: impl Into<String>, pod: impl Into<String>, ports: &[Port]) -> Self {
        let (namespace, pod) = (namespace.into(), pod.into());
        Self { namespace, pod, uid: None, ports: ports.to_vec() }
    }

    /// This pod of that name, and no other.
    #[must_use]
    pub fn with_uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = Some(uid.into());
        self
    }

    /// The ports, each once: two services' ports may lead to one.
    pub(crate) fn distinct_ports(&self) -> Vec<Port> {
        let mut distinct = Vec::with_capacity(self.ports.len());
        for port in &self.ports {
            if !distinct.contains(port) {
                distinct.push(*port);
            }
        }
        distinct
    }
}

/// A connection after its upgrade.
#[derive(Debug)]
#[non_exhaustive]
pub struct Upgraded<S> {
    /// The connection.
    pub io: S,
    /// What was read behind the head of the answer: the first bytes of the session.
    pub leftover: Bytes,
    /// What both sides agreed on.
    pub form: WireForm,
}

impl<S> Upgraded<S> {
    /// Bundles the parts.
    pub const fn new(io: S, leftover: Bytes, form: WireForm) -> Self {
        Self { io, leftover, form }
    }
}

/// The target does not lead to a pod.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ResolveError {
    message: Arc<str>,
}

impl ResolveError {
    /// An error that says `message`.
    pub fn new(message: impl Into<Arc<str>>) -> Self {
        Self { message: message.into() }
    }
}

/// Why there is no session. `at` is where: the server, as given by the user.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// Nothing was sent: no server could serve this.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// Nothing was sent: no request could be made.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// No TCP connection to the server.
    #[error("cannot connect to {at}: {source}")]
    Connect {
        /// Host and port.
        at: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// There is no way to the server before somebody has changed something: its certificate is not
    /// trusted, a proxy refuses, no credentials could be had.
    #[error("cannot use {at}: {source}")]
    Unusable {
        /// Host and port.
        at: String,
        /// What stood in the way.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The server took the connection and did not answer in time, or only halfway.
    #[error("{at} did not answer the upgrade request within {} s; is it an API server?", after.as_secs_f32())]
    Timeout {
        /// Host and port.
        at: String,
        /// How long it had.
        after: Duration,
    },
    /// What the server said is not HTTP, or it hung up in the middle.
    #[error("{at} did not answer in HTTP: {problem}; is it an API server?")]
    Http {
        /// Host and port.
        at: String,
        /// What was wrong with it.
        problem: String,
    },
    /// The server said no.
    #[error("{at} refused to forward to pod {pod} in namespace {namespace}: {refusal}")]
    Refused {
        /// Host and port.
        at: String,
        /// The namespace asked for.
        namespace: String,
        /// The pod asked for.
        pod: String,
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// The server said yes in a way that cannot be trusted.
    #[error("{at}: {source}")]
    Upgrade {
        /// Host and port.
        at: String,
        /// What was wrong.
        source: UpgradeError,
    },
    /// The ports asked for fit no session of the form that was agreed on.
    #[error(transparent)]
    Session(#[from] ConfigError),
}

impl DialError {
    /// Another wire form may get through (protocol.md A.6). Never so after an answer about who may do
    /// what, about the pod, or about load: another form would meet the same, or slip past it.
    pub(crate) const fn falls_back(&self) -> bool {
        let action = match self {
            Self::Refused { refusal, .. } => refusal.action(),
            Self::Upgrade { source, .. } => source.action(),
            Self::Offer(_)
            | Self::Request(_)
            | Self::Connect { .. }
            | Self::Unusable { .. }
            | Self::Timeout { .. }
            | Self::Http { .. }
            | Self::Session(_) => return false,
        };
        matches!(action, Action::FallBack)
    }

    /// The server that answered.
    pub(crate) fn refused_by(&self) -> Option<&str> {
        match self {
            Self::Refused { at, .. } | Self::Upgrade { at, .. } => Some(at),
            Self::Offer(_)
            | Self::Request(_)
            | Self::Connect { .. }
            | Self::Unusable { .. }
            | Self::Timeout { .. }
            | Self::Http { .. }
            | Self::Session(_) => None,
        }
    }

    /// What came back, for a text that names server and pod already.
    pub(crate) fn write_answer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { refusal, .. } => refusal.fmt(f),
            Self::Upgrade { source, .. } => source.fmt(f),
            Self::Offer(_)
            | Self::Request(_)
            | Self::Connect { .. }
            | Self::Unusable { .. }
            | Self::Timeout { .. }
            | Self::Http { .. }
            | Self::Session(_) => self.fmt(f),
        }
    }
}

/// Why a connection did not come about: no pod, or no way to it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The target does not lead to a pod.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The pod could not be reached.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// Every wire form that may be spoken was turned away, by the server or on the way to it.
    #[error(transparent)]
    Negotiation(#[from] Box<NegotiationError>),
}
