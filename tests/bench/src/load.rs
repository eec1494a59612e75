use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::child::{Process, Usage};
use crate::site::{ECHO, SINK, SOURCE, index};

const PATIENCE: Duration = Duration::from_secs(60);

/// Which way the bytes of a bulk transfer go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Down,
    Up,
}

impl Way {
    pub(crate) const BOTH: [Self; 2] = [Self::Down, Self::Up];
}

/// One bulk transfer through a forwarder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bulk {
    pub(crate) took: Duration,
    pub(crate) used: Usage,
}

pub(crate) fn bulk(forwarder: &mut Process, way: Way, bytes: usize) -> Bulk {
    let before = forwarder.usage();
    let start = Instant::now();
    transfer(forwarder, way, bytes);
    let took = start.elapsed();
    Bulk { took, used: forwarder.usage().since(before) }
}

pub(crate) fn transfer(forwarder: &Process, way: Way, bytes: usize) {
    let mut buffer = vec![b'y'; 512 * 1024];
    let port = if way == Way::Down { SOURCE } else { SINK };
    let mut stream = open(forwarder.addrs[index(port)]);
    stream.write_all(format!("{bytes}\n").as_bytes()).expect("send how much");
    match way {
        Way::Down => {
            let mut left = bytes;
            while left > 0 {
                let read = stream.read(&mut buffer).expect("read the download");
                assert!(read > 0, "the download lacks its last {left} bytes");
                left = left.checked_sub(read).expect("no more than asked for");
            }
        }
        Way::Up => {
            let mut left = bytes;
            while left > 0 {
                let now = left.min(buffer.len());
                stream.write_all(&buffer[..now]).expect("write the upload");
                left -= now;
            }
            // Not to the end: runtimes of today let that wait for a second.
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer).expect("the answer");
            assert!(answer.starts_with(&bytes.to_string()), "the sink said {answer:?}");
        }
    }
}

/// How long echoes of 64 bytes take over one connection, sorted.
pub(crate) fn echoes(forwarder: &Process, count: usize) -> Vec<Duration> {
    let mut stream = open(forwarder.addrs[index(ECHO)]);
    for _ in 0..count / 10 {
        echo(&mut stream);
    }
    let mut took: Vec<Duration> = (0..count).map(|_| echo(&mut stream)).collect();
    took.sort_unstable();
    took
}

/// How long it takes from no connection to the first echo, sorted.
pub(crate) fn connects(forwarder: &Process, count: usize) -> Vec<Duration> {
    let connect = |_| {
        let start = Instant::now();
        echo(&mut open(forwarder.addrs[index(ECHO)]));
        start.elapsed()
    };
    let mut took: Vec<Duration> = (0..count).map(connect).collect();
    took.sort_unstable();
    took
}

/// Connects and echoes in a second, so many at a time.
pub(crate) fn storm(forwarder: &Process, at_a_time: usize, count: usize) -> f64 {
    let addr = forwarder.addrs[index(ECHO)];
    let left = AtomicUsize::new(count);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    .is_ok()
                {
                    echo(&mut open(addr));
                }
            });
        }
    });
    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    let count = count as f64;
    count / start.elapsed().as_secs_f64()
}

/// Resident memory in KiB that the process holds for each of many idle connections, after each has
/// moved so many bytes both ways, and while they are still open.
pub(crate) fn idle(forwarder: &Process, connections: usize, bytes: usize) -> f64 {
    // What the first connections set up is not any connection's.
    for _ in 0..4 {
        burst(&open(forwarder.addrs[index(ECHO)]), bytes);
    }
    thread::sleep(Duration::from_secs(1));
    let before = resident_kib(forwarder.id());
    let mut open_ones = Vec::new();
    for _ in 0..connections {
        let stream = open(forwarder.addrs[index(ECHO)]);
        burst(&stream, bytes);
        open_ones.push(stream);
    }
    thread::sleep(Duration::from_secs(2));
    let after = resident_kib(forwarder.id());
    // They are still there.
    for stream in &mut open_ones {
        echo(stream);
    }
    #[allow(clippy::cast_precision_loss, reason = "KiB of one process")]
    let kib = after.saturating_sub(before) as f64 / connections as f64;
    kib
}

fn burst(stream: &TcpStream, bytes: usize) {
    let (mut reader, mut writer) = (stream, stream);
    thread::scope(|scope| {
        scope.spawn(move || writer.write_all(&vec![b'z'; bytes]).expect("write the burst"));
        reader.read_exact(&mut vec![0; bytes]).expect("read the burst");
    });
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("there is /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("KiB")
}

fn echo(stream: &mut TcpStream) -> Duration {
    let mut bytes = [7; 64];
    let start = Instant::now();
    stream.write_all(&bytes).expect("send 64 bytes");
    stream.read_exact(&mut bytes).expect("read 64 bytes");
    start.elapsed()
}

fn open(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("connect to the forwarder");
    stream.set_nodelay(true).expect("set an option");
    stream.set_read_timeout(Some(PATIENCE)).expect("set an option");
    stream.set_write_timeout(Some(PATIENCE)).expect("set an option");
    stream
}
