#![cfg(unix)]

use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::Value;

use crate::cluster::{Cluster, expect_echo};
use crate::process::{PATIENCE, Portway, run};

/// What a script does: it waits until the file is there, and then it is whole.
fn read(path: &Path) -> Value {
    let late = Instant::now() + PATIENCE;
    loop {
        match std::fs::read(path) {
            Ok(content) => return serde_json::from_slice(&content).expect("all of it"),
            Err(error) => assert!(Instant::now() < late, "{error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_ports_are_in_a_file_for_as_long_as_they_are_open() {
    let cluster = Cluster::start();
    cluster.service("web").selector("app", "web").port("www", 8080, "http").create();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ports.json");
    let portway = Portway::start(&format!(
        "pod/web :80 svc/web :www --quiet --address 127.0.0.1 --server {} --ports-file {}",
        cluster.url(),
        path.display()
    ));
    let ports = read(&path);
    let at = |forward: usize, pointer: &str| {
        ports.pointer(&format!("/forwards/{forward}/{pointer}")).expect(pointer).clone()
    };
    assert_eq!((at(0, "forward"), at(0, "target")), ("pod/web".into(), "pod/web".into()));
    assert_eq!((at(1, "forward"), at(1, "target")), ("svc/web".into(), "service/web".into()));
    assert_eq!((at(0, "ports/0/port"), at(0, "ports/0/remote")), ("80".into(), 80.into()));
    assert_eq!((at(1, "ports/0/port"), at(1, "ports/0/remote")), ("www".into(), 80.into()));
    for forward in [0, 1] {
        let address = at(forward, "ports/0/addresses/0").as_str().unwrap().to_owned();
        assert_eq!(address, format!("127.0.0.1:{}", at(forward, "ports/0/local")));
        expect_echo(address.parse().unwrap(), 1_000);
    }
    portway.signal(Signal::TERM);
    let ended = portway.end();
    assert_eq!((ended.code, ended.stdout.len()), (Some(0), 0), "{ended:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it is gone");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let cluster = Cluster::start();
    let args = format!("web :80 --quiet --server {}", cluster.url());
    let ended = run(&format!("{args} --ports-file /nowhere/ports.json"));
    assert_eq!(ended.code, Some(1));
    let [error] = ended.stderr.as_slice() else { panic!("{ended:?}") };
    let start = "error: cannot write the ports file /nowhere/ports.json: No such file or directory";
    assert!(error.starts_with(start), "{error}");
}
