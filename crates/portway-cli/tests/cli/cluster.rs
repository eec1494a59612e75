use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Deref;
use std::thread;

use portway_testcluster::{Builder, Program, TestCluster};
use portway_tokio::{RelayRules, Tokio};
use tempfile::NamedTempFile;
use tokio::runtime::Runtime;

/// A cluster in this process, with a pod `web` whose port 80 (`http`) is an echo and which refuses all
/// others.
pub(crate) struct Cluster {
    // Before the runtime it runs on.
    cluster: TestCluster,
    _runtime: Runtime,
}

impl Cluster {
    /// In plain HTTP, as behind `kubectl proxy`.
    pub(crate) fn start() -> Self {
        Self::with_program(Program::echo(), RelayRules::RUNTIME)
    }

    /// With this program behind the port, and what its container runtime does at the end of one
    /// direction.
    pub(crate) fn with_program(program: Program, rules: RelayRules) -> Self {
        Self::build(TestCluster::builder().rules(rules), program)
    }

    pub(crate) fn build(builder: Builder, program: Program) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let tokio = Tokio::new(runtime.handle().clone());
        let cluster = runtime.block_on(builder.start(&tokio)).expect("a port");
        cluster.pod("web").label("app", "web").port("http", 80, program).create();
        Self { cluster, _runtime: runtime }
    }

    /// With TLS, as any cluster.
    pub(crate) fn tls() -> Self {
        Self::build(TestCluster::builder().tls(), Program::echo())
    }

    /// The kubeconfig of an admin, in a file.
    pub(crate) fn config_file(&self) -> NamedTempFile {
        file(&self.cluster.kubeconfig().expect("a certificate"))
    }

    pub(crate) fn url(&self) -> String {
        self.cluster.url()
    }
}

impl Deref for Cluster {
    type Target = TestCluster;

    fn deref(&self) -> &TestCluster {
        &self.cluster
    }
}

/// A file with this in it.
pub(crate) fn file(content: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(content.as_bytes()).expect("room for it");
    file
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
