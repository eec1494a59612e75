use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::process::Signal;

use crate::cluster::{Cluster, expect_echo};
use crate::process::{PATIENCE, Portway, run};

/// An echo of a few bytes.
#[track_caller]
fn expect_echo_at(path: &str) {
    let mut program = UnixStream::connect(path).unwrap();
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    program.write_all(b"there and back").unwrap();
    let mut back = [0; 14];
    program.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"there and back");
}

#[test]
fn a_unix_socket_leads_there_beside_a_port_and_is_gone_in_the_end() {
    let cluster = Cluster::start();
    let directory = tempfile::tempdir().unwrap();
    let path = format!("{}/web.sock", directory.path().display());
    let portway = Portway::start(&format!(
        "web unix:{path}:80 :80 --address 127.0.0.1 --half-close immediate --server {}",
        cluster.url()
    ));
    assert_eq!(portway.stdout.next(), format!("Forwarding from unix:{path} -> 80"));
    let port = portway.forwarding(80);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    expect_echo_at(&path);
    assert_eq!(portway.stdout.next(), format!("Handling connection for unix:{path}"));
    expect_echo(port, 10);
    assert_eq!(portway.stdout.next(), format!("Handling connection for {}", port.port()));
    portway.signal(Signal::INT);
    let ended = portway.end();
    assert_eq!((ended.code, ended.stderr), (Some(0), Vec::new()));
    assert!(!std::fs::exists(&path).unwrap());
}

#[test]
fn events_name_the_socket() {
    let cluster = Cluster::start();
    let directory = tempfile::tempdir().unwrap();
    let path = format!("{}/web.sock", directory.path().display());
    let portway = Portway::start(&format!("web unix:{path}:80 -o json --server {}", cluster.url()));
    let listening = portway.stdout.next();
    assert!(listening.contains(&format!(r#""local":"unix:{path}","remote":80"#)), "{listening}");
    portway.stdout.next();
    expect_echo_at(&path);
    let accepted = portway.stdout.next();
    assert!(accepted.contains(&format!(r#""local":"unix:{path}","remote":80"#)), "{accepted}");
}

#[test]
fn a_socket_that_somebody_has_is_theirs() {
    let cluster = Cluster::start();
    let directory = tempfile::tempdir().unwrap();
    let path = format!("{}/web.sock", directory.path().display());
    let theirs = UnixListener::bind(&path).unwrap();
    let line =
        |why: &str| format!("error: cannot listen on unix:{path} for port 80 of the pod: {why}");
    let args = format!("web unix:{path}:80 --server {}", cluster.url());
    run(&args).expect_error(1, &line("somebody listens there already"));
    // What a dead program has left is in nobody's way.
    drop(theirs);
    let portway = Portway::start(&args);
    assert_eq!(portway.stdout.next(), format!("Forwarding from unix:{path} -> 80"));
    expect_echo_at(&path);
}

#[test]
fn what_is_missing_is_said() {
    run("web unix:/tmp/web.sock").expect_error(
        2,
        "error: cannot forward port 'unix:/tmp/web.sock': a unix socket needs a path and a remote port; give unix:PATH:REMOTE (see portway --help)",
    );
}
