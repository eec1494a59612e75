use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portway_testcluster::Program;
use portway_tokio::RelayRules;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::cluster::Cluster;
use crate::process::{PATIENCE, Portway};
use crate::v4_server::V4Server;

/// By default a silence has to last for 5 s where an answer is owed.
const SOONER: Duration = Duration::from_secs(4);

#[test]
fn a_program_that_ends_its_question_is_answered_at_once_when_ends_are_passed_on_immediately() {
    for protocol in ["tunnel", "spdy"] {
        let (cluster, ends) = reads_to_the_end();
        let (mut program, _portway) = ask(&cluster, "immediate", protocol);
        let asked = ends.recv_timeout(SOONER).expect("the end reaches the pod");
        assert_eq!(asked, Some(3));
        assert_eq!(answer(&mut program), "it was 3", "{protocol}");
    }
}

#[test]
fn an_end_is_passed_on_after_so_many_seconds_of_silence() {
    for protocol in ["tunnel", "spdy"] {
        let (cluster, ends) = reads_to_the_end();
        let begin = Instant::now();
        let (mut program, _portway) = ask(&cluster, "0.5", protocol);
        ends.recv_timeout(SOONER).expect("the end reaches the pod");
        assert!(begin.elapsed() >= Duration::from_millis(500), "{protocol}: not before");
        assert_eq!(answer(&mut program), "it was 3", "{protocol}");
    }
}

#[test]
fn an_end_is_never_passed_on_when_the_command_line_says_so() {
    for protocol in ["tunnel", "spdy"] {
        let (cluster, ends) = reads_to_the_end();
        let (_program, portway) = ask(&cluster, "never", protocol);
        // Longer than by default.
        let end = ends.recv_timeout(Duration::from_secs(6));
        assert_eq!(end, Err(RecvTimeoutError::Timeout), "{protocol}");
        drop(portway);
        // The pod is reset, and not given an end that nobody wrote.
        assert_eq!(ends.recv_timeout(PATIENCE), Ok(None), "{protocol}");
    }
}

#[test]
fn on_v4_the_session_of_a_pod_that_owes_nothing_is_given_up_after_so_many_seconds() {
    let (sender, ends) = channel();
    let server = V4Server::start(move |session| {
        session.announce(80);
        let asked = session.receive().is_some();
        if asked {
            while session.receive().is_some() {}
            let _ = sender.send(());
        }
    });
    let portway = Portway::start(&format!(
        "web :80 --half-close 0.1 --address 127.0.0.1 --server http://{}",
        server.address()
    ));
    let mut program = TcpStream::connect(portway.forwarding(80)).unwrap();
    program.write_all(b"ask").unwrap();
    program.shutdown(Shutdown::Write).unwrap();
    ends.recv_timeout(SOONER).expect("the session ends");
}

/// A program that answers once the question has ended, behind a runtime that passes ends on; it tells how
/// long the question was, unless it was reset.
fn reads_to_the_end() -> (Cluster, Receiver<Option<usize>>) {
    let (sender, ends) = channel();
    let program = Program::new(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut question = Vec::new();
            let read = stream.read_to_end(&mut question).await;
            let _ = sender.send(read.as_ref().ok().copied());
            if let Ok(len) = read {
                let _ = stream.write_all(format!("it was {len}").as_bytes()).await;
            }
        }
    });
    (Cluster::with_program(program, RelayRules::FAITHFUL), ends)
}

/// A program that asks for something and ends its sending.
fn ask(cluster: &Cluster, half_close: &str, protocol: &str) -> (TcpStream, Portway) {
    let portway = Portway::start(&format!(
        "web :80 --half-close {half_close} --protocol {protocol} --address 127.0.0.1 --server {}",
        cluster.url()
    ));
    let mut program = TcpStream::connect(portway.forwarding(80)).unwrap();
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    program.write_all(b"ask").unwrap();
    program.shutdown(Shutdown::Write).unwrap();
    (program, portway)
}

fn answer(program: &mut TcpStream) -> String {
    let mut answer = String::new();
    program.read_to_string(&mut answer).unwrap();
    answer
}
