use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use kube::Client;
use portway_cluster::{Destination, Policy, TargetConnector};
use portway_driver::{Forward, Listening, Mapping, Options, PortForward};
use portway_resolve::{PortSpec, Selector, Target};
use portway_tokio::Tokio;

use crate::{KubeApi, KubeForwardError};

/// Port-forwards of a [`kube::Client`], on the tokio runtime that it runs on.
///
/// A target is `web-0`, `pod/web-0`, `svc/web`, `deployment/web`, any other [`Target`], or a [`Selector`];
/// ports are kubectl's (`80`, `8080:80`, `:80`, `8080:http`). It is looked for in the client's default
/// namespace; [`target`](Self::target) has all the options.
pub trait KubeForward {
    /// Something to forward to, with options.
    ///
    /// # Errors
    /// It is no target.
    fn target(&self, target: impl IntoDestination) -> Result<KubeTarget, KubeForwardError>;

    /// Opens local ports that lead to the target, and stays up while its pods come and go. Asks the server
    /// first: what is wrong with target, ports or rights is said here.
    ///
    /// # Errors
    /// The target leads to no pod, or a local port could not be opened.
    fn listen<P: AsRef<str> + Send>(
        &self,
        target: impl IntoDestination + Send,
        ports: impl IntoIterator<Item = P, IntoIter: Send> + Send,
    ) -> impl Future<Output = Result<Listening, KubeForwardError>> + Send;

    /// Opens one session into a pod of the target, with a stream for each port, in process. Of the ports
    /// only the remote side counts; [`Forward::ports`] has them as numbers.
    ///
    /// # Errors
    /// The target leads to no pod, or that could not be reached.
    fn forward<P: AsRef<str> + Send>(
        &self,
        target: impl IntoDestination + Send,
        ports: impl IntoIterator<Item = P, IntoIter: Send> + Send,
    ) -> impl Future<Output = Result<Forward, KubeForwardError>> + Send;
}

impl KubeForward for Client {
    fn target(&self, target: impl IntoDestination) -> Result<KubeTarget, KubeForwardError> {
        let destination = target.into_destination()?;
        let api = KubeApi::new(self.clone());
        let target =
            TargetConnector::new(api, Tokio::current(), self.default_namespace(), destination);
        Ok(KubeTarget { target, options: Options::new(), addresses: Vec::new() })
    }

    async fn listen<P: AsRef<str> + Send>(
        &self,
        target: impl IntoDestination + Send,
        ports: impl IntoIterator<Item = P, IntoIter: Send> + Send,
    ) -> Result<Listening, KubeForwardError> {
        self.target(target)?.listen(ports).await
    }

    async fn forward<P: AsRef<str> + Send>(
        &self,
        target: impl IntoDestination + Send,
        ports: impl IntoIterator<Item = P, IntoIter: Send> + Send,
    ) -> Result<Forward, KubeForwardError> {
        self.target(target)?.forward(ports).await
    }
}

/// A target of a [`kube::Client`], and how to forward to it.
///
/// ```no_run
/// # use std::time::Duration;
/// # use portway_kube::{KubeForward, Policy};
/// # async fn f(client: kube::Client) -> Result<(), portway_kube::KubeForwardError> {
/// let web = client.target("svc/web")?.with_namespace("shop").with_policy(Policy::RoundRobin);
/// let listening = web.with_patience(Duration::from_secs(30)).listen(["8080:http"]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct KubeTarget {
    target: TargetConnector<KubeApi, Tokio>,
    options: Options,
    addresses: Vec<IpAddr>,
}

impl KubeTarget {
    /// Where it is. Default: the client's namespace.
    #[must_use]
    pub fn with_namespace(self, namespace: &str) -> Self {
        Self { target: self.target.with_namespace(namespace), ..self }
    }

    /// See [`TargetConnector::with_policy`].
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { target: self.target.with_policy(policy), ..self }
    }

    /// See [`TargetConnector::with_patience`].
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { target: self.target.with_patience(patience), ..self }
    }

    /// See [`TargetConnector::with_pod_running_timeout`].
    #[must_use]
    pub fn with_pod_running_timeout(self, wait: Duration) -> Self {
        Self { target: self.target.with_pod_running_timeout(wait), ..self }
    }

    /// See [`TargetConnector::with_watch`].
    #[must_use]
    pub fn with_watch(self, watch: bool) -> Self {
        Self { target: self.target.with_watch(watch), ..self }
    }

    /// How forwards behave.
    #[must_use]
    pub fn with_options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Local addresses to listen on. Default: `127.0.0.1` and `::1`, see [`Mapping::on`].
    #[must_use]
    pub fn on(self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { addresses: addresses.into_iter().collect(), ..self }
    }

    /// The connector below it, for the verbs of any runtime.
    pub const fn connector(&self) -> &TargetConnector<KubeApi, Tokio> {
        &self.target
    }

    /// See [`KubeForward::listen`].
    ///
    /// # Errors
    /// The target leads to no pod, or a local port could not be opened.
    pub async fn listen<P: AsRef<str>>(
        &self,
        ports: impl IntoIterator<Item = P>,
    ) -> Result<Listening, KubeForwardError> {
        let specs = specs(ports)?;
        let mappings = self.target.mappings(&specs).await?;
        let on = |mapping: Mapping| match self.addresses.as_slice() {
            [] => mapping,
            some => mapping.on(some.iter().copied()),
        };
        let mappings: Vec<_> = mappings.into_iter().map(on).collect();
        let (target, options) = (self.target.clone(), self.options.clone());
        Ok(Tokio::current().listen(target, mappings, options).await?)
    }

    /// See [`KubeForward::forward`].
    ///
    /// # Errors
    /// The target leads to no pod, or that could not be reached.
    pub async fn forward<P: AsRef<str>>(
        &self,
        ports: impl IntoIterator<Item = P>,
    ) -> Result<Forward, KubeForwardError> {
        let specs = specs(ports)?;
        let mappings = self.target.mappings(&specs).await?;
        let ports: Vec<_> = mappings.iter().map(Mapping::remote).collect();
        let (target, options) = (self.target.clone(), self.options.clone());
        Ok(Tokio::current().forward(target, &ports, options).await?)
    }
}

/// What can be named as a target: text, a [`Target`], a [`Selector`], a [`Destination`].
pub trait IntoDestination {
    /// Reads it.
    ///
    /// # Errors
    /// It is no target.
    fn into_destination(self) -> Result<Destination, KubeForwardError>;
}

impl IntoDestination for &str {
    fn into_destination(self) -> Result<Destination, KubeForwardError> {
        let target: Result<Target, _> = self.parse();
        let given = || self.chars().take(300).collect();
        target
            .map(Destination::from)
            .map_err(|source| KubeForwardError::Target { given: given(), source })
    }
}

impl IntoDestination for Target {
    fn into_destination(self) -> Result<Destination, KubeForwardError> {
        Ok(self.into())
    }
}

impl IntoDestination for Selector {
    fn into_destination(self) -> Result<Destination, KubeForwardError> {
        Ok(self.into())
    }
}

impl IntoDestination for Destination {
    fn into_destination(self) -> Result<Destination, KubeForwardError> {
        Ok(self)
    }
}

fn specs<P: AsRef<str>>(
    ports: impl IntoIterator<Item = P>,
) -> Result<Vec<PortSpec>, KubeForwardError> {
    let read = |port: P| {
        let given = port.as_ref();
        given.parse().map_err(|source| KubeForwardError::Port {
            given: given.chars().take(300).collect(),
            source,
        })
    };
    ports.into_iter().map(read).collect()
}
