use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Extensions, Method, StatusCode};
use portway_driver::{Net, RelayRules, Runtime, WireForm};
use portway_rustls::TlsSocket;
use portway_server::{Access, Limits, Server, ServerEvent, Serving, Unfinished, Verdict};

use crate::api::Api;
use crate::auth::{Attributes, Auth};
use crate::authority::Authority;
use crate::journal::Journal;
use crate::line::{Fate, Line, Wire};
use crate::pod::{ClusterPods, Pod, PodBuilder};
use crate::resource::Resource;
use crate::service::ServiceBuilder;
use crate::state::{Key, Shared};
use crate::workload::WorkloadBuilder;
use crate::{Certificate, CertificateError, Rule, User, Version, kubeconfig};

/// A cluster within this process: an API server on a port of this machine, and pods that are programs
/// of yours. It ends when it is dropped.
///
/// See the [crate docs](crate) for an example.
pub struct TestCluster {
    shared: Arc<Shared>,
    auth: Arc<Auth>,
    journal: Arc<Journal>,
    authority: Option<Arc<Authority>>,
    wires: Arc<Wires>,
    serving: Serving,
}

/// The connections of a cluster, to be cut.
type Wires = Mutex<Arc<Fate>>;

/// Why a cluster did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The system does not let it listen.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// Where it was to listen.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There is no TLS for it.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A cluster to be started.
#[derive(Clone)]
#[must_use = "there is no cluster before start()"]
pub struct Builder {
    version: Version,
    anonymous: bool,
    rbac: bool,
    tls: bool,
    forms: Option<Vec<WireForm>>,
    rules: RelayRules,
    limits: Limits,
    addr: SocketAddr,
    tokens: Vec<(String, User)>,
    observer: Option<Arc<Observer>>,
}

type Observer = dyn Fn(ServerEvent) + Send + Sync;

impl Default for Builder {
    fn default() -> Self {
        Self {
            version: Version::LATEST,
            anonymous: true,
            rbac: false,
            tls: false,
            forms: None,
            rules: RelayRules::RUNTIME,
            limits: Limits::new(),
            addr: (Ipv4Addr::LOCALHOST, 0).into(),
            tokens: Vec::new(),
            observer: None,
        }
    }
}

impl Builder {
    /// The release of Kubernetes that it behaves like.
    pub const fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// The wire forms of a forward that it serves; if not said, those of its version.
    pub fn forms(mut self, forms: &[WireForm]) -> Self {
        self.forms = Some(forms.to_vec());
        self
    }

    /// What the end of one direction does at a pod; if not said,
    /// [as container runtimes do it](RelayRules::RUNTIME): a client's end never reaches the pod.
    pub const fn rules(mut self, rules: RelayRules) -> Self {
        self.rules = rules;
        self
    }

    /// What a client can make it hold, and for how long.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where it listens; if not said, a free port of 127.0.0.1.
    pub const fn listen(mut self, addr: SocketAddr) -> Self {
        self.addr = addr;
        self
    }

    /// It speaks TLS, with certificates of an authority of its own, as any cluster does; otherwise plain
    /// HTTP, as behind `kubectl proxy`.
    pub const fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Whoever has this token is this user.
    pub fn token(mut self, token: impl Into<String>, user: User) -> Self {
        self.tokens.push((token.into(), user));
        self
    }

    /// Nobody is let in who does not say who they are; otherwise that is `system:anonymous`.
    pub const fn no_anonymous(mut self) -> Self {
        self.anonymous = false;
        self
    }

    /// Nobody may do anything that was not [granted](TestCluster::grant) to them; otherwise everybody
    /// may do everything that was not [denied](TestCluster::deny) to them.
    pub const fn rbac(mut self) -> Self {
        self.rbac = true;
        self
    }

    /// Is told what happens to forwards, from the tasks in which it happens: it must not block.
    pub fn observer(mut self, observer: impl Fn(ServerEvent) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Starts it, with the namespaces `default` and `kube-system` and nothing in them.
    ///
    /// # Errors
    /// The system does not let it listen, or there are no certificates for it.
    pub async fn start<R: Runtime + Net>(self, runtime: &R) -> Result<TestCluster, StartError> {
        let shared = Arc::new(Shared::new());
        let auth = Arc::new(Auth::new(self.anonymous, self.rbac));
        for (token, user) in self.tokens {
            auth.add_token(token, user);
        }
        let journal = Arc::new(Journal::default());
        let pods = ClusterPods { runtime: runtime.clone(), shared: Arc::clone(&shared) };
        let api = Api {
            runtime: runtime.clone(),
            shared: Arc::clone(&shared),
            auth: Arc::clone(&auth),
            journal: Arc::clone(&journal),
            version: self.version,
        };
        let every = [WireForm::V4, WireForm::V4Base64, WireForm::Spdy, WireForm::Tunnel];
        let of_version = if self.version.has_tunnel() { &every[..] } else { &every[..3] };
        let guard =
            Guard { auth: Arc::clone(&auth), journal: Arc::clone(&journal), version: self.version };
        let mut server = Server::new(runtime.clone(), pods)
            .with_limits(self.limits)
            .with_rules(self.rules)
            .with_forms(self.forms.as_deref().unwrap_or(of_version))
            .with_authorizer(move |access: Access| {
                let guard = guard.clone();
                async move { guard.judge(&access) }
            })
            .with_fallback(api);
        if let Some(observer) = self.observer {
            server = server.with_observer(move |event| observer(event));
        }
        let authority = self.tls.then(Authority::new).transpose()?.map(Arc::new);
        let tls = authority.as_ref().map(|authority| -> Result<_, CertificateError> {
            Ok((Arc::clone(authority), authority.server(self.addr.ip())?))
        });
        let tls = tls.transpose()?;
        let wires = Arc::new(Wires::default());
        let addr = self.addr;
        let listening = async {
            let listener = runtime.bind(addr).await?;
            let wires = Arc::clone(&wires);
            let line = move |socket| Line::new(Wire::Net(socket), fate_of(&wires), None);
            let Some((authority, tls)) = tls else {
                return server.serve_with(listener, move |socket, _| {
                    let line = line(socket);
                    async { Ok((line, Extensions::new())) }
                });
            };
            server.serve_with(listener, move |socket, _| {
                let (line, authority, tls) =
                    (line(socket), Arc::clone(&authority), Arc::clone(&tls));
                async move {
                    let socket = TlsSocket::accept(line, tls).await.map_err(io::Error::other)?;
                    let mut known = Extensions::new();
                    let certificate = socket.peer_certificates().first();
                    if let Some(user) = certificate.and_then(|it| authority.user(it)) {
                        known.insert(user);
                    }
                    Ok((socket, known))
                }
            })
        };
        let serving = listening.await.map_err(|source| StartError::Listen { addr, source })?;
        Ok(TestCluster { shared, auth, journal, authority, wires, serving })
    }
}

impl TestCluster {
    /// How it is to be; [`Builder::start`] starts it.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A cluster in plain HTTP in which everybody may do everything.
    ///
    /// # Errors
    /// The system does not let it listen.
    pub async fn start<R: Runtime + Net>(runtime: &R) -> Result<Self, StartError> {
        Self::builder().start(runtime).await
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.serving.local_addr()
    }

    /// What to give as `--server`.
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr())
    }

    /// What to write into a file for `KUBECONFIG`: that of [the admin](User::admin), with a client
    /// certificate. In plain HTTP it names nobody, and the bearer is `system:anonymous`.
    ///
    /// # Errors
    /// There is no certificate for it.
    pub fn kubeconfig(&self) -> Result<String, CertificateError> {
        self.kubeconfig_of(&User::admin())
    }

    /// The same for somebody else.
    ///
    /// # Errors
    /// There is no certificate for a user of that name.
    pub fn kubeconfig_of(&self, user: &User) -> Result<String, CertificateError> {
        let certificate = self.certificate(user)?;
        let credentials = certificate.as_ref().map(kubeconfig::Credentials::Certificate);
        Ok(self.write(&credentials.unwrap_or(kubeconfig::Credentials::None)))
    }

    /// The same for whoever has this token. (In plain HTTP kubectl sends none.)
    pub fn kubeconfig_with_token(&self, token: &str) -> String {
        self.write(&kubeconfig::Credentials::Token(token))
    }

    fn write(&self, credentials: &kubeconfig::Credentials<'_>) -> String {
        kubeconfig::write(&self.url(), self.authority_pem().as_deref(), credentials)
    }

    /// Whom to trust, in PEM; `None` in plain HTTP.
    pub fn authority_pem(&self) -> Option<String> {
        self.authority.as_ref().map(|authority| authority.pem())
    }

    /// A certificate that makes its bearer this user; `None` in plain HTTP.
    ///
    /// # Errors
    /// There is none for a user of that name.
    pub fn certificate(&self, user: &User) -> Result<Option<Certificate>, CertificateError> {
        self.authority.as_ref().map(|authority| authority.client(user)).transpose()
    }

    /// A pod, in `default` if nothing else is said, running and ready.
    ///
    /// ```no_run
    /// # fn example(cluster: &portway_testcluster::TestCluster) {
    /// use portway_testcluster::Program;
    /// let pod = cluster.pod("web-0").label("app", "web").port("echo", 7, Program::echo()).create();
    /// pod.set_ready(false);
    /// # }
    /// ```
    pub fn pod(&self, name: &str) -> PodBuilder {
        PodBuilder::new(Arc::clone(&self.shared), name)
    }

    /// A service.
    ///
    /// ```no_run
    /// # fn example(cluster: &portway_testcluster::TestCluster) {
    /// cluster.service("web").selector("app", "web").port("http", 80, "http").create();
    /// # }
    /// ```
    pub fn service(&self, name: &str) -> ServiceBuilder {
        ServiceBuilder::new(Arc::clone(&self.shared), name)
    }

    /// A deployment with so many pods, behind a replica set.
    pub fn deployment(&self, name: &str, replicas: usize) -> WorkloadBuilder {
        self.workload(Resource::Deployments, name, replicas)
    }

    /// A replica set with so many pods.
    pub fn replica_set(&self, name: &str, replicas: usize) -> WorkloadBuilder {
        self.workload(Resource::ReplicaSets, name, replicas)
    }

    /// A stateful set with the pods `NAME-0`, `NAME-1` and so on.
    pub fn stateful_set(&self, name: &str, replicas: usize) -> WorkloadBuilder {
        self.workload(Resource::StatefulSets, name, replicas)
    }

    /// A daemon set on so many nodes.
    pub fn daemon_set(&self, name: &str, nodes: usize) -> WorkloadBuilder {
        self.workload(Resource::DaemonSets, name, nodes)
    }

    /// A job with so many pods, which never come to an end.
    pub fn job(&self, name: &str, pods: usize) -> WorkloadBuilder {
        self.workload(Resource::Jobs, name, pods)
    }

    /// A replication controller with so many pods.
    pub fn replication_controller(&self, name: &str, replicas: usize) -> WorkloadBuilder {
        self.workload(Resource::ReplicationControllers, name, replicas)
    }

    fn workload(&self, resource: Resource, name: &str, replicas: usize) -> WorkloadBuilder {
        WorkloadBuilder::new(Arc::clone(&self.shared), resource, name, replicas)
    }

    /// A handle to a pod, whoever made it, and whether or not it is there yet.
    pub fn find_pod(&self, namespace: &str, name: &str) -> Pod {
        Pod::new(Arc::clone(&self.shared), Key::pod(namespace, name))
    }

    /// Whoever has this token is this user, from now on.
    pub fn add_token(&self, token: impl Into<String>, user: User) {
        self.auth.add_token(token.into(), user);
    }

    /// Nobody is anybody by this token any more. Sessions that are open go on.
    pub fn revoke_token(&self, token: &str) {
        self.auth.revoke_token(token);
    }

    /// Somebody may do something, where [nothing else](Builder::rbac) is allowed.
    pub fn grant(&self, rule: Rule) {
        self.auth.grant(rule);
    }

    /// Somebody may not do something, whatever was granted.
    pub fn deny(&self, rule: Rule) {
        self.auth.deny(rule);
    }

    /// How often something was asked for since the start: a verb of Kubernetes (`get`, `list`, `watch`,
    /// `create`, `delete`) and a path without its query. Refused requests count.
    ///
    /// ```no_run
    /// # fn example(cluster: &portway_testcluster::TestCluster) {
    /// assert_eq!(cluster.requests("watch", "/api/v1/namespaces/default/pods"), 1);
    /// # }
    /// ```
    pub fn requests(&self, verb: &str, path: &str) -> usize {
        self.journal.count(verb, path)
    }

    /// All of that: how often each verb was asked of each path.
    pub fn all_requests(&self) -> BTreeMap<(String, String), usize> {
        self.journal.all()
    }

    /// Ends every watch, as an API server does that is restarted.
    pub fn end_watches(&self) {
        self.shared.change(|state| state.cut_watches());
    }

    /// Forgets what was: a watch from any version up to now gets a 410, and so do lists in pages.
    pub fn forget_history(&self) {
        self.shared.change(|state| state.forget());
    }

    /// The version of the last change, as lists say it.
    pub fn resource_version(&self) -> String {
        self.shared.read().version().to_string()
    }

    /// Resets every connection to it that is open now, with all watches and sessions, as a network does
    /// that is lost. New ones are welcome.
    pub fn cut_connections(&self) {
        let mut fate = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *fate).end();
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.serving.connections()
    }

    /// Ends it: see [`Serving::shutdown`].
    pub async fn shutdown(self, deadline: Duration) -> Unfinished {
        self.serving.shutdown(deadline).await
    }
}

fn fate_of(wires: &Wires) -> Arc<Fate> {
    Arc::clone(&wires.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Who may forward.
#[derive(Debug, Clone)]
struct Guard {
    auth: Arc<Auth>,
    journal: Arc<Journal>,
    version: Version,
}

impl Guard {
    fn judge(&self, access: &Access) -> Verdict {
        let target = &access.target;
        let path =
            format!("/api/v1/namespaces/{}/pods/{}/portforward", target.namespace, target.pod);
        self.journal.note(access.verb(), &path);
        let Ok(user) = self.auth.identify(&access.headers, &access.extensions) else {
            return Verdict::Unauthorized;
        };
        let attributes = |verb| Attributes {
            verb,
            group: "",
            plural: "pods",
            subresource: Some("portforward"),
            namespace: Some(&target.namespace),
            name: Some(&target.pod),
        };
        if !self.auth.allows(&user, &attributes(access.verb())) {
            return Verdict::Forbidden { user: user.name().to_owned() };
        }
        let create = attributes("create");
        let wanted = access.method == Method::GET && self.version.wants_create();
        if wanted && !self.auth.allows(&user, &create) {
            let denial = create.denial(user.name());
            let message = format!("pods {:?} is forbidden: {denial}", target.pod);
            return Verdict::Deny { status: StatusCode::FORBIDDEN, message };
        }
        Verdict::Allow
    }
}

impl fmt::Debug for TestCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCluster").field("serving", &self.serving).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("version", &self.version)
            .field("anonymous", &self.anonymous)
            .field("rbac", &self.rbac)
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}
