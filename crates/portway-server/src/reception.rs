//! The HTTP in front of a session: requests are read and answered until one of them is let in, or the
//! client goes, or takes too long.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use portway_driver::{HyperIo, Runtime, Sleep, Socket, after};

use crate::{Admission, ClientAddr, Pods, Server};

/// Speaks HTTP until a session is agreed on: then with whom, the connection, and what was read of
/// the session already.
pub(crate) async fn receive<R: Runtime, P: Pods, S: Socket>(
    server: &Server<R, P>,
    socket: S,
    client: Option<SocketAddr>,
) -> Option<(Admission<R, P>, S, Bytes)> {
    let desk = Desk { server: server.clone(), client, state: Arc::default() };
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
    client: Option<SocketAddr>,
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

    async fn answer(&self, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        // What happens now has a limit of its own.
        self.lock().patience = None;
        let upgrade = hyper::upgrade::on(&mut request);
        let (mut head, _) = request.into_parts();
        if let Some(client) = self.client {
            head.extensions.insert(ClientAddr(client));
        }
        let mut response = match self.server.decide(&head).await {
            Ok(admission) => {
                let response = admission.response().map(|()| Bytes::new());
                self.lock().agreed = Some((admission, upgrade));
                response
            }
            Err(refusal) => refusal,
        };
        self.wait_for_request();
        let answered = self.count();
        if answered >= self.server.settings.limits.requests && !response.status().is_informational()
        {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(Full::new)
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
        Self { server: self.server.clone(), client: self.client, state: Arc::clone(&self.state) }
    }
}

impl<R, P: Pods> Default for State<R, P> {
    fn default() -> Self {
        Self { patience: None, agreed: None, answered: 0 }
    }
}
