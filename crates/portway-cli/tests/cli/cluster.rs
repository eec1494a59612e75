use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use portway_server::{LocalPod, LocalPods, Server, Serving};
use portway_tokio::{Port, RelayRules, Tokio};
use tokio::runtime::Runtime;

/// portway's own server, with a pod `web` whose port 80 is an echo and which refuses all others.
pub(crate) struct Cluster {
    // Before the runtime it runs on.
    serving: Serving,
    _runtime: Runtime,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let http = Port::new(80).expect("not zero");
        Self::with_pod(LocalPod::closed().with_port(http, echo()), RelayRules::RUNTIME)
    }

    /// With `pod` as `web`, and what its container runtime does at the end of one direction.
    pub(crate) fn with_pod(pod: LocalPod, rules: RelayRules) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let tokio = Tokio::new(runtime.handle().clone());
        let pods = LocalPods::new(tokio.clone()).with("default", "web", pod);
        let server = Server::new(tokio, pods).with_rules(rules);
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let serving = runtime.block_on(server.listen(anywhere)).expect("a port");
        Self { serving, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.serving.local_addr())
    }
}

fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut reader = stream.try_clone()?;
                std::io::copy(&mut reader, &mut &stream)
            });
        }
    });
    address
}

/// Sends bytes through the local port, and expects them back.
#[track_caller]
pub(crate) fn expect_echo(local: SocketAddr, bytes: usize) {
    let sent: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
    let mut program = TcpStream::connect(local).expect("a connection");
    program.set_read_timeout(Some(crate::process::PATIENCE)).expect("a timeout");
    let mut writer = program.try_clone().expect("a handle");
    let mut received = vec![0; bytes];
    thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&sent).expect("it takes bytes"));
        program.read_exact(&mut received).expect("it sends them back");
    });
    assert!(sent == received, "the bytes were changed");
}
