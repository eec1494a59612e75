//! Side by side with the real kubectl: the same words, the same ports, the same exit codes.
#![cfg(unix)]

use std::net::TcpListener;
use std::process::{Command, Stdio};

use portway_interop::Kubectl;
use portway_testcluster::Program;
use rustix::process::Signal;
use tempfile::NamedTempFile;

use crate::cluster::{Cluster, expect_echo};
use crate::process::{Portway, command};

/// A cluster with a pod, a service whose ports are others than the pod's, and one that has none.
fn cluster() -> (Cluster, NamedTempFile) {
    let cluster = Cluster::tls();
    cluster.service("front").selector("app", "web").port("www", 8080, "http").create();
    let pod = cluster.pod("two").port("http", 80, Program::echo());
    pod.port("sql", 5432, Program::echo()).create();
    let config = cluster.config_file();
    (cluster, config)
}

/// `kubectl port-forward ARGS`, and `portway ARGS`.
fn both(kubectl: &Kubectl, config: &NamedTempFile, args: &str) -> [Command; 2] {
    let flags = format!("--kubeconfig={}", config.path().display());
    let mut theirs = Command::new(kubectl.path());
    theirs.args(["port-forward", &flags]).args(args.split(' ')).env("HOME", "/nonexistent");
    theirs.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut ours = command(args);
    ours.arg(&flags);
    [theirs, ours]
}

/// A local port that nobody has.
fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The ports that are somebody's choice, by their places.
fn without(line: &str, chosen: bool) -> String {
    if !chosen {
        return line.to_owned();
    }
    let (before, rest) = line.rsplit_once(':').expect("a port");
    let (_, after) = rest.split_once(' ').expect("where it leads");
    format!("{before}:* {after}")
}

#[test]
fn what_is_forwarded_is_said_in_the_same_words_and_an_interrupt_is_the_same_end() {
    let (_cluster, config) = cluster();
    for kubectl in Kubectl::all() {
        let port = free();
        let other = free();
        for (args, lines) in [
            ("web :80".to_owned(), 2),
            ("pod/web 0:http".to_owned(), 2),
            (format!("pod/web {port}:80"), 2),
            (format!("pods/two {port}:http {other}:5432"), 4),
            (format!("svc/front {port}:8080"), 2),
            (format!("service/front {port}:www"), 2),
            (format!("web {port}:80 --address 127.0.0.3,127.0.0.2"), 2),
            (format!("web {port}:80 --address localhost,127.0.0.2"), 3),
            (format!("web {port}:80 -n default --pod-running-timeout=1m"), 2),
        ] {
            // One after the other: they want the same ports.
            let chosen = args.contains(" :") || args.contains(" 0:");
            let mut said = Vec::new();
            for mut command in both(&kubectl, &config, &args) {
                let forward = Portway::spawn(&mut command);
                let lines: Vec<_> =
                    (0..lines).map(|_| without(&forward.stdout.next(), chosen)).collect();
                forward.signal(Signal::INT);
                let ended = forward.end();
                said.push((lines, ended.code, ended.stderr));
            }
            assert_eq!(said[0], said[1], "{kubectl} {args}");
        }
    }
}

#[test]
fn what_cannot_be_forwarded_is_the_same_exit_code() {
    let (_cluster, config) = cluster();
    for kubectl in Kubectl::all() {
        for args in [
            "nobody :80",
            "svc/nobody :80",
            "svc/front :81",
            "svc/front :nothing",
            "web :nothing",
            "web :80 --context nowhere",
            "web :80 --cluster nowhere",
        ] {
            let [theirs, ours] =
                both(&kubectl, &config, args).map(|mut it| Portway::spawn(&mut it).end());
            assert_eq!(theirs.code, Some(1), "{kubectl} {args}: {theirs:?}");
            assert_eq!(ours.code, theirs.code, "{kubectl} {args}: {ours:?}");
            assert_eq!((ours.stdout.len(), theirs.stdout.len()), (0, 0), "{kubectl} {args}");
            assert_eq!((ours.stderr.len(), theirs.stderr.len()), (1, 1), "{kubectl} {args}");
        }
    }
}

#[test]
fn a_port_that_is_taken_is_named_in_the_same_words() {
    let (_cluster, config) = cluster();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for kubectl in Kubectl::all() {
        let args = format!("web {port}:80 --address 127.0.0.1");
        let [theirs, ours] =
            both(&kubectl, &config, &args).map(|mut it| Portway::spawn(&mut it).end());
        assert_eq!((ours.code, ours.stdout), (theirs.code, theirs.stdout), "{kubectl}");
        assert_eq!(ours.stderr, theirs.stderr, "{kubectl}");
        // One of two is enough.
        let args = format!("web {port}:80 :80 --address 127.0.0.1");
        for mut command in both(&kubectl, &config, &args) {
            let forward = Portway::spawn(&mut command);
            let said = forward.stderr.next();
            assert_eq!(said, ours.stderr[0], "{kubectl}");
            assert_ne!(forward.forwarding(80).port(), port);
        }
    }
}

#[test]
fn it_is_a_plugin_of_kubectl() {
    let (cluster, config) = cluster();
    let plugin = std::path::Path::new(env!("CARGO_BIN_EXE_kubectl-portway"));
    for kubectl in Kubectl::all() {
        let mut command = Command::new(kubectl.path());
        command.args(["portway", "svc/front", ":www", "--address", "127.0.0.1"]);
        command.env("HOME", "/nonexistent").env("KUBECONFIG", config.path());
        command.env("PATH", plugin.parent().expect("a folder"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let portway = Portway::spawn(&mut command);
        expect_echo(portway.forwarding(80), 1_000);
        portway.signal(Signal::INT);
        assert_eq!(portway.end().code, Some(0));
    }
    drop(cluster);
}
