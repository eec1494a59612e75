use std::sync::Arc;

use portway_driver::{Addr, ServerUrl};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

/// What a client brings to TLS: whom it trusts, and who it is.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use portway_rustls::ClientTls;
/// let config = ClientTls::new()
///     .with_authorities(&std::fs::read("ca.crt")?)?
///     .with_certificate(&std::fs::read("client.crt")?, &std::fs::read("client.key")?)?
///     .config()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct ClientTls {
    authorities: Option<RootCertStore>,
    identity: Option<Identity>,
    server_name: Option<ServerName<'static>>,
    trusts_anybody: bool,
}

/// What a server brings to TLS: who it is, and which clients it can tell.
#[derive(Debug)]
pub struct ServerTls {
    identity: Identity,
    client_authorities: Option<RootCertStore>,
}

/// A certificate with what leads to its authority, and its key.
#[derive(Debug)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ClientTls {
    /// Trusts the authorities that the system trusts, and is nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these authorities (certificates in PEM) and nobody else: a cluster has one of its own.
    ///
    /// # Errors
    /// There is none in it, or one that cannot be read.
    pub fn with_authorities(mut self, pem: &[u8]) -> Result<Self, TlsConfigError> {
        self.authorities = Some(authorities("the certificate authority", pem)?);
        Ok(self)
    }

    /// Proves who we are by a certificate, the chain to its authority behind it, and its key, all in
    /// PEM.
    ///
    /// # Errors
    /// One of them is missing or cannot be read.
    pub fn with_certificate(mut self, chain: &[u8], key: &[u8]) -> Result<Self, TlsConfigError> {
        let what = ["the client certificate", "the client key"];
        self.identity = Some(Identity::new(what, chain, key)?);
        Ok(self)
    }

    /// Expects the server's certificate to be for this name (or address), and not for the host of its
    /// address: behind a tunnel or another address of the same server.
    ///
    /// # Errors
    /// It is no name that a certificate could have.
    pub fn with_server_name(mut self, name: &str) -> Result<Self, TlsConfigError> {
        self.server_name = Some(server_name(name)?);
        Ok(self)
    }

    /// Checks nobody's certificate, and warns of it: whoever is on the way to the server can read and
    /// change everything, credentials first. For a cluster with nothing in it that anybody wants.
    #[must_use]
    pub fn dangerously_trusting_anybody(self) -> Self {
        Self { trusts_anybody: true, ..self }
    }

    /// For a server, and who it has to prove to be.
    pub(crate) fn for_server(
        self,
        server: &ServerUrl,
    ) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsConfigError> {
        let name = match (&self.server_name, server.addr()) {
            (Some(name), _) => name.clone(),
            (None, Addr::Ip(addr)) => ServerName::from(addr.ip()),
            (None, Addr::Host(host, _)) => server_name(host)?,
            (None, other) => server_name(&other.to_string())?,
        };
        Ok((self.config()?, name))
    }

    /// For [`TlsSocket::connect`](crate::TlsSocket::connect). Only HTTP/1.1 is offered: no upgrade
    /// goes over h2.
    ///
    /// # Errors
    /// The key does not belong to the certificate, or nobody is trusted: no authority was given, and
    /// the system has none.
    pub fn config(self) -> Result<Arc<ClientConfig>, TlsConfigError> {
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions()?;
        let builder = if self.trusts_anybody {
            tracing::warn!("no certificate is checked: the server could be anybody");
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        } else {
            let authorities = match self.authorities {
                Some(authorities) => authorities,
                None => of_system()?,
            };
            builder.with_root_certificates(authorities)
        };
        let mut config = match self.identity {
            Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Arc::new(config))
    }
}

impl ServerTls {
    /// A certificate, the chain to its authority behind it, and its key, all in PEM.
    ///
    /// # Errors
    /// One of them is missing or cannot be read.
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, TlsConfigError> {
        let what = ["the server's certificate", "the server's key"];
        Ok(Self { identity: Identity::new(what, chain, key)?, client_authorities: None })
    }

    /// Asks clients for a certificate of these authorities. As at an API server one without is let
    /// in, and one that brings another is not: who may do what is asked later
    /// ([`TlsSocket::peer_certificates`](crate::TlsSocket::peer_certificates)).
    ///
    /// # Errors
    /// There is none in it, or one that cannot be read.
    pub fn with_client_authorities(mut self, pem: &[u8]) -> Result<Self, TlsConfigError> {
        self.client_authorities = Some(authorities(CLIENT_AUTHORITIES, pem)?);
        Ok(self)
    }

    /// For [`TlsSocket::accept`](crate::TlsSocket::accept) and [`TlsListener`](crate::TlsListener).
    ///
    /// # Errors
    /// The key does not belong to the certificate.
    pub fn config(self) -> Result<Arc<ServerConfig>, TlsConfigError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?;
        let builder = match self.client_authorities {
            Some(authorities) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(authorities.into(), provider());
                let verifier = verifier.allow_unauthenticated().build();
                let what = CLIENT_AUTHORITIES;
                builder.with_client_cert_verifier(
                    verifier.map_err(|_| TlsConfigError::NoCertificate { what })?,
                )
            }
            None => builder.with_no_client_auth(),
        };
        let Identity { chain, key } = self.identity;
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Arc::new(config))
    }
}

impl Identity {
    fn new(what: [&'static str; 2], chain: &[u8], key: &[u8]) -> Result<Self, TlsConfigError> {
        let [of_chain, of_key] = what;
        let chain = certificates(of_chain, chain)?;
        let key = PrivateKeyDer::from_pem_slice(key);
        let key =
            key.map_err(|error| damaged(of_key, &error, TlsConfigError::NoKey { what: of_key }))?;
        Ok(Self { chain, key })
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsConfigError> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| TlsConfigError::ServerName { name: name.chars().take(200).collect() })
}

const CLIENT_AUTHORITIES: &str = "the clients' certificate authority";
const HTTP_1_1: &[u8] = b"http/1.1";

/// Named, and not the one of the process, which another library may have set.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let missing = TlsConfigError::NoCertificate { what };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| damaged(what, &error, missing.clone()))?;
    if certificates.is_empty() {
        return Err(missing);
    }
    Ok(certificates)
}

fn authorities(what: &'static str, pem: &[u8]) -> Result<RootCertStore, TlsConfigError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(what, pem)? {
        let added = store.add(certificate);
        added.map_err(|problem| TlsConfigError::Certificate { what, problem })?;
    }
    Ok(store)
}

/// A verifier that takes every certificate, if only whoever has it has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Says what is wrong with it in words: the library tells it in bytes.
fn damaged(what: &'static str, error: &pem::Error, missing: TlsConfigError) -> TlsConfigError {
    #[allow(clippy::wildcard_enum_match_arm, reason = "what has no text of its own has one")]
    let problem = match error {
        pem::Error::NoItemsFound => return missing,
        pem::Error::MissingSectionEnd { .. } => "its END line is missing".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "its BEGIN line is broken".to_owned(),
        pem::Error::Base64Decode(_) => "what is in it is not base64".to_owned(),
        other => other.to_string(),
    };
    TlsConfigError::Pem { what, problem }
}

/// Those that cannot be read are left out: a system has many, and some are odd.
fn of_system() -> Result<RootCertStore, TlsConfigError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a certificate authority of the system is left out");
    }
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() { Err(TlsConfigError::NobodyTrusted) } else { Ok(store) }
}

/// Certificates and keys that TLS cannot be spoken with.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// There is no certificate in what was given.
    #[error("{what} is not in PEM: there is no BEGIN CERTIFICATE in it")]
    NoCertificate {
        /// What was given.
        what: &'static str,
    },
    /// There is no key in what was given.
    #[error("{what} is not in PEM: there is no BEGIN PRIVATE KEY in it")]
    NoKey {
        /// What was given.
        what: &'static str,
    },
    /// It begins as PEM and does not go on like that.
    #[error("{what} is damaged: {problem}")]
    Pem {
        /// What was given.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate is in it that nobody can use.
    #[error("{what} cannot be used: {problem}")]
    Certificate {
        /// What was given.
        what: &'static str,
        /// What is wrong with it.
        problem: rustls::Error,
    },
    /// No certificate can be for this name.
    #[error("{name:?} is no name that a server can prove to have")]
    ServerName {
        /// The name.
        name: String,
    },
    /// No authority was given, and the system has none.
    #[error("no certificate authority is trusted: none was given, and the system has none")]
    NobodyTrusted,
    /// The key belongs to another certificate, or is of a kind that is not known.
    #[error("certificate and key do not go together: {0}")]
    Identity(#[from] rustls::Error),
}
