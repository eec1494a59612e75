use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use portway_cluster::{Api, ApiError, Destination, TargetConnector};
use portway_driver::proto::handshake::{Offer, RefusalKind, RequestError};
use portway_driver::{
    DialError, Endpoint, InvalidServer, Net, Remembered, Runtime, ServerUrl, Upgraded, after,
    tunnel_over, until, upgrade_over,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::failure::Failure;
use super::{Answer, ApiSocket, InvalidProxy, Proxy, Token};
use crate::{ClientTls, TlsConfigError, TlsSocket};

/// An API server, and all that is needed to be let in: the [`Api`] of a [`TargetConnector`] on any
/// runtime.
///
/// Lookups, watches and forwards go the same way: the same TLS, proxy, token and headers. Each has a
/// connection of its own, and TLS resumes what it agreed on before.
///
/// ```no_run
/// # async fn forward(rt: portway_smol::Smol) -> Result<(), Box<dyn std::error::Error>> {
/// use portway_rustls::{ApiServer, ClientTls, Target, Token};
/// use portway_smol::{Options, PortForward};
///
/// let tls = ClientTls::new().with_authorities(&std::fs::read("ca.crt")?)?;
/// let server = ApiServer::new(rt.clone(), "https://cluster:6443", tls)?
///     .with_token(Token::new("eyJhbGciOi…")?);
/// let web = server.target("default", "svc/web".parse::<Target>()?);
/// let mappings = web.mappings(&["8080:http".parse()?]).await?;
/// let listening = rt.listen(web, mappings, Options::new()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ApiServer<N> {
    net: N,
    settings: Arc<Settings>,
    remembered: Remembered,
}

#[derive(Clone)]
struct Settings {
    url: ServerUrl,
    /// `None`: plain HTTP.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    token: Option<Token>,
    headers: HeaderMap,
    proxy: Option<Proxy>,
    connect_timeout: Duration,
    answer_timeout: Duration,
}

impl<N: Net + Runtime> ApiServer<N> {
    /// The server at `url`, such as `https://cluster:6443`; a path in front of the API is kept. An `http`
    /// address leads to plain HTTP (`kubectl proxy`), and `tls` is not used then.
    ///
    /// # Errors
    /// The address or what is given for TLS cannot be used.
    pub fn new(net: N, url: &str, tls: ClientTls) -> Result<Self, ApiServerError> {
        let url: ServerUrl = url.parse()?;
        let tls = if url.is_tls() { Some(tls.for_server(&url)?) } else { None };
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(OURSELVES));
        let settings = Settings {
            url,
            tls,
            token: None,
            headers,
            proxy: None,
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(30),
        };
        Ok(Self { net, settings: Arc::new(settings), remembered: Remembered::default() })
    }

    /// Says who we are by a bearer token.
    #[must_use]
    pub fn with_token(self, token: Token) -> Self {
        if !self.settings.url.is_tls() {
            tracing::warn!(server = %self.settings.url.addr(), "a token goes over plain HTTP: anybody on the way can read it");
        }
        self.with(|settings| settings.token = Some(token))
    }

    /// Acts as another user with these groups (`Impersonate-User`, `Impersonate-Group`).
    ///
    /// # Errors
    /// A name has characters that no header can carry.
    pub fn with_impersonation<'a>(
        self,
        user: &str,
        groups: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ApiServerError> {
        let value = |name: &str| {
            HeaderValue::from_str(name).map_err(|_| ApiServerError::Impersonation {
                name: name.chars().take(200).collect(),
            })
        };
        let mut this = self.with_header(HeaderName::from_static("impersonate-user"), value(user)?);
        for group in groups {
            let name = HeaderName::from_static("impersonate-group");
            this = this.with_header(name, value(group)?);
        }
        Ok(this)
    }

    /// Sends a header with every request. Given again, it is sent again.
    #[must_use]
    pub fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.with(|settings| {
            settings.headers.append(name, value);
        })
    }

    /// Goes through a proxy; [`Proxy::from_env`] knows the one of the environment. Default: none, also
    /// if the environment names one.
    #[must_use]
    pub fn with_proxy(self, proxy: Option<Proxy>) -> Self {
        self.with(|settings| settings.proxy = proxy)
    }

    /// How long a connection may take, with its proxy and TLS, and then the answer. Default 10 s and 30 s:
    /// an API server answers only when the kubelet and the runtime behind it have.
    #[must_use]
    pub fn with_timeouts(self, connect: Duration, answer: Duration) -> Self {
        self.with(|settings| {
            settings.connect_timeout = connect;
            settings.answer_timeout = answer;
        })
    }

    /// Something to forward to: a pod, or whatever pods stand behind.
    pub fn target(
        &self,
        namespace: &str,
        target: impl Into<Destination>,
    ) -> TargetConnector<Self, N> {
        TargetConnector::new(self.clone(), self.net.clone(), namespace, target)
    }

    /// Its address.
    pub fn url(&self) -> &ServerUrl {
        &self.settings.url
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    fn at(&self) -> String {
        self.settings.url.addr().to_string()
    }

    /// What every request says besides.
    async fn headers(&self, refused: bool) -> Result<HeaderMap, Failure> {
        let mut headers = self.settings.headers.clone();
        if let Some(token) = &self.settings.token {
            headers.insert(AUTHORIZATION, token.header(refused, self.net.now()).await?);
        }
        Ok(headers)
    }

    /// The same after the server did not know us; `None` if there is nothing else to say.
    async fn other_headers(&self, refused: &HeaderMap) -> Result<Option<HeaderMap>, Failure> {
        let headers = self.headers(true).await?;
        Ok((headers != *refused).then_some(headers))
    }

    /// Boxed: what connecting needs is given back before the answer is waited for.
    fn connect(&self) -> Pin<Box<impl Future<Output = Connected<N>>>> {
        Box::pin(self.connect_in_place())
    }

    async fn connect_in_place(&self) -> Connected<N> {
        let Settings { url, proxy, tls, connect_timeout, .. } = &*self.settings;
        let deadline = after(self.net.now(), *connect_timeout);
        let first = proxy.as_ref().map_or_else(|| url.addr(), Proxy::addr);
        let connecting = self.in_time(deadline, "it took no connection", self.net.connect(first));
        let mut io = match (connecting.await?, proxy) {
            (Ok(io), _) => io,
            (Err(error), None) => return Err(Failure::Passing(error)),
            (Err(error), Some(proxy)) => {
                let text = format!("the proxy {proxy} cannot be reached: {error}");
                return Err(Failure::Passing(io::Error::new(error.kind(), text)));
            }
        };
        if let Some(proxy) = proxy {
            let (name, authorization) = (proxy.to_string(), proxy.authorization());
            let opening = tunnel_over(&self.net, io, &name, url.addr(), authorization);
            let silent = format!("the proxy {proxy} did not answer");
            io = self.in_time(deadline, &silent, opening).await??;
        }
        let Some((config, name)) = tls else { return Ok(ApiSocket::Plain(io)) };
        let shaking = TlsSocket::connect(io, name.clone(), Arc::clone(config));
        let silent = "it took the connection and did not speak TLS";
        Ok(ApiSocket::Tls(self.in_time(deadline, silent, shaking).await??))
    }

    async fn in_time<F: Future>(
        &self,
        deadline: Instant,
        silent: &str,
        connecting: F,
    ) -> Result<F::Output, Failure> {
        until(&self.net, deadline, connecting).await.map_err(|_| {
            let within = self.settings.connect_timeout.as_secs_f32();
            let text = format!("{silent} within {within} s");
            Failure::Passing(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }

    async fn ask(
        &self,
        request: &Request<Bytes>,
        headers: &HeaderMap,
    ) -> Result<Response<Answer<N::Socket>>, Failure> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let uri = self.settings.url.uri(path).map_err(Failure::lasting)?;
        let io = self.connect().await?;
        let mut request = request.clone();
        let all = request.headers_mut();
        if let Some(authority) = uri.authority() {
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            let host = HeaderValue::from_str(host).map_err(|_| RequestError::Host);
            all.insert(HOST, host.map_err(Failure::lasting)?);
        }
        for (name, value) in headers {
            all.append(name, value.clone());
        }
        // What stands in front of the path is for connecting.
        let path = uri.path_and_query().cloned();
        *request.uri_mut() = path.map(Into::into).unwrap_or_default();
        Ok(Answer::to(io, request).await?)
    }

    async fn dial(
        &self,
        to: &Endpoint,
        offer: &Offer,
        headers: HeaderMap,
    ) -> Result<Upgraded<ApiSocket<N::Socket>>, DialError> {
        let Settings { url, answer_timeout, .. } = &*self.settings;
        let io = self.connect().await.map_err(|failure| failure.dial(self.at()))?;
        upgrade_over(&self.net, io, url, headers, to, offer, *answer_timeout).await
    }
}

type Connected<N> = Result<ApiSocket<<N as Net>::Socket>, Failure>;

const OURSELVES: &str = concat!("portway/", env!("CARGO_PKG_VERSION"));

impl<N: Net + Runtime> Api for ApiServer<N> {
    type Io = ApiSocket<N::Socket>;
    type Body = Answer<N::Socket>;

    async fn request(&self, request: Request<Bytes>) -> Result<Response<Self::Body>, ApiError> {
        let asking = async {
            let headers = self.headers(false).await?;
            let answer = self.ask(&request, &headers).await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            match self.other_headers(&headers).await? {
                Some(headers) => self.ask(&request, &headers).await,
                None => Ok(answer),
            }
        };
        asking.await.map_err(|failure: Failure| failure.api(self.at()))
    }

    async fn upgrade(&self, to: &Endpoint, offer: &Offer) -> Result<Upgraded<Self::Io>, DialError> {
        let failed = |failure: Failure| failure.dial(self.at());
        let headers = self.headers(false).await.map_err(failed)?;
        let result = self.dial(to, offer, headers.clone()).await;
        let unknown = matches!(&result, Err(DialError::Refused { refusal, .. })
            if *refusal.kind() == RefusalKind::NotAuthenticated);
        if !unknown {
            return result;
        }
        match self.other_headers(&headers).await.map_err(failed)? {
            Some(headers) => self.dial(to, offer, headers).await,
            None => result,
        }
    }

    fn remembered(&self) -> Remembered {
        self.remembered.clone()
    }
}

impl<N> fmt::Debug for ApiServer<N> {
    /// Without the headers and the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer")
            .field("url", &self.settings.url)
            .field("proxy", &self.settings.proxy)
            .finish_non_exhaustive()
    }
}

/// Why an API server cannot be asked anything.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ApiServerError {
    /// Its address.
    #[error(transparent)]
    Server(#[from] InvalidServer),
    /// What was given for TLS.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// The proxy.
    #[error(transparent)]
    Proxy(#[from] InvalidProxy),
    /// Whom to act as.
    #[error("cannot act as {name:?}: it has characters that no header can carry")]
    Impersonation {
        /// The user or the group.
        name: String,
    },
}
