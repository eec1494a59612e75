//! The peer answers for itself, before anything of portway talks to it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stderr, reason = "a skip is told")]

use std::process::Command;
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

/// An old node behind it answers v4 in its own words, and is asked for by nobody else.
#[test]
fn its_old_node_answers_for_itself() {
    if !require_go() {
        return;
    }
    let peer = Peer::start_with(PeerOptions::new().old_node());
    assert!(peer.error_text("demo", 8085).starts_with("error forwarding port 8085 to pod demo, "));
    assert_eq!((peer.stats().upgrades, peer.stats().pod_dials), (1, 1));
}

/// In TLS, and only for who bears the token; curl is who knows nothing of how it was made.
#[test]
fn its_certificate_is_of_its_own_ca() {
    if !require_go() {
        return;
    }
    let peer = Peer::start_with(PeerOptions::new().tls().token("secret"));
    let ca = std::env::temp_dir().join(format!("portway-interop-ca-{}.pem", std::process::id()));
    std::fs::write(&ca, peer.ca_pem()).unwrap();
    let version = |args: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "10"]).args(args);
        curl.arg(format!("{}/version", peer.server())).output()
    };
    let trusted = ["--cacert", ca.to_str().unwrap()];
    let bearer = ["--header", "Authorization: Bearer secret"];
    let Ok(known) = version(&[trusted, bearer].concat()) else {
        eprintln!("SKIPPED: no `curl` here");
        return;
    };
    let unknown = version(&trusted).unwrap();
    let untrusted = version(&bearer).unwrap();
    std::fs::remove_file(&ca).unwrap();
    assert!(contains(&known.stdout, b"gitVersion"), "{known:?}");
    assert!(contains(&unknown.stdout, b"\"reason\":\"Unauthorized\""), "{unknown:?}");
    assert_eq!(untrusted.status.code(), Some(60), "{untrusted:?}");
}
