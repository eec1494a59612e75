use std::io;
use std::net::SocketAddr;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, Config};
use portway_tokio::{Listening, Mapping, Options, Port, PortForward};
use tokio::net::{TcpListener, TcpStream};

use crate::child::{pin, serve_parent};
use crate::form::Form;
use crate::site::{PORTS, Site};

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forwarder {
    kind: Kind,
    /// Bytes of one read, where they are not the default.
    read_size: Option<usize>,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tokio,
    TokioCurrent,
    Smol,
    AsyncStd,
    KubeRs,
    Kubectl,
    Relay64K,
    RelayDefault,
}

impl Forwarder {
    pub(crate) const NAMES: [&str; 8] = [
        Self::BASE,
        "tokio",
        "tokio-current",
        "smol",
        "async-std",
        "kubectl",
        "kube-rs",
        "relay-default",
    ];
    /// What the others are compared with.
    pub(crate) const BASE: &str = "relay-64k";

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn is_relay(&self) -> bool {
        matches!(self.kind, Kind::Relay64K | Kind::RelayDefault)
    }

    pub(crate) const fn is_kubectl(&self) -> bool {
        matches!(self.kind, Kind::Kubectl)
    }

    /// kubectl speaks SPDY, and only with what looks like an API server; kube-rs speaks v4.
    pub(crate) const fn can(&self, form: Form, site: &Site) -> bool {
        match self.kind {
            Kind::Kubectl => !matches!(form, Form::V4) && matches!(site, Site::Kubernetes { .. }),
            Kind::KubeRs => matches!(form, Form::V4),
            Kind::Tokio
            | Kind::TokioCurrent
            | Kind::Smol
            | Kind::AsyncStd
            | Kind::Relay64K
            | Kind::RelayDefault => true,
        }
    }

    /// A name, or for the ones that are not relays `NAME@KIB` with another read size.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let (kind, kib) =
            name.split_once('@').map_or((name, None), |(name, kib)| (name, Some(kib)));
        let kind = match kind {
            "tokio" => Kind::Tokio,
            "tokio-current" => Kind::TokioCurrent,
            "smol" => Kind::Smol,
            "async-std" => Kind::AsyncStd,
            "kube-rs" => Kind::KubeRs,
            "kubectl" => Kind::Kubectl,
            "relay-64k" => Kind::Relay64K,
            "relay-default" => Kind::RelayDefault,
            _ => return None,
        };
        let read_size = match kib {
            Some(kib) => Some(kib.parse::<usize>().ok()? * 1024),
            None => None,
        };
        Some(Self { kind, read_size, name: name.to_owned() })
    }

    fn options(&self, form: Form) -> Options {
        let options = Options::new().with_protocol(form.protocol());
        match self.read_size {
            Some(bytes) => options.with_read_size(bytes),
            None => options,
        }
    }
}

/// The child: `server` is the API server's address, or for a relay the programs' addresses.
pub(crate) fn run(name: &str, form: &str, server: &[&str]) {
    pin(1);
    let forwarder = Forwarder::from_name(name).expect("the name of a forwarder");
    let options = forwarder.options(Form::from_name(form).expect("the name of a form"));
    match forwarder.kind {
        Kind::Tokio => threads().block_on(listen_tokio(server[0], options)),
        Kind::TokioCurrent => current().block_on(listen_tokio(server[0], options)),
        Kind::Smol => smol::block_on(listen_smol(server[0], options)),
        Kind::AsyncStd => async_std::task::block_on(listen_async_std(server[0], options)),
        Kind::KubeRs => threads().block_on(kube_rs(server[0])),
        Kind::Kubectl => unreachable!("a program of its own"),
        Kind::Relay64K => threads().block_on(relay(server, 64 * 1024)),
        // What `copy_bidirectional` takes.
        Kind::RelayDefault => threads().block_on(relay(server, 8 * 1024)),
    }
}

fn threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn current() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn listen_tokio(server: &str, options: Options) {
    let runtime = portway_tokio::Tokio::current();
    let pod = runtime.http(server, "default", "demo").unwrap();
    serve(runtime.listen(pod, mappings(), options).await.unwrap()).await;
}

async fn listen_smol(server: &str, options: Options) {
    let runtime = portway_smol::Smol::global();
    let pod = runtime.http(server, "default", "demo").unwrap();
    serve(runtime.listen(pod, mappings(), options).await.unwrap()).await;
}

async fn listen_async_std(server: &str, options: Options) {
    let runtime = portway_async_std::AsyncStd::global();
    let pod = runtime.http(server, "default", "demo").unwrap();
    serve(runtime.listen(pod, mappings(), options).await.unwrap()).await;
}

fn mappings() -> [Mapping; 3] {
    PORTS.map(|port| Mapping::new(0, Port::new(port).unwrap()))
}

async fn serve(listening: Listening) {
    // A mapping may be bound to both families.
    let mut addrs: Vec<SocketAddr> =
        listening.bound().iter().filter_map(|bound| bound.local.socket_addr()).collect();
    addrs.retain(SocketAddr::is_ipv4);
    serve_parent(&addrs);
    std::future::pending::<()>().await;
    drop(listening);
}

/// As kube's users write it: a session for each connection, copied by tokio.
async fn kube_rs(server: &str) {
    let client = Client::try_from(Config::new(server.parse().unwrap())).unwrap();
    let pods: Api<Pod> = Api::namespaced(client, "default");
    let mut addrs = Vec::new();
    for port in PORTS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addrs.push(listener.local_addr().unwrap());
        let pods = pods.clone();
        tokio::spawn(async move {
            loop {
                let (local, _) = listener.accept().await.unwrap();
                tokio::spawn(kube_rs_copy(local, pods.clone(), port));
            }
        });
    }
    serve_parent(&addrs);
    std::future::pending::<()>().await;
}

async fn kube_rs_copy(mut local: TcpStream, pods: Api<Pod>, port: u16) -> io::Result<()> {
    local.set_nodelay(true)?;
    let forwarded = pods.portforward("demo", &[port]).await;
    let mut forwarded = forwarded.map_err(io::Error::other)?;
    let mut pod = forwarded.take_stream(port).ok_or(io::ErrorKind::NotFound)?;
    tokio::io::copy_bidirectional(&mut local, &mut pod).await?;
    drop(pod);
    forwarded.join().await.map_err(io::Error::other)
}

async fn relay(pods: &[&str], size: usize) {
    let mut addrs = Vec::new();
    for pod in pods {
        let pod: SocketAddr = pod.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addrs.push(listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (local, _) = listener.accept().await.unwrap();
                tokio::spawn(copy(local, pod, size));
            }
        });
    }
    serve_parent(&addrs);
    std::future::pending::<()>().await;
}

async fn copy(mut local: TcpStream, pod: SocketAddr, size: usize) -> io::Result<()> {
    let mut pod = TcpStream::connect(pod).await?;
    local.set_nodelay(true)?;
    pod.set_nodelay(true)?;
    tokio::io::copy_bidirectional_with_sizes(&mut local, &mut pod, size, size).await?;
    Ok(())
}
