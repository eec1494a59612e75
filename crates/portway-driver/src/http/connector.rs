use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use portway_proto::Port;
use portway_proto::handshake::{Key, Offer, Peer, kubelet_path, pod_path};

use super::upgrade::{Failure, upgrade};
use crate::runtime::until;
use crate::{
    Addr, Connector, DialError, Endpoint, Net, Remembered, ResolveError, Runtime, Upgraded,
};

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
    server: Addr,
    /// Scheme, authority and path prefix, as given.
    url: Uri,
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
        let invalid = |problem| InvalidServer { given: without_password(server), problem };
        let url: Uri = server.parse().map_err(|_| invalid("it is not a URL"))?;
        match url.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(invalid("this connector speaks plain HTTP, no TLS")),
            _ => return Err(invalid("it does not start with http://")),
        }
        if url.query().is_some() {
            return Err(invalid("it has a query"));
        }
        let host = url.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| invalid("it names no host"))?;
        let port = url.port_u16().unwrap_or(80);
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let server = match literal.parse::<IpAddr>() {
            Ok(ip) => Addr::Ip((ip, port).into()),
            Err(_) => Addr::Host(host.to_owned(), port),
        };
        let target = Target {
            server,
            url,
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
            tracing::warn!(server = %self.target.server, "a token goes over plain HTTP: anybody on the way can read it");
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
        let target = &*self.target;
        let at = target.server.to_string();
        let offer = offer.clone().to(target.peer);
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|error| DialError::Http {
            at: at.clone(),
            problem: format!("no randomness for the key: {error}"),
        })?;
        let key = Key::new(key);
        let request = offer.request(&target.uri(to)?, key, target.headers.clone())?;

        let deadline = self.net.now() + target.connect_timeout;
        let connecting = until(&self.net, deadline, self.net.connect(&target.server)).await;
        let connected = connecting.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let io = connected
            .map_err(|source| DialError::Connect { at: at.clone(), source: Arc::new(source) })?;

        let deadline = self.net.now() + target.answer_timeout;
        match until(&self.net, deadline, upgrade(&self.net, io, &offer, request, key)).await {
            Ok(Ok(upgraded)) => Ok(upgraded),
            Ok(Err(Failure::Http(problem))) => Err(DialError::Http { at, problem }),
            Ok(Err(Failure::Upgrade(source))) => Err(DialError::Upgrade { at, source }),
            Ok(Err(Failure::Refused(refusal))) => Err(DialError::Refused {
                at,
                namespace: to.namespace.clone(),
                pod: to.pod.clone(),
                refusal: Box::new(refusal),
            }),
            Err(_) => Err(DialError::Timeout { at, after: target.answer_timeout }),
        }
    }

    /// Clones ask the same server.
    fn remembered(&self) -> Remembered {
        self.remembered.clone()
    }
}

impl Target {
    fn uri(&self, to: &Endpoint) -> Result<Uri, DialError> {
        let path = match self.peer {
            Peer::Kubelet => kubelet_path(&to.namespace, &to.pod, None),
            Peer::ApiServer | _ => pod_path(&to.namespace, &to.pod),
        };
        let prefix = self.url.path().trim_end_matches('/');
        let mut parts = self.url.clone().into_parts();
        let whole = format!("{prefix}{path}");
        let too_long = DialError::Request(portway_proto::handshake::RequestError::TooLong);
        parts.path_and_query = Some(whole.parse().map_err(|_| too_long.clone())?);
        Uri::from_parts(parts).map_err(|_| too_long)
    }
}

impl<N> fmt::Debug for HttpConnector<N> {
    /// Without the headers: they hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnector")
            .field("server", &self.target.url)
            .field("namespace", &self.target.namespace)
            .field("pod", &self.target.pod)
            .finish_non_exhaustive()
    }
}

/// The address as given, bounded, and without what stands before an `@`: it is not for a log.
fn without_password(server: &str) -> String {
    let (scheme, rest) = server.split_once("://").unwrap_or(("", server));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let shown = match authority.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => format!("{host}{path}"),
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => server.to_owned(),
    };
    shown.chars().take(200).collect()
}

/// A server address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the server {given:?}: {problem}; give one like http://127.0.0.1:8001")]
#[non_exhaustive]
pub struct InvalidServer {
    given: String,
    problem: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_address_is_not_shown() {
        assert_eq!(without_password("https://me:secret@host:6443/x"), "https://host:6443/x");
        assert_eq!(without_password("http://host/a@b"), "http://host/a@b");
        assert_eq!(without_password("me:secret@host"), "host");
    }
}
