use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use portway_proto::Port;
use portway_proto::handshake::{Offer, Peer};

use super::{InvalidServer, ServerUrl, upgrade_over};
use crate::runtime::until;
use crate::{Connector, DialError, Endpoint, Net, Remembered, ResolveError, Runtime, Upgraded};

/// A [`Connector`] over plain HTTP to one pod: for `kubectl proxy`, test servers and gateways that
/// terminate TLS.
#[derive(Clone)]
pub struct HttpConnector<N> {
    net: N,
    target: Arc<Target>,
    remembered: Remembered,
}

#[derive(Clone)]
struct Target {
    server: ServerUrl,
    peer: Peer,
    namespace: String,
    pod: String,
    headers: HeaderMap,
    connect_timeout: Duration,
    answer_timeout: Duration,
}

impl<N: Net + Runtime> HttpConnector<N> {
    /// A pod behind an API server at `server`, such as `http://127.0.0.1:8001`. A path in front of
    /// the API (`http://gateway/clusters/one`) is kept.
    ///
    /// # Errors
    /// Not a URL, or one that is not `http`.
    pub fn new(
        net: N,
        server: &str,
        namespace: impl Into<String>,
        pod: impl Into<String>,
    ) -> Result<Self, InvalidServer> {
        let url: ServerUrl = server.parse()?;
        if url.is_tls() {
            return Err(InvalidServer::new(server, "this connector speaks plain HTTP, no TLS"));
        }
        let target = Target {
            server: url,
            peer: Peer::ApiServer,
            namespace: namespace.into(),
            pod: pod.into(),
            headers: HeaderMap::new(),
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
        };
        Ok(Self { net, target: Arc::new(target), remembered: Remembered::default() })
    }

    /// Sends a header with every request: `Authorization`, `Impersonate-User` and the like. Given
    /// again, it is sent again.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if name == http::header::AUTHORIZATION {
            tracing::warn!(server = %self.target.server.addr(), "a token goes over plain HTTP: anybody on the way can read it");
        }
        Arc::make_mut(&mut self.target).headers.append(name, value);
        self
    }

    /// The server is a kubelet, not an API server.
    #[must_use]
    pub fn with_peer(mut self, peer: Peer) -> Self {
        Arc::make_mut(&mut self.target).peer = peer;
        self
    }

    /// How long the TCP connection may take, and then the answer. Default 10 s and 30 s: an API
    /// server answers only when the kubelet and the runtime behind it have.
    #[must_use]
    pub fn with_timeouts(mut self, connect: Duration, answer: Duration) -> Self {
        let target = Arc::make_mut(&mut self.target);
        target.connect_timeout = connect;
        target.answer_timeout = answer;
        self
    }
}

impl<N: Net + Runtime> Connector for HttpConnector<N> {
    type Io = N::Socket;

    async fn resolve(&self, ports: &[Port]) -> Result<Endpoint, ResolveError> {
        Ok(Endpoint::new(&*self.target.namespace, &*self.target.pod, ports))
    }

    async fn dial(&self, to: &Endpoint, offer: &Offer) -> Result<Upgraded<N::Socket>, DialError> {
        let Target { server, peer, headers, connect_timeout, answer_timeout, .. } = &*self.target;
        let deadline = self.net.now() + *connect_timeout;
        let connecting = until(&self.net, deadline, self.net.connect(server.addr())).await;
        let connected = connecting.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let io = connected.map_err(|source| DialError::Connect {
            at: server.addr().to_string(),
            source: Arc::new(source),
        })?;
        let (offer, headers) = (offer.clone().to(*peer), headers.clone());
        upgrade_over(&self.net, io, server, headers, to, &offer, *answer_timeout).await
    }

    /// Clones ask the same server.
    fn remembered(&self) -> Remembered {
        self.remembered.clone()
    }
}

impl<N> fmt::Debug for HttpConnector<N> {
    /// Without the headers: they hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnector")
            .field("server", &self.target.server)
            .field("namespace", &self.target.namespace)
            .field("pod", &self.target.pod)
            .finish_non_exhaustive()
    }
}
