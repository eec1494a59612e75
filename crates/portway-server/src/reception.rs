//! The HTTP in front of a session: requests are read and answered until one of them is let in, or the
//! client goes, or takes too long.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{Extensions, HeaderValue, Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use portway_driver::{HyperIo, Runtime, Sleep, Socket, after};

use crate::{Admission, Body, Pods, Server};

/// Speaks HTTP until a session is agreed on: then with whom, the connection, and what was read of
/// the session already. `known` is what every request is to say of its connection.
pub(crate) async fn receive<R: Runtime, P: Pods, S: Socket>(
    server: &Server<R, P>,
    socket: S,
    known: Extensions,
) -> Option<(Admission<R, P>, S, Bytes)> {
    let desk = Desk { server: server.clone(), known, state: Arc::default() };
    desk.wait_for_request();
    let at_service = desk.clone();
    let service = service_fn(move |request| {
        let desk = at_service.clone();
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(server.settings.limits.head)
        .header_read_timeout(None)
        .serve_connection(HyperIo::new(socket), service)
        .with_upgrades();
    match desk.patiently(connection).await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%error, "HTTP connection ended"),
        None => tracing::debug!("no request in time"),
    }
    let (admission, upgrade) = desk.lock().agreed.take()?;
    let upgraded = upgrade.await.ok()?;
    let (socket, leftover) = HyperIo::reclaim(upgraded).ok()?;
    Some((admission, socket, leftover))
}

/// Where the requests of one connection are answered.
struct Desk<R, P: Pods> {
    server: Server<R, P>,
    known: Extensions,
    state: Arc<Mutex<State<R, P>>>,
}

struct State<R, P: Pods> {
    /// By when the client has to have sent its next request, while that is its turn.
    patience: Option<Instant>,
    agreed: Option<(Admission<R, P>, OnUpgrade)>,
    answered: usize,
}

impl<R: Runtime, P: Pods> Desk<R, P> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State<R, P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_request(&self) {
        let deadline = after(self.server.runtime.now(), self.server.settings.limits.handshake);
        self.lock().patience = Some(deadline);
    }

    async fn answer(&self, mut request: Request<Incoming>) -> Response<Sending<R, P>> {
        // What happens now has a limit of its own.
        self.lock().patience = None;
        let upgrade = hyper::upgrade::on(&mut request);
        let (mut head, body) = request.into_parts();
        head.extensions.extend(self.known.clone());
        let mut response = match self.server.respond(head, body).await {
            Ok(admission) => {
                let response = admission.response().map(|()| Body::from(Bytes::new()));
                self.lock().agreed = Some((admission, upgrade));
                response
            }
            Err(refusal) => refusal,
        };
        // While a stream goes on it is not the client's turn.
        let desk = if response.body().is_stream() {
            Some(self.clone())
        } else {
            self.wait_for_request();
            None
        };
        let answered = self.count();
        if answered >= self.server.settings.limits.requests && !response.status().is_informational()
        {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| Sending { body, desk })
    }

    fn count(&self) -> usize {
        let mut state = self.lock();
        state.answered += 1;
        state.answered
    }

    /// Polls the connection for as long as the client keeps its time; `None` is that it did not.
    async fn patiently<C: Future>(&self, connection: C) -> Option<C::Output> {
        let runtime = &self.server.runtime;
        let mut connection = pin!(connection);
        let mut sleep = runtime.sleep_until(runtime.now());
        let mut armed = None;
        std::future::poll_fn(move |cx: &mut Context<'_>| {
            loop {
                if let Poll::Ready(output) = connection.as_mut().poll(cx) {
                    return Poll::Ready(Some(output));
                }
                let Some(at) = self.lock().patience else { return Poll::Pending };
                if runtime.now() >= at {
                    return Poll::Ready(None);
                }
                if armed != Some(at) {
                    armed = Some(at);
                    sleep.reset(at);
                }
                if Pin::new(&mut sleep).poll(cx).is_pending() {
                    return Poll::Pending;
                }
                armed = None;
            }
        })
        .await
    }
}

impl<R: Clone, P: Pods> Clone for Desk<R, P> {
    fn clone(&self) -> Self {
        Self {
            server: self.server.clone(),
            known: self.known.clone(),
            state: Arc::clone(&self.state),
        }
    }
}

impl<R, P: Pods> Default for State<R, P> {
    fn default() -> Self {
        Self { patience: None, agreed: None, answered: 0 }
    }
}

/// A body on its way. Behind a stream the client's turn begins when it is over.
struct Sending<R: Runtime, P: Pods> {
    body: Body,
    desk: Option<Desk<R, P>>,
}

impl<R: Runtime, P: Pods> hyper::body::Body for Sending<R, P> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<R: Runtime, P: Pods> Drop for Sending<R, P> {
    fn drop(&mut self) {
        if let Some(desk) = &self.desk {
            desk.wait_for_request();
        }
    }
}
