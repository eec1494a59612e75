use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::process::Process;

/// How to start a [`Peer`].
#[derive(Debug, Clone, Default)]
pub struct PeerOptions {
    args: Vec<String>,
    old_node: bool,
    tls: bool,
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

    /// Puts a node of Kubernetes 1.28 behind the API server: a process of its own, with the streaming
    /// server of a release that knew no tunnel.
    #[must_use]
    pub fn old_node(mut self) -> Self {
        self.old_node = true;
        self
    }

    /// Is only the API server, in front of this kubelet, which it reaches in plain HTTP.
    #[must_use]
    pub fn kubelet(self, addr: SocketAddr) -> Self {
        self.arg(format!("-kubelet={addr}"))
    }

    /// Speaks TLS, with a certificate of a CA made for this peer: [`Peer::ca_pem`].
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self.arg("-tls".to_owned())
    }

    /// Serves only who has this bearer token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.arg(format!("-token={token}"))
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
    options: PeerOptions,
    process: Process,
    /// Where the pod is, if it is not in the same process.
    node: Option<Process>,
    /// Keeps the port while nobody listens there, or somebody's outgoing connection may get it.
    reserved: Option<Socket>,
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
        let (process, node) = start(&options);
        Self { options, process, node, reserved: None }
    }

    /// Ends it, as a crash would: whatever it had open is gone, and connecting to it is refused.
    pub fn stop(&mut self) {
        self.process.stop();
        if self.reserved.is_none() {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_reuse_address(true).expect("share the address");
            socket.bind(&self.addr().into()).expect("reserve the peer's port");
            self.reserved = Some(socket);
        }
    }

    /// Starts it anew at the same address, and stops it before if it runs. It knows nothing of what was
    /// before.
    pub fn restart(&mut self) {
        self.stop();
        let addr = self.addr();
        (self.process, self.node) = start(&self.options.clone().listen(addr));
        self.reserved = None;
        assert_eq!(self.addr(), addr, "it listens elsewhere");
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.process.addr
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The address of the API server that it stands for.
    #[must_use]
    pub fn server(&self) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.addr())
    }

    /// The certificate of its CA, as a kubeconfig has it.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        let mut rest = self.process.ca.as_deref().expect("it speaks TLS");
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(64));
            pem.extend([line, "\n"]);
            rest = more;
        }
        pem + "-----END CERTIFICATE-----\n"
    }

    /// Where to forward these ports of this pod; the name of a pod says how it misbehaves
    /// (`demo` does not).
    #[must_use]
    pub fn url(&self, pod: &str, ports: &[u16]) -> String {
        let ports: Vec<_> = ports.iter().map(|port| format!("ports={port}")).collect();
        let path = format!("/api/v1/namespaces/default/pods/{pod}/portforward");
        format!("{}{path}?{}", self.server(), ports.join("&"))
    }

    /// Where the program behind a port of the pod really listens, to go there without a forwarder.
    /// For a port that nobody has it is an address that refuses.
    #[must_use]
    pub fn pod_addr(&self, port: u16) -> SocketAddr {
        let pods = &self.node.as_ref().unwrap_or(&self.process).pods;
        pods.get(&port).or_else(|| pods.get(&8085)).copied().expect("the pod has a 8085")
    }

    /// The error text that it has for this port of this pod, on a connection that speaks v4 by hand.
    #[must_use]
    pub fn error_text(&self, pod: &str, port: u16) -> String {
        let answer = self.upgrade(pod, port);
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        let mut rest = &answer[head + 4..];
        let mut text = Vec::new();
        // Frames of a server: no mask, and none of these is longer than 64 KiB.
        while let [opcode, short, more @ ..] = rest {
            let (length, more) = match (short, more) {
                (126, [high, low, more @ ..]) => (u16::from_be_bytes([*high, *low]).into(), more),
                _ => (usize::from(*short), more),
            };
            let (payload, next) = more.split_at(length);
            if let (0x82, [1, part @ ..]) = (opcode, payload) {
                text.extend_from_slice(part);
            }
            rest = next;
        }
        let text = text.strip_prefix(&port.to_le_bytes()).expect("the prefix of the error channel");
        String::from_utf8_lossy(text).into_owned()
    }

    /// What it answers to an upgrade to v4, until it hangs up or says nothing for a while.
    #[must_use]
    pub fn upgrade(&self, pod: &str, port: u16) -> Vec<u8> {
        let url = self.url(pod, &[port]);
        let path = url.strip_prefix(&self.server()).expect("a URL of this server");
        let mut stream = TcpStream::connect(self.addr()).expect("connect to the peer");
        stream.set_read_timeout(Some(Duration::from_secs(3))).expect("set a timeout");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: peer\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("ask the peer");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// What its server side counts. Asked for in plain HTTP: not of a peer that speaks TLS.
    #[must_use]
    pub fn stats(&self) -> PeerStats {
        let body = self.process.get("/peer/stats");
        let pod = self.node.as_ref().map(|node| node.get("/peer/stats"));
        let of_pod = |name| field(pod.as_ref().unwrap_or(&body), name);
        let field = |name| field(&body, name);
        PeerStats {
            upgrades: field("upgrades"),
            live_upgrades: field("live_upgrades"),
            asked_tunnel: field("asked_tunnel"),
            asked_v4: field("asked_v4"),
            asked_spdy: field("asked_spdy"),
            served_tunnel: field("served_tunnel"),
            served_v4: field("served_v4"),
            served_spdy: field("served_spdy"),
            pod_dials: of_pod("pod_dials"),
            live_pod_relays: of_pod("live_pod_relays"),
        }
    }
}

/// Starts the peer, and an old node before it if there is to be one.
fn start(options: &PeerOptions) -> (Process, Option<Process>) {
    let node = options.old_node.then(|| Process::start("peer-old", &[], false));
    let kubelet = node.iter().map(|node| format!("-kubelet={}", node.addr));
    let args: Vec<_> = kubelet.chain(options.args.iter().cloned()).collect();
    (Process::start("peer", &args, options.tls), node)
}

/// A number of the counts.
fn field(body: &str, name: &str) -> u64 {
    let (_, rest) = body.split_once(&format!("\"{name}\":")).expect("the field");
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).expect("a number")
}
