#![cfg(unix)]

use std::io::{ErrorKind, PipeWriter, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use socket2::SockRef;

use crate::fake_server::{FakeServer, Then};
use crate::process::{PATIENCE, Portway, command};
use crate::v4_server::V4Server;

fn start(server: &V4Server) -> (Portway, SocketAddr) {
    let args = format!("web :80 --address 127.0.0.1 --server http://{}", server.address());
    let portway = Portway::start(&args);
    let local = portway.forwarding(80);
    (portway, local)
}

fn connect(local: SocketAddr) -> TcpStream {
    let program = TcpStream::connect(local).unwrap();
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    program
}

#[track_caller]
fn echoes(program: &mut TcpStream) {
    program.write_all(b"ping").unwrap();
    let mut back = [0; 4];
    program.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"ping");
}

/// Waits until nobody listens there any more. What it tries is reset, so that nothing of it lingers.
fn wait_until_closed(local: SocketAddr) {
    let late = Instant::now() + PATIENCE;
    while let Ok(program) = TcpStream::connect(local) {
        SockRef::from(&program).set_linger(Some(Duration::ZERO)).unwrap();
        assert!(Instant::now() < late, "it still listens");
        std::thread::yield_now();
    }
}

#[test]
fn an_interrupt_is_a_clean_end() {
    let server = V4Server::echo(80);
    for signal in [Signal::INT, Signal::TERM] {
        let (portway, local) = start(&server);
        let mut program = connect(local);
        echoes(&mut program);
        drop(program);
        portway.signal(signal);
        let ended = portway.end();
        assert_eq!((ended.code, ended.stderr.len()), (Some(0), 0), "{ended:?}");
        assert_eq!(ended.stdout, [format!("Handling connection for {}", local.port())]);
    }
}

#[test]
fn an_interrupt_before_the_server_has_answered_is_a_clean_end() {
    let server = FakeServer::start("", Then::Hold);
    let portway = Portway::start(&format!("web :80 --server http://{}", server.address()));
    server.request();
    portway.signal(Signal::INT);
    let ended = portway.end();
    assert_eq!((ended.code, ended.stdout.len(), ended.stderr.len()), (Some(0), 0, 0), "{ended:?}");
}

#[test]
fn what_is_under_way_may_finish_after_an_interrupt() {
    let server = V4Server::start(|session| {
        session.announce(80);
        // The probe says nothing.
        if session.receive().is_some() {
            session.send(0, b"wait");
            session.receive();
            session.send(0, b"answer");
            session.finish();
        }
    });
    let (portway, local) = start(&server);
    let mut program = connect(local);
    program.write_all(b"ask").unwrap();
    program.read_exact(&mut [0; 4]).unwrap();
    assert_eq!(portway.stdout.next(), format!("Handling connection for {}", local.port()));
    portway.signal(Signal::TERM);
    wait_until_closed(local);
    program.write_all(b"more").unwrap();
    let mut answer = String::new();
    program.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
    drop(program);
    let ended = portway.end();
    assert_eq!((ended.code, ended.stderr.len()), (Some(0), 0), "{ended:?}");
}

#[test]
fn what_does_not_finish_is_cut_off_after_two_seconds() {
    let server = V4Server::echo(80);
    let (portway, local) = start(&server);
    let mut program = connect(local);
    echoes(&mut program);
    let started = Instant::now();
    portway.signal(Signal::INT);
    let error = program.read(&mut [0; 4]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let ended = portway.end();
    assert!(started.elapsed() >= Duration::from_millis(1_900));
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stderr, ["a connection did not end in time and was cut off"]);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let server = V4Server::echo(80);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (portway, local) = start(&server);
        let mut program = connect(local);
        echoes(&mut program);
        portway.signal(Signal::INT);
        wait_until_closed(local);
        let started = Instant::now();
        portway.signal(signal);
        assert_eq!(portway.end().code, Some(code));
        assert!(started.elapsed() < Duration::from_millis(1_900), "it drained");
    }
}

#[test]
fn a_reader_that_goes_away_does_not_end_it() {
    let server = V4Server::echo(80);
    let args = format!("web :80 --address 127.0.0.1 --server http://{}", server.address());
    let (reader, writer) = std::io::pipe().unwrap();
    let portway = Portway::spawn(command(&args).stdout(writer));
    let local = first_address(reader);
    for _ in 0..3 {
        echoes(&mut connect(local));
    }
    portway.signal(Signal::INT);
    assert_eq!(portway.end().code, Some(0));
}

/// Reads the first line only, as `head -1` does, and closes.
fn first_address(mut reader: impl Read) -> SocketAddr {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte[0] != b'\n' {
        reader.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    let line = String::from_utf8(line).unwrap();
    let address = line.trim().strip_prefix("Forwarding from ").unwrap();
    address.strip_suffix(" -> 80").unwrap().parse().unwrap()
}

#[test]
fn a_reader_that_sleeps_holds_nothing_up() {
    // Free, because it was ours a moment ago, and on an address of its own.
    let local = TcpListener::bind("127.0.0.77:0").unwrap().local_addr().unwrap();
    let server = V4Server::echo(80);
    let args = format!(
        "web {}:80 --address 127.0.0.77 --server http://{}",
        local.port(),
        server.address()
    );
    let (_asleep, mut writer) = std::io::pipe().unwrap();
    fill(&mut writer);
    let portway = Portway::spawn(command(&args).stdout(writer).stderr(Stdio::piped()));
    let late = Instant::now() + PATIENCE;
    let mut program = loop {
        match TcpStream::connect(local) {
            Ok(program) => break program,
            Err(error) => assert!(Instant::now() < late, "{error}"),
        }
    };
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    echoes(&mut program);
    program.shutdown(Shutdown::Both).unwrap();
    drop(program);
    portway.signal(Signal::INT);
    assert_eq!(portway.end().code, Some(0));
}

/// Until nothing fits any more.
fn fill(pipe: &mut PipeWriter) {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let flags = fcntl_getfl(&*pipe).unwrap();
    fcntl_setfl(&*pipe, flags | OFlags::NONBLOCK).unwrap();
    while pipe.write(&[b'-'; 4096]).is_ok() {}
    fcntl_setfl(&*pipe, flags).unwrap();
}
