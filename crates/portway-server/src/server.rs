use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_lock::Semaphore;
use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, Method, Response};
use portway_driver::proto::handshake::{Accepted, Acceptor, Peer, PortsParameter, Rejection};
use portway_driver::proto::{Config, ConfigError, Session};
use portway_driver::{Listener, Net, Port, RelayRules, Runtime, Socket, WireForm, after, until};

use crate::api::{self, Route};
use crate::authorize::DynAuthorize;
use crate::fallback::DynFallback;
use crate::{
    Access, Action, Admission, Authorize, ClientAddr, Fallback, Limits, NoPod, Origins, Pods,
    ServerEvent, Serving, Target, Verdict, WantedPorts, answer, reception,
};

/// The kubelet side of port-forward. See the [crate docs](crate) for both ways to use it.
///
/// A clone is a handle to the same server: its session limit holds for all of them together.
pub struct Server<R, P> {
    pub(crate) runtime: R,
    pub(crate) pods: Arc<P>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) slots: Arc<Semaphore>,
    numbers: Arc<AtomicU64>,
}

/// How a server behaves.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) session: Arc<Config>,
    pub(crate) rules: RelayRules,
    api: bool,
    pub(crate) fallback: Option<Arc<dyn DynFallback>>,
    forms: Vec<WireForm>,
    origins: Origins,
    authorizer: Option<Arc<dyn DynAuthorize>>,
    observer: Option<Arc<Observer>>,
}

type Observer = dyn Fn(ServerEvent) + Send + Sync;

impl<R: Runtime, P: Pods> Server<R, P> {
    /// A server of these pods that lets everybody in who reaches it, except web pages.
    pub fn new(runtime: R, pods: P) -> Self {
        let limits = Limits::new();
        let settings = Settings {
            limits,
            session: Arc::new(Config::server()),
            rules: RelayRules::RUNTIME,
            api: false,
            fallback: None,
            forms: vec![WireForm::V4, WireForm::V4Base64, WireForm::Tunnel, WireForm::Spdy],
            origins: Origins::none(),
            authorizer: None,
            observer: None,
        };
        Self {
            runtime,
            pods: Arc::new(pods),
            settings: Arc::new(settings),
            slots: Arc::new(Semaphore::new(limits.sessions)),
            numbers: Arc::default(),
        }
    }

    /// Who may reach which pod. Default: everybody.
    #[must_use]
    pub fn with_authorizer(self, authorizer: impl Authorize) -> Self {
        self.with(|settings| settings.authorizer = Some(Arc::new(authorizer)))
    }

    /// Which web pages may. Default: none.
    #[must_use]
    pub fn with_origins(self, origins: Origins) -> Self {
        self.with(|settings| settings.origins = origins)
    }

    /// What a client can make the server hold, and for how long.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.slots = Arc::new(Semaphore::new(limits.sessions));
        self.with(|settings| settings.limits = limits)
    }

    /// Limits, policies and waits of each session. Default [`Config::server`].
    #[must_use]
    pub fn with_session(self, config: Config) -> Self {
        self.with(|settings| settings.session = Arc::new(config))
    }

    /// What the end of one direction does at a pod. Default [`RelayRules::RUNTIME`]: as today's
    /// runtimes, which never pass a client's end on and end everything one second after either side
    /// did. [`RelayRules::FAITHFUL`] does better.
    #[must_use]
    pub fn with_rules(self, rules: RelayRules) -> Self {
        self.with(|settings| settings.rules = rules)
    }

    /// The wire forms served. Default: all four. Without [`WireForm::Tunnel`] the server is one of
    /// Kubernetes before 1.30.
    #[must_use]
    pub fn with_forms(self, forms: &[WireForm]) -> Self {
        self.with(|settings| settings.forms = forms.to_vec())
    }

    /// Answers as much of the API around a forward as `kubectl port-forward` asks for: what there is
    /// (`/version`, `/api`, `/apis`, `/api/v1`), and pods by name, as [`Pods::describe`] says. To read
    /// a pod the authorizer has to allow [`Action::Read`]; what there is, is no secret. Default: off,
    /// because a gateway's API is behind the gateway.
    ///
    /// ```
    /// # fn server(pods: portway_server::LocalPods<portway_tokio::Tokio>) {
    /// # let rt = portway_tokio::Tokio::current();
    /// use portway_server::Server;
    /// // kubectl --server=http://127.0.0.1:8001 port-forward pod/web-0 8080
    /// let server = Server::new(rt, pods).with_api();
    /// # }
    /// ```
    #[must_use]
    pub fn with_api(self) -> Self {
        self.with(|settings| settings.api = true)
    }

    /// Answers requests for anything but a forward and [the API](Self::with_api) on connections that
    /// the server reads itself; without it they get a 404. Web pages do not get here either, but the
    /// authorizer is not asked.
    #[must_use]
    pub fn with_fallback(self, fallback: impl Fallback) -> Self {
        self.with(|settings| settings.fallback = Some(Arc::new(fallback)))
    }

    /// Is told what happens, from the tasks in which it happens: it must not block.
    #[must_use]
    pub fn with_observer(self, observer: impl Fn(ServerEvent) + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.observer = Some(Arc::new(observer)))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Serves everybody who connects, in tasks of the runtime.
    ///
    /// # Errors
    /// The listener does not know its address.
    pub fn serve<L: Listener>(&self, listener: L) -> io::Result<Serving> {
        self.serve_with(listener, |socket, _| async { Ok((socket, Extensions::new())) })
    }

    /// Binds an address (port 0 takes a free one) and serves it.
    ///
    /// # Errors
    /// The system refused the address.
    pub async fn listen(&self, addr: SocketAddr) -> io::Result<Serving>
    where
        R: Net,
    {
        self.serve(self.runtime.bind(addr).await?)
    }

    /// The same with something between the connections and HTTP, such as TLS: `secure` makes the
    /// socket that HTTP is spoken on, and says what is known of who is at its other end. That is in the
    /// extensions of every request of the connection, for the [authorizer](Access::extensions) and
    /// the [fallback](Self::with_fallback). It has the time of
    /// [`Limits::with_handshake`](crate::Limits::with_handshake); on an error the connection is closed.
    ///
    /// # Errors
    /// The listener does not know its address.
    pub fn serve_with<L, F, M, S>(&self, listener: L, secure: F) -> io::Result<Serving>
    where
        L: Listener,
        F: Fn(L::Socket, Option<SocketAddr>) -> M + Clone + Send + Sync + 'static,
        M: Future<Output = io::Result<(S, Extensions)>> + Send + 'static,
        S: Socket,
    {
        Serving::start(self.clone(), listener, secure)
    }

    /// Serves one connection: HTTP first, and the session if it comes to one. Ready when the
    /// connection is over; dropping it ends everything at once.
    pub async fn serve_connection<S: Socket>(&self, socket: S) {
        let client = socket.addresses().map(|(_, client)| client);
        // Boxed: what HTTP needs is given back before the bytes begin to move.
        let mut known = Extensions::new();
        if let Some(client) = client {
            known.insert(ClientAddr(client));
        }
        let reception = Box::pin(reception::receive(self, socket, known));
        if let Some((admission, socket, leftover)) = reception.await {
            admission.run(socket, leftover).await;
        }
    }

    /// Decides a request that a gateway has read, by its path. `Ok` is a session to be run once the
    /// gateway has sent [`Admission::response`]; `Err` is the answer to send instead.
    ///
    /// # Errors
    /// The request is refused, or is not for a forward: then the answer is that of the
    /// [API](Self::with_api), or 404.
    pub async fn decide(&self, head: &Parts) -> Result<Admission<R, P>, Response<Bytes>> {
        match Target::of_path(head.uri.path()) {
            Some((target, peer)) => self.decide_for(target, peer, head).await,
            None => Err(self.answer(head).await),
        }
    }

    /// The same for a gateway with paths of its own. `peer` says in whose name to refuse, and which
    /// of `ports` and `port` is the parameter.
    ///
    /// # Errors
    /// The request is refused.
    pub async fn decide_for(
        &self,
        target: Target,
        peer: Peer,
        head: &Parts,
    ) -> Result<Admission<R, P>, Response<Bytes>> {
        let asked = Asked { target: &target, peer, head };
        self.conclude(&asked, self.judge(&asked)).await
    }

    async fn judge(&self, asked: &Asked<'_>) -> Result<Admission<R, P>, Response<Bytes>> {
        let Asked { target, peer, head } = *asked;
        if head.method != Method::GET && head.method != Method::POST {
            return Err(answer::method_not_allowed(peer, "GET, POST"));
        }
        if !self.settings.origins.allow(&head.headers) {
            return Err(answer::origin_refused(peer));
        }
        // Read first, because the authorizer is to know the ports; told last, because only somebody
        // with a right to it is to know what was wrong.
        let accepted = self.accept(peer, head);
        let ports = accepted.as_ref().map_or(&[][..], Accepted::ports).to_vec();
        let wanted =
            if ports.is_empty() { WantedPorts::Any } else { WantedPorts::These(ports.clone()) };
        let granted = self.authorize(asked, Action::Forward(wanted)).await?;
        let accepted = accepted.map_err(|rejection| answer::rejected(peer, &rejection))?;
        let denied = |port| granted.as_ref().is_some_and(|granted| !granted.contains(port));
        if let Some(port) = ports.iter().find(|port| denied(port)) {
            return Err(answer::forbidden(peer, target, &format!("port {port} is not allowed")));
        }
        let pod = self.pods.find(target).await;
        let pod = pod.map_err(|why| answer::no_pod(peer, target, &why))?;
        let slot = self.slots.try_acquire_arc().ok_or_else(|| answer::full(peer))?;
        let session =
            self.session(&accepted).map_err(|error| answer::bad_request(&error.to_string()))?;
        Ok(Admission {
            server: self.clone(),
            number: self.numbers.fetch_add(1, Ordering::Relaxed) + 1,
            target: target.clone(),
            client: asked.client(),
            accepted,
            granted,
            pod: Arc::new(pod),
            session,
            slot,
        })
    }

    fn accept(&self, peer: Peer, head: &Parts) -> Result<Accepted, Rejection> {
        let parameter = match peer {
            Peer::ApiServer => PortsParameter::Ports,
            Peer::Kubelet => PortsParameter::Port,
            _ => PortsParameter::Either,
        };
        Acceptor::new().forms(&self.settings.forms).parameter(parameter).accept_parts(head)
    }

    /// The ports that are granted; `None` is every port.
    async fn authorize(
        &self,
        asked: &Asked<'_>,
        action: Action,
    ) -> Result<Option<Vec<Port>>, Response<Bytes>> {
        let Some(authorizer) = &self.settings.authorizer else { return Ok(None) };
        let Asked { target, peer, head } = *asked;
        let access = Access {
            target: target.clone(),
            action: action.clone(),
            method: head.method.clone(),
            headers: head.headers.clone(),
            extensions: head.extensions.clone(),
            client: asked.client(),
        };
        match authorizer.ask(access).await {
            Verdict::Allow => Ok(None),
            Verdict::AllowPorts(granted) => Ok(Some(granted)),
            Verdict::Unauthorized => Err(answer::unauthorized(peer)),
            Verdict::Forbidden { user } => {
                let verb = action.verb(&head.method);
                Err(answer::not_granted(peer, target, &user, verb, action.resource()))
            }
            Verdict::Deny { status, message } => Err(answer::shaped(peer, status, &message)),
        }
    }

    fn session(&self, accepted: &Accepted) -> Result<Session, ConfigError> {
        let config = Arc::clone(&self.settings.session);
        Session::server(config, accepted.form(), accepted.ports(), self.runtime.now())
    }

    /// Answers anything but a forward.
    async fn answer(&self, head: &Parts) -> Response<Bytes> {
        let path = head.uri.path();
        let within = self.settings.api && Route::is_within(path);
        let peer = if within { Peer::ApiServer } else { Peer::Kubelet };
        if !self.settings.origins.allow(&head.headers) {
            return answer::origin_refused(peer);
        }
        match Route::of_path(path).filter(|_| self.settings.api) {
            Some(route) => self.answer_api(route, head).await,
            None if within => answer::no_resource(),
            None => answer::no_route(),
        }
    }

    /// The server's own [API](Self::with_api) has this.
    pub(crate) fn is_in_api(&self, head: &Parts) -> bool {
        self.settings.api && Route::of_path(head.uri.path()).is_some()
    }

    /// No web page asks that nobody allowed.
    pub(crate) fn is_welcome(&self, head: &Parts) -> bool {
        self.settings.origins.allow(&head.headers)
    }

    async fn answer_api(&self, route: Route, head: &Parts) -> Response<Bytes> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return answer::method_not_allowed(Peer::ApiServer, "GET, HEAD");
        }
        let object = match route {
            Route::Document(_) if !api::takes_json(&head.headers) => Err(answer::not_acceptable()),
            Route::Document(document) => Ok(document.content()),
            Route::Pod(target) => {
                let asked = Asked { target: &target, peer: Peer::ApiServer, head };
                self.conclude(&asked, self.read(&asked)).await
            }
        };
        object.map_or_else(|refusal| refusal, |object| answer::object(&object))
    }

    /// The object of a pod.
    async fn read(&self, asked: &Asked<'_>) -> Result<serde_json::Value, Response<Bytes>> {
        let Asked { target, peer, head } = *asked;
        self.authorize(asked, Action::Read).await?;
        if !api::takes_json(&head.headers) {
            return Err(answer::not_acceptable());
        }
        match self.pods.find(target).await {
            Ok(pod) => Ok(api::running(target, &self.pods.describe(&pod))),
            Err(NoPod::Unscheduled) => Ok(api::pending(target)),
            Err(why) => Err(answer::no_pod(peer, target, &why)),
        }
    }

    /// Bounds a decision in time, and reports a refusal.
    async fn conclude<T>(
        &self,
        asked: &Asked<'_>,
        deciding: impl Future<Output = Result<T, Response<Bytes>>> + Send,
    ) -> Result<T, Response<Bytes>> {
        let deadline = after(self.runtime.now(), self.settings.limits.handshake);
        let decided = until(&self.runtime, deadline, Box::pin(deciding)).await;
        let decided = decided.unwrap_or_else(|_| Err(answer::timed_out(asked.peer)));
        if let Err(refusal) = &decided {
            let (target, status) = (asked.target.clone(), refusal.status());
            tracing::debug!(%target, %status, "refused");
            self.notify(ServerEvent::Refused { target, client: asked.client(), status });
        }
        decided
    }

    pub(crate) fn is_guarded(&self) -> bool {
        self.settings.authorizer.is_some()
    }

    pub(crate) fn notify(&self, event: ServerEvent) {
        if let Some(observer) = &self.settings.observer {
            observer(event);
        }
    }
}

/// A request for something about a pod.
#[derive(Clone, Copy)]
struct Asked<'a> {
    target: &'a Target,
    peer: Peer,
    head: &'a Parts,
}

impl Asked<'_> {
    fn client(&self) -> Option<SocketAddr> {
        self.head.extensions.get::<ClientAddr>().map(|client| client.0)
    }
}

impl<R: Clone, P> Clone for Server<R, P> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            pods: Arc::clone(&self.pods),
            settings: Arc::clone(&self.settings),
            slots: Arc::clone(&self.slots),
            numbers: Arc::clone(&self.numbers),
        }
    }
}

impl<R, P> fmt::Debug for Server<R, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("limits", &self.settings.limits)
            .field("rules", &self.settings.rules)
            .field("forms", &self.settings.forms)
            .field("origins", &self.settings.origins)
            .finish_non_exhaustive()
    }
}
