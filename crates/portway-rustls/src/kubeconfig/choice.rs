use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::access::ClusterAccess;
use super::file::{Cluster, User};
use super::{Found, Kubeconfig, KubeconfigError};
use crate::{ClientTls, Proxy, Token};

/// What is meant of a [`Kubeconfig`].
#[derive(Debug, Clone, Default)]
pub struct Choice {
    context: Option<String>,
    cluster: Option<String>,
    user: Option<String>,
    namespace: Option<String>,
    insecure: bool,
    proxy_from_env: bool,
}

impl Choice {
    /// The current context, as it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// This context.
    #[must_use]
    pub fn with_context(self, name: impl Into<String>) -> Self {
        Self { context: Some(name.into()), ..self }
    }

    /// This cluster instead of the context's.
    #[must_use]
    pub fn with_cluster(self, name: impl Into<String>) -> Self {
        Self { cluster: Some(name.into()), ..self }
    }

    /// This user instead of the context's.
    #[must_use]
    pub fn with_user(self, name: impl Into<String>) -> Self {
        Self { user: Some(name.into()), ..self }
    }

    /// This namespace instead of the context's.
    #[must_use]
    pub fn with_namespace(self, name: impl Into<String>) -> Self {
        Self { namespace: Some(name.into()), ..self }
    }

    /// Does as the kubeconfig says if it says `insecure-skip-tls-verify`, with a warning: whoever is on
    /// the way reads and changes everything. Without this it is an error.
    #[must_use]
    pub fn allowing_insecure(self) -> Self {
        Self { insecure: true, ..self }
    }

    /// Takes the proxy of the environment where the kubeconfig names none, as kubectl does.
    #[must_use]
    pub fn with_proxy_from_env(self) -> Self {
        Self { proxy_from_env: true, ..self }
    }
}

impl Kubeconfig {
    /// A server and how to be let in.
    ///
    /// # Errors
    /// A name leads nowhere, or something of what it leads to cannot be used: file, context and field are
    /// in the error.
    pub fn choose(&self, choice: &Choice) -> Result<ClusterAccess, KubeconfigError> {
        let name = choice.context.as_deref().or_else(|| self.current_context());
        let names = || self.contexts().map(str::to_owned).collect();
        let name = name.ok_or_else(|| KubeconfigError::NoContext { known: names() })?;
        let context = find("context", &self.contexts, name)?;
        let at = At { context: &context.name, file: &context.file };
        let wanted = |over: &Option<String>, own: &Option<String>| {
            let own = || filled(own).map(str::to_owned);
            over.clone().or_else(own)
        };
        let cluster = wanted(&choice.cluster, &context.entry.cluster);
        let cluster = cluster.ok_or_else(|| at.field("cluster", "no cluster is named"))?;
        let cluster = find("cluster", &self.clusters, &cluster)?;
        let user = wanted(&choice.user, &context.entry.user);
        let user = user.map(|name| find("user", &self.users, &name)).transpose()?;

        let at_cluster = At { file: &cluster.file, ..at };
        let mut access = at_cluster.cluster(&cluster.entry, choice)?;
        if let Some(user) = user {
            At { file: &user.file, ..at }.user(&user.entry, &mut access)?;
        }
        let namespace = wanted(&choice.namespace, &context.entry.namespace);
        access.namespace = namespace.unwrap_or_else(|| "default".to_owned());
        access.proxy_from_env = choice.proxy_from_env;
        Ok(access)
    }
}

fn find<'a, T>(
    what: &'static str,
    entries: &'a [Found<T>],
    name: &str,
) -> Result<&'a Found<T>, KubeconfigError> {
    entries.iter().find(|entry| entry.name == name).ok_or_else(|| KubeconfigError::Unknown {
        what,
        name: name.to_owned(),
        known: entries.iter().map(|entry| entry.name.clone()).collect(),
    })
}

/// Where something is, for errors and for paths that are relative to it.
#[derive(Clone, Copy)]
struct At<'a> {
    context: &'a str,
    file: &'a Path,
}

impl At<'_> {
    fn cluster(
        &self,
        cluster: &Cluster,
        choice: &Choice,
    ) -> Result<ClusterAccess, KubeconfigError> {
        let url = filled(&cluster.server);
        let url = url.ok_or_else(|| self.field("server", "the cluster has no address"))?;
        let mut tls = ClientTls::new();
        let (data, file) = (&cluster.certificate_authority_data, &cluster.certificate_authority);
        let fields = ["certificate-authority-data", "certificate-authority"];
        if let Some((field, pem)) = self.pem(fields, data, file)? {
            tls = tls.with_authorities(&pem).map_err(|error| self.field(field, error))?;
        }
        if cluster.insecure_skip_tls_verify == Some(true) {
            if !choice.insecure {
                return Err(self.unsupported(
                    "insecure-skip-tls-verify",
                    "the server could be anybody, and that has to be allowed by who asks; put the \
                     cluster's CA into certificate-authority-data instead",
                ));
            }
            tls = tls.dangerously_trusting_anybody();
        }
        if let Some(name) = filled(&cluster.tls_server_name) {
            let named = tls.with_server_name(name);
            tls = named.map_err(|error| self.field("tls-server-name", error))?;
        }
        let proxy = filled(&cluster.proxy_url).map(str::parse::<Proxy>).transpose();
        let proxy = proxy.map_err(|error| self.field("proxy-url", error))?;
        Ok(ClusterAccess { proxy, ..ClusterAccess::new(url.to_owned(), tls) })
    }

    fn user(&self, user: &User, access: &mut ClusterAccess) -> Result<(), KubeconfigError> {
        if user.exec.is_some() {
            return Err(self.unsupported("exec", PROGRAM));
        }
        if user.auth_provider.is_some() {
            return Err(self.unsupported("auth-provider", PROGRAM));
        }
        if filled(&user.username).is_some() || filled(&user.password).is_some() {
            return Err(self.unsupported(
                "username",
                "no API server takes passwords since Kubernetes 1.19; use a token or a client certificate",
            ));
        }
        let (data, file) = (&user.client_certificate_data, &user.client_certificate);
        let fields = ["client-certificate-data", "client-certificate"];
        let certificate = self.pem(fields, data, file)?;
        let (data, file) = (&user.client_key_data, &user.client_key);
        let key = self.pem(["client-key-data", "client-key"], data, file)?;
        match (certificate, key) {
            (Some((field, certificate)), Some((_, key))) => {
                let tls = std::mem::take(&mut access.tls).with_certificate(&certificate, &key);
                access.tls = tls.map_err(|error| self.field(field, error))?;
            }
            (Some((field, _)), None) => return Err(self.field(field, "its client-key is missing")),
            (None, Some((field, _))) => {
                return Err(self.field(field, "its client-certificate is missing"));
            }
            (None, None) => {}
        }
        // As client-go: the file is what is renewed.
        if let Some(path) = filled(&user.token_file) {
            access.token = Some(Token::from_file(self.path(path)));
        } else if let Some(token) = filled(&user.token) {
            let token = Token::new(token.trim());
            access.token = Some(token.map_err(|error| self.field("token", error))?);
        }
        access.headers = self.impersonation(user)?;
        Ok(())
    }

    fn impersonation(
        &self,
        user: &User,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, KubeconfigError> {
        let mut headers = Vec::new();
        let mut add = |field, name: HeaderName, value: &str| {
            let odd = |_| self.field(field, "it has characters that no header can carry");
            headers.push((name, HeaderValue::from_str(value).map_err(odd)?));
            Ok(())
        };
        let Some(name) = filled(&user.r#as) else {
            let others = filled(&user.as_uid).is_some()
                || user.as_groups.as_ref().is_some_and(|groups| !groups.is_empty())
                || user.as_user_extra.as_ref().is_some_and(|extra| !extra.is_empty());
            if others {
                return Err(self.field("as-groups", "there is no user to act as"));
            }
            return Ok(headers);
        };
        add("as", HeaderName::from_static("impersonate-user"), name)?;
        if let Some(uid) = filled(&user.as_uid) {
            add("as-uid", HeaderName::from_static("impersonate-uid"), uid)?;
        }
        for group in user.as_groups.iter().flatten() {
            add("as-groups", HeaderName::from_static("impersonate-group"), group)?;
        }
        for (key, values) in user.as_user_extra.iter().flatten() {
            let key = utf8_percent_encode(key, NOT_IN_A_NAME);
            let name = format!("impersonate-extra-{key}").to_lowercase().parse();
            let name: HeaderName =
                name.map_err(|_| self.field("as-user-extra", "a key is no part of a header"))?;
            for value in values {
                add("as-user-extra", name.clone(), value)?;
            }
        }
        Ok(headers)
    }

    /// What is in the field itself counts, and else the file that is named.
    fn pem(
        &self,
        [of_data, of_file]: [&'static str; 2],
        data: &Option<String>,
        file: &Option<String>,
    ) -> Result<Option<(&'static str, Vec<u8>)>, KubeconfigError> {
        if let Some(data) = filled(data) {
            let data: String = data.split_ascii_whitespace().collect();
            let pem = STANDARD.decode(data);
            let pem = pem.map_err(|error| self.field(of_data, format!("not base64: {error}")))?;
            return Ok(Some((of_data, pem)));
        }
        let Some(path) = filled(file) else { return Ok(None) };
        let path = self.path(path);
        let pem = std::fs::read(&path).map_err(|error| {
            self.field(of_file, format!("cannot read {}: {error}", path.display()))
        })?;
        Ok(Some((of_file, pem)))
    }

    /// A path is relative to the file that has it.
    fn path(&self, path: &str) -> PathBuf {
        self.file.parent().map_or_else(|| path.into(), |folder| folder.join(path))
    }

    fn field(&self, field: &'static str, problem: impl ToString) -> KubeconfigError {
        KubeconfigError::Field {
            file: self.file.to_owned(),
            context: self.context.to_owned(),
            field,
            problem: problem.to_string(),
        }
    }

    fn unsupported(&self, field: &'static str, instead: &'static str) -> KubeconfigError {
        KubeconfigError::Unsupported {
            file: self.file.to_owned(),
            context: self.context.to_owned(),
            field,
            instead,
        }
    }
}

const PROGRAM: &str = "credentials that another program brings are not supported here; use the feature \
                       kube of portway, or a token";

/// What a key of `as-user-extra` may keep in the name of a header.
const NOT_IN_A_NAME: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An empty text is as good as none.
fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}
