//! What the server allows: a forwarder that does nothing but replay fixed SPDY bytes on sessions that
//! stand, once with nothing between two connections, and once with the same bytes as portway: the five
//! pings that prove a session healthy before it is used again, their answers awaited. Beside it the same
//! load through a plain relay, through kubectl, and through any forwarder that is named.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it is for")]
#![allow(clippy::unwrap_used, reason = "a figure or nothing")]

use std::collections::VecDeque;
use std::env;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use portway_interop::load::{self, Report};
use portway_interop::{Kubectl, Peer, Relay, Target, require_go};

const USAGE: &str = "\
usage: raw-spdy-echo [NAME=ADDRESS]...

Prints how long it takes from connecting to the first 64 bytes echoed, one after the other (median, p99),
and how many of these a second are done by 32 at once. NAME=ADDRESS is where another forwarder of
port 8080 listens.
";

/// How many in a row are measured.
const ROUNDS: usize = 500;
const WORKERS: usize = 32;
/// In turn, where the last one's pings have to be answered first.
const SESSIONS: usize = 8;
const PINGS: u32 = 5;
/// The first word of a PING.
const PING: u32 = 0x8003_0006;
const ECHO: usize = 64;

fn main() {
    let named: Vec<(String, SocketAddr)> = env::args()
        .skip(1)
        .map(|arg| match arg.split_once('=') {
            Some((name, addr)) if addr.parse::<SocketAddr>().is_ok() => {
                (name.to_owned(), addr.parse().unwrap())
            }
            _ => {
                eprint!("{USAGE}");
                std::process::exit(2);
            }
        })
        .collect();
    assert!(require_go(), "there is no Go");
    let peer = Peer::start();
    println!(
        "{:<24} {:>12} {:>12} {:>14}",
        "connect and first echo", "median", "p99", "32 at once"
    );

    let relay = Relay::start([8080], |port| peer.pod_addr(port), None);
    through("relay", &Target::new(relay.addrs()));
    for (tunnelled, form) in [(true, "tunnel"), (false, "plain")] {
        for (checked, how) in [(false, ""), (true, ", checked")] {
            let raw = Raw::start(&peer, tunnelled, checked).unwrap();
            through(&format!("raw, {form}{how}"), &Target::new(move |_| raw.addr));
        }
    }
    for (kubectl, websockets) in
        Kubectl::all().into_iter().flat_map(|kubectl| [(kubectl.clone(), true), (kubectl, false)])
    {
        let form = if websockets { "tunnel" } else { "plain" };
        let forward = kubectl.port_forward("demo", &[8080]).server(&peer.server());
        match forward.websockets(websockets).start() {
            Ok(running) => through(&format!("{kubectl}, {form}"), &Target::new(running.addrs())),
            Err(exit) => println!("{kubectl}, {form}: {exit:?}"),
        }
    }
    for (name, addr) in named {
        through(&name, &Target::new(move |_| addr));
    }
}

/// Through a forwarder's listener.
fn through(name: &str, target: &Target) {
    let figure = |report: &Report, name: &str| {
        report.figures.iter().find(|figure| figure.name == name).map_or(f64::NAN, |it| it.value)
    };
    let sequential = load::scenario_sequential(target, ROUNDS).unwrap_or_else(failed(name));
    let storm = load::scenario_storm(target).unwrap_or_else(failed(name));
    row(
        name,
        figure(&sequential, "connect and echo: median"),
        figure(&sequential, "p99"),
        figure(&storm, "connect and echo"),
    );
}

fn failed(name: &str) -> impl Fn(String) -> Report {
    move |error| {
        eprintln!("{name}: {error}");
        Report::default()
    }
}

fn row(name: &str, median: f64, p99: f64, per_second: f64) {
    println!("{name:<24} {median:>9.2} ms {p99:>9.2} ms {per_second:>12.0}/s");
}

/// Forwards the echo over bytes that are known beforehand, on sessions that stand.
struct Raw {
    addr: SocketAddr,
}

impl Raw {
    /// As many connections at once as the load makes. Checked: five pings after each, and another
    /// session for the next until they are answered.
    fn start(peer: &Peer, tunnelled: bool, checked: bool) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        for _ in 0..WORKERS {
            let listener = listener.try_clone()?;
            let sessions = if checked { SESSIONS } else { 1 };
            let sessions = (0..sessions).map(|_| Session::open(peer, tunnelled));
            let mut sessions = sessions.collect::<io::Result<VecDeque<_>>>()?;
            thread::spawn(move || {
                loop {
                    let (local, _) = listener.accept().unwrap();
                    let mut session = sessions.pop_front().unwrap();
                    session.await_pongs().unwrap();
                    session.echo(local).unwrap();
                    session.end_stream(checked).unwrap();
                    sessions.push_back(session);
                }
            });
        }
        Ok(Self { addr: listener.local_addr()? })
    }
}

/// One SPDY session, and nothing behind it that could be slow.
struct Session {
    input: BufReader<TcpStream>,
    output: TcpStream,
    tunnelled: bool,
    /// Of the WebSocket frame that is being read, what is still to come.
    in_message: u64,
    streams: u32,
    /// Of all pings.
    unanswered: u32,
}

impl Session {
    fn open(peer: &Peer, tunnelled: bool) -> io::Result<Self> {
        let mut output = TcpStream::connect(peer.addr())?;
        output.set_nodelay(true)?;
        output.set_read_timeout(Some(Duration::from_secs(30)))?;
        let path = "/api/v1/namespaces/default/pods/demo/portforward?ports=8080";
        let head = if tunnelled {
            format!(
                "GET {path} HTTP/1.1\r\nHost: peer\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n"
            )
        } else {
            format!(
                "POST {path} HTTP/1.1\r\nHost: peer\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
                 Content-Length: 0\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n"
            )
        };
        output.write_all(head.as_bytes())?;
        let mut input = BufReader::with_capacity(64 * 1024, output.try_clone()?);
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            input.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
        Ok(Self { input, output, tunnelled, in_message: 0, streams: 0, unanswered: 0 })
    }

    /// Opens a forward, sends the 64 bytes of the program with it, and gives it the answer; until the
    /// program has gone.
    fn echo(&mut self, mut local: TcpStream) -> io::Result<()> {
        local.set_nodelay(true)?;
        let mut echo = [0; ECHO];
        local.read_exact(&mut echo)?;
        let (errors, data) = (4 * self.streams + 1, 4 * self.streams + 3);
        let mut bytes = Vec::with_capacity(512);
        syn_stream(&mut bytes, errors, "error", self.streams);
        syn_stream(&mut bytes, data, "data", self.streams);
        data_frame(&mut bytes, data, &echo, false);
        self.streams += 1;
        self.send(&bytes)?;

        let mut missing = ECHO;
        while missing > 0 {
            let (stream, payload) = self.frame()?;
            if stream == data {
                local.write_all(&payload)?;
                missing -= payload.len();
            }
            // All else is the end of an earlier one, or a SYN_REPLY that says nothing.
        }
        assert_eq!(local.read(&mut echo)?, 0, "more than one echo");
        Ok(())
    }

    /// Ends the last stream, and asks for the session's health.
    fn end_stream(&mut self, checked: bool) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(128);
        data_frame(&mut bytes, 4 * self.streams - 1, &[], true);
        if checked {
            for number in 0..PINGS {
                bytes.extend(PING.to_be_bytes());
                bytes.extend([0, 0, 0, 4]);
                bytes.extend((2 * (self.streams * PINGS + number) + 1).to_be_bytes());
            }
            self.unanswered += PINGS;
        }
        self.send(&bytes)
    }

    fn await_pongs(&mut self) -> io::Result<()> {
        while self.unanswered > 0 {
            self.frame()?;
        }
        Ok(())
    }

    /// The first word of the next frame, and what it carries.
    fn frame(&mut self) -> io::Result<(u32, Vec<u8>)> {
        let mut head = [0; 8];
        self.read(&mut head)?;
        let [a, b, c, d, _, length @ ..] = head;
        let first = u32::from_be_bytes([a, b, c, d]);
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        let mut payload = vec![0; length];
        self.read(&mut payload)?;
        self.unanswered -= u32::from(first == PING);
        Ok((first, payload))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.tunnelled {
            return self.output.write_all(bytes);
        }
        // One masked binary message; the mask is zero, and so changes nothing.
        let mut message = vec![0x82];
        match u16::try_from(bytes.len()) {
            Ok(length) if length < 126 => message.push(0x80 | length.to_be_bytes()[1]),
            Ok(length) => {
                message.push(0x80 | 126);
                message.extend(length.to_be_bytes());
            }
            Err(_) => unreachable!("fixed and short"),
        }
        message.extend([0; 4]);
        message.extend(bytes);
        self.output.write_all(&message)
    }

    fn read(&mut self, mut to: &mut [u8]) -> io::Result<()> {
        if !self.tunnelled {
            return self.input.read_exact(to);
        }
        while !to.is_empty() {
            while self.in_message == 0 {
                let mut head = [0; 2];
                self.input.read_exact(&mut head)?;
                // A message, or more of one.
                assert!(matches!(head[0] & 15, 0 | 2), "the server ended the session");
                let mut length = [0; 8];
                match head[1] {
                    126 => self.input.read_exact(&mut length[6..])?,
                    127 => self.input.read_exact(&mut length)?,
                    short => length[7] = short,
                }
                self.in_message = u64::from_be_bytes(length);
            }
            let here = usize::try_from(self.in_message).map_or(to.len(), |n| n.min(to.len()));
            let (now, later) = to.split_at_mut(here);
            self.input.read_exact(now)?;
            self.in_message -= here as u64;
            to = later;
        }
        Ok(())
    }
}

/// A SYN_STREAM whose headers are stored and not deflated, so that no compressor is needed.
fn syn_stream(out: &mut Vec<u8>, stream: u32, kind: &str, request: u32) {
    let request = request.to_string();
    let headers = [("port", "8080"), ("requestid", &request), ("streamtype", kind)];
    let mut block = 3_u32.to_be_bytes().to_vec();
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        block.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        block.extend(text.as_bytes());
    }
    let length = u16::try_from(block.len()).unwrap();
    let mut stored = Vec::new();
    if stream == 1 {
        stored.extend([0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2]);
    }
    stored.push(0);
    stored.extend(length.to_le_bytes());
    stored.extend((!length).to_le_bytes());
    stored.extend(block);
    stored.extend([0, 0, 0, 0xff, 0xff]);

    // Our half of the error stream ends with its first frame.
    let flags = u32::from(kind == "error") << 24;
    out.extend([0x80, 3, 0, 1]);
    out.extend((flags | u32::try_from(10 + stored.len()).unwrap()).to_be_bytes());
    out.extend(stream.to_be_bytes());
    out.extend([0; 6]);
    out.extend(stored);
}

fn data_frame(out: &mut Vec<u8>, stream: u32, payload: &[u8], last: bool) {
    let flags = u32::from(last) << 24;
    out.extend(stream.to_be_bytes());
    out.extend((flags | u32::try_from(payload.len()).unwrap()).to_be_bytes());
    out.extend(payload);
}
