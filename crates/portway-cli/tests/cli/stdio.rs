//! `portway TARGET PORT --stdio`
#![cfg(unix)]

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;

use portway_testcluster::{Lie, Program};
use portway_tokio::RelayRules;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cluster::Cluster;
use crate::process::{PATIENCE, command, run};

fn start(cluster: &Cluster, args: &str) -> Child {
    let mut command: Command = command(&format!("{args} --stdio --server {}", cluster.url()));
    command.stdin(Stdio::piped()).spawn().unwrap()
}

/// Kills what does not end, so that a test of it fails.
struct Watchdog(Sender<()>);

impl Watchdog {
    fn over(child: &Child) -> Self {
        let (sender, done) = channel();
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        thread::spawn(move || {
            if done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        Self(sender)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn the_standard_streams_are_the_connection_and_nothing_else_is_said() {
    let cluster = Cluster::start();
    let mut child = start(&cluster, "web http");
    let _watchdog = Watchdog::over(&child);
    let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // A piece without the end of a line comes through while more is to come.
    stdin.write_all(b"ping").unwrap();
    let mut back = [0; 4];
    stdout.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"ping");
    let mut received = vec![0; sent.len()];
    thread::scope(|scope| {
        scope.spawn(|| stdin.write_all(&sent).unwrap());
        stdout.read_exact(&mut received).unwrap();
    });
    assert!(sent == received, "the bytes were changed");
    drop(stdin);
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((rest.len(), output.stderr.len()), (0, 0), "{output:?}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_end_of_standard_input_is_no_end_of_the_answer() {
    let program = Program::new(|mut stream| async move {
        let mut question = Vec::new();
        if stream.read_to_end(&mut question).await.is_ok() {
            let _ = stream.write_all(format!("it was {}", question.len()).as_bytes()).await;
        }
    });
    let cluster = Cluster::with_program(program, RelayRules::FAITHFUL);
    let mut child = start(&cluster, "web 80 --half-close immediate");
    child.stdin.take().unwrap().write_all(b"ask").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "it was 3");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

#[test]
fn a_pod_that_says_its_last_word_ends_it_although_standard_input_is_open() {
    let program = Program::source("bye");
    let cluster = Cluster::with_program(program, RelayRules::RUNTIME);
    let mut child = start(&cluster, "web 80");
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.stdout, b"bye");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

#[test]
fn a_refused_port_is_an_error_in_the_servers_words() {
    let cluster = Cluster::start();
    cluster.find_pod("default", "web").lie(Lie::Refuses);
    let ended = run(&format!("web 80 --stdio --server {}", cluster.url()));
    assert_eq!((ended.code, ended.stdout.len()), (Some(1), 0), "{ended:?}");
    let [error] = ended.stderr.as_slice() else { panic!("{ended:?}") };
    assert!(error.starts_with("error: error forwarding port 80 to pod "), "{error}");
    assert!(error.ends_with("connection refused"), "{error}");
}

#[test]
fn it_is_one_port_and_no_local_one() {
    for args in ["web 80 81", "web 80 svc/web 81", "-l app=web 80 81"] {
        run(&format!("{args} --stdio --server http://127.0.0.1:1"))
            .expect_error(2, "error: --stdio is for one port; give one target and one port of it");
    }
    run("web 8080:80 --stdio --server http://127.0.0.1:1")
        .expect_error(2, "error: --stdio opens no local port; give 80 in place of 8080:80");
}
