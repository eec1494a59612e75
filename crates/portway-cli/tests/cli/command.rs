//! `portway TARGET PORTS -- CMD`

use std::net::TcpListener;

use crate::cluster::{Cluster, expect_echo};
use crate::process::{Portway, command, run};

/// A shell that runs `script` under a forward to the cluster's pod.
fn script(cluster: &Cluster, args: &str, script: &str) -> Portway {
    let mut command =
        command(&format!("{args} --address 127.0.0.1 --server {} -- sh -c", cluster.url()));
    Portway::spawn(command.arg(script))
}

#[test]
fn a_command_finds_the_ports_and_its_exit_code_is_ours() {
    let cluster = Cluster::start();
    let ended = script(
        &cluster,
        "web :80 :http",
        "echo $PORTWAY_ADDR $PORTWAY_PORT $PORTWAY_WEB_80_ADDR $PORTWAY_WEB_80_PORT $PORTWAY_WEB_HTTP_ADDR; exit 42",
    )
    .end();
    assert_eq!(ended.code, Some(42), "{ended:?}");
    let [line] = ended.stdout.as_slice() else { panic!("{ended:?}") };
    let words: Vec<&str> = line.split(' ').collect();
    let [addr, port, named_addr, named_port, http] = words[..] else { panic!("{line}") };
    assert_eq!(addr, format!("127.0.0.1:{port}"));
    assert_eq!((named_addr, named_port), (addr, port));
    assert_ne!(http, addr);
    assert_eq!(
        ended.stderr,
        [format!("Forwarding from {addr} -> 80"), format!("Forwarding from {http} -> 80")]
    );
}

#[test]
fn a_command_has_the_forward_for_as_long_as_it_runs_and_its_streams_to_itself() {
    let cluster = Cluster::start();
    let mut command = command(&format!(
        "web :80 --quiet --address 127.0.0.1 --server {} -- sh -c",
        cluster.url()
    ));
    command.arg("echo $PORTWAY_ADDR; read line; echo heard $line; echo oh >&2");
    let (reader, mut writer) = std::io::pipe().unwrap();
    let portway = Portway::spawn(command.stdin(reader));
    let local = portway.stdout.next().parse().unwrap();
    expect_echo(local, 100_000);
    std::io::Write::write_all(&mut writer, b"me\n").unwrap();
    let ended = portway.end();
    assert_eq!((ended.code, ended.stdout), (Some(0), vec!["heard me".to_owned()]));
    assert_eq!(ended.stderr, ["oh"]);
    assert!(std::net::TcpStream::connect(local).is_err(), "the forward went with it");
}

#[test]
#[cfg(unix)]
fn a_signal_is_passed_on_and_one_that_ends_the_command_is_told_as_shells_do() {
    use rustix::process::Signal;
    let cluster = Cluster::start();
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT")] {
        let portway = script(
            &cluster,
            "web :80 --quiet",
            // Killed before it is a `sleep` of its own, it would live on, and must not hold our output.
            &format!(
                "trap 'echo got {name}; kill $!; exit 7' {name}; sleep 60 >&- 2>&- & echo up; wait"
            ),
        );
        assert_eq!(portway.stdout.next(), "up");
        portway.signal(signal);
        let ended = portway.end();
        assert_eq!((ended.code, ended.stdout), (Some(7), vec![format!("got {name}")]));
    }
    let ended = script(&cluster, "web :80 --quiet", "kill -KILL $$").end();
    assert_eq!(ended.code, Some(128 + 9));
}

#[test]
fn a_command_that_cannot_run_is_named() {
    let cluster = Cluster::start();
    let args = format!("web :80 --quiet --server {}", cluster.url());
    let ended = run(&format!("{args} -- /nowhere/at-all"));
    ended.expect_error(
        127,
        "error: cannot run /nowhere/at-all: No such file or directory (os error 2)",
    );
    let ended = run(&format!("{args} -- /"));
    ended.expect_error(126, "error: cannot run /: Permission denied (os error 13)");
}

#[test]
fn a_command_is_not_run_unless_every_port_is_open() {
    let cluster = Cluster::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let in_use = TcpListener::bind(("127.0.0.1", port)).unwrap_err();
    let ended = script(&cluster, &format!("web {port}:80 :81"), "echo ran").end();
    ended.expect_error(
        1,
        &format!(
            "error: cannot listen on 127.0.0.1:{port} for port 80 of the pod: {in_use}; give another local port, or :80 for a free one"
        ),
    );
    let ended = script(&cluster, "nobody :80", "echo ran").end();
    ended.expect_error(
        1,
        "error: cannot get pod 'nobody' in namespace default: pods \"nobody\" not found (404 Not Found); in namespace default there is web",
    );
}
