use std::env;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use portway_driver::{Net, Runtime};

use super::KubeconfigError;
use crate::{ApiServer, ApiServerError, ClientTls, Proxy, Token};

/// A server, how to be let in, and the namespace that is meant: one context of a
/// [`Kubeconfig`](super::Kubeconfig), or the cluster that this pod is in.
pub struct ClusterAccess {
    pub(super) url: String,
    pub(super) tls: ClientTls,
    pub(super) token: Option<Token>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) proxy: Option<Proxy>,
    pub(super) proxy_from_env: bool,
    pub(super) namespace: String,
}

impl ClusterAccess {
    /// The cluster whose pod this program runs in, by the pod's service account.
    ///
    /// # Errors
    /// This is no pod, or it has no service account.
    pub fn in_cluster() -> Result<Self, KubeconfigError> {
        let folder = Path::new("/var/run/secrets/kubernetes.io/serviceaccount");
        Self::of_pod(folder, |name| env::var(name).ok())
    }

    fn of_pod(
        folder: &Path,
        var: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, KubeconfigError> {
        let var = |variable| {
            let value = var(variable).filter(|value| !value.is_empty());
            value.ok_or(KubeconfigError::NotInCluster { variable })
        };
        let (host, port) = (var("KUBERNETES_SERVICE_HOST")?, var("KUBERNETES_SERVICE_PORT")?);
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let read = |name: &str| {
            let file = folder.join(name);
            std::fs::read(&file).map_err(|source| KubeconfigError::ServiceAccount {
                file,
                source: Arc::new(source),
            })
        };
        let tls = ClientTls::new().with_authorities(&read("ca.crt")?);
        let tls =
            tls.map_err(|error| KubeconfigError::BadServiceAccount { problem: error.to_string() })?;
        // That it is there is said now; what is in it is renewed.
        read("token")?;
        let namespace = String::from_utf8_lossy(&read("namespace")?).trim().to_owned();
        let token = Some(Token::from_file(folder.join("token")));
        Ok(Self { token, namespace, ..Self::new(format!("https://{host}:{port}"), tls) })
    }

    pub(super) fn new(url: String, tls: ClientTls) -> Self {
        Self {
            url,
            tls,
            token: None,
            headers: Vec::new(),
            proxy: None,
            proxy_from_env: false,
            namespace: "default".to_owned(),
        }
    }

    /// The namespace that is meant where none is named.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The address of the server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server.
    ///
    /// # Errors
    /// Its address, its TLS or its proxy cannot be used.
    pub fn server<N: Net + Runtime>(self, net: N) -> Result<ApiServer<N>, ApiServerError> {
        let mut server = ApiServer::new(net, &self.url, self.tls)?;
        if let Some(token) = self.token {
            server = server.with_token(token);
        }
        for (name, value) in self.headers {
            server = server.with_header(name, value);
        }
        let proxy = match self.proxy {
            None if self.proxy_from_env => Proxy::from_env(server.url())?,
            proxy => proxy,
        };
        Ok(server.with_proxy(proxy))
    }
}

impl fmt::Debug for ClusterAccess {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterAccess")
            .field("url", &self.url)
            .field("namespace", &self.namespace)
            .field("token", &self.token)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARS: [(&str, &str); 2] =
        [("KUBERNETES_SERVICE_HOST", "fd00::1"), ("KUBERNETES_SERVICE_PORT", "443")];

    fn of_pod(folder: &Path, vars: &[(&str, &str)]) -> Result<ClusterAccess, KubeconfigError> {
        ClusterAccess::of_pod(folder, |name| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_pod_finds_its_account() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let told = |vars: &[_]| of_pod(folder.path(), vars).unwrap_err().to_string();
        assert_eq!(told(&[]), "this is no pod of a cluster: KUBERNETES_SERVICE_HOST is not set");
        assert_eq!(
            told(&VARS[..1]),
            "this is no pod of a cluster: KUBERNETES_SERVICE_PORT is not set"
        );
        assert_eq!(
            told(&VARS),
            format!(
                "cannot read the pod's service account from {}: No such file or directory (os error 2); \
                 is it mounted?",
                folder.path().join("ca.crt").display()
            )
        );
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        file("ca.crt", "nonsense");
        assert_eq!(
            told(&VARS),
            "cannot use the pod's service account: the certificate authority is not in PEM: there is no \
             BEGIN CERTIFICATE in it"
        );
        file("ca.crt", &ca.pem());
        file("token", "abc");
        file("namespace", "shop\n");
        let access = of_pod(folder.path(), &VARS).unwrap();
        assert_eq!((access.namespace(), access.url()), ("shop", "https://[fd00::1]:443"));
        assert!(access.token.is_some());
    }
}
