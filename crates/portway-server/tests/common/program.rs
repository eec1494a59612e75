//! Programs at both ends of a forwarder that is not ours, and what is to be seen of it at the server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use portway_driver::Port;
use portway_interop::Pattern;
use portway_server::ServerEvent;

use super::{PATIENCE, pod};

/// A program that has connected.
pub fn open(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub fn echoes(stream: &mut TcpStream, said: &[u8]) {
    stream.write_all(said).unwrap();
    let mut back = vec![0; said.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, said);
}

/// A pod that echoes, and how many connections it has at the moment.
pub fn counted_pod() -> (Port, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&open);
    let port = pod(move |mut stream| {
        counter.fetch_add(1, Ordering::SeqCst);
        let mut from = stream.try_clone().unwrap();
        let _ = std::io::copy(&mut from, &mut stream);
        counter.fetch_sub(1, Ordering::SeqCst);
    });
    (port, open)
}

const BLOCK: usize = 64 * 1024;
const BLOCKS: usize = 1024;

/// A pod that sends 64 MiB once it has heard a byte, and closes.
pub fn source_pod() -> Port {
    pod(|mut stream| {
        stream.read_exact(&mut [0]).unwrap();
        send_pattern(&mut stream);
    })
}

/// A pod that expects 64 MiB, says so and closes.
pub fn sink_pod() -> Port {
    pod(|mut stream| {
        expect_pattern(&mut stream);
        stream.write_all(b"all of it").unwrap();
    })
}

/// Reads all that a [`source_pod`] sends.
pub fn downloads(stream: &mut TcpStream) {
    stream.write_all(b"?").unwrap();
    expect_pattern(stream);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

/// Sends a [`sink_pod`] what it expects.
pub fn uploads(stream: &mut TcpStream) {
    send_pattern(stream);
    let mut answer = [0; 9];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"all of it");
}

fn send_pattern(stream: &mut TcpStream) {
    let mut pattern = Pattern::new(0);
    let mut block = vec![0; BLOCK];
    for _ in 0..BLOCKS {
        pattern.fill(&mut block);
        stream.write_all(&block).unwrap();
    }
}

fn expect_pattern(stream: &mut TcpStream) {
    let mut pattern = Pattern::new(0);
    let mut block = vec![0; BLOCK];
    for _ in 0..BLOCKS {
        stream.read_exact(&mut block).unwrap();
        assert_eq!(pattern.check(&block), Ok(()));
    }
}

/// Sessions that were opened and that have ended, since this was asked last.
pub fn sessions(events: &Receiver<ServerEvent>) -> (usize, usize) {
    let (opened, ended): (Vec<_>, Vec<_>) = events
        .try_iter()
        .filter(|event| matches!(event, ServerEvent::Opened { .. } | ServerEvent::Ended { .. }))
        .partition(|event| matches!(event, ServerEvent::Opened { .. }));
    (opened.len(), ended.len())
}

#[track_caller]
pub fn soon(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is() {
        assert!(Instant::now() < deadline, "not yet: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
