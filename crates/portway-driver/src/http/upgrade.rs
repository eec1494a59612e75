use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use portway_proto::handshake::{Key, MAX_BODY, Offer, Refusal, UpgradeError};

use crate::runtime::until;
use crate::{HyperIo, Runtime, Socket, Upgraded};

/// What came of an upgrade request.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Not HTTP, or cut short.
    Http(String),
    Refused(Refusal),
    Upgrade(UpgradeError),
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        // The cause says what, the error itself only where.
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        Self::Http(cause.unwrap_or_else(|| error.to_string()))
    }
}

/// Sends the request over a fresh connection and takes the connection back when the server has
/// switched. Takes as long as the server does: the caller bounds it.
pub(crate) async fn upgrade<R: Runtime, S: Socket>(
    runtime: &R,
    io: S,
    offer: &Offer,
    request: Request<()>,
    key: Key,
) -> Result<Upgraded<S>, Failure> {
    let (sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(MAX_HEAD)
        .handshake(HyperIo::new(io))
        .await?;
    let exchange = exchange(runtime, sender, offer, request, key);
    drive(exchange, connection.with_upgrades()).await
}

/// Bytes of the answer's head that are taken.
const MAX_HEAD: usize = 64 * 1024;

/// How long the body of a refusal may take: the status says the most.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

async fn exchange<R: Runtime, S: Socket>(
    runtime: &R,
    mut sender: http1::SendRequest<Empty<Bytes>>,
    offer: &Offer,
    request: Request<()>,
    key: Key,
) -> Result<Upgraded<S>, Failure> {
    let response = sender.send_request(request.map(|()| Empty::new())).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::Refused(refusal(runtime, response).await));
    }
    let form = offer.check(key, &response).map_err(Failure::Upgrade)?;
    let upgraded = hyper::upgrade::on(response).await?;
    let (io, leftover) = HyperIo::reclaim(upgraded)
        .map_err(|_| Failure::Http("the connection changed its type".to_owned()))?;
    Ok(Upgraded::new(io, leftover, form))
}

/// Reads the body of a refusal as far as it goes: what has come counts, even if it is cut short or
/// never ends.
async fn refusal<R: Runtime>(runtime: &R, response: Response<Incoming>) -> Refusal {
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
    let _ = until(runtime, runtime.now() + BODY_TIMEOUT, reading).await;
    text.truncate(MAX_BODY);
    Refusal::new(head.status, &head.headers, &text)
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
