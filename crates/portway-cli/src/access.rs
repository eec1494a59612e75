use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use kube::config::{
    AuthInfo, Cluster as ClusterEntry, Context, KubeConfigOptions, Kubeconfig, KubeconfigError,
    NamedAuthInfo, NamedCluster, NamedContext,
};
use kube::{Client, Config};
use portway_cluster::{ApiError, LookupError};
use portway_kube::KubeApi;

use crate::args::AccessArgs;
use crate::explain::{Credentials, near, no_credentials, unreachable};

/// Ways to clusters, by the flags of the command line: one client for each context.
#[derive(Debug)]
pub(crate) struct Access {
    args: AccessArgs,
    clusters: BTreeMap<Option<String>, Cluster>,
}

/// A cluster that can be asked.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    /// Where things are that are said to be nowhere else.
    pub(crate) namespace: String,
    /// How errors call it.
    pub(crate) server: String,
    /// Where all this was found, in words.
    pub(crate) source: String,
    credentials: Credentials,
    request_timeout: Option<Duration>,
}

/// Why there is no way to a cluster.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error(
        "no cluster is configured: {looked}; give --kubeconfig FILE, or --server URL for one that asks for no credentials, such as `kubectl proxy`"
    )]
    NotConfigured { looked: String },
    #[error("cannot read the kubeconfig {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Kubeconfig(#[from] KubeconfigError),
    #[error("{kind} \"{name}\" does not exist in the kubeconfig{}", instead(name, known))]
    Missing { kind: &'static str, name: String, known: Vec<String> },
    #[error("no current context is set in the kubeconfig{}; give --context", there_are(known))]
    NoContext { known: Vec<String> },
    #[error("context \"{context}\" names no cluster; give --cluster or --server")]
    NoServer { context: String },
    #[error("--server: '{given}' is no URL of an API server: {problem}")]
    Server { given: String, problem: String },
    #[error("cannot use the service account of this pod: {0}")]
    InCluster(#[from] kube::config::InClusterError),
    #[error("{0}")]
    NoCredentials(String),
    #[error("cannot make a client of the kubeconfig: {problem}")]
    Client { problem: String },
}

impl Access {
    pub(crate) const fn new(args: AccessArgs) -> Self {
        Self { args, clusters: BTreeMap::new() }
    }

    /// The cluster of a context; of the one that the command line says, or the current one, if `None`.
    pub(crate) async fn cluster(&mut self, context: Option<&str>) -> Result<Cluster, AccessError> {
        let context = context.or(self.args.context.as_deref());
        let key = context.map(str::to_owned);
        if let Some(cluster) = self.clusters.get(&key) {
            return Ok(cluster.clone());
        }
        let (config, source) = config(&self.args, context).await?;
        let cluster = Cluster::new(config, source, &self.args)?;
        self.clusters.insert(key, cluster.clone());
        Ok(cluster)
    }
}

impl Cluster {
    fn new(mut config: Config, source: String, args: &AccessArgs) -> Result<Self, AccessError> {
        let headers = args.header.iter().map(|it| (it.name.clone(), it.value.clone()));
        config.headers.extend(headers);
        if let Some(wait) = args.request_timeout {
            config.connect_timeout = config.connect_timeout.map(|connect| connect.min(wait));
        }
        // Forwards try again by themselves, and only what is worth it.
        config.default_retry = false;
        warn_of_a_token(&config);
        let namespace = config.default_namespace.clone();
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let auth = config.auth_info.clone();
        let credentials = Credentials::of(&auth);
        let client = Client::try_from(config).map_err(|error| {
            if let kube::Error::Auth(error) = error {
                return AccessError::NoCredentials(no_credentials(&error, auth.exec.as_ref()));
            }
            AccessError::Client { problem: error.to_string() }
        })?;
        let request_timeout = args.request_timeout;
        Ok(Self { client, namespace, server, source, credentials, request_timeout })
    }

    /// An error of this cluster's, and what to do about it where it does not say so itself.
    pub(crate) fn explain(&self, error: &LookupError) -> String {
        let advice = if let LookupError::Api(
            ApiError::Unreachable { problem, .. } | ApiError::Unusable { problem, .. },
        ) = error
        {
            unreachable(problem).map(str::to_owned)
        } else if let LookupError::Refused { refusal, .. } = error
            && refusal.status() == StatusCode::UNAUTHORIZED
        {
            Some(self.credentials.advice(SystemTime::now()))
        } else {
            None
        };
        match advice {
            Some(advice) => format!("{error}; {advice}"),
            None => error.to_string(),
        }
    }

    /// What forwards need of it.
    pub(crate) fn api(&self) -> KubeApi {
        let api = KubeApi::new(self.client.clone()).with_server_name(self.server.as_str());
        match self.request_timeout {
            Some(wait) => api.with_answer_timeout(wait),
            None => api,
        }
    }

    /// How long it may take to answer, where that was said.
    pub(crate) const fn request_timeout(&self) -> Option<Duration> {
        self.request_timeout
    }
}

/// From the flags and whatever they point to, and where that was.
async fn config(args: &AccessArgs, context: Option<&str>) -> Result<(Config, String), AccessError> {
    let Some(kubeconfig) = read(args)? else {
        if args.server.is_none() {
            return Ok((in_cluster(args)?, "the service account of this pod".to_owned()));
        }
        // A name that is said has to be there, also where there is no file.
        let chosen = Chosen::of(&Kubeconfig::default(), args, context)?.change(args);
        return Ok((chosen.config().await?, "--server".to_owned()));
    };
    let chosen = Chosen::of(&kubeconfig, args, context)?.change(args);
    if chosen.cluster.server.is_none() {
        return Err(AccessError::NoServer { context: chosen.context });
    }
    let source = chosen.source(args);
    let config = match chosen.config().await {
        Err(KubeconfigError::ParseClusterUrl(error)) if args.server.is_some() => {
            let given = args.server.clone().unwrap_or_default();
            return Err(AccessError::Server { given, problem: error.to_string() });
        }
        config => config?,
    };
    Ok((config, source))
}

/// The files of kubeconfig as one; `None` if there are none, or nothing is in them.
fn read(args: &AccessArgs) -> Result<Option<Kubeconfig>, AccessError> {
    let must_exist = args.kubeconfig.is_some();
    let mut merged: Option<Kubeconfig> = None;
    for path in paths(args) {
        match path.metadata() {
            // As kubectl does with those of a list.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => continue,
            Err(source) => return Err(AccessError::Unreadable { path, source }),
            Ok(_) => {}
        }
        let next = Kubeconfig::read_from(&path)?;
        merged = Some(match merged {
            Some(merged) => merged.merge(next)?,
            None => next,
        });
    }
    let says_something = |it: &Kubeconfig| {
        !(it.contexts.is_empty() && it.clusters.is_empty() && it.auth_infos.is_empty())
    };
    Ok(merged.filter(says_something))
}

/// Where a kubeconfig is looked for.
fn paths(args: &AccessArgs) -> Vec<PathBuf> {
    if let Some(path) = &args.kubeconfig {
        return vec![path.clone()];
    }
    let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<_> =
        std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
    if !listed.is_empty() {
        return listed;
    }
    std::env::home_dir().map(|home| home.join(".kube").join("config")).into_iter().collect()
}

/// The service account of the pod that we are in.
fn in_cluster(args: &AccessArgs) -> Result<Config, AccessError> {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
        let mut looked = String::new();
        for path in paths(args) {
            let shown = path.display();
            let _ = match path.metadata() {
                Err(_) => write!(looked, "there is no file {shown}, "),
                Ok(file) if file.len() == 0 => write!(looked, "{shown} is empty, "),
                Ok(_) => write!(looked, "{shown} names no cluster, "),
            };
        }
        looked.push_str("and this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set)");
        return Err(AccessError::NotConfigured { looked });
    }
    Ok(Config::incluster()?)
}

/// What is used of a kubeconfig.
struct Chosen {
    context: String,
    namespace: Option<String>,
    cluster: ClusterEntry,
    user: AuthInfo,
}

impl Chosen {
    fn of(
        kubeconfig: &Kubeconfig,
        args: &AccessArgs,
        context: Option<&str>,
    ) -> Result<Self, AccessError> {
        let known = || kubeconfig.contexts.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        let current = kubeconfig.current_context.as_deref().filter(|name| !name.is_empty());
        let name = context.or(current);
        let entry = match name {
            None => None,
            Some(name) => {
                let found = kubeconfig.contexts.iter().find(|it| it.name == name);
                let entry = found.and_then(|it| it.context.clone());
                let missing = || AccessError::Missing {
                    kind: "context",
                    name: name.to_owned(),
                    known: known(),
                };
                Some(entry.ok_or_else(missing)?)
            }
        };
        if entry.is_none() && args.cluster.is_none() && args.server.is_none() {
            return Err(AccessError::NoContext { known: known() });
        }
        let entry = entry.unwrap_or_default();
        let cluster =
            args.cluster.as_deref().or_else(|| Some(&*entry.cluster).filter(|it| !it.is_empty()));
        let cluster = match cluster {
            None => ClusterEntry::default(),
            Some(name) => {
                let all = &kubeconfig.clusters;
                let found = all.iter().find(|it| it.name == name);
                let missing = || AccessError::Missing {
                    kind: "cluster",
                    name: name.to_owned(),
                    known: all.iter().map(|it| it.name.clone()).collect(),
                };
                found.and_then(|it| it.cluster.clone()).ok_or_else(missing)?
            }
        };
        let user = args.user.as_deref().or(entry.user.as_deref()).filter(|it| !it.is_empty());
        let user = match user {
            None => AuthInfo::default(),
            Some(name) => {
                let all = &kubeconfig.auth_infos;
                let found = all.iter().find(|it| it.name == name);
                let missing = || AccessError::Missing {
                    kind: "user",
                    name: name.to_owned(),
                    known: all.iter().map(|it| it.name.clone()).collect(),
                };
                found.and_then(|it| it.auth_info.clone()).ok_or_else(missing)?
            }
        };
        let context = name.unwrap_or_default().to_owned();
        Ok(Self { context, namespace: entry.namespace, cluster, user })
    }

    /// The flags overrule the files.
    fn change(mut self, args: &AccessArgs) -> Self {
        let cluster = &mut self.cluster;
        if let Some(path) = &args.certificate_authority {
            cluster.certificate_authority = Some(absolute(path));
            cluster.certificate_authority_data = None;
        }
        if let Some(skip) = args.insecure_skip_tls_verify {
            cluster.insecure_skip_tls_verify = Some(skip);
        }
        if let Some(name) = &args.tls_server_name {
            cluster.tls_server_name = Some(name.clone());
        }
        if let Some(server) = &args.server {
            // As kubectl completes it.
            let scheme = match server.contains("://") {
                true => "",
                false if self.speaks_tls(args) => "https://",
                false => "http://",
            };
            self.cluster.server = Some(format!("{scheme}{server}"));
        }
        // Whoever says who they are means it: kubectl lets a certificate of the file win. And in plain
        // HTTP everybody on the way could read what is in a file; there kubectl sends nothing either.
        let server = self.cluster.server.as_deref();
        let plain = server.is_some_and(|server| server.starts_with("http://"));
        if args.token.is_some() || plain {
            let AuthInfo { impersonate, impersonate_uid, impersonate_groups, .. } = self.user;
            self.user = AuthInfo {
                impersonate,
                impersonate_uid,
                impersonate_groups,
                ..AuthInfo::default()
            };
        }
        let user = &mut self.user;
        if let Some(token) = &args.token {
            user.token = Some(token.as_str().into());
        }
        if let Some(path) = &args.client_certificate {
            user.client_certificate = Some(absolute(path));
            user.client_certificate_data = None;
        }
        if let Some(path) = &args.client_key {
            user.client_key = Some(absolute(path));
            user.client_key_data = None;
        }
        if let Some(name) = &args.as_user {
            user.impersonate = Some(name.clone());
        }
        if let Some(uid) = &args.as_uid {
            user.impersonate_uid = Some(uid.clone());
        }
        if !args.as_group.is_empty() {
            user.impersonate_groups = Some(args.as_group.clone());
        }
        self
    }

    /// Somebody has said something that only TLS has.
    fn speaks_tls(&self, args: &AccessArgs) -> bool {
        let Self { cluster, user, .. } = self;
        cluster.certificate_authority.is_some()
            || cluster.certificate_authority_data.is_some()
            || cluster.insecure_skip_tls_verify == Some(true)
            || user.client_certificate.is_some()
            || user.client_certificate_data.is_some()
            || args.client_certificate.is_some()
    }

    /// Where it was found, in words.
    fn source(&self, args: &AccessArgs) -> String {
        let files = paths(args);
        let there = files.iter().filter(|path| path.exists());
        let files: Vec<_> = there.map(|path| path.display().to_string()).collect();
        let flags = [
            ("--cluster", args.cluster.is_some()),
            ("--user", args.user.is_some()),
            ("--server", args.server.is_some()),
            ("--token", args.token.is_some()),
            ("--as", args.as_user.is_some()),
        ];
        let mut source = match self.context.as_str() {
            "" => files.join(" and "),
            context => format!("context {context} of {}", files.join(" and ")),
        };
        for (flag, _) in flags.into_iter().filter(|(_, given)| *given) {
            source.push_str(" with ");
            source.push_str(flag);
        }
        source
    }

    async fn config(self) -> Result<Config, KubeconfigError> {
        const NAME: &str = "chosen";
        let name = || NAME.to_owned();
        let context = Context {
            cluster: name(),
            user: Some(name()),
            namespace: self.namespace.filter(|namespace| !namespace.is_empty()),
            ..Context::default()
        };
        let kubeconfig = Kubeconfig {
            current_context: Some(name()),
            contexts: vec![NamedContext {
                name: name(),
                context: Some(context),
                ..NamedContext::default()
            }],
            clusters: vec![NamedCluster {
                name: name(),
                cluster: Some(self.cluster),
                ..NamedCluster::default()
            }],
            auth_infos: vec![NamedAuthInfo {
                name: name(),
                auth_info: Some(self.user),
                ..NamedAuthInfo::default()
            }],
            ..Kubeconfig::default()
        };
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
    }
}

/// A path of the command line is one from here, not from where a kubeconfig is.
fn absolute(path: &str) -> String {
    let absolute = std::path::absolute(Path::new(path));
    absolute.map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

/// Everybody on the way can read it.
fn warn_of_a_token(config: &Config) {
    let auth = &config.auth_info;
    let header = config.headers.iter().any(|(name, _)| *name == http::header::AUTHORIZATION);
    let token = header || auth.token.is_some() || auth.token_file.is_some();
    if token && config.cluster_url.scheme() == Some(&http::uri::Scheme::HTTP) {
        tracing::warn!(server = %config.cluster_url, "a token goes over plain HTTP: everybody on the way can read it");
    }
}

/// What was meant, or what there is.
fn instead(name: &str, known: &[String]) -> String {
    match near(name, known).as_slice() {
        [] => there_are(known),
        near => format!("; did you mean {}?", near.join(" or ")),
    }
}

/// What to take instead.
fn there_are(known: &[String]) -> String {
    match known {
        [] => String::new(),
        known => format!("; there are: {}", known.join(", ")),
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("server", &self.server).finish_non_exhaustive()
    }
}
