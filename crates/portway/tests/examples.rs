//! The examples run with no cluster, and say what they are to say.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use portway::{Tokio, WireForm};
use portway_server::{LocalPod, LocalPods, Server, ServerEvent, Serving};
use portway_testcluster::{Program, TestCluster};

const PATIENCE: Duration = Duration::from_secs(30);

const FORWARD: &str = "Reached pod demo over SPDY/3.1+portforward.k8s.io\n\
                       It answers: Hello, pod!\n\
                       Closed: the session was closed locally\n";

/// Those that come to an end, and all that they say.
const ENDING: &[(&str, &str)] = &[
    ("forward_tokio", FORWARD),
    ("forward_smol", FORWARD),
    ("forward_async_std", FORWARD),
    ("http_client", "200 OK\nYou asked for: GET / HTTP/1.1, host: web-0\n"),
    (
        "connector",
        "/one: 200 OK\n\
         request 1 of this connection\n\
         /two: 200 OK\n\
         request 2 of this connection\n\
         web-1: SERVER refused to forward to pod web-1 in namespace default: there is no such pod \
         (404 Not Found): pods \"web-1\" not found; look the target up again\n",
    ),
    ("postgres", "apple\npear\nGoodbye\n"),
];

/// Those that go on until they are stopped, one on each runtime.
const LISTENING: &[&str] = &["listen_tokio", "listen_smol", "listen_async_std"];

/// The one that takes its cluster from a kubeconfig.
const KUBE: &str = "listen_kube";

#[test]
fn each_says_what_it_is_to_say() {
    for (name, expected) in ENDING {
        let output = Command::new(built(name)).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}");
        let said = String::from_utf8(output.stdout).unwrap();
        let words = said.split(' ');
        let words = words.map(|word| if word.starts_with("127.0.0.1:") { "SERVER" } else { word });
        assert_eq!(words.collect::<Vec<_>>().join(" "), *expected, "{name}");
    }
}

#[test]
fn listening_without_arguments_leads_into_a_pod_of_its_own() {
    for name in LISTENING.iter().chain([&KUBE]) {
        Running::start(name, &[]).echoes();
    }
}

#[test]
fn listening_leads_to_a_target_of_the_cluster_of_the_kubeconfig() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster =
        runtime.block_on(TestCluster::start(&Tokio::new(runtime.handle().clone()))).unwrap();
    let web = cluster.deployment("web", 2).namespace("lab");
    web.port("echo", 7, Program::echo()).create();
    let folder = std::env::temp_dir().join(format!("portway-listen-kube-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let kubeconfig = folder.join("config");
    std::fs::write(&kubeconfig, cluster.kubeconfig().unwrap()).unwrap();
    let mut command = Command::new(built(KUBE));
    command.env("KUBECONFIG", &kubeconfig).args(["-n", "lab", "deployment/web", ":echo"]);
    Running::of(command).echoes();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn listening_leads_into_the_pod_and_speaks_the_form_that_are_named() {
    for (protocol, form) in [
        ("tunnel", WireForm::Tunnel),
        ("v4", WireForm::V4),
        ("v4-base64", WireForm::V4Base64),
        ("spdy", WireForm::Spdy),
    ] {
        for name in LISTENING {
            let server = EchoServer::start();
            let mapping = format!("0:{}", server.port);
            let pod = ["--protocol", protocol, "-n", "lab", "echo-0", &mapping];
            let args = [["--server", &server.url].as_slice(), &pod].concat();
            Running::start(name, &args).echoes();
            let spoken = server.forms.recv_timeout(PATIENCE);
            assert_eq!(spoken, Ok(form), "{name} {protocol}");
        }
    }
}

#[test]
fn none_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let there: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let run = ENDING.iter().map(|(name, _)| *name).chain(LISTENING.iter().copied()).chain([KUBE]);
    assert_eq!(there, run.map(str::to_owned).collect());
    let readme = include_str!("../../../README.md");
    for name in there {
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in the README");
    }
}

/// The program, which `cargo test` builds before it runs this.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let program = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let source = format!("{}/examples/{name}.rs", env!("CARGO_MANIFEST_DIR"));
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    let up_to_date = changed(&program).is_ok_and(|at| at >= changed(source.as_ref()).unwrap());
    assert!(up_to_date, "{name} is not built: `cargo build -p portway --examples` does it");
    program
}

/// An example that goes on until it is dropped.
struct Running {
    process: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(name: &str, args: &[&str]) -> Self {
        let mut command = Command::new(built(name));
        command.args(args);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Self { process, stdout }
    }

    /// Sends a few bytes through the first port that it tells, and gets them back.
    fn echoes(mut self) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let from = line.strip_prefix("Forwarding from ").and_then(|rest| rest.split(' ').next());
        let mut local = TcpStream::connect(from.expect(&line)).unwrap();
        local.set_read_timeout(Some(PATIENCE)).unwrap();
        local.write_all(b"there and back").unwrap();
        let mut back = [0; 14];
        local.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"there and back");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A server of the pod `echo-0` in `lab`, and the forms that sessions with it have.
struct EchoServer {
    url: String,
    port: u16,
    forms: Receiver<WireForm>,
    _serving: Serving,
    _runtime: tokio::runtime::Runtime,
}

impl EchoServer {
    fn start() -> Self {
        let program = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = program.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in program.incoming().flatten() {
                thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
            }
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let rt = Tokio::new(runtime.handle().clone());
        let pods = LocalPods::new(rt.clone()).with("lab", "echo-0", LocalPod::localhost());
        let (sender, forms) = channel();
        let server = Server::new(rt, pods).with_observer(move |event| {
            if let ServerEvent::Opened { form, .. } = event {
                let _ = sender.send(form);
            }
        });
        let serving = runtime.block_on(server.listen(([127, 0, 0, 1], 0).into())).unwrap();
        let url = format!("http://{}", serving.local_addr());
        Self { url, port, forms, _serving: serving, _runtime: runtime }
    }
}
