use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::upgrade;
use kube::client::Body;
use kube::{Client, Error};
use portway_cluster::{Api, ApiError};
use portway_driver::proto::handshake::{Key, MAX_BODY, Offer, Refusal, RequestError, pod_path};
use portway_driver::{DialError, Endpoint, HyperSocket, Remembered, Upgraded};
use tokio::time::timeout;

/// The [`Api`] of a [`kube::Client`], for a [`TargetConnector`](portway_cluster::TargetConnector).
///
/// Requests go through `Client::send`, so through everything that the client is made of.
#[derive(Clone)]
pub struct KubeApi {
    client: Client,
    at: Arc<str>,
    answer_timeout: Duration,
    remembered: Remembered,
}

impl KubeApi {
    /// The server that the client leads to.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            at: "the API server".into(),
            answer_timeout: Duration::from_secs(30),
            remembered: Remembered::default(),
        }
    }

    /// How errors call the server, which a client does not tell: `Config::cluster_url`, say. Default:
    /// `the API server`.
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.at = name.into();
        self
    }

    /// How long an upgrade may take, with connecting and credentials. Default 30 s: an API server answers
    /// only when the kubelet and the runtime behind it have.
    #[must_use]
    pub fn with_answer_timeout(mut self, wait: Duration) -> Self {
        self.answer_timeout = wait;
        self
    }

    async fn ask(&self, to: &Endpoint, offer: &Offer) -> Result<Upgraded<Socket>, DialError> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|error| DialError::Http {
            at: self.at.to_string(),
            problem: format!("no randomness for the key: {error}"),
        })?;
        let key = Key::new(key);
        let uri: Uri =
            pod_path(&to.namespace, &to.pod).parse().map_err(|_| RequestError::TooLong)?;
        let request = offer.request(&uri, key, HeaderMap::new())?.map(|()| Body::empty());
        let response = self.client.send(request).await.map_err(|error| self.not_dialled(&error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(DialError::Refused {
                at: self.at.to_string(),
                namespace: to.namespace.clone(),
                pod: to.pod.clone(),
                refusal: Box::new(refusal(response).await),
            });
        }
        let form = offer
            .check(key, &response)
            .map_err(|source| DialError::Upgrade { at: self.at.to_string(), source })?;
        let upgraded = upgrade::on(response)
            .await
            .map_err(|error| DialError::Http { at: self.at.to_string(), problem: cause(&error) })?;
        // It hands out by itself what was read behind the head.
        Ok(Upgraded::new(HyperSocket::new(upgraded), Bytes::new(), form))
    }

    fn not_dialled(&self, error: &Error) -> DialError {
        let at = self.at.to_string();
        if matches!(error, Error::HyperError(_)) {
            return DialError::Http { at, problem: cause(error) };
        }
        let kind = io_cause(error).map_or(io::ErrorKind::Other, io::Error::kind);
        DialError::Connect { at, source: Arc::new(io::Error::new(kind, cause(error))) }
    }

    fn not_asked(&self, error: &Error) -> ApiError {
        let (at, problem) = (Arc::clone(&self.at), cause(error).into());
        if may_pass(error) {
            ApiError::Unreachable { at, problem }
        } else {
            ApiError::Unusable { at, problem }
        }
    }
}

/// An upgraded connection.
type Socket = HyperSocket<upgrade::Upgraded>;

impl Api for KubeApi {
    type Io = Socket;
    type Body = Body;

    async fn request(&self, mut request: Request<Bytes>) -> Result<Response<Body>, ApiError> {
        // Servers compress the lines of a watch one by one, of which the client reads the first.
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        self.client.send(request.map(Body::from)).await.map_err(|error| self.not_asked(&error))
    }

    async fn upgrade(&self, to: &Endpoint, offer: &Offer) -> Result<Upgraded<Socket>, DialError> {
        let after = self.answer_timeout;
        let asked = timeout(after, self.ask(to, offer)).await;
        asked.unwrap_or_else(|_| Err(DialError::Timeout { at: self.at.to_string(), after }))
    }

    fn remembered(&self) -> Remembered {
        self.remembered.clone()
    }
}

/// What has come of a refusal counts, even if it is cut short or never ends.
async fn refusal(response: Response<Body>) -> Refusal {
    const PATIENCE: Duration = Duration::from_secs(5);
    let (head, mut body) = response.into_parts();
    let mut text = BytesMut::new();
    let reading = async {
        while text.len() < MAX_BODY
            && let Some(Ok(frame)) = body.frame().await
        {
            if let Ok(data) = frame.into_data() {
                text.extend_from_slice(&data);
            }
        }
    };
    let _ = timeout(PATIENCE, reading).await;
    Refusal::new(head.status, &head.headers, &text)
}

/// The network may be back the next time; credentials and certificates are not better then.
fn may_pass(error: &Error) -> bool {
    if matches!(error, Error::HyperError(_)) {
        return true;
    }
    matches!(error, Error::Service(_)) && !is_untrusted(error)
}

/// What TLS does not trust is invalid data, which a connector may wrap in an error of its own.
fn is_untrusted(error: &(dyn StdError + 'static)) -> bool {
    let mut inner = io_cause(error);
    while let Some(io) = inner {
        if io.kind() == io::ErrorKind::InvalidData {
            return true;
        }
        inner = io.get_ref().and_then(|inner| inner.downcast_ref());
    }
    false
}

/// The error of the system in it.
fn io_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a io::Error> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref::<io::Error>())
}

/// What is at the bottom of it: what is above says where, in the words of libraries.
fn cause(error: &(dyn StdError + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    chain.last().map(ToString::to_string).unwrap_or_default()
}

impl fmt::Debug for KubeApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeApi").field("at", &self.at).finish_non_exhaustive()
    }
}
