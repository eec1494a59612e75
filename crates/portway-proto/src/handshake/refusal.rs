use std::fmt;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::field;
use crate::printable;

/// How much of a refusal's body is worth reading: 64 KiB, as client-go reads (protocol.md A.6). What is
/// handed in beyond that is not looked at.
pub const MAX_BODY: usize = 64 * 1024;

/// How much of the remote text is kept, in characters.
const MAX_MESSAGE: usize = 4096;

/// The longest wait that a server can ask for.
const MAX_RETRY_AFTER: u64 = 24 * 60 * 60;

/// An answer to an upgrade request that is not 101: what happened, and what to do about it.
///
/// Kubernetes refuses in two shapes: the API server with a `metav1.Status` in JSON, everything behind
/// it with plain text or with nothing at all (protocol.md A.6, trap 40). Both end here. `Display`
/// gives one line without anything a terminal would act on.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use portway_proto::handshake::{Action, Refusal, RefusalKind};
///
/// let body = br#"{"kind":"Status","status":"Failure","message":"pods \"web-9\" not found","reason":"NotFound","code":404}"#;
/// let refusal = Refusal::new(StatusCode::NOT_FOUND, &HeaderMap::new(), body);
/// assert_eq!(refusal.kind(), &RefusalKind::PodNotFound);
/// assert_eq!(refusal.action(), Action::Reresolve);
/// assert_eq!(
///     refusal.to_string(),
///     "there is no such pod (404 Not Found): pods \"web-9\" not found; look the target up again"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    kind: RefusalKind,
    reason: Option<String>,
    message: Option<String>,
}

/// What a [`Refusal`] means: the rows of protocol.md A.6.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalKind {
    /// 400: the pod is not on a node yet.
    PodNotScheduled,
    /// 400: the server cannot read the ports. A bug of whoever wrote the request.
    BadPorts,
    /// 400 from a kubelet that looked for `port`: the tunnel was not understood on the way and no ports
    /// were given, or they were given under the name that the other kind of server uses.
    PortsRequired,
    /// 400: the tunnel was offered in a form that the server's tunnel does not know.
    BadTunnelOffer,
    /// 401: who we are is not known, or not any more.
    NotAuthenticated,
    /// 403 from authorization. Since Kubernetes 1.35 a WebSocket needs the verb `create` beside `get`
    /// (protocol.md A.3 RBAC, trap 39).
    Forbidden {
        /// The verb that is missing, where the text names it.
        missing: Option<Verb>,
    },
    /// 403 from an admission plugin or webhook.
    DeniedByAdmission,
    /// 403 with an empty body: no offered subprotocol is known to the container runtime.
    SubprotocolRefused,
    /// 403 to SPDY: the server speaks another version of port-forward.
    SubprotocolMismatch {
        /// What the server speaks, text of its choosing.
        accepted: String,
    },
    /// 404 from the API server: no such pod (or namespace).
    PodNotFound,
    /// 404 from a kubelet: it does not know the pod yet, or not any more.
    PodUnknownToNode,
    /// 404 from a container runtime: the one-time token of the node's own redirection was used up.
    TokenInvalid,
    /// 405 from a kubelet whose debugging handlers are off: no port-forward on this node, ever.
    PortForwardDisabled,
    /// 429: overload.
    TooManyRequests {
        /// How long to wait, if the server says.
        retry_after: Option<Duration>,
    },
    /// 5xx: the API server cannot reach the node.
    NodeUnreachable,
    /// 500: the API server's own upgrade towards the node failed in a way that another wire form may
    /// not.
    BackendUpgradeFailed,
    /// 500 from a kubelet: the runtime has no sandbox for the pod, or it is not ready.
    SandboxNotReady,
    /// The server saw no upgrade headers although they were sent: something between dropped them.
    UpgradeStripped,
    /// 400 of a server that speaks TLS and was spoken to without.
    TlsExpected,
    /// A status below 400 that is not 101: something between does not pass upgrades on.
    NotUpgraded,
    /// A 4xx that Kubernetes does not send: something between refuses, maybe only this wire form.
    NotKubernetes,
    /// 5xx of proxies and load balancers, or of a server in trouble.
    ServerError {
        /// How long to wait, if the server says.
        retry_after: Option<Duration>,
    },
    /// Anything else.
    Other,
}

/// A verb that a role can grant on `pods/portforward`: that of the HTTP method (protocol.md A.3 RBAC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// For GET: every WebSocket.
    Get,
    /// For POST: plain SPDY, and since 1.35 every WebSocket as well.
    Create,
}

/// What to do after a failed upgrade (the last column of protocol.md A.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Ask for another wire form: something on the way does not let this one through, or the server
    /// does not know it. Never said of a refusal that another form would only meet again, or slip past.
    FallBack,
    /// The same again, after this long; after a back-off where nothing is said.
    Retry {
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// Find the pod again, then dial after a back-off: the one that was asked for is gone or going.
    Reresolve,
    /// Get fresh credentials, then try once more.
    Authenticate,
    /// It will not work, however often it is tried.
    GiveUp,
}

/// The part of `metav1.Status` that is of use.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    kind: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(default)]
    retry_after_seconds: Option<u64>,
}

impl Refusal {
    /// Makes sense of an answer. `body` is what could be read of it; an answer without a length ends
    /// with the connection (protocol.md A.6).
    pub fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let body = body.get(..MAX_BODY).unwrap_or(body);
        let json = serde_json::from_slice::<Status>(body).ok().filter(|json| json.kind == "Status");
        let seconds = json.as_ref().and_then(|json| json.details.as_ref()?.retry_after_seconds);
        let retry_after = retry_after(headers, seconds);
        let (from_api_server, text, reason) = match json {
            Some(json) => (true, json.message.unwrap_or_default(), json.reason),
            None => (false, String::from_utf8_lossy(body).into_owned(), None),
        };
        let text = text.trim();
        let kind = if from_api_server {
            kind_of_status(status, text, retry_after)
        } else {
            kind_of_text(status, text, headers, retry_after)
        };
        Self { status, kind, reason: reason.and_then(|r| kept(&r)), message: kept(text) }
    }

    /// The HTTP status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// What it means.
    pub const fn kind(&self) -> &RefusalKind {
        &self.kind
    }

    /// The machine-readable reason of an API server, such as `NotFound`. Text of its choosing.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The text of the server, or a description when it sent none. It is text of its choosing: for a
    /// terminal or a log pass it through [`printable`].
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_else(|| self.kind.what())
    }

    /// What to do next.
    pub const fn action(&self) -> Action {
        use RefusalKind as Kind;
        match self.kind {
            Kind::PodNotScheduled | Kind::TokenInvalid | Kind::NodeUnreachable => {
                Action::Retry { after: None }
            }
            Kind::TooManyRequests { retry_after } | Kind::ServerError { retry_after } => {
                Action::Retry { after: retry_after }
            }
            Kind::PodNotFound | Kind::PodUnknownToNode | Kind::SandboxNotReady => Action::Reresolve,
            Kind::NotAuthenticated => Action::Authenticate,
            Kind::PortsRequired
            | Kind::SubprotocolRefused
            | Kind::BackendUpgradeFailed
            | Kind::UpgradeStripped
            | Kind::NotUpgraded
            | Kind::NotKubernetes => Action::FallBack,
            Kind::BadPorts
            | Kind::BadTunnelOffer
            | Kind::Forbidden { .. }
            | Kind::DeniedByAdmission
            | Kind::SubprotocolMismatch { .. }
            | Kind::PortForwardDisabled
            | Kind::TlsExpected
            | Kind::Other => Action::GiveUp,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind.what(), self.status)?;
        if let Some(message) = &self.message {
            write!(f, ": {}", printable(message))?;
        }
        if let RefusalKind::Forbidden { missing } = &self.kind {
            f.write_str("; ")?;
            if let Some(verb) = missing {
                write!(f, "{verb} is missing, ")?;
            }
            return f.write_str("the role needs both verbs get and create on pods/portforward");
        }
        if let RefusalKind::SubprotocolMismatch { accepted } = &self.kind {
            let accepted = printable(accepted).limit(64);
            return write!(f, "; it speaks {accepted} and not {}", field::PORT_FORWARD);
        }
        match self.action() {
            // Whoever asked knows whether there is another form to ask for.
            Action::FallBack => Ok(()),
            Action::Retry { after: Some(after) } => {
                write!(f, "; try again in {} s", after.as_secs())
            }
            Action::Retry { after: None } => f.write_str("; try again later"),
            Action::Reresolve => f.write_str("; look the target up again"),
            Action::Authenticate => f.write_str("; get fresh credentials"),
            Action::GiveUp => f.write_str("; trying again will not help"),
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::Create => "create",
        })
    }
}

impl RefusalKind {
    const fn what(&self) -> &'static str {
        match self {
            Self::PodNotScheduled => "the pod is not on a node yet",
            Self::BadPorts => "the server cannot read the ports asked for",
            Self::PortsRequired => "the server found no ports in the request",
            Self::BadTunnelOffer => "the server does not know the tunnel that was offered",
            Self::NotAuthenticated => "the server does not know who is asking",
            Self::Forbidden { .. } => "forwarding to this pod is not allowed",
            Self::DeniedByAdmission => "an admission plugin does not allow this forward",
            Self::SubprotocolRefused => "the server knows none of the subprotocols offered",
            Self::SubprotocolMismatch { .. } => "the server speaks another version of port-forward",
            Self::PodNotFound => "there is no such pod",
            Self::PodUnknownToNode => "the node does not know the pod",
            Self::TokenInvalid => "the node lost the request on its way to the container runtime",
            Self::PortForwardDisabled => "port-forward is switched off on the pod's node",
            Self::TooManyRequests { .. } => "the server has too much to do",
            Self::NodeUnreachable => "the API server cannot reach the pod's node",
            Self::BackendUpgradeFailed => "the API server could not upgrade towards the node",
            Self::SandboxNotReady => "the container runtime has no sandbox for the pod",
            Self::UpgradeStripped => "the upgrade headers got lost on the way",
            Self::TlsExpected => "the server speaks TLS, its address begins with https://",
            Self::NotUpgraded => "something on the way does not pass upgrades on",
            Self::NotKubernetes => "something on the way refuses the request",
            Self::ServerError { .. } => "the server or something on the way failed",
            Self::Other => "the server refuses the upgrade",
        }
    }
}

/// What an API server says in a `Status`.
fn kind_of_status(status: StatusCode, message: &str, retry_after: Option<Duration>) -> RefusalKind {
    match status.as_u16() {
        400 if message.contains("does not have a host assigned") => RefusalKind::PodNotScheduled,
        400 if message.contains("cannot convert to []int32") => RefusalKind::BadPorts,
        400 | 500 if is_stripped(message) => RefusalKind::UpgradeStripped,
        403 if message.contains("admission webhook") || message.contains("denied the request") => {
            RefusalKind::DeniedByAdmission
        }
        403 => RefusalKind::Forbidden { missing: missing_verb(message) },
        404 => RefusalKind::PodNotFound,
        500.. if message.starts_with("error dialing backend") => RefusalKind::NodeUnreachable,
        500.. if message.contains("invalid upgrade response") => RefusalKind::BackendUpgradeFailed,
        _ => kind_of_any(status, retry_after),
    }
}

/// What anything behind the API server, or between, says in plain text.
fn kind_of_text(
    status: StatusCode,
    text: &str,
    headers: &HeaderMap,
    retry_after: Option<Duration>,
) -> RefusalKind {
    let foreign = text.starts_with('<');
    match status.as_u16() {
        400 if text.starts_with("query parameter \"port\" is required") => {
            RefusalKind::PortsRequired
        }
        400 if text.starts_with("query parameter \"port\" cannot be empty")
            || text.starts_with("unable to parse \"")
            || (text.starts_with("port \"") && text.ends_with("must be > 0")) =>
        {
            RefusalKind::BadPorts
        }
        400 if text.contains("no tunneling spdy protocols provided") => RefusalKind::BadTunnelOffer,
        400 | 500 if is_stripped(text) => RefusalKind::UpgradeStripped,
        400 if text.starts_with("Client sent an HTTP request to an HTTPS server") => {
            RefusalKind::TlsExpected
        }
        403 => match field::joined(headers, field::ACCEPTED_STREAM_PROTOCOLS) {
            Some(accepted) => {
                RefusalKind::SubprotocolMismatch { accepted: kept(&accepted).unwrap_or_default() }
            }
            None if text.is_empty() => RefusalKind::SubprotocolRefused,
            None if text.starts_with("Forbidden (user=") => {
                RefusalKind::Forbidden { missing: missing_verb(text) }
            }
            None => RefusalKind::NotKubernetes,
        },
        400 | 405 if foreign => RefusalKind::NotKubernetes,
        // A page of somebody's website: no other wire form makes an API server of it.
        404 if foreign => RefusalKind::Other,
        404 if text.starts_with("pod does not exist") || text.starts_with("pod not found") => {
            RefusalKind::PodUnknownToNode
        }
        404 => RefusalKind::TokenInvalid,
        405 if text.starts_with("Debug endpoints are disabled") => RefusalKind::PortForwardDisabled,
        500 if text.starts_with("pod not found") || text.starts_with("rpc error") => {
            RefusalKind::SandboxNotReady
        }
        500.. if text.starts_with("error dialing backend") => RefusalKind::NodeUnreachable,
        400 | 426 => RefusalKind::NotKubernetes,
        _ => kind_of_any(status, retry_after),
    }
}

/// What the status alone says.
fn kind_of_any(status: StatusCode, retry_after: Option<Duration>) -> RefusalKind {
    match status.as_u16() {
        401 => RefusalKind::NotAuthenticated,
        429 => RefusalKind::TooManyRequests { retry_after },
        500.. => RefusalKind::ServerError { retry_after },
        ..300 => RefusalKind::NotUpgraded,
        _ => RefusalKind::Other,
    }
}

/// The texts for a request that came in without its upgrade headers (protocol.md A.1, A.5).
fn is_stripped(text: &str) -> bool {
    text.contains("Upgrade request required")
        || text.contains("missing upgrade headers in request")
        || text.contains("header X-Stream-Protocol-Version does not exist")
}

/// The verb in `User "u" cannot get resource "pods/portforward"` (API server) or in
/// `Forbidden (user=u, verb=get, ...)` (kubelet).
fn missing_verb(text: &str) -> Option<Verb> {
    [(Verb::Get, "cannot get ", "verb=get,"), (Verb::Create, "cannot create ", "verb=create,")]
        .into_iter()
        .find(|(_, from_api_server, from_kubelet)| {
            text.contains(from_api_server) || text.contains(from_kubelet)
        })
        .map(|(verb, _, _)| verb)
}

/// Seconds only: a date would need a clock.
fn retry_after(headers: &HeaderMap, in_body: Option<u64>) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = header.and_then(|text| text.trim().parse::<u64>().ok()).or(in_body)?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

fn kept(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.chars().take(MAX_MESSAGE).collect())
}
