//! The peer answers for itself, before anything of portway talks to it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use portway_interop::{Peer, PeerOptions, require_go};

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn it_upgrades_sends_prefixes_and_reports_a_refusal() {
    if !require_go() {
        return;
    }
    let peer = Peer::start();
    let answer = peer.upgrade("demo", 8085);
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
    assert!(peer.upgrade("pod-404", 8080).ends_with(b"\r\n\r\npod does not exist"));
    assert!(contains(&peer.upgrade("pod-403", 8080), b"\"reason\":\"Forbidden\""));
    assert!(contains(&peer.upgrade("pod-wrong-prefix", 8080), b"\x82\x03\x00\x1f\x90"));
    assert!(peer.upgrade("pod-silent", 8080).is_empty());
}

#[test]
fn its_idle_timeout_ends_a_session_without_a_close_frame() {
    if !require_go() {
        return;
    }
    let options = PeerOptions::new().stream_idle_timeout(Duration::from_millis(200));
    let peer = Peer::start_with(options);
    let answer = peer.upgrade("demo", 8080);
    assert!(answer.ends_with(b"\x82\x03\x00\x90\x1f\x82\x03\x01\x90\x1f"));
}
