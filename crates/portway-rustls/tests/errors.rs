//! Why there is no TLS: one line for each reason, word for word.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::sync::Arc;

use common::memory::memory_pair;
use common::{Authority, join, read};
use portway_rustls::{ClientTls, ServerTls, TlsConfigError, TlsError, TlsSocket};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS12;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// What both ends say about a handshake that must fail at the client.
fn fail(name: &str, client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> [String; 2] {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    smol::block_on(async {
        let (at_client, at_server) = memory_pair(usize::MAX, usize::MAX);
        let connecting = TlsSocket::connect(at_client, name, client);
        let accepting = TlsSocket::accept(at_server, server);
        let (client, server) = join(connecting, accepting).await;
        [client.unwrap_err().to_string(), server.unwrap_err().to_string()]
    })
}

#[test]
fn a_wrong_authority_of_the_same_name() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let told = fail("pods.test", ours.client(), theirs.server(&["pods.test"]));
    assert_eq!(
        told,
        [
            "its certificate was issued by nobody who is trusted here; is it the right CA?",
            "it refused: our certificate does not suit it",
        ]
    );
}

#[test]
fn an_expired_certificate() {
    let authority = Authority::new();
    let server = authority.expired(&["pods.test"]).server();
    let [client, server] = fail("pods.test", authority.client(), server);
    let days = client.strip_prefix("its certificate has expired ");
    let days = days.and_then(|rest| rest.strip_suffix(" days ago")).expect(&client);
    // It did on 1 January 2021.
    assert!(days.parse::<u64>().unwrap() > 2_000, "{client}");
    assert_eq!(server, "it refused: our certificate has expired");
}

#[test]
fn a_certificate_of_the_future() {
    let authority = Authority::new();
    let future = authority.issue_with(&["pods.test"], |params| {
        params.not_before = rcgen::date_time_ymd(3000, 1, 1);
        params.not_after = rcgen::date_time_ymd(3001, 1, 1);
    });
    let [client, _] = fail("pods.test", authority.client(), future.server());
    let days = client.strip_prefix("its certificate becomes valid in ");
    let days = days.and_then(|rest| rest.strip_suffix(" days only; is the clock right?"));
    assert!(days.expect(&client).parse::<u64>().unwrap() > 300_000, "{client}");
}

#[test]
fn somebody_elses_certificate() {
    let authority = Authority::new();
    let server = authority.server(&["kubernetes", "kubernetes.default.svc", "10.0.0.1"]);
    let [by_name, _] = fail("pods.test", authority.client(), Arc::clone(&server));
    assert_eq!(
        by_name,
        "its certificate is for kubernetes, kubernetes.default.svc, 10.0.0.1, and not for pods.test"
    );
    let [by_address, _] = fail("127.0.0.1", authority.client(), server);
    assert_eq!(
        by_address,
        "its certificate is for kubernetes, kubernetes.default.svc, 10.0.0.1, and not for 127.0.0.1"
    );
}

#[test]
fn a_certificate_that_names_nobody() {
    let authority = Authority::new();
    let [client, _] = fail("pods.test", authority.client(), authority.server(&[]));
    assert_eq!(
        client,
        "its certificate is for nobody (a name in its subject does not count), and not for pods.test"
    );
}

#[test]
fn a_client_of_another_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let of_server = authority.issue(&["pods.test"]);
    let server = ServerTls::new(of_server.chain.as_bytes(), of_server.key.as_bytes()).unwrap();
    let server = server.with_client_authorities(authority.pem().as_bytes()).unwrap();
    let of_client = other.issue(&["somebody"]);
    let client = ClientTls::new().with_authorities(authority.pem().as_bytes()).unwrap();
    let client =
        client.with_certificate(of_client.chain.as_bytes(), of_client.key.as_bytes()).unwrap();
    let (client, server) = (client.config().unwrap(), server.config().unwrap());
    smol::block_on(async {
        let (at_client, at_server) = memory_pair(usize::MAX, usize::MAX);
        let name = ServerName::try_from("pods.test").unwrap();
        let connecting = TlsSocket::connect(at_client, name, client);
        let (client, server) = join(connecting, TlsSocket::accept(at_server, server)).await;
        assert_eq!(
            server.unwrap_err().to_string(),
            "its certificate was issued by nobody who is trusted here; is it the right CA?"
        );
        // In TLS 1.3 the client is told by its first read.
        let error = read(&mut client.unwrap(), 100).await.unwrap_err();
        assert_eq!(error.to_string(), "it refused: our certificate does not suit it");
    });
}

#[test]
fn an_older_tls_works_and_no_common_one_is_said() {
    let authority = Authority::new();
    let roots = {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        roots
    };
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let old = ClientConfig::builder_with_provider(ring)
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    smol::block_on(async {
        let (at_client, at_server) = memory_pair(usize::MAX, usize::MAX);
        let name = ServerName::try_from("pods.test").unwrap();
        let connecting = TlsSocket::connect(at_client, name, Arc::new(old));
        let accepting = TlsSocket::accept(at_server, authority.server(&["pods.test"]));
        let (client, server) = join(connecting, accepting).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        let (up, down) = (common::pattern(50_000), common::pattern(60_000));
        let (at_client, at_server) =
            join(common::exchange(&mut client, &up), common::exchange(&mut server, &down)).await;
        at_client.1.unwrap();
        at_server.1.unwrap();
        assert!(at_client.0 == down && at_server.0 == up);
    });
}

/// What a client says of a server that answers with these bytes and hangs up.
fn answered(bytes: &[u8]) -> TlsError {
    let authority = Authority::new();
    smol::block_on(async {
        let (at_client, mut at_server) = memory_pair(usize::MAX, usize::MAX);
        at_client.incoming().lock().unwrap().inject(bytes);
        common::finish(&mut at_server).await.unwrap();
        let name = ServerName::try_from("pods.test").unwrap();
        TlsSocket::connect(at_client, name, authority.client()).await.unwrap_err()
    })
}

#[test]
fn a_server_that_hangs_up() {
    assert_eq!(answered(b"").to_string(), "it hung up in the middle of the TLS handshake");
    assert_eq!(answered(b"\x16\x03").to_string(), "it hung up in the middle of the TLS handshake");
}

#[test]
fn a_server_that_speaks_plain_http() {
    let told = answered(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").to_string();
    assert_eq!(told, "it does not speak TLS; is it plain HTTP?");
    assert_eq!(answered(b"SSH-2.0-x\r\n").to_string(), told);
}

#[test]
fn a_server_that_refuses_by_an_alert() {
    let told = |alert| answered(&[0x15, 3, 3, 0, 2, 2, alert]).to_string();
    assert_eq!(told(116), "it refused: it wants a client certificate");
    assert_eq!(told(40), "it refused: there is no cipher that both ends know");
    assert_eq!(told(70), "it refused: it speaks no TLS 1.2 or 1.3");
    assert_eq!(told(112), "it refused: it does not know the name it was asked for");
    assert_eq!(told(80), "it refused: TLS alert InternalError");
}

#[test]
fn certificates_and_keys_that_cannot_be_used() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(&["one"]), authority.issue(&["other"]));
    let told = |result: Result<_, TlsConfigError>| result.unwrap_err().to_string();
    let with = |chain: &str, key: &str| {
        let tls = ClientTls::new().with_authorities(authority.pem().as_bytes())?;
        tls.with_certificate(chain.as_bytes(), key.as_bytes())?.config()
    };
    assert_eq!(
        told(with("nonsense", &one.key)),
        "the client certificate is not in PEM: there is no BEGIN CERTIFICATE in it"
    );
    assert_eq!(
        told(with(&one.chain, &one.chain)),
        "the client key is not in PEM: there is no BEGIN PRIVATE KEY in it"
    );
    assert_eq!(
        told(with(&one.chain, &other.key)),
        "certificate and key do not go together: keys may not be consistent: KeyMismatch"
    );
    let cut = &authority.pem()[..100];
    let authorities = |pem: &str| ClientTls::new().with_authorities(pem.as_bytes());
    assert_eq!(
        told(authorities(cut).map(|_| unreachable!())),
        "the certificate authority is damaged: its END line is missing"
    );
    assert_eq!(
        told(authorities(&one.key).map(|_| unreachable!())),
        "the certificate authority is not in PEM: there is no BEGIN CERTIFICATE in it"
    );
}
