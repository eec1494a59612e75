//! The session on the wire, seen by clients that are not ours: a script that plays the transcripts of
//! real peers, and tungstenite.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::net::{SocketAddr, TcpStream};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::*;
use portway_driver::proto::Config;
use portway_driver::{Net, Port, ReadBuf, Runtime, Socket};
use portway_runtimes::on_every_runtime;
use portway_server::{
    Limits, LocalPod, LocalPods, NoPod, PodError, Pods, Server, ServerEvent, Target,
};
use portway_testkit::transcript::{Entry, Seen, Transcript};
use tungstenite::protocol::frame::Frame as WsFrame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Message, WebSocket};

on_every_runtime!(
    the_transcripts_of_real_peers_are_replayed_byte_for_byte,
    tungstenite_gets_what_it_sends,
    tungstenite_may_fragment,
    a_close_of_the_client_ends_everything,
    a_frame_without_a_mask_ends_the_session,
    a_message_over_the_limit_ends_the_session,
    an_idle_session_ends,
    a_pod_that_breaks_while_written_to_is_read_to_its_end,
);

fn number(port: u16) -> Port {
    Port::new(port).unwrap()
}

fn at(port: Port) -> SocketAddr {
    ([127, 0, 0, 1], port.get()).into()
}

/// The pods of the transcripts; 8085 is refused.
fn demo() -> LocalPod {
    let hello = pod(|mut stream| stream.write_all(b"hello from the pod\n").unwrap());
    LocalPod::closed()
        .with_port(number(8080), at(echo_pod()))
        .with_port(number(8081), at(hello))
        .with_port(number(8083), at(reset_pod()))
        .with_port(number(8084), at(answer_pod()))
}

async fn the_transcripts_of_real_peers_are_replayed_byte_for_byte<R: Runtime + Net>(rt: R) {
    let pods = LocalPods::new(rt.clone()).with("default", "demo", demo());
    // The reference hangs up behind its Close; we wait for an answer, which the script does not give.
    let config = Config::server().with_close_timeout(Duration::from_millis(50));
    let server = Server::new(rt.clone(), pods).with_session(config);
    let serving = server.listen(LOCALHOST).await.unwrap();
    let transcripts = Transcript::load_all("v4-");
    assert!(transcripts.len() >= 11, "{}", transcripts.len());
    // The runtime behind the proxy told these in words of its own.
    let foreign = ["v4-proxied-refused", "v4-proxied-pod-reset"];
    for transcript in transcripts.iter().filter(|it| !foreign.contains(&&*it.name)) {
        play(serving.local_addr(), transcript);
    }
}

fn play(addr: SocketAddr, transcript: &Transcript) {
    let name = &transcript.name;
    let mut raw = Raw::connect(addr);
    let mut request: String = transcript.request.iter().map(|line| format!("{line}\r\n")).collect();
    request.push_str("Host: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    raw.send(request.as_bytes());
    let answer = raw.answer();
    assert_eq!(answer.status, 101, "{name}: {answer:?}");
    for line in &transcript.response[1..] {
        let (header, value) = line.split_once(':').unwrap();
        match value.trim() {
            // Nothing was offered. The reference sends the header empty, which is an error.
            "" => assert_eq!(answer.header(header), None, "{name}"),
            value => assert_eq!(answer.header(header), Some(value), "{name}"),
        }
    }
    for Entry { from_client, what } in &transcript.entries {
        match (from_client, what) {
            (true, Seen::Frame { opcode, fin, payload }) => raw.send_frame(*opcode, *fin, payload),
            (false, Seen::Frame { opcode, fin, payload }) => {
                let seen = raw.frame().unwrap_or_else(|| panic!("{name}: ends before {what:?}"));
                assert_eq!((seen.opcode, seen.fin), (*opcode, *fin), "{name}");
                assert_eq!(without_hosts(&seen.payload), without_hosts(payload), "{name}");
            }
            (false, Seen::End) => assert_eq!(raw.frame(), None, "{name}"),
            (true, Seen::End) => {}
            (_, Seen::Bytes(_)) => panic!("{name}: v4 is spoken in a WebSocket"),
        }
    }
}

/// The TCP ports of the machine that recorded it are not ours: in texts that name both ends of a
/// connection they are left out. Every other byte counts.
fn without_hosts(payload: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(payload) else { return payload.to_vec() };
    if !text.contains("->") {
        return payload.to_vec();
    }
    let mut parts = text.split("127.0.0.1:");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str("127.0.0.1:*");
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    plain.into_bytes()
}

fn tungstenite(addr: SocketAddr, path: &str) -> WebSocket<TcpStream> {
    let Raw(stream) = Raw::connect(addr);
    let uri = format!("ws://{addr}{path}").parse().unwrap();
    let request =
        tungstenite::ClientRequestBuilder::new(uri).with_sub_protocol("v4.channel.k8s.io");
    let (socket, response) = tungstenite::client(request, stream).unwrap();
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "v4.channel.k8s.io");
    socket
}

/// Two prefixes that name the port.
fn expect_prefixes(socket: &mut WebSocket<TcpStream>, port: Port) {
    let [low, high] = port.get().to_le_bytes();
    for channel in 0..2 {
        assert_eq!(socket.read().unwrap(), Message::binary(vec![channel, low, high]));
    }
}

/// Payload of channel 0 until there are `len` bytes.
fn read_data(socket: &mut WebSocket<TcpStream>, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        let message = socket.read().unwrap().into_data();
        assert_eq!(message.first(), Some(&0), "{message:?}");
        all.extend_from_slice(&message[1..]);
    }
    all
}

async fn tungstenite_gets_what_it_sends<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let port = echo_pod();
    let mut socket = tungstenite(serving.local_addr(), &format!("{KUBELET}?port={port}"));
    expect_prefixes(&mut socket, port);
    for len in [1, 125, 126, 65_535, 65_536, 200_000] {
        let data: Vec<u8> = (0..len).map(|i| (i * 31 + len) as u8).collect();
        socket.send(Message::binary([&[0], &data[..]].concat())).unwrap();
        assert!(read_data(&mut socket, len) == data, "{len}");
    }
    socket.send(Message::Ping("are you there".into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("are you there".into()));
    socket.close(None).unwrap();
    while let Ok(message) = socket.read() {
        assert!(message.is_close(), "{message:?}");
    }
    assert!(!socket.can_write(), "closed by both");
}

async fn tungstenite_may_fragment<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let port = echo_pod();
    let mut socket = tungstenite(serving.local_addr(), &format!("{API}?ports={port}"));
    expect_prefixes(&mut socket, port);
    // The reference would take the first byte of every fragment for a channel.
    for (data, code, last) in [
        (&b"\0one "[..], Data::Binary, false),
        (b"\x05two ", Data::Continue, false),
        (b"", Data::Continue, false),
        (b"three", Data::Continue, true),
    ] {
        let frame = WsFrame::message(data, OpCode::Data(code), last);
        socket.send(Message::Frame(frame)).unwrap();
    }
    assert_eq!(read_data(&mut socket, 14), b"one \x05two three");
}

async fn a_close_of_the_client_ends_everything<R: Runtime + Net>(rt: R) {
    let (server, events) = observed(server(&rt));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::v4(serving.local_addr(), &format!("{API}?ports={}", echo_pod()));
    raw.send_data(0, b"x");
    while raw.frame().unwrap() != frame(2, b"\0x") {}
    raw.send_frame(8, true, &1001_u16.to_be_bytes());
    assert_eq!(raw.frames(), [frame(8, &1001_u16.to_be_bytes())]);
    while !matches!(events.recv_timeout(PATIENCE), Ok(ServerEvent::Ended { .. })) {}
}

async fn a_frame_without_a_mask_ends_the_session<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::v4(serving.local_addr(), &format!("{API}?ports={}", echo_pod()));
    raw.send(&[0x82, 2, 0, b'x']);
    let frames = raw.frames();
    let close = frames.last().unwrap();
    assert_eq!((close.opcode, &close.payload[..2]), (8, &1002_u16.to_be_bytes()[..]));
}

async fn a_message_over_the_limit_ends_the_session<R: Runtime + Net>(rt: R) {
    let limits =
        Limits::new().with_max_message(1000).with_handshake(Duration::MAX).with_dial(Duration::MAX);
    let serving = server(&rt).with_limits(limits).listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::v4(serving.local_addr(), &format!("{API}?ports={}", echo_pod()));
    raw.send_data(0, &[b'x'; 999]);
    while raw.frame().unwrap() != frame(2, &[&[0][..], &[b'x'; 999]].concat()) {}
    raw.send_data(0, &[b'y'; 1000]);
    let frames = raw.frames();
    let close = frames.last().unwrap();
    assert_eq!((close.opcode, &close.payload[..2]), (8, &1009_u16.to_be_bytes()[..]));
}

async fn an_idle_session_ends<R: Runtime + Net>(rt: R) {
    let config = Config::server().with_idle_timeout(Some(Duration::from_millis(200)));
    let serving = server(&rt).with_session(config).listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::v4(serving.local_addr(), &format!("{API}?ports={}", echo_pod()));
    let frames = raw.frames();
    let close = frames.last().unwrap();
    assert_eq!((close.opcode, &close.payload[..2]), (8, &1001_u16.to_be_bytes()[..]));
}

/// A pod that takes no byte and has something to say, in this order.
#[derive(Default)]
struct Broken {
    written_to: bool,
    says: VecDeque<&'static [u8]>,
    reader: Option<Waker>,
}

impl Socket for Broken {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        if !self.written_to {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let Some(next) = self.says.pop_front() else { return Poll::Ready(Ok(0)) };
        Poll::Ready(buf.fill(|space| {
            space[..next.len()].copy_from_slice(next);
            Ok(next.len())
        }))
    }

    fn poll_write_vectored(
        &mut self,
        _: &mut Context<'_>,
        _: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.written_to = true;
        self.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self) {}
}

struct BrokenPods;

impl Pods for BrokenPods {
    type Pod = ();
    type Socket = Broken;

    async fn find(&self, _: &Target) -> Result<(), NoPod> {
        Ok(())
    }

    async fn dial(&self, (): &(), _: Port) -> Result<Broken, PodError> {
        Ok(Broken { says: [&b"too "[..], b"large"].into(), ..Broken::default() })
    }
}

async fn a_pod_that_breaks_while_written_to_is_read_to_its_end<R: Runtime + Net>(rt: R) {
    let serving = Server::new(rt.clone(), BrokenPods).listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::v4(serving.local_addr(), &format!("{API}?ports=80"));
    raw.send_data(0, b"upload");
    let text = "\u{1}error forwarding port 80 to pod demo, uid : write: broken pipe";
    let mut frames = raw.frames().into_iter().skip(2);
    let mut data = Vec::new();
    for frame in frames.by_ref() {
        match frame.payload.split_first() {
            Some((0, said)) => data.extend_from_slice(said),
            _ => {
                assert_eq!(frame, self::frame(2, text.as_bytes()));
                break;
            }
        }
    }
    assert_eq!(data, b"too large");
    assert_eq!(frames.next(), Some(frame(8, &1000_u16.to_be_bytes())));
    assert_eq!(frames.next(), None);
}
