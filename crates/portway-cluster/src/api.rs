use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use portway_driver::proto::handshake::Offer;
use portway_driver::{DialError, Endpoint, Remembered, Socket, Upgraded};

/// Where clients of an API server plug in: they bring server, credentials, TLS and proxies, and have no
/// policy. What is asked for, how often, and what an answer means is not their business.
pub trait Api: Clone + Send + Sync + Unpin + 'static {
    /// An upgraded connection.
    type Io: Socket;
    /// The body of an answer, as it comes: that of a watch goes on for as long as the server likes.
    type Body: http_body::Body<Data = Bytes, Error: std::fmt::Display> + Send + Unpin + 'static;

    /// Sends a request and returns as soon as the head of the answer is there, whatever its status. The
    /// URI has path and query only: server, a path in front of the API, and credentials are added
    /// here. How long it may take is for the caller to say, by dropping the future. Dropping the body
    /// ends the request.
    ///
    /// # Errors
    /// There is no answer.
    fn request(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<Self::Body>, ApiError>> + Send;

    /// Opens a connection of its own to the pod, by one upgrade request for what is offered: as
    /// [`Connector::dial`](portway_driver::Connector::dial), which see. Bounded in time by the
    /// implementation.
    ///
    /// # Errors
    /// What stood in the way, typed.
    fn upgrade(
        &self,
        to: &Endpoint,
        offer: &Offer,
    ) -> impl Future<Output = Result<Upgraded<Self::Io>, DialError>> + Send;

    /// Where what is learnt about the server's wire forms is kept, see
    /// [`Connector::remembered`](portway_driver::Connector::remembered). Keep one value, hand out
    /// clones.
    fn remembered(&self) -> Remembered;
}

/// Why a request got no answer. An answer of any status is none of these.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// It may work the next time: the network is down, the server is silent or hangs up.
    #[error("cannot reach {at}: {problem}")]
    Unreachable {
        /// The server, as a user knows it, such as `the API server`.
        at: Arc<str>,
        /// What stood in the way.
        problem: Arc<str>,
    },
    /// It will not work before somebody has changed something: the certificate is not trusted, no
    /// credentials could be had.
    #[error("cannot use {at}: {problem}")]
    Unusable {
        /// The server, as a user knows it, such as `the API server`.
        at: Arc<str>,
        /// What stood in the way.
        problem: Arc<str>,
    },
}
