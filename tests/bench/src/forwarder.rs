use std::io;
use std::net::SocketAddr;

use portway_tokio::{Listening, Mapping, Options, Port, PortForward};
use tokio::net::{TcpListener, TcpStream};

use crate::child::{pin, serve_parent};
use crate::form::Form;
use crate::site::PORTS;

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
    Relay64K,
    RelayDefault,
}

impl Forwarder {
    pub(crate) const NAMES: [&str; 5] =
        [Self::BASE, "tokio", "tokio-current", "smol", "relay-default"];
    /// What the others are compared with.
    pub(crate) const BASE: &str = "relay-64k";

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn is_relay(&self) -> bool {
        matches!(self.kind, Kind::Relay64K | Kind::RelayDefault)
    }

    /// A name, or for the ones that are not relays `NAME@KIB` with another read size.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let (kind, kib) =
            name.split_once('@').map_or((name, None), |(name, kib)| (name, Some(kib)));
        let kind = match kind {
            "tokio" => Kind::Tokio,
            "tokio-current" => Kind::TokioCurrent,
            "smol" => Kind::Smol,
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

fn mappings() -> [Mapping; 3] {
    PORTS.map(|port| Mapping::new(0, Port::new(port).unwrap()))
}

async fn serve(listening: Listening) {
    // A mapping may be bound to both families.
    let mut addrs: Vec<SocketAddr> = listening.bound().iter().map(|bound| bound.local).collect();
    addrs.retain(SocketAddr::is_ipv4);
    serve_parent(&addrs);
    std::future::pending::<()>().await;
    drop(listening);
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
