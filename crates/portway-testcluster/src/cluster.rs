use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use portway_driver::{Net, RelayRules, Runtime, WireForm};
use portway_server::{Access, Limits, Server, ServerEvent, Serving, Unfinished, Verdict};

use crate::api::Api;
use crate::auth::{Attributes, Auth};
use crate::journal::Journal;
use crate::pod::{ClusterPods, Pod, PodBuilder};
use crate::resource::Resource;
use crate::service::ServiceBuilder;
use crate::state::{Key, Shared};
use crate::workload::WorkloadBuilder;
use crate::{Rule, User, Version, kubeconfig};

/// A cluster within this process: an API server on a port of this machine, and pods that are programs
/// of yours. It ends when it is dropped.
///
/// See the [crate docs](crate) for an example.
pub struct TestCluster {
    shared: Arc<Shared>,
    auth: Arc<Auth>,
    journal: Arc<Journal>,
    serving: Serving,
}

/// A cluster to be started.
#[derive(Clone)]
#[must_use = "there is no cluster before start()"]
pub struct Builder {
    version: Version,
    anonymous: bool,
    rbac: bool,
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
    /// The system does not let it listen.
    pub async fn start<R: Runtime + Net>(self, runtime: &R) -> io::Result<TestCluster> {
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
        let serving = server.listen(self.addr).await?;
        Ok(TestCluster { shared, auth, journal, serving })
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
    pub async fn start<R: Runtime + Net>(runtime: &R) -> io::Result<Self> {
        Self::builder().start(runtime).await
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.serving.local_addr()
    }

    /// What to give as `--server`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// What to write into a file for `KUBECONFIG`: this cluster, in the words of nobody in particular.
    pub fn kubeconfig(&self) -> String {
        kubeconfig::write(&self.url(), &kubeconfig::Credentials::None)
    }

    /// The same for who has this token. (kubectl sends no token in plain HTTP.)
    pub fn kubeconfig_of(&self, token: &str) -> String {
        kubeconfig::write(&self.url(), &kubeconfig::Credentials::Token(token))
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

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.serving.connections()
    }

    /// Ends it: see [`Serving::shutdown`].
    pub async fn shutdown(self, deadline: Duration) -> Unfinished {
        self.serving.shutdown(deadline).await
    }
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
