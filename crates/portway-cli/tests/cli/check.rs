use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use portway_testcluster::{Lie, Program, Rule, TestCluster, User, Version, WireForm};
use serde_json::{Value, json};

use crate::process::{Portway, command, run};
use crate::secure::Secure;

/// Jane may do what portway does with a service.
fn grant(secure: &Secure) -> String {
    let cluster = &secure.cluster;
    cluster.grant(Rule::of("jane").verbs(["get"]).on("services"));
    cluster.grant(Rule::of("jane").verbs(["get", "list", "watch"]).on("pods"));
    cluster.grant(Rule::of("jane").verbs(["get", "create"]).on("pods/portforward"));
    cluster.kubeconfig_of(&User::new("jane").group("devs")).unwrap()
}

/// Says a word to whoever comes.
fn banner() -> Program {
    Program::source("SSH-2.0-x\r\n")
}

fn web(secure: &Secure) -> portway_testcluster::Pod {
    let cluster = &secure.cluster;
    let service = cluster.service("web").selector("app", "web");
    service.port("http", 80, "http").port("ssh", 22, "ssh").port("old", 81, "gone").create();
    cluster
        .pod("web-0")
        .label("app", "web")
        .port("http", 8080, Program::page("<p>"))
        .port("ssh", 22, banner())
        .port("echo", 7, Program::echo())
        .deaf_port("gone", 9000)
        .create()
}

#[test]
fn all_that_a_forward_needs_has_a_line() {
    let secure = Secure::start();
    let kubeconfig = grant(&secure);
    web(&secure);
    let ended = secure.run("check svc/web 80 ssh", &kubeconfig);
    assert_eq!(
        ended.stdout,
        [
            "ok    config       URL, by context portway-testcluster of HOME/kubeconfig, namespace default",
            "ok    server       v1.37.0+portway.0.1.0, TLS, _ ms",
            "ok    user         jane, in devs, system:authenticated",
            "ok    permission   get services",
            "ok    permission   list pods",
            "ok    permission   get pods",
            "ok    permission   watch pods",
            "ok    permission   get pods/portforward",
            "ok    permission   create pods/portforward",
            "ok    target       service/web -> pod web-0, Running, ready, on node-1, ports http 8080 and ssh 22 and echo 7 and gone 9000",
            "ok    form         tunnel, _ ms, picked",
            "ok    form         v4, _ ms",
            "ok    form         spdy, _ ms",
            "ok    round trip   _ ms, median of 5 pings (_ ms to _ ms)",
            "ok    port         80 -> 8080, open",
            "ok    port         ssh -> 22, open",
        ]
    );
    assert_eq!((ended.code, ended.stderr.len()), (Some(0), 0), "{:?}", ended.stderr);
}

#[test]
fn as_json_it_is_an_object_a_line() {
    let secure = Secure::start();
    let kubeconfig = grant(&secure);
    web(&secure);
    secure.cluster.deny(Rule::of("jane").verbs(["watch"]).on("pods"));
    let ended = secure.run("check svc/web 80 81 -o json --rate 7", &kubeconfig);
    let lines: Vec<Value> =
        ended.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let without = |line: &Value, names: &[&str]| {
        let mut line = line.clone();
        for name in names {
            let removed = line.as_object_mut().unwrap().remove(*name);
            assert!(removed.is_some(), "{line} lacks {name}");
        }
        line
    };
    assert_eq!(
        lines[0],
        json!({"check": "config", "result": "ok", "server": "URL", "namespace": "default",
            "source": "context portway-testcluster of HOME/kubeconfig"})
    );
    assert_eq!(
        without(&lines[1], &["took_ms"]),
        json!({"check": "server", "result": "ok", "tls": true, "version": "v1.37.0+portway.0.1.0"})
    );
    assert_eq!(
        lines[2],
        json!({"check": "user", "result": "ok", "user": "jane",
            "groups": ["devs", "system:authenticated"]})
    );
    assert_eq!(
        lines[3],
        json!({"check": "permission", "result": "ok", "verb": "get", "resource": "services",
            "namespace": "default"})
    );
    assert_eq!(
        without(&lines[6], &["problem"]),
        json!({"check": "permission", "result": "note", "verb": "watch", "resource": "pods",
            "namespace": "default"})
    );
    assert_eq!(
        lines[9],
        json!({"check": "target", "result": "ok", "target": "service/web", "pod": "web-0",
            "phase": "Running", "ready": true, "node": "node-1", "restarts": 0,
            "ports": ["http 8080", "ssh 22", "echo 7", "gone 9000"]})
    );
    assert_eq!(
        without(&lines[10], &["took_ms"]),
        json!({"check": "form", "result": "ok", "form": "tunnel", "picked": true})
    );
    assert_eq!(
        without(&lines[13], &["median_ms", "least_ms", "most_ms"]),
        json!({"check": "round_trip", "result": "ok", "pings": 5})
    );
    assert_eq!(
        lines[14],
        json!({"check": "port", "result": "ok", "port": "80", "pod_port": 8080, "state": "open"})
    );
    assert_eq!(
        without(&lines[15], &["problem"]),
        json!({"check": "port", "result": "fail", "port": "81", "pod_port": 9000,
            "state": "refused"})
    );
    // The service does not have it.
    assert_eq!(
        lines[16],
        json!({"check": "rate", "result": "fail", "port": "7", "bytes": 0,
            "problem": "service 'web' does not have a service port 7; of ports it has 80, 22, 81"})
    );
    assert_eq!(lines[17]["check"], "role");
    let yaml = lines[17]["yaml"].as_str().unwrap();
    assert!(
        yaml.contains("resources: [\"services\"]") && yaml.contains("name: \"jane\""),
        "{yaml}"
    );
    assert_eq!((lines.len(), ended.code), (18, Some(1)));
}

#[test]
fn a_missing_right_fails_with_the_role_to_apply() {
    let secure = Secure::start();
    let kubeconfig = grant(&secure);
    web(&secure);
    secure.cluster.deny(Rule::of("jane").verbs(["create"]).on("pods/portforward"));
    let ended = secure.run("check web-0", &kubeconfig);
    let denial = "User \"jane\" cannot create resource \"pods/portforward\" in API group \"\" in the namespace \"default\"";
    assert_eq!(
        ended.stdout[5..7],
        [
            "ok    permission   get pods/portforward".to_owned(),
            format!(
                "FAIL  permission   create pods/portforward: not allowed; plain SPDY needs it, and from Kubernetes 1.35 on every WebSocket ({denial})"
            ),
        ]
    );
    assert!(
        ended.stdout[8].starts_with(
            "FAIL  form         tunnel: forwarding to this pod is not allowed (403 Forbidden): "
        ),
        "{}",
        ended.stdout[8]
    );
    assert_eq!(
        ended.stdout[9],
        "skip  form         v4: connects to a port by its upgrade; give one to try it"
    );
    let role = ended.stdout.iter().position(|line| line.starts_with("# What is lacking")).unwrap();
    assert_eq!(ended.stdout[role + 1], "apiVersion: rbac.authorization.k8s.io/v1");
    assert_eq!(ended.stdout.last().unwrap(), "  apiGroup: rbac.authorization.k8s.io");
    assert_eq!(ended.code, Some(1));
    // Of an older server a WebSocket needs no more, and so nothing is missing.
    let builder = TestCluster::builder().tls().rbac().version(Version::new(34));
    let old = Secure::with(builder);
    let kubeconfig = grant(&old);
    web(&old);
    old.cluster.deny(Rule::of("jane").verbs(["create"]).on("pods/portforward"));
    let ended = old.run("check web-0", &kubeconfig);
    assert!(
        ended.stdout[6].starts_with("note  permission   create pods/portforward: not allowed"),
        "{}",
        ended.stdout[6]
    );
    assert_eq!(ended.code, Some(0), "{:?}", ended.stdout);
}

#[test]
fn without_ports_no_program_in_the_pod_notices_anything() {
    let secure = Secure::with(TestCluster::builder());
    let web = web(&secure);
    let kubeconfig = secure.cluster.kubeconfig().unwrap();
    assert_eq!(secure.run("check web-0", &kubeconfig).code, Some(0));
    assert_eq!(web.connections(), 0);
    // One in the form that is picked, and one of v4's upgrade.
    assert_eq!(secure.run("check web-0 8080", &kubeconfig).code, Some(0));
    assert_eq!(web.connections(), 2);
}

#[test]
fn a_wire_form_that_the_server_does_not_take_is_no_failure_where_another_is_taken() {
    let forms = |forms: &[WireForm], args: &str| {
        let secure = Secure::with(TestCluster::builder().version(Version::new(30)).forms(forms));
        web(&secure);
        let ended = secure.run(args, &secure.cluster.kubeconfig().unwrap());
        let lines = ended.stdout.into_iter().filter(|line| line.contains("  form  "));
        (lines.collect::<Vec<_>>(), ended.code)
    };
    let unknown = "the server knows none of the subprotocols offered (403 Forbidden)";
    let (lines, code) = forms(&[WireForm::V4, WireForm::Spdy], "check web-0 8080");
    assert_eq!(
        lines,
        [
            &format!("note  form         tunnel: {unknown}"),
            "ok    form         v4, _ ms, picked",
            "ok    form         spdy, _ ms",
        ]
    );
    assert_eq!(code, Some(0));
    let (lines, code) = forms(&[WireForm::V4], "check web-0 8080 --protocol tunnel");
    assert_eq!(lines[0], format!("FAIL  form         tunnel: {unknown}"));
    assert_eq!(lines[1], "ok    form         v4, _ ms");
    assert!(lines[2].starts_with("note  form         spdy: "), "{}", lines[2]);
    assert_eq!(code, Some(1));
}

#[test]
fn each_port_says_how_it_is() {
    let secure = Secure::with(TestCluster::builder());
    let pod = web(&secure);
    let kubeconfig = secure.cluster.kubeconfig().unwrap();
    let ports = |args: &str| {
        let ended = secure.run(args, &kubeconfig);
        let lines = ended.stdout.into_iter().filter(|line| line.contains("  port  "));
        (lines.collect::<Vec<_>>(), ended.code)
    };
    let refused = |port| {
        format!(
            "FAIL  port         {port}, refused: error forwarding port {port} to pod web-0, uid : failed to connect to localhost:{port} inside namespace: dial tcp4 127.0.0.1:{port}: connect: connection refused"
        )
    };
    for protocol in ["tunnel", "v4", "spdy"] {
        let (lines, code) =
            ports(&format!("check web-0 8080 9000 ssh 123:7 --protocol {protocol}"));
        assert_eq!(
            lines,
            [
                "ok    port         8080, open".to_owned(),
                refused(9000),
                "ok    port         ssh -> 22, open".to_owned(),
                "ok    port         7, open".to_owned(),
            ],
            "{protocol}"
        );
        assert_eq!(code, Some(1));
    }
    let (lines, code) = ports("check web-0 nine");
    assert_eq!(
        lines,
        [
            "FAIL  port         nine: pod 'web-0' does not have a named port 'nine'; of named ports it has http, ssh, echo, gone"
        ]
    );
    assert_eq!(code, Some(1));
    pod.lie(Lie::Ends);
    assert_eq!(ports("check web-0 7").0, ["ok    port         7, open, ends at once"]);
    pod.lie(Lie::Hangs);
    assert_eq!(ports("check web-0 7").0, ["ok    port         7, open"]);
}

#[test]
fn rates_are_measured_by_an_echo_and_by_nothing_else() {
    let secure = Secure::with(TestCluster::builder());
    web(&secure);
    let kubeconfig = secure.cluster.kubeconfig().unwrap();
    let rate = |port: &str| {
        let ended = secure.run(&format!("check web-0 -o json --rate {port}"), &kubeconfig);
        let last: Value = serde_json::from_str(ended.stdout.last().unwrap()).unwrap();
        assert_eq!(last["check"], "rate");
        (last, ended.code)
    };
    let (line, code) = rate("echo");
    let (bytes, took) = (line["bytes"].as_f64().unwrap(), line["took_ms"].as_f64().unwrap());
    let told = line["bytes_per_second"].as_f64().unwrap();
    assert!(bytes >= 1024.0 * 1024.0 && (told / (bytes / took * 1e3) - 1.0).abs() < 0.01, "{line}");
    assert_eq!((line["result"].as_str(), code), (Some("ok"), Some(0)));
    let instead =
        "nothing was measured, for which the port has to be an echo: it sends back what it is sent";
    let (line, code) = rate("ssh");
    assert_eq!(
        line["problem"],
        format!("it ended before it had sent back what it was sent; {instead}")
    );
    assert_eq!((line["bytes"].as_u64(), code), (Some(0), Some(1)));
    let problem = rate("gone").0["problem"].to_string();
    assert!(problem.contains("connection refused") && problem.contains(instead), "{problem}");
}

#[test]
fn a_pod_that_does_not_run_is_the_end() {
    let secure = Secure::with(TestCluster::builder());
    secure.cluster.pod("web-0").pending().create();
    let ended = secure.run("check web-0 80", &secure.cluster.kubeconfig().unwrap());
    let last = ended.stdout.last().unwrap();
    assert_eq!(
        last,
        "FAIL  target       pod/web-0 -> pod web-0, Pending, not ready, declares no port: pod 'web-0' is not running: it is Pending"
    );
    assert_eq!(ended.code, Some(1));
}

#[test]
fn a_pod_that_is_not_ready_is_a_note() {
    let secure = Secure::with(TestCluster::builder());
    web(&secure).set_ready(false);
    let ended = secure.run("check web-0", &secure.cluster.kubeconfig().unwrap());
    let target = ended.stdout.iter().find(|line| line.contains("  target  ")).unwrap();
    assert!(
        target.starts_with("note  target       pod/web-0 -> pod web-0, Running, not ready, "),
        "{target}"
    );
    assert!(target.contains(": a forward leads there all the same; "), "{target}");
    assert_eq!(ended.code, Some(0));
}

#[test]
fn a_server_that_says_nothing_ends_it_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let holding = std::thread::spawn(move || {
        let (mut held, _) = silent.accept().unwrap();
        let mut all = Vec::new();
        // Until portway gives up.
        let _ = held.read_to_end(&mut all);
        all.starts_with(b"GET /version HTTP/1.1\r\n")
    });
    let started = Instant::now();
    let args = format!("check web-0 --server {url} --request-timeout 1s");
    let ended = Portway::spawn(command(&args).env_remove("KUBECONFIG").env("HOME", "/nonexistent"));
    let ended = ended.end();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(
        ended.stdout[1],
        "FAIL  server       cannot get the server's version: the API server did not answer within 1 s"
    );
    assert_eq!((ended.stdout.len(), ended.code), (2, Some(1)));
    assert!(holding.join().unwrap());
}

#[test]
fn quiet_leaves_the_exit_code() {
    let secure = Secure::with(TestCluster::builder());
    web(&secure);
    let kubeconfig = secure.cluster.kubeconfig().unwrap();
    for (args, code) in [("check web-0 8080 -q", 0), ("check web-0 9000 --quiet", 1)] {
        let ended = secure.run(args, &kubeconfig);
        assert_eq!((ended.stdout.len(), ended.stderr.len(), ended.code), (0, 0, Some(code)));
    }
}

#[test]
fn nonsense_is_refused_before_anything_is_asked() {
    for (args, begin) in [
        ("check", "the following required arguments were not provided: <TARGET>"),
        (
            "check node/x",
            "invalid value 'node/x' for '<TARGET>': nothing can be forwarded to a 'node'",
        ),
        (
            "check web-0 a:b",
            "invalid value 'a:b' for '[[LOCAL:]REMOTE]...': cannot forward port 'a:b': local port 'a' is a name",
        ),
        (
            "check web-0 53/udp",
            "invalid value '53/udp' for '[[LOCAL:]REMOTE]...': UDP protocol is not supported for 53/udp",
        ),
    ] {
        let ended = run(args);
        assert!(ended.stderr[0].starts_with(&format!("error: {begin}")), "{:?}", ended.stderr);
        assert_eq!((ended.stderr.len(), ended.stdout.len(), ended.code), (1, 0, Some(2)));
    }
}
