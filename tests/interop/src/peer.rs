use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::go;

/// How to start a [`Peer`].
#[derive(Debug, Clone, Default)]
pub struct PeerOptions {
    args: Vec<String>,
}

impl PeerOptions {
    /// Kubernetes' defaults, on a free port.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends upgraded connections that were idle for this long (4 h if not set).
    #[must_use]
    pub fn stream_idle_timeout(self, timeout: Duration) -> Self {
        self.arg(format!("-stream-idle-timeout={}ms", timeout.as_millis()))
    }

    /// Passes a client's FIN on to the pod, which no runtime in the field does.
    #[must_use]
    pub fn fin_passed_on(self) -> Self {
        self.arg("-fin-passed-on".to_owned())
    }

    /// Gives every pod the manners of this one, whatever its name (`pod-no-tunnel`: an old API server).
    #[must_use]
    pub fn every_pod(self, manners: &str) -> Self {
        self.arg(format!("-every-pod={manners}"))
    }

    /// Puts the API server's pass-through proxy in front of v4 and plain SPDY, too.
    #[must_use]
    pub fn proxied(self) -> Self {
        self.arg("-proxied".to_owned())
    }

    /// Listens here and not on a free port.
    #[must_use]
    pub fn listen(self, addr: SocketAddr) -> Self {
        self.arg(format!("-listen={addr}"))
    }

    fn arg(mut self, arg: String) -> Self {
        self.args.push(arg);
        self
    }
}

/// What the peer's server side counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Upgrade requests that got as far as the port-forward code or a lie.
    pub upgrades: u64,
    /// Those whose handler has not returned. A SPDY connection counts while it lives; relays of
    /// it may live up to a second longer.
    pub live_upgrades: u64,
    /// Requests that offered the tunnel, alone or with others ...
    pub asked_tunnel: u64,
    /// ... that offered v4 without it ...
    pub asked_v4: u64,
    /// ... and those for SPDY without a WebSocket.
    pub asked_spdy: u64,
    /// Requests that were answered by the tunnel ...
    pub served_tunnel: u64,
    /// ... by v4 ...
    pub served_v4: u64,
    /// ... and by SPDY without a WebSocket.
    pub served_spdy: u64,
    /// Times a port of the pod was dialled.
    pub pod_dials: u64,
    /// Forwards between a stream and the pod that have not ended.
    pub live_pod_relays: u64,
}

/// Kubernetes' own port-forward server code in a child process, with a pod behind it. It is killed
/// when this is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    addr: SocketAddr,
    pods: BTreeMap<u16, SocketAddr>,
}

impl Peer {
    /// Builds the peer if need be and starts it. Ask [`require_go`](crate::require_go) first.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(PeerOptions::new())
    }

    /// Builds the peer if need be and starts it like this.
    #[must_use]
    pub fn start_with(options: PeerOptions) -> Self {
        let stderr = if env::var_os("PORTWAY_PEER_LOG").is_some() {
            Stdio::inherit()
        } else {
            Stdio::null()
        };
        let mut child = Command::new(go::build("peer"))
            .arg("-print-pods")
            .args(options.args)
            // It exits when this is closed, so also when we are killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("start the peer");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let mut line = |first_word: &str| {
            let line = lines.next().and_then(Result::ok).unwrap_or_default();
            let Some(rest) = line.strip_prefix(first_word) else {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the peer said {line:?} (PORTWAY_PEER_LOG=1 shows why)");
            };
            rest.to_owned()
        };
        let addr = line("listening ").parse().expect("the peer's address");
        let pods = line("pods ")
            .split(' ')
            .map(|pair| {
                let (port, addr) = pair.split_once('=').expect("PORT=ADDR");
                (port.parse().expect("a port"), addr.parse().expect("an address"))
            })
            .collect();
        Self { child, addr, pods }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address of the API server that it stands for.
    #[must_use]
    pub fn server(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where to forward these ports of this pod; the name of a pod says how it misbehaves
    /// (`demo` does not).
    #[must_use]
    pub fn url(&self, pod: &str, ports: &[u16]) -> String {
        let ports: Vec<_> = ports.iter().map(|port| format!("ports={port}")).collect();
        let path = format!("/api/v1/namespaces/default/pods/{pod}/portforward");
        format!("http://{}{path}?{}", self.addr, ports.join("&"))
    }

    /// Where the program behind a port of the pod really listens, to go there without a forwarder.
    /// For a port that nobody has it is an address that refuses.
    #[must_use]
    pub fn pod_addr(&self, port: u16) -> SocketAddr {
        self.pods.get(&port).or_else(|| self.pods.get(&8085)).copied().expect("the pod has a 8085")
    }

    /// What its server side counts.
    #[must_use]
    pub fn stats(&self) -> PeerStats {
        let body = self.get("/peer/stats");
        let field = |name: &str| {
            let (_, rest) = body.split_once(&format!("\"{name}\":")).expect("the field");
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
            digits.and_then(|digits| digits.parse().ok()).expect("a number")
        };
        PeerStats {
            upgrades: field("upgrades"),
            live_upgrades: field("live_upgrades"),
            asked_tunnel: field("asked_tunnel"),
            asked_v4: field("asked_v4"),
            asked_spdy: field("asked_spdy"),
            served_tunnel: field("served_tunnel"),
            served_v4: field("served_v4"),
            served_spdy: field("served_spdy"),
            pod_dials: field("pod_dials"),
            live_pod_relays: field("live_pod_relays"),
        }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).expect("connect to the peer");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set a timeout");
        let request = format!("GET {path} HTTP/1.0\r\nHost: peer\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("ask the peer");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("hear from the peer");
        answer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
