//! What the tests share: certificates, and sockets that are read and written by hand.
#![allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

pub mod memory;

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use bytes::BytesMut;
use portway_driver::{Listener, Net, ReadBuf, Socket};
use portway_rustls::{ClientTls, ServerTls};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCertUsingSni;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig};

pub const LOCALHOST: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// Who issues certificates. All have the same name, as those of clusters tend to.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub struct Certificate {
    pub chain: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names or addresses.
    pub fn issue(&self, names: &[&str]) -> Certificate {
        self.issue_with(names, |_| {})
    }

    pub fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.0).unwrap().pem();
        Certificate { chain, key: key.serialize_pem() }
    }

    pub fn expired(&self, names: &[&str]) -> Certificate {
        self.issue_with(names, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    /// A server with a certificate of this authority.
    pub fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.issue(names).server()
    }

    /// A client that trusts this authority.
    pub fn client(&self) -> Arc<ClientConfig> {
        let tls = ClientTls::new().with_authorities(self.pem().as_bytes()).unwrap();
        tls.config().unwrap()
    }
}

impl Certificate {
    /// A server that shows it to those only who ask for it by this name.
    pub fn server_of_name(&self, name: &str) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let certified = CertifiedKey::from_der(chain.unwrap(), key, &provider).unwrap();
        let mut named = ResolvesServerCertUsingSni::new();
        named.add(name, certified).unwrap();
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(config.with_cert_resolver(Arc::new(named)))
    }

    pub fn server(&self) -> Arc<ServerConfig> {
        let tls = ServerTls::new(self.chain.as_bytes(), self.key.as_bytes()).unwrap();
        tls.config().unwrap()
    }
}

/// Two ends of a TCP connection, the one that connected first.
pub async fn tcp_pair<N: Net>(net: &N) -> (N::Socket, N::Socket) {
    let mut listener = net.bind(LOCALHOST).await.unwrap();
    let connected = net.connect(&listener.local_addr().unwrap().into()).await.unwrap();
    let (accepted, _) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
    (connected, accepted)
}

/// Both at once, on one task.
pub async fn join<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    smol::future::zip(a, b).await
}

/// Bytes that tell where they belong.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ (at / 251 % 256) as u8).collect()
}

pub async fn read<S: Socket>(socket: &mut S, max: usize) -> io::Result<BytesMut> {
    let mut memory = BytesMut::new();
    let read = std::future::poll_fn(|cx| socket.poll_read(cx, &mut ReadBuf::new(&mut memory, max)));
    assert_eq!(read.await?, memory.len());
    Ok(memory)
}

/// What comes up to the end, and how that was.
pub async fn read_to_end<S: Socket>(socket: &mut S) -> (Vec<u8>, io::Result<()>) {
    let mut all = Vec::new();
    loop {
        match read(socket, 64 * 1024).await {
            Ok(bytes) if bytes.is_empty() => return (all, Ok(())),
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(error) => return (all, Err(error)),
        }
    }
}

/// Writes all of it, in two slices at a time, and pushes it out.
pub async fn write_all<S: Socket>(socket: &mut S, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let (front, back) = bytes.split_at(bytes.len() / 3);
        let slices = [IoSlice::new(front), IoSlice::new(back)];
        let written = std::future::poll_fn(|cx| socket.poll_write_vectored(cx, &slices)).await?;
        assert_ne!(written, 0, "a write of nothing");
        bytes = &bytes[written..];
    }
    std::future::poll_fn(|cx| socket.poll_flush(cx)).await
}

pub async fn finish<S: Socket>(socket: &mut S) -> io::Result<()> {
    std::future::poll_fn(|cx| socket.poll_shutdown_write(cx)).await
}

/// Writes and reads at once: what comes up to the end.
pub async fn exchange<S: Socket>(socket: &mut S, bytes: &[u8]) -> (Vec<u8>, io::Result<()>) {
    let (mut sent, mut finished) = (0, false);
    let mut all = Vec::new();
    let mut memory = BytesMut::new();
    let end = std::future::poll_fn(|cx| {
        use std::task::Poll;
        while sent < bytes.len() {
            let slice = [IoSlice::new(&bytes[sent..])];
            match socket.poll_write_vectored(cx, &slice) {
                Poll::Ready(written) => sent += written.unwrap(),
                Poll::Pending => break,
            }
        }
        if sent == bytes.len()
            && !finished
            && let Poll::Ready(result) = socket.poll_shutdown_write(cx)
        {
            result.unwrap();
            finished = true;
        }
        loop {
            let mut buf = ReadBuf::new(&mut memory, 32 * 1024);
            match std::task::ready!(socket.poll_read(cx, &mut buf)) {
                Ok(0) if finished => return Poll::Ready(Ok(())),
                Ok(0) => return Poll::Pending,
                Ok(_) => all.extend_from_slice(&memory.split()),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    });
    let end = end.await;
    (all, end)
}
