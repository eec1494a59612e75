use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{self, Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// One of the programs of the peer.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) addr: SocketAddr,
    pub(crate) pods: BTreeMap<u16, SocketAddr>,
    /// The CA, if it speaks TLS: DER in base64.
    pub(crate) ca: Option<String>,
}

impl Process {
    /// Builds the program if need be and starts it. In TLS it tells its CA.
    pub(crate) fn start(program: &Program, args: &[String], tls: bool) -> Self {
        let stderr = if env::var_os("PORTWAY_PEER_LOG").is_some() {
            Stdio::inherit()
        } else {
            Stdio::null()
        };
        let mut child = Command::new(program.built())
            .args(args)
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
        let ca = tls.then(|| line("ca "));
        Self { child, addr, pods, ca }
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).expect("connect to the peer");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set a timeout");
        let request = format!("GET {path} HTTP/1.0\r\nHost: peer\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("ask the peer");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("hear from the peer");
        answer
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A Go program, in the folder of its name.
#[derive(Debug)]
pub(crate) struct Program {
    name: &'static str,
    binary: OnceLock<PathBuf>,
}

pub(crate) static PEER: Program = Program { name: "peer", binary: OnceLock::new() };
pub(crate) static OLD_NODE: Program = Program { name: "peer-old", binary: OnceLock::new() };

impl Program {
    /// Builds it, at most once in a process and only if its sources are newer.
    fn built(&self) -> &Path {
        self.binary.get_or_init(|| build(self.name))
    }
}

fn build(name: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = package.join(name);
    let directory = interop_directory();
    let binary = directory.join(name);
    // The pod and its programs belong to all of them.
    if newest(&source).max(newest(&package.join("pod"))) < modified(&binary) {
        return binary;
    }
    fs::create_dir_all(&directory).expect("make a directory for the peer");
    // Another test process may be building or running it: put it in place whole.
    let fresh = directory.join(format!("{name}.{}", std::process::id()));
    let output = Command::new("go")
        .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(&fresh)
        .arg(".")
        .current_dir(&source)
        .output()
        .expect("run `go build` (is Go installed?)");
    assert!(
        output.status.success(),
        "`go build` in {}: {}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&fresh, &binary).expect("put the peer in place");
    binary
}

/// Where programs that are built or fetched for these tests are kept.
pub(crate) fn interop_directory() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), Into::into);
    path::absolute(target).expect("a working directory").join("interop")
}

fn newest(directory: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(directory).expect("read the peer's sources");
    entries.filter_map(|entry| modified(&entry.ok()?.path())).max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}
