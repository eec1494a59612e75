//! The peer answers for itself, before anything of portway talks to it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use portway_interop::{Peer, PeerOptions, require_go};

/// What the peer answers to the v4 upgrade of this pod, until it says nothing for a while.
fn upgrade(peer: &Peer, pod: &str, ports: &[u16]) -> Vec<u8> {
    let url = peer.url(pod, ports);
    let path = url.strip_prefix(&peer.server()).unwrap();
    let mut stream = TcpStream::connect(peer.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: peer\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn it_upgrades_sends_prefixes_and_reports_a_refusal() {
    if !require_go() {
        return;
    }
    let peer = Peer::start();
    let answer = upgrade(&peer, "demo", &[8085]);
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    assert!(contains(&answer, b"\x82\x03\x00\x95\x1f\x82\x03\x01\x95\x1f\x82"));
    assert!(contains(&answer, b"\x01error forwarding port 8085 to pod demo, uid : "));
    assert!(answer.ends_with(b"\x88\x02\x03\xe8"));

    let stats = peer.stats();
    assert_eq!((stats.upgrades, stats.pod_dials), (1, 1));
}

#[test]
fn its_pods_misbehave_when_told_to() {
    if !require_go() {
        return;
    }
    let peer = Peer::start();
    assert!(upgrade(&peer, "pod-404", &[8080]).ends_with(b"\r\n\r\npod does not exist"));
    assert!(contains(&upgrade(&peer, "pod-403", &[8080]), b"\"reason\":\"Forbidden\""));
    assert!(contains(&upgrade(&peer, "pod-wrong-prefix", &[8080]), b"\x82\x03\x00\x1f\x90"));
    assert!(upgrade(&peer, "pod-silent", &[8080]).is_empty());
}

#[test]
fn its_idle_timeout_ends_a_session_without_a_close_frame() {
    if !require_go() {
        return;
    }
    let options = PeerOptions::new().stream_idle_timeout(Duration::from_millis(200));
    let peer = Peer::start_with(options);
    let answer = upgrade(&peer, "demo", &[8080]);
    assert!(answer.ends_with(b"\x82\x03\x00\x90\x1f\x82\x03\x01\x90\x1f"));
}
