use std::io::{Read, Write};
use std::net::TcpStream;

use portway_testcluster::Program;

use crate::cluster::{Cluster, expect_echo};
use crate::process::{PATIENCE, Portway};

fn shop(cluster: &Cluster) -> portway_testcluster::Workload {
    cluster.deployment("shop", 1).port("http", 80, Program::echo()).create()
}

fn start(cluster: &Cluster, args: &str) -> Portway {
    let config = cluster.config_file();
    let (_, path) = config.keep().unwrap();
    Portway::start(&format!("{args} --address 127.0.0.1 --kubeconfig {}", path.display()))
}

/// The next line on stderr that begins like this.
fn told(portway: &Portway, start: &str) -> String {
    let mut lines = std::iter::repeat_with(|| portway.stderr.next());
    lines.find(|line| line.starts_with(start)).unwrap()
}

#[test]
fn a_pod_that_is_replaced_is_no_end() {
    let cluster = Cluster::tls();
    let shop = shop(&cluster);
    let portway = start(&cluster, "deployment/shop :80");
    let local = portway.forwarding(80);
    for _ in 0..3 {
        expect_echo(local, 10_000);
        assert_eq!(portway.stdout.next(), format!("Handling connection for {}", local.port()));
        let pod = shop.pods()[0].clone();
        pod.delete();
        // What was under way is cut, and who connects meanwhile waits, which may be said before or after.
        let said = told(&portway, &format!("lost pod {}: ", pod.name()));
        assert!(said.contains("deleted"), "{said}");
        let said = told(&portway, "connections go to pod ");
        let next = shop.pods()[0].name().to_owned();
        assert!(said.starts_with(&format!("connections go to pod {next} after ")), "{said}");
    }
}

#[test]
fn a_pod_that_is_restarted_is_no_end() {
    let cluster = Cluster::tls();
    let portway = start(&cluster, "web :80");
    let local = portway.forwarding(80);
    expect_echo(local, 10_000);
    cluster.find_pod("default", "web").restart();
    expect_echo(local, 10_000);
}

#[test]
fn without_reconnecting_a_pod_that_goes_ends_the_command_as_kubectls_does() {
    let cluster = Cluster::tls();
    let shop = shop(&cluster);
    let portway = start(&cluster, "deployment/shop :80 --reconnect off");
    let local = portway.forwarding(80);
    expect_echo(local, 10_000);
    let pod = shop.pods()[0].clone();
    pod.delete();
    let ended = portway.end();
    assert_eq!(ended.stderr.last().unwrap(), "error: lost connection to pod");
    assert_eq!(ended.code, Some(1));
}

#[test]
fn without_reconnecting_a_connection_to_the_server_that_is_cut_is_the_end_too() {
    for (args, goes_on) in [("--reconnect off", false), ("", true)] {
        let cluster = Cluster::tls();
        let portway = start(&cluster, &format!("web :80 {args}"));
        let local = portway.forwarding(80);
        let mut program = TcpStream::connect(local).unwrap();
        program.set_read_timeout(Some(PATIENCE)).unwrap();
        program.write_all(b"ping").unwrap();
        program.read_exact(&mut [0; 4]).unwrap();
        cluster.cut_connections();
        assert!(program.read(&mut [0]).is_err(), "it is reset");
        if goes_on {
            expect_echo(local, 10_000);
        } else {
            let ended = portway.end();
            assert_eq!(ended.stderr.last().unwrap(), "error: lost connection to pod");
            assert_eq!(ended.code, Some(1));
        }
    }
}

#[test]
fn the_ready_pods_take_turns_if_they_are_to() {
    let cluster = Cluster::tls();
    let names = Program::new(|mut stream| async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"hi").await;
    });
    cluster.deployment("shop", 3).port("http", 80, names).create();
    let portway = start(&cluster, "deployment/shop :80 --reconnect round-robin --output json");
    let mut local = None;
    while local.is_none() {
        let event: serde_json::Value = serde_json::from_str(&portway.stdout.next()).unwrap();
        local = event["local"].as_str().map(str::to_owned);
    }
    let mut pods = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let mut said = String::new();
        let mut stream = TcpStream::connect(local.as_deref().unwrap()).unwrap();
        stream.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hi");
        loop {
            let event: serde_json::Value = serde_json::from_str(&portway.stdout.next()).unwrap();
            if event["event"] == "connected" {
                pods.insert(event["pod"].as_str().unwrap().to_owned());
                break;
            }
        }
    }
    assert_eq!(pods.len(), 3, "{pods:?}");
}
