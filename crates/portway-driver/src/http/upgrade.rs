use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use portway_proto::handshake::{Key, MAX_BODY, Offer, Peer, Refusal, kubelet_path, pod_path};

use super::ServerUrl;
use crate::runtime::{after, until};
use crate::{DialError, Endpoint, HyperIo, Runtime, Socket, Upgraded};

/// Asks once, over a fresh connection to a server, for what is offered, and takes the connection back
/// when the server has switched to it. It is how a [`Connector`](crate::Connector) dials, over whatever
/// leads to its server: TCP, TLS, a proxy. `headers` are what else there is to say, such as
/// `Authorization`.
///
/// # Errors
/// What stood in the way, typed; no answer in time, too.
pub async fn upgrade_over<R: Runtime, S: Socket>(
    runtime: &R,
    io: S,
    server: &ServerUrl,
    headers: HeaderMap,
    to: &Endpoint,
    offer: &Offer,
    answer_timeout: Duration,
) -> Result<Upgraded<S>, DialError> {
    let at = || server.addr().to_string();
    let broken = |problem| DialError::Http { at: at(), problem };
    let mut key = [0; 16];
    getrandom::fill(&mut key)
        .map_err(|error| broken(format!("no randomness for the key: {error}")))?;
    let key = Key::new(key);
    let request = offer.request(&uri(server, to, offer)?, key, headers)?;

    let deadline = after(runtime.now(), answer_timeout);
    let switched = until(runtime, deadline, switch(runtime, io, request)).await;
    let switched = switched.map_err(|_| DialError::Timeout { at: at(), after: answer_timeout })?;
    match switched.map_err(|Broken(problem)| broken(problem))? {
        Switch::Switched { head, io, leftover } => {
            let form = offer.check(key, &Response::from_parts(head, ()));
            let form = form.map_err(|source| DialError::Upgrade { at: at(), source })?;
            Ok(Upgraded::new(io, leftover, form))
        }
        Switch::Answered { head, body } => Err(DialError::Refused {
            at: at(),
            namespace: to.namespace.clone(),
            pod: to.pod.clone(),
            refusal: Box::new(Refusal::new(head.status, &head.headers, &body)),
        }),
    }
}

fn uri(server: &ServerUrl, to: &Endpoint, offer: &Offer) -> Result<Uri, DialError> {
    let path = match offer.peer() {
        Peer::Kubelet => kubelet_path(&to.namespace, &to.pod, None),
        Peer::ApiServer | _ => pod_path(&to.namespace, &to.pod),
    };
    Ok(server.uri(&path)?)
}

/// What came of a request to speak something else from here on.
pub(super) enum Switch<S> {
    /// The connection, and what was read behind the head of the answer.
    Switched { head: Parts, io: S, leftover: Bytes },
    /// Anything else, with as much of the body as is of use.
    Answered { head: Parts, body: Bytes },
}

/// Not HTTP, or cut short.
pub(super) struct Broken(pub(super) String);

impl From<hyper::Error> for Broken {
    fn from(error: hyper::Error) -> Self {
        // The cause says what, the error itself only where.
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        Self(cause.unwrap_or_else(|| error.to_string()))
    }
}

/// Sends the request over a fresh connection and takes the connection back when the server has
/// switched. Takes as long as the server does: the caller bounds it.
pub(super) async fn switch<R: Runtime, S: Socket>(
    runtime: &R,
    io: S,
    request: Request<()>,
) -> Result<Switch<S>, Broken> {
    let (sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(MAX_HEAD)
        .handshake(HyperIo::new(io))
        .await?;
    drive(exchange(runtime, sender, request), connection.with_upgrades()).await
}

/// Bytes of the answer's head that are taken.
const MAX_HEAD: usize = 64 * 1024;

/// How long the body of a refusal may take: the status says the most.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

async fn exchange<R: Runtime, S: Socket>(
    runtime: &R,
    mut sender: http1::SendRequest<Empty<Bytes>>,
    request: Request<()>,
) -> Result<Switch<S>, Broken> {
    let connects = request.method() == Method::CONNECT;
    let mut response = sender.send_request(request.map(|()| Empty::new())).await?;
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS && !(connects && status.is_success()) {
        let (head, body) = response.into_parts();
        return Ok(Switch::Answered { head, body: refusal(runtime, body).await });
    }
    let upgraded = hyper::upgrade::on(&mut response).await?;
    let (io, leftover) = HyperIo::reclaim(upgraded)
        .map_err(|_| Broken("the connection changed its type".to_owned()))?;
    let (head, _) = response.into_parts();
    Ok(Switch::Switched { head, io, leftover })
}

/// Reads the body of a refusal as far as it goes: what has come counts, even if it is cut short or
/// never ends.
async fn refusal<R: Runtime>(runtime: &R, mut body: Incoming) -> Bytes {
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
    let _ = until(runtime, runtime.now() + BODY_TIMEOUT, reading).await;
    text.truncate(MAX_BODY);
    text.freeze()
}

/// Runs an exchange over the connection that has to be polled for it to move.
async fn drive<T>(
    exchange: impl Future<Output = T>,
    connection: impl Future<Output = hyper::Result<()>>,
) -> T {
    let mut exchange = pin!(exchange);
    let mut connection = pin!(Some(connection));
    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(output) = exchange.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            let polled = connection.as_mut().as_pin_mut().map(|connection| connection.poll(cx));
            match polled {
                Some(Poll::Ready(result)) => {
                    if let Err(error) = result {
                        tracing::debug!(%error, "HTTP connection ended");
                    }
                    connection.set(None);
                }
                Some(Poll::Pending) | None => return Poll::Pending,
            }
        }
    })
    .await
}
