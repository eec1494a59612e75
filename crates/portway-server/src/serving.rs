use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_lock::{Semaphore, SemaphoreGuardArc};
use http::Extensions;
use portway_driver::{Lifecycle, Listener, Presence, Runtime, Socket, after, until};

use crate::admission::Ends;
use crate::{ClientAddr, Pods, Server, ServerEvent, reception};

/// A listener that is being served. Dropping it ends everything at once;
/// [`shutdown`](Self::shutdown) lets sessions finish.
pub struct Serving {
    local: SocketAddr,
    life: Arc<Lifecycle>,
}

/// What a shutdown had to cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Connections whose sessions had not ended by the deadline.
    pub connections: usize,
}

impl Serving {
    pub(crate) fn start<R, P, L, F, M, S>(
        server: Server<R, P>,
        listener: L,
        secure: F,
    ) -> io::Result<Self>
    where
        R: Runtime,
        P: Pods,
        L: Listener,
        F: Fn(L::Socket, Option<SocketAddr>) -> M + Clone + Send + Sync + 'static,
        M: Future<Output = io::Result<(S, Extensions)>> + Send + 'static,
        S: Socket,
    {
        let local = listener.local_addr()?;
        if !local.ip().is_loopback() && !server.is_guarded() {
            tracing::warn!(%local, "no authorizer: anybody who reaches this address reaches the pods");
        }
        let life = Arc::new(Lifecycle::new(server.runtime.clone()));
        let runtime = server.runtime.clone();
        runtime.spawn(accept(life.door(), server, listener, secure, Arc::clone(&life)));
        Ok(Self { local, life })
    }

    /// The address that is served, with its real port.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Connections that are open now, with a session or on the way to one.
    pub fn connections(&self) -> usize {
        self.life.connections()
    }

    /// Stops accepting, cuts off who has no session yet, and waits until every session has ended,
    /// but no longer than `deadline`. Clients that are left then are told that the server is going
    /// away (a Close with code 1001), and after half a second more whatever remains is reset. When it
    /// returns, nothing of it runs any more.
    pub async fn shutdown(self, deadline: Duration) -> Unfinished {
        let connections = self.life.shutdown(deadline).await;
        Unfinished { connections }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.life.abort();
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving")
            .field("local", &self.local)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

/// Accepts until told to stop. An error of the system is waited out. The presence is the first
/// parameter because that is dropped last: after the listener.
async fn accept<R, P, L, F, M, S>(
    _presence: Presence,
    server: Server<R, P>,
    mut listener: L,
    secure: F,
    life: Arc<Lifecycle>,
) where
    R: Runtime,
    P: Pods,
    L: Listener,
    F: Fn(L::Socket, Option<SocketAddr>) -> M + Clone + Send + Sync + 'static,
    M: Future<Output = io::Result<(S, Extensions)>> + Send + 'static,
    S: Socket,
{
    const RETRY: Duration = Duration::from_millis(100);
    let handshakes = Arc::new(Semaphore::new(server.settings.limits.handshakes));
    while let Some(place) = life.accepting(handshakes.acquire_arc()).await {
        let accepted = std::future::poll_fn(|cx| listener.poll_accept(cx));
        match life.accepting(accepted).await {
            None => break,
            Some(Ok((socket, client))) => {
                let presence = life.connection();
                let connection = Connection { server: server.clone(), client, place, presence };
                server.runtime.spawn(connection.serve(socket, secure.clone()));
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept");
                server.notify(ServerEvent::AcceptFailed { error: Arc::new(error) });
                let retry = server.runtime.sleep_until(server.runtime.now() + RETRY);
                if life.accepting(retry).await.is_none() {
                    break;
                }
            }
        }
    }
}

/// Somebody who has connected.
struct Connection<R, P> {
    server: Server<R, P>,
    client: Option<SocketAddr>,
    place: SemaphoreGuardArc,
    presence: Presence,
}

impl<R: Runtime, P: Pods> Connection<R, P> {
    async fn serve<T, F, M, S>(self, socket: T, secure: F)
    where
        T: Socket,
        F: Fn(T, Option<SocketAddr>) -> M + Send,
        M: Future<Output = io::Result<(S, Extensions)>> + Send + 'static,
        S: Socket,
    {
        let Self { server, client, place, presence } = self;
        let life = presence.life();
        // Boxed: what HTTP needs is given back before the bytes begin to move.
        let reception = Box::pin(async {
            let deadline = after(server.runtime.now(), server.settings.limits.handshake);
            let (socket, mut known) =
                match until(&server.runtime, deadline, secure(socket, client)).await {
                    Ok(Ok(secured)) => secured,
                    Ok(Err(error)) => {
                        tracing::debug!(?client, %error, "connection could not be secured");
                        return None;
                    }
                    Err(_) => {
                        tracing::debug!(?client, "connection was not secured in time");
                        return None;
                    }
                };
            if let Some(client) = client {
                known.insert(ClientAddr(client));
            }
            reception::receive(&server, socket, known).await
        });
        let received = life.accepting(reception).await;
        drop(place);
        let Some(Some((admission, mut socket, leftover))) = received else { return };
        match (life.finishing(), life.closing(), life.aborting()) {
            (Some(retire), Some(close), Some(abort)) => {
                let ends = Ends { retire, close, abort };
                admission.run_until(socket, leftover, Some(ends)).await;
            }
            _ => socket.abort(),
        }
    }
}
