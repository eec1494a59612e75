use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use portway_rustls::rustls::ServerConfig;
use portway_rustls::rustls::pki_types::CertificateDer;
use portway_rustls::{ServerTls, TlsConfigError};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

use crate::User;

/// The cluster's own authority: whoever it vouches for is let in, as who it says.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Whose certificate is whose: no other ones lead to it.
    issued: Mutex<BTreeMap<Vec<u8>, User>>,
}

/// A certificate and its key, in PEM: see
/// [`TestCluster::certificate`](crate::TestCluster::certificate).
#[derive(Clone)]
#[non_exhaustive]
pub struct Certificate {
    /// The certificate.
    pub pem: String,
    /// Its key.
    pub key: String,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate{of}: {cause}")]
pub struct CertificateError {
    of: String,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

impl CertificateError {
    fn of(of: &str, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        let of = if of.is_empty() { String::new() } else { format!(" for {of}") };
        Self { of, cause: cause.into() }
    }
}

impl Authority {
    pub(crate) fn new() -> Result<Self, CertificateError> {
        let make = || {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, "portway-testcluster");
            CertifiedIssuer::self_signed(params, KeyPair::generate()?)
        };
        let issuer = make().map_err(|error| CertificateError::of("the authority", error))?;
        Ok(Self { issuer, issued: Mutex::default() })
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// How a server at this address speaks TLS, and whom it knows.
    pub(crate) fn server(&self, at: IpAddr) -> Result<Arc<ServerConfig>, CertificateError> {
        let names = vec![at.to_string(), "localhost".to_owned(), "kubernetes".to_owned()];
        let certificate = self
            .issue(names, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            })
            .map_err(|error| CertificateError::of("the server", error))?;
        let config = || -> Result<_, TlsConfigError> {
            ServerTls::new(certificate.pem.as_bytes(), certificate.key.as_bytes())?
                .with_client_authorities(self.pem().as_bytes())?
                .config()
        };
        config().map_err(|error| CertificateError::of("the server", error))
    }

    /// The certificate of a user: the common name is that of the user, the organizations are the
    /// groups.
    pub(crate) fn client(&self, user: &User) -> Result<Certificate, CertificateError> {
        let issued = self.issue_for(user);
        let (certificate, der) =
            issued.map_err(|error| CertificateError::of(user.name(), error))?;
        self.lock().insert(der, user.clone());
        Ok(certificate)
    }

    /// Whose certificate this is.
    pub(crate) fn user(&self, certificate: &CertificateDer<'_>) -> Option<User> {
        self.lock().get(certificate.as_ref()).cloned()
    }

    fn issue_for(&self, user: &User) -> Result<(Certificate, Vec<u8>), rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user.name());
        for group in user.groups() {
            params.distinguished_name.push(DnType::OrganizationName, group.as_str());
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let der = certificate.der().to_vec();
        Ok((Certificate { pem: certificate.pem(), key: key.serialize_pem() }, der))
    }

    fn issue(
        &self,
        names: Vec<String>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Certificate, rcgen::Error> {
        let mut params = CertificateParams::new(names)?;
        change(&mut params);
        let key = KeyPair::generate()?;
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Certificate { pem, key: key.serialize_pem() })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Vec<u8>, User>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Certificate {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}
