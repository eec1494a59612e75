//! What the tests of the server share: pods, and a client made of nothing but a socket.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod program;
pub mod wire;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use portway_driver::{Net, Port, Runtime};
use portway_server::{LocalPod, LocalPods, Server, ServerEvent};

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A pod: every connection to its port gets a thread with this behaviour.
pub fn pod(behaviour: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> Port {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = Port::new(listener.local_addr().unwrap().port()).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, behaviour) = (stream.unwrap(), behaviour.clone());
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
            std::thread::spawn(move || behaviour(stream));
        }
    });
    port
}

pub fn echo_pod() -> Port {
    pod(|mut stream| {
        let mut from = stream.try_clone().unwrap();
        let _ = std::io::copy(&mut from, &mut stream);
    })
}

/// Answers a line and closes.
pub fn answer_pod() -> Port {
    pod(|mut stream| {
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() && byte != *b"\n" {}
        stream.write_all(b"answer\n").unwrap();
    })
}

/// Says `partial` after the first byte, and resets.
pub fn reset_pod() -> Port {
    pod(|mut stream| {
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(b"partial").unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
}

/// A port that is taken and that nobody listens on, for as long as the socket lives.
pub fn refused_port() -> (Port, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    (Port::new(addr.port()).unwrap(), socket)
}

pub const LOCALHOST: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0));

/// A server of the pod `demo` in `default`, which has all ports of this machine.
pub fn server<R: Runtime + Net>(rt: &R) -> Server<R, LocalPods<R>> {
    let pods = LocalPods::new(rt.clone()).with("default", "demo", LocalPod::localhost());
    Server::new(rt.clone(), pods)
}

/// The same, and what it reports.
pub fn observed<R: Runtime + Net>(
    server: Server<R, LocalPods<R>>,
) -> (Server<R, LocalPods<R>>, Receiver<ServerEvent>) {
    let (sender, receiver) = channel();
    let server = server.with_observer(move |event| {
        let _ = sender.send(event);
    });
    (server, receiver)
}

/// A client made of nothing but a socket.
pub struct Raw(pub TcpStream);

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }
}

/// One WebSocket frame of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub fin: bool,
    pub payload: Vec<u8>,
}

pub fn frame(opcode: u8, payload: &[u8]) -> Frame {
    Frame { opcode, fin: true, payload: payload.to_vec() }
}

pub const API: &str = "/api/v1/namespaces/default/pods/demo/portforward";
pub const KUBELET: &str = "/portForward/default/demo";

/// A request that asks for v4, with further header lines.
pub fn v4_request(path: &str, more: &[&str]) -> String {
    upgrade_request(path, "v4.channel.k8s.io", more)
}

pub fn upgrade_request(path: &str, protocols: &str, more: &[&str]) -> String {
    let more: String = more.iter().map(|line| format!("{line}\r\n")).collect();
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {protocols}\r\n{more}\r\n"
    )
}

impl Raw {
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Asks on a connection of its own.
    pub fn ask(addr: SocketAddr, request: &str) -> Answer {
        let mut raw = Self::connect(addr);
        raw.send(request.as_bytes());
        raw.answer()
    }

    /// Upgraded to v4.
    pub fn v4(addr: SocketAddr, path: &str) -> Self {
        let mut raw = Self::connect(addr);
        raw.send(v4_request(path, &[]).as_bytes());
        let answer = raw.answer();
        assert_eq!(answer.status, 101, "{answer:?}");
        raw
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub fn answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("a whole head");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").or_else(|| line.split_once(":")).unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: String::new() };
        if status != 101 {
            assert_eq!(answer.header("Transfer-Encoding"), None, "{answer:?}");
            let length = answer.header("Content-Length").expect("a length").parse().unwrap();
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).unwrap();
            answer.body = String::from_utf8(body).unwrap();
        }
        answer
    }

    /// Sends one masked frame.
    pub fn send_frame(&mut self, opcode: u8, fin: bool, payload: &[u8]) {
        const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
        let mut bytes = vec![opcode | if fin { 0x80 } else { 0 }];
        match payload.len() {
            short @ 0..126 => bytes.push(0x80 | short as u8),
            medium @ 126..0x1_0000 => {
                bytes.push(0x80 | 126);
                bytes.extend((medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(0x80 | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(KEY);
        bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        self.send(&bytes);
    }

    /// Data on a channel.
    pub fn send_data(&mut self, channel: u8, data: &[u8]) {
        self.send_frame(2, true, &[&[channel], data].concat());
    }

    /// The next frame; `None` at the end of the transport.
    pub fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 2];
        if self.0.read_exact(&mut head).is_err() {
            return None;
        }
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let len = match head[1] {
            126 => {
                let mut len = [0; 2];
                self.0.read_exact(&mut len).unwrap();
                usize::from(u16::from_be_bytes(len))
            }
            127 => {
                let mut len = [0; 8];
                self.0.read_exact(&mut len).unwrap();
                usize::try_from(u64::from_be_bytes(len)).unwrap()
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; len];
        self.0.read_exact(&mut payload).unwrap();
        Some(Frame { opcode: head[0] & 0x0f, fin: head[0] & 0x80 != 0, payload })
    }

    /// All frames up to the end of the transport.
    pub fn frames(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.frame()).collect()
    }

    /// The transport ends without another byte.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, b"", "{:?}", String::from_utf8_lossy(&rest)),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

pub fn elapsed<T>(body: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let result = body();
    (result, started.elapsed())
}
