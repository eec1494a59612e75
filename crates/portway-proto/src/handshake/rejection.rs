use http::header::{ALLOW, CONTENT_TYPE, SEC_WEBSOCKET_VERSION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::{PortsError, field};
use crate::printable;

/// Why a request was not taken. The `Display` text is for the server's log; what the client gets is
/// [`response`](Self::response), which is what Kubernetes' own servers send (protocol.md A.1 to A.5).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No `Connection: Upgrade`, or an upgrade to something that is not served here.
    #[error("not an upgrade request")]
    NotAnUpgrade,
    /// A WebSocket request that is not GET.
    #[error("a WebSocket request must be GET")]
    BadMethod,
    /// No `Sec-WebSocket-Key`.
    #[error("Sec-WebSocket-Key is missing")]
    NoKey,
    /// A `Sec-WebSocket-Version` that is not 13.
    #[error("Sec-WebSocket-Version is not 13")]
    BadVersion,
    /// The ports of a v4 request are missing or wrong.
    #[error("{}", printable(&.0.to_string()))]
    Ports(#[from] PortsError),
    /// None of the offered subprotocols is served.
    #[error("none of the offered subprotocols is served")]
    NoCommonSubprotocol,
    /// SPDY without `X-Stream-Protocol-Version`.
    #[error("X-Stream-Protocol-Version is missing")]
    NoStreamProtocol {
        /// How many headers the request has; Kubernetes' text says it.
        headers: usize,
    },
    /// SPDY with an `X-Stream-Protocol-Version` that lists nothing.
    #[error("X-Stream-Protocol-Version is empty")]
    EmptyStreamProtocol,
    /// SPDY, plain or in a tunnel, of which the client wants another version than ours.
    #[error("none of the offered stream protocols is {}", field::PORT_FORWARD)]
    NoCommonStreamProtocol,
    /// `X-Stream-Protocol-Version` without `Upgrade: SPDY/3.1`.
    #[error("the Upgrade header names neither websocket nor SPDY/3.1")]
    NoUpgradeHeader,
    /// The query is longer than we look at.
    #[error("the query is longer than {limit} bytes")]
    QueryTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The list of offered protocols is longer than we look at.
    #[error("the offered protocols are longer than {limit} bytes")]
    OfferTooLong {
        /// The limit in bytes.
        limit: usize,
    },
}

impl Rejection {
    /// The status of the answer.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::BadMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoCommonSubprotocol | Self::NoCommonStreamProtocol => StatusCode::FORBIDDEN,
            Self::QueryTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::OfferTooLong { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NotAnUpgrade
            | Self::NoKey
            | Self::BadVersion
            | Self::Ports(_)
            | Self::NoStreamProtocol { .. }
            | Self::EmptyStreamProtocol
            | Self::NoUpgradeHeader => StatusCode::BAD_REQUEST,
        }
    }

    /// The answer to send. Its body is bounded by [`Acceptor::max_query`](super::Acceptor::max_query).
    ///
    /// What the WebSocket engine of the reference answers has no content type and no line end, what
    /// its HTTP handlers answer has both.
    pub fn response(&self) -> Response<String> {
        let mut response = match self {
            Self::BadMethod => bare("bad method"),
            Self::NoKey => bare("mismatch challenge/response"),
            Self::BadVersion => bare("missing or bad WebSocket Version"),
            Self::NoCommonSubprotocol => bare(""),
            Self::NotAnUpgrade => text("Upgrade request required"),
            Self::Ports(error) => text(&error.to_string()),
            Self::NoStreamProtocol { headers } => text(&format!(
                "unable to upgrade: header X-Stream-Protocol-Version does not exist in request with {headers} headers"
            )),
            Self::EmptyStreamProtocol => text(
                "unable to upgrade: header X-Stream-Protocol-Version contains no valid protocols",
            ),
            Self::NoCommonStreamProtocol => text(
                "unable to upgrade: unable to negotiate protocol: server accepts [portforward.k8s.io]",
            ),
            Self::NoUpgradeHeader => {
                text("unable to upgrade: missing upgrade headers in request: Upgrade")
            }
            Self::QueryTooLong { .. } | Self::OfferTooLong { .. } => text(&self.to_string()),
        };
        *response.status_mut() = self.status();
        let extra = match self {
            Self::BadMethod => Some((ALLOW, "GET")),
            Self::BadVersion => Some((SEC_WEBSOCKET_VERSION, "13")),
            Self::NoCommonStreamProtocol => Some((
                HeaderName::from_static(field::ACCEPTED_STREAM_PROTOCOLS),
                field::PORT_FORWARD,
            )),
            Self::NotAnUpgrade
            | Self::NoKey
            | Self::Ports(_)
            | Self::NoCommonSubprotocol
            | Self::NoStreamProtocol { .. }
            | Self::EmptyStreamProtocol
            | Self::NoUpgradeHeader
            | Self::QueryTooLong { .. }
            | Self::OfferTooLong { .. } => None,
        };
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// As golang.org/x/net answers: the text and nothing else.
fn bare(body: &str) -> Response<String> {
    Response::new(body.to_owned())
}

/// As Go's `http.Error` answers.
fn text(body: &str) -> Response<String> {
    let mut response = Response::new(format!("{body}\n"));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
