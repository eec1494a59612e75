use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use portway_testcluster::{Program, TestCluster, User};

use crate::cluster::{Cluster, expect_echo};
use crate::process::{PATIENCE, Portway};

#[test]
fn localhost_is_both_loopback_addresses_with_one_port() {
    let cluster = Cluster::start();
    let portway = Portway::start(&format!("web :80 --server {}", cluster.url()));
    let four = portway.forwarding(80);
    assert_eq!(four.ip().to_string(), "127.0.0.1");
    let mut ways = vec![four];
    if TcpListener::bind("[::1]:0").is_ok() {
        let six = portway.forwarding(80);
        assert_eq!(six.to_string(), format!("[::1]:{}", four.port()));
        ways.push(six);
    }
    for way in ways {
        expect_echo(way, 1024 * 1024);
        assert_eq!(portway.stdout.next(), format!("Handling connection for {}", four.port()));
    }
}

#[test]
fn every_address_of_a_list_is_opened_in_kubectls_order() {
    let cluster = Cluster::start();
    let portway = Portway::start(&format!(
        "pod/web :80 -n default --address 127.0.0.3,127.0.0.2 --server {}",
        cluster.url()
    ));
    let (two, three) = (portway.forwarding(80), portway.forwarding(80));
    assert_eq!(two.ip().to_string(), "127.0.0.2");
    assert_eq!(three.ip().to_string(), "127.0.0.3");
    assert_eq!(two.port(), three.port());
    expect_echo(two, 10);
    expect_echo(three, 10);
}

#[test]
fn the_local_port_asked_for_is_the_local_port() {
    // Free, because it was ours a moment ago, and on an address of its own.
    let local = TcpListener::bind("127.0.0.78:0").unwrap().local_addr().unwrap();
    let cluster = Cluster::start();
    let portway = Portway::start(&format!(
        "web {}:80 --address 127.0.0.78 --server {}",
        local.port(),
        cluster.url()
    ));
    assert_eq!(portway.stdout.next(), format!("Forwarding from {local} -> 80"));
    expect_echo(local, 10);
}

#[test]
fn a_refused_port_leaves_the_others_alone() {
    let cluster = Cluster::start();
    let portway =
        Portway::start(&format!("web :80 :81 --address 127.0.0.1 --server {}", cluster.url()));
    let (open, closed) = (portway.forwarding(80), portway.forwarding(81));
    for connection in [1, 3] {
        let mut program = TcpStream::connect(closed).unwrap();
        program.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(program.read(&mut [0]).is_err(), "it is reset");
        let said = portway.stderr.next();
        let name = format!("connection {connection} ({closed} -> 81): ");
        let text = said.strip_prefix(&name).expect("the connection, by its name");
        assert!(text.starts_with("error forwarding port 81 to pod "), "{text}");
        assert!(text.ends_with("connection refused"), "{text}");
        expect_echo(open, 100_000);
    }
}

#[test]
fn a_server_that_goes_away_ends_connections_and_not_the_command() {
    let cluster = Cluster::start();
    let portway =
        Portway::start(&format!("web :80 --address 127.0.0.1 --server {}", cluster.url()));
    let local = portway.forwarding(80);
    let mut program = TcpStream::connect(local).unwrap();
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    program.write_all(b"ping").unwrap();
    program.read_exact(&mut [0; 4]).unwrap();
    let at = cluster.url().replace("http://", "");
    // Its pods would end cleanly.
    cluster.cut_connections();
    drop(cluster);
    assert!(program.read(&mut [0]).is_err(), "it is reset");
    assert_eq!(
        portway.stderr.next(),
        format!("connection 1 ({local} -> 80): the connection to the server was lost")
    );
    let refused = TcpStream::connect(&at).unwrap_err();
    let mut late = TcpStream::connect(local).unwrap();
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(late.read(&mut [0]).is_err(), "it is reset");
    let said = format!("cannot reach http://{at}: {refused}");
    assert_eq!(portway.stderr.next(), format!("connections wait for a pod: {said}"));
    assert_eq!(portway.stderr.next(), format!("connection 2 ({local} -> 80): {said}"));
}

#[test]
fn without_a_probe_a_server_is_not_needed_before_a_program_connects() {
    let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let portway =
        Portway::start(&format!("web :80 --no-probe --address 127.0.0.1 --server http://{at}"));
    let local = portway.forwarding(80);
    drop(TcpStream::connect(local).unwrap());
    let refused = TcpStream::connect(at).unwrap_err();
    assert_eq!(
        portway.stderr.next(),
        format!("connection 1 ({local} -> 80): cannot reach http://{at}: {refused}")
    );
}

#[test]
fn a_listener_that_everybody_can_reach_is_warned_of() {
    let cluster = Cluster::start();
    let portway = Portway::start(&format!("web :80 --address 0.0.0.0 --server {}", cluster.url()));
    assert_eq!(portway.forwarding(80).ip().to_string(), "0.0.0.0");
    let warning = portway.stderr.next();
    assert!(warning.contains("WARN listening on a wildcard address"), "{warning}");
}

#[test]
fn a_token_over_plain_http_is_warned_of_and_never_shown() {
    let builder = TestCluster::builder().token("hunter2", User::admin());
    let cluster = Cluster::build(builder, Program::echo());
    let mut command = crate::process::command(&format!(
        "web :80 -vv --address 127.0.0.1 --server {}",
        cluster.url()
    ));
    let portway = Portway::spawn(command.args(["--header", "Authorization: Bearer hunter2"]));
    expect_echo(portway.forwarding(80), 10);
    let mut warned = false;
    while !warned {
        let line = portway.stderr.next();
        assert!(!line.contains("hunter2"), "{line}");
        warned = line.contains("a token goes over plain HTTP");
    }
}

#[test]
fn what_is_spoken_is_said_to_those_who_want_to_know() {
    let cluster = Cluster::start();
    let portway = Portway::start(&format!(
        "web :80 -v --protocol v4 --address 127.0.0.1 --server {}",
        cluster.url()
    ));
    expect_echo(portway.forwarding(80), 10);
    while !portway.stderr.next().contains("session stands form=v4.channel.k8s.io") {}
}
