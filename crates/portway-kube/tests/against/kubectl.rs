//! The same targets and ports through kubectl and through portway: the same pod, the same port of it, and
//! the same local port (protocol.md E.1 to E.3).
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::common::{PATIENCE, ask, client, named};
use portway_interop::Kubectl;
use portway_kube::KubeForward;
use portway_testcluster::{Pod, TestCluster};
use portway_tokio::Tokio;

/// What is asked for, and what comes of it: `pod:port` of each forward, or nothing.
///
/// `A` and `B` stand for ports that are free on this machine.
struct Row {
    target: &'static str,
    ports: &'static [&'static str],
    leads_to: &'static [&'static str],
}

const fn row(
    target: &'static str,
    ports: &'static [&'static str],
    leads_to: &'static [&'static str],
) -> Row {
    Row { target, ports, leads_to }
}

/// Every pod has its ports A (`http`), B (`admin`) and 53; `web-b` is the best of the app `web`.
const TABLE: &[Row] = &[
    // E.1: ports.
    row("web-a", &["A"], &["web-a:A"]),
    row("pod/web-a", &["B:A"], &["web-a:A"]),
    row("po/web-a", &[":A"], &["web-a:A"]),
    row("pods/web-a", &["0:A"], &["web-a:A"]),
    row("web-a", &["http"], &["web-a:A"]),
    row("web-a", &["A:admin"], &["web-a:B"]),
    row("web-a", &[":http"], &["web-a:A"]),
    row("web-a", &["A", "B"], &["web-a:A", "web-a:B"]),
    row("web-a", &["A:B", "B:A"], &["web-a:B", "web-a:A"]),
    row("web-a", &[":53"], &["web-a:53"]),
    row("web-a", &["B:"], &[]),
    row("web-a", &["B:0"], &[]),
    row("web-a", &["0"], &[]),
    row("web-a", &["65536"], &[]),
    row("web-a", &[":https"], &[]),
    row("web-a", &[], &[]),
    // E.2: services.
    row("svc/number", &[":80"], &["web-b:A"]),
    row("service/number", &["B:80"], &["web-b:A"]),
    row("services/named", &[":80"], &["web-b:A"]),
    row("svc/named", &["A:web"], &["web-b:A"]),
    row("svc/named", &["A:adm", ":80"], &["web-b:B", "web-b:A"]),
    row("svc/local", &["A"], &["web-b:B"]),
    row("svc/local", &["web"], &["web-b:B"]),
    row("svc/unnamed", &["B:"], &["web-b:A"]),
    row("svc/headless", &[":B"], &["web-b:B"]),
    row("svc/headless", &[":A"], &[]),
    row("svc/headless", &["A:web"], &["web-b:B"]),
    row("svc/number", &[":81"], &[]),
    row("svc/number", &[":http"], &[]),
    row("svc/nowhere", &[":80"], &[]),
    row("svc/selectorless", &[":80"], &[]),
    row("svc/missing", &[":80"], &[]),
    // E.3: the pod of several.
    row("deployment/web", &[":A"], &["web-b:A"]),
    row("deploy/web", &["A:http"], &["web-b:A"]),
    row("deployments.v1.apps/web", &[":http"], &["web-b:A"]),
    row("rs/web", &[":A"], &["web-b:A"]),
    row("sts/web", &[":A"], &["web-b:A"]),
    row("ds/web", &[":admin"], &["web-b:B"]),
    row("rc/web", &[":A"], &["web-b:A"]),
    row("job/web", &[":A"], &["web-b:A"]),
    row("deploy/pending", &[":A"], &[]),
    row("pending-a", &[":A"], &[]),
    row("missing", &[":A"], &[]),
    row("node/web", &[":A"], &[]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_leads_where_is_the_same_as_with_kubectl() {
    let Some(kubectl) = tokio::task::spawn_blocking(Kubectl::new).await.unwrap() else { return };
    let [a, b] = free_ports();
    let cluster = cluster(a, b).await;
    let client = client(&cluster.url());
    for row in TABLE {
        let ports: Vec<_> = row.ports.iter().map(|port| filled(port, a, b)).collect();
        let expected: Vec<_> = row.leads_to.iter().map(|pod| filled(pod, a, b)).collect();
        let what = format!("{} {}", row.target, ports.join(" "));
        let theirs = match KubectlForward::start(&kubectl, &cluster, row.target, &ports) {
            Ok(forward) => answers(&forward.bound, &ports).await,
            Err(text) => (Vec::new(), text),
        };
        let target = client.target(row.target);
        let target =
            target.map(|target| target.with_pod_running_timeout(std::time::Duration::from_secs(1)));
        let listening = match target {
            Ok(target) => target.listen(&ports).await,
            Err(error) => Err(error),
        };
        let ours = match listening {
            Ok(listening) => {
                let mut bound = Vec::new();
                let addrs = listening.bound().iter().filter_map(|at| at.local.socket_addr());
                bound.extend(addrs.filter(SocketAddr::is_ipv4));
                let answers = answers(&bound, &ports).await;
                listening.shutdown(PATIENCE).await;
                answers
            }
            Err(error) => (Vec::new(), error.to_string()),
        };
        assert_eq!(theirs.0, expected, "kubectl: {what}: {}", theirs.1);
        assert_eq!(ours.0, expected, "portway: {what}: {}", ours.1);
        if !expected.is_empty() {
            assert_eq!(ours.1, theirs.1, "local ports of {what}");
        }
    }
}

/// Pods, and everything that leads to them.
async fn cluster(a: u16, b: u16) -> TestCluster {
    let cluster = TestCluster::start(&Tokio::current()).await.unwrap();
    let pod = |name: &str, app: &str| {
        let says = |port: u16| named(&format!("{name}:{port}"));
        let pod = cluster.pod(name).label("app", app).port("http", a, says(a));
        pod.port("admin", b, says(b)).port("dns", 53, says(53))
    };
    pod("web-a", "web").create().set_ready(false);
    let best: Pod = pod("web-b", "web").create();
    assert!(best.uid().is_some());
    pod("web-c", "web").pending().create();
    pod("pending-a", "pending").pending().create();
    let service = |name: &str| cluster.service(name).selector("app", "web");
    service("number").port("main", 80, a).create();
    service("named").port("web", 80, "http").port("adm", 81, "admin").create();
    service("local").port("web", a, b).create();
    service("unnamed").port("", 80, a).create();
    service("headless").headless().port("web", b, a).create();
    service("nowhere").port("main", 80, "nothing").create();
    cluster.service("selectorless").port("main", 80, a).create();
    // Their pods are those above, by their label.
    cluster.deployment("web", 0).create();
    cluster.replica_set("web", 0).create();
    cluster.stateful_set("web", 0).create();
    cluster.daemon_set("web", 0).create();
    cluster.replication_controller("web", 0).create();
    cluster.job("web", 0).create();
    cluster.deployment("pending", 0).create();
    cluster
}

/// Who answers at these addresses; and which of their ports were asked for, for they have to be the same.
async fn answers(bound: &[SocketAddr], ports: &[String]) -> (Vec<String>, String) {
    let mut pods = Vec::new();
    for to in bound {
        pods.push(ask(*to).await.unwrap_or_else(|error| error.to_string()));
    }
    let local = bound.iter().zip(ports).map(|(to, spec)| {
        let free = spec.starts_with(':') || spec.starts_with("0:");
        if free { "free".to_owned() } else { to.port().to_string() }
    });
    (pods, local.collect::<Vec<_>>().join(" "))
}

fn filled(text: &str, a: u16, b: u16) -> String {
    text.replace('A', &a.to_string()).replace('B', &b.to_string())
}

/// Two that nobody listens on at the moment.
fn free_ports() -> [u16; 2] {
    let probe = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (one, other) = (probe(), probe());
    [one, other].map(|probe| probe.local_addr().unwrap().port())
}

/// A kubectl that forwards, until it is dropped.
struct KubectlForward {
    process: Child,
    bound: Vec<SocketAddr>,
}

impl KubectlForward {
    /// Waits until it listens on all ports; or what it says when it ends before that.
    fn start(
        kubectl: &Kubectl,
        cluster: &TestCluster,
        target: &str,
        ports: &[String],
    ) -> Result<Self, String> {
        let mut process = Command::new(kubectl.path())
            .env("KUBECONFIG", "/dev/null")
            .args(["port-forward", "--address", "127.0.0.1", "--pod-running-timeout", "1s"])
            .args(["--server", &cluster.url(), target])
            .args(ports)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = lines(process.stdout.take().unwrap());
        let errors = lines(process.stderr.take().unwrap());
        let mut this = Self { process, bound: Vec::new() };
        while this.bound.len() < ports.len().max(1) {
            let Ok(line) = said.recv_timeout(PATIENCE) else {
                return Err(errors.iter().collect::<Vec<_>>().join(" "));
            };
            let from = line.strip_prefix("Forwarding from ").and_then(|it| it.split(' ').next());
            if let Some(from) = from {
                this.bound.push(from.parse().unwrap());
            }
        }
        // They are opened in the order of the command line.
        assert_eq!(this.bound.iter().collect::<BTreeSet<_>>().len(), this.bound.len());
        Ok(this)
    }
}

impl Drop for KubectlForward {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}
