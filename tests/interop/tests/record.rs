//! The recordings in `tests/transcripts` of real clients in front of the real API server code, and of
//! those in front of an old server. To make them again:
//! `cargo test -p portway-interop --test record -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use portway_interop::{
    Conn, GoClient, GoForwarder, Kubectl, Peer, PeerOptions, Recorder, require_go,
};
use portway_runtimes::{TestRuntime, TokioThreads};
use portway_tokio::proto::HalfClose;
use portway_tokio::{Bound, Config, Mapping, Options, Port, PortForward, Protocol, Sessions};

const PATIENCE: Duration = Duration::from_secs(20);

/// Who is recorded.
#[derive(Debug, Clone, Copy)]
enum Client {
    /// In the tunnel, if it gets it.
    Kubectl,
    OldKubectl,
    Gorilla,
    Portway(Protocol),
}

/// What programs do at the local ports.
type Programs = fn(&dyn Fn(u16) -> Conn);

#[derive(Clone)]
struct Take {
    /// One name for each connection that the client makes.
    names: &'static [&'static str],
    client: Client,
    peer: PeerOptions,
    pod: &'static str,
    ports: &'static [u16],
    programs: Programs,
}

#[test]
fn a_recording_has_both_sides_from_the_upgrade_to_the_end() {
    if !require_go() {
        return;
    }
    let [text] = take(&Take {
        names: &["unnamed"],
        client: Client::Gorilla,
        peer: PeerOptions::new(),
        pod: "demo",
        ports: &[8080],
        programs: echo,
    })
    .try_into()
    .unwrap();
    let lines: Vec<_> = text.lines().collect();
    let request = "> HTTP GET /api/v1/namespaces/default/pods/demo/portforward?ports=8080 HTTP/1.1";
    assert_eq!(lines[0], request);
    let answer = lines.iter().position(|line| *line == "< HTTP HTTP/1.1 101 Switching Protocols");
    for (line, behind) in
        [("< bin 00 90 1f", "< bin 01 90 1f"), ("> bin 00 68 69", "< bin 00 68 69")]
    {
        let at = lines.iter().position(|it| *it == line);
        assert!(at > answer && lines[at.unwrap() + 1] == behind, "{text}");
    }
    assert!(text.contains("> close 03 e8\n"), "{text}");
    assert!(text.contains("! > end of transport\n"), "{text}");
    assert!(text.contains("! < end of transport\n"), "{text}");
    assert!(!text.contains("Sec-WebSocket-Key"), "{text}");
}

#[test]
#[ignore = "writes files"]
fn write_transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../transcripts");
    for wanted in takes() {
        let texts = take(&wanted);
        assert_eq!(texts.len(), wanted.names.len(), "{:?}: {texts:#?}", wanted.names);
        for (name, text) in wanted.names.iter().zip(texts) {
            std::fs::write(folder.join(format!("{name}.txt")), text).unwrap();
        }
    }
}

fn takes() -> Vec<Take> {
    let new = |names, client, pod, ports, programs| Take {
        names,
        client,
        peer: PeerOptions::new(),
        pod,
        ports,
        programs,
    };
    let (kubectl, old) = (Client::Kubectl, Client::OldKubectl);
    let portway = Client::Portway(Protocol::Tunnel);
    let proxied = |take: Take| Take { peer: PeerOptions::new().proxied(), ..take };
    let idle = Duration::from_millis(500);
    vec![
        // The API server's tunnel in front of the streaming server.
        new(&["tunnel-apiserver-kubectl-echo"], kubectl, "demo", &[8080], echo),
        new(&["tunnel-apiserver-kubectl-refused"], kubectl, "demo", &[8085], nothing),
        new(&["tunnel-apiserver-kubectl-pod-reset"], kubectl, "demo", &[8083], one_byte),
        new(&["tunnel-apiserver-kubectl-long-answer"], kubectl, "demo", &[8088], long_answer),
        new(&["tunnel-apiserver-kubectl-half-close"], kubectl, "pod-fin", &[8082], half_close),
        new(&["tunnel-apiserver-kubectl-parallel"], kubectl, "demo", &[8080], parallel),
        new(&["tunnel-apiserver-portway-echo"], portway, "demo", &[8080], echo),
        new(&["tunnel-apiserver-portway-refused"], portway, "demo", &[8085], nothing),
        new(&["tunnel-apiserver-portway-half-close"], portway, "pod-fin", &[8082], half_close),
        new(&["tunnel-apiserver-portway-parallel"], portway, "demo", &[8080], parallel),
        // A server that knows no tunnel.
        new(&["refused-tunnel", "spdy-kubectl-echo"], kubectl, "pod-no-tunnel", &[8080], echo),
        new(&["spdy-kubectl-1.30-parallel"], old, "pod-no-tunnel", &[8080], parallel),
        new(&["spdy-kubectl-1.30-refused"], old, "pod-no-tunnel", &[8085], nothing),
        new(&["spdy-kubectl-1.30-half-close"], old, "pod-fin", &[8082], half_close),
        Take {
            peer: PeerOptions::new().stream_idle_timeout(idle),
            ..new(&["spdy-kubectl-1.30-goaway"], old, "pod-no-tunnel", &[8080], echo_and_wait)
        },
        // v4 through the API server's pass-through proxy.
        proxied(new(&["v4-proxied-echo"], Client::Gorilla, "demo", &[8080], echo)),
        proxied(new(&["v4-proxied-refused"], Client::Gorilla, "demo", &[8085], nothing)),
        proxied(new(&["v4-proxied-pod-reset"], Client::Gorilla, "demo", &[8083], one_byte)),
    ]
}

fn echo(open: &dyn Fn(u16) -> Conn) {
    let mut conn = open(8080);
    conn.send(b"hi").unwrap();
    conn.expect(b"hi").unwrap();
}

/// Until the server finds that it is idle.
fn echo_and_wait(open: &dyn Fn(u16) -> Conn) {
    let mut conn = open(8080);
    conn.send(b"hi").unwrap();
    conn.expect(b"hi").unwrap();
    conn.end().unwrap();
}

fn nothing(open: &dyn Fn(u16) -> Conn) {
    open(8085).end().unwrap();
}

fn one_byte(open: &dyn Fn(u16) -> Conn) {
    let mut conn = open(8083);
    conn.send(b"?").unwrap();
    conn.end().unwrap();
}

/// More than the API server has in one buffer.
fn long_answer(open: &dyn Fn(u16) -> Conn) {
    let mut conn = open(8088);
    conn.send(b"9000\n").unwrap();
    conn.expect_pattern(0, 9000).unwrap();
    conn.end().unwrap();
}

fn half_close(open: &dyn Fn(u16) -> Conn) {
    let mut conn = open(8082);
    conn.send(b"abc\n").unwrap();
    conn.finish().unwrap();
    assert_eq!(conn.text_to_end().unwrap(), "4\n");
}

fn parallel(open: &dyn Fn(u16) -> Conn) {
    let mut conns: Vec<_> = (0..3).map(|_| open(8080)).collect();
    for said in [&b"one"[..], b"two"] {
        for conn in &mut conns {
            conn.send(said).unwrap();
        }
        for conn in &mut conns {
            conn.expect(said).unwrap();
        }
    }
}

/// The transcripts of what the client's connections carried.
fn take(take: &Take) -> Vec<String> {
    let peer = Peer::start_with(take.peer.clone());
    let recorder = Recorder::start(peer.addr());
    let server = recorder.server();
    match take.client {
        Client::Kubectl | Client::OldKubectl => {
            let old = matches!(take.client, Client::OldKubectl);
            let kubectl = if old { Kubectl::old() } else { Kubectl::new() };
            let kubectl = kubectl.expect("a kubectl");
            let running = kubectl.port_forward(take.pod, take.ports).server(&server).start();
            let running = running.unwrap();
            run(take, |port| running.addr(port));
            let _ = running.interrupt();
        }
        Client::Gorilla => {
            let client = GoClient::start(GoForwarder::Gorilla, &server, take.ports).unwrap();
            run(take, |port| client.addr(port));
            // The transcript ends with the connection.
            let texts = recorder.transcripts(take.names.len(), PATIENCE);
            let _ = client.stop();
            return texts;
        }
        Client::Portway(protocol) => {
            let tokio = TokioThreads::start();
            let rt = tokio.handle();
            let connector = rt.http(&server, "default", take.pod).unwrap();
            let options = Options::new()
                .with_protocol(protocol)
                .with_session(Config::client().with_half_close(HalfClose::Immediate))
                .with_spare(false)
                .with_sessions(Sessions::Shared { max_streams: 8 });
            let ports: Vec<_> =
                take.ports.iter().map(|port| Mapping::new(0, Port::new(*port).unwrap())).collect();
            let listening = tokio.block_on(rt.listen(connector, ports, options)).unwrap();
            let addr = |it: &Bound| Some((it.remote.get(), it.local.socket_addr()?));
            let addrs: Vec<_> = listening.bound().iter().filter_map(addr).collect();
            run(take, |port| addrs.iter().find(|(remote, _)| *remote == port).unwrap().1);
            tokio.block_on(listening.shutdown(PATIENCE));
        }
    }
    recorder.transcripts(take.names.len(), PATIENCE)
}

fn run(take: &Take, addr: impl Fn(u16) -> SocketAddr) {
    (take.programs)(&|port| Conn::open(addr(port), port, PATIENCE).unwrap());
}
