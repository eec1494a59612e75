use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use portway_testcluster::{Program as InPod, Rule, TestCluster};
use portway_tokio::Tokio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

use crate::program::Program;

/// A cluster with everything that the table names, and the ports of this machine.
pub(crate) struct Place {
    // Before the runtime it runs on.
    cluster: TestCluster,
    _runtime: Runtime,
    ports: [(char, u16); 6],
    _taken: Vec<TcpListener>,
}

impl Place {
    pub(crate) fn start(kubectl: &Program) -> Self {
        let runtime = Runtime::new().unwrap();
        let tokio = Tokio::new(runtime.handle().clone());
        let cluster = runtime.block_on(TestCluster::start(&tokio)).unwrap();
        let (v, w) = (on_both(), on_both());
        let [a, b, c, d] = free();
        let ports = [('A', a), ('B', b), ('C', c), ('D', d), ('V', v.1), ('W', w.1)];
        let taken = vec![v.0.0, w.0.0, w.0.1];
        let place = Self { cluster, _runtime: runtime, ports, _taken: taken };
        place.furnish(a, b, kubectl);
        place
    }

    pub(crate) fn url(&self) -> String {
        self.cluster.url()
    }

    /// With numbers for ports.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut before = ' ';
        for letter in text.chars() {
            match self.ports.iter().find(|(name, _)| *name == letter) {
                Some((_, port)) if !before.is_alphabetic() => filled.push_str(&port.to_string()),
                _ => filled.push(letter),
            }
            before = letter;
        }
        filled
    }

    /// Every pod has its ports A (`http`) and B (`admin`); `web-b` is the best of the app `web`.
    fn furnish(&self, a: u16, b: u16, kubectl: &Program) {
        let cluster = &self.cluster;
        let pod = |name: &str, app: &str| {
            let says = |port: &str| named(&format!("{name}:{port}"));
            let pod = cluster.pod(name).label("app", app);
            pod.port("http", a, says(&a.to_string())).port("admin", b, says(&b.to_string()))
        };
        pod("web-a", "web").create().set_ready(false);
        pod("web-b", "web").create();
        pod("web-c", "web").pending().create();
        pod("pending-a", "pending").pending().create();
        pod("done-a", "done").create().set_phase("Succeeded");
        pod("udp-a", "udp").create();
        pod("web-z", "web").namespace("shop").create();
        for (namespace, verbs, resource) in [
            ("locked", &["get", "create"][..], "pods/portforward"),
            ("listless", &["list"], "pods"),
            ("blind", &["get"], "pods"),
        ] {
            pod("web-a", "web").namespace(namespace).create();
            cluster.deployment("web", 0).namespace(namespace).create();
            let rule = Rule::of("system:anonymous").verbs(verbs.iter().copied());
            cluster.deny(rule.on(resource).within(namespace));
        }
        let service = |name: &str| cluster.service(name).selector("app", "web");
        service("number").port("main", 80, a).create();
        service("named").port("web", 80, "http").port("adm", 81, "admin").create();
        service("same").port("web", a, b).create();
        service("unnamed").port("", 80, a).create();
        service("headless").headless().port("web", b, a).create();
        service("nowhere").port("main", 80, "nothing").create();
        service("udp").port("dns", 53, a).create();
        cluster.service("selectorless").port("main", 80, a).create();
        cluster.service("empty").selector("app", "nobody").port("main", 80, a).create();
        // Their pods are those above, by their label.
        cluster.deployment("web", 0).create();
        cluster.replica_set("web", 0).create();
        cluster.stateful_set("web", 0).create();
        cluster.daemon_set("web", 0).create();
        cluster.replication_controller("web", 0).create();
        cluster.job("web", 0).create();
        cluster.deployment("pending", 0).create();
        cluster.deployment("nobody", 0).create();
        self.declare_udp(kubectl);
    }

    /// No program speaks it, so no builder has it.
    fn declare_udp(&self, kubectl: &Program) {
        let url = self.url();
        let patch = |kind: &str, name: &str, patch: &str| {
            kubectl.call(&["--server", &url, "patch", kind, name, "--type=merge", "-p", patch]);
        };
        let ports = r#"[{"name":"dns","containerPort":53,"protocol":"UDP"}]"#;
        let containers = format!(r#"[{{"name":"main","image":"dns","ports":{ports}}}]"#);
        patch("pod", "udp-a", &format!(r#"{{"spec":{{"containers":{containers}}}}}"#));
        let ports = r#"[{"name":"dns","port":53,"protocol":"UDP"}]"#;
        patch("service", "udp", &format!(r#"{{"spec":{{"ports":{ports}}}}}"#));
    }
}

/// Says who it is to everybody who asks, in a line.
fn named(name: &str) -> InPod {
    let answer = format!("{name}\n");
    InPod::new(move |mut stream| {
        let answer = answer.clone();
        async move {
            let mut asked = [0; 4];
            // Nobody may be there any more.
            if stream.read_exact(&mut asked).await.is_ok() {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    })
}

/// One port of both loopback addresses, taken. It is none of those that the system gives to whoever asks
/// for any: until a row uses it somebody else would have got it.
fn on_both() -> ((TcpListener, TcpListener), u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() % 20_000;
    for _ in 0..20_000 {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(10_000 + (first * 7 + next) % 20_000).unwrap();
        let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let six = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
        if let (Ok(four), Ok(six)) = (four, six) {
            return ((four, six), port);
        }
    }
    panic!("no port is free on both 127.0.0.1 and ::1");
}

/// Ports that nobody listens on at the moment.
fn free() -> [u16; 4] {
    let probes = [on_both(), on_both(), on_both(), on_both()];
    probes.each_ref().map(|(_, port)| *port)
}
