//! Servers that refuse, lie and break off: each a clear error, a reset where bytes may be missing, and
//! nothing lost on other connections.

mod common;

use std::time::Duration;

use common::{Home, OnSmol, OnTokio, Opened};
use portway_interop::Peer;

/// What a pod of the peer does to a connection.
struct Lie {
    pod: &'static str,
    port: u16,
    /// What the program gets before the end.
    got: &'static [u8],
    reset: bool,
    /// Words of the error; empty for a clean end.
    words: &'static [&'static str],
}

const fn lie(
    pod: &'static str,
    port: u16,
    got: &'static [u8],
    words: &'static [&'static str],
) -> Lie {
    Lie { pod, port, got, reset: true, words }
}

const LIES: &[Lie] = &[
    lie("pod-401", 8080, b"", &["401", "Unauthorized"]),
    lie("pod-403", 8080, b"", &["403", "get", "create", "pods/portforward", "pod-403"]),
    lie("pod-404", 8080, b"", &["404", "pod-404"]),
    lie("pod-429", 8080, b"", &["429"]),
    lie("pod-500", 8080, b"", &["500", "pod-500"]),
    lie("pod-garbage", 8080, b"", &["HTTP", "is it an API server?"]),
    lie("pod-silent", 8080, b"", &["did not answer", "2 s"]),
    lie("pod-wrong-accept", 8080, b"", &["Sec-WebSocket-Accept"]),
    lie("pod-no-protocol", 8080, b"", &["no subprotocol"]),
    lie("pod-wrong-protocol", 8080, b"", &["subprotocol", "not offered"]),
    lie("pod-wrong-prefix", 8080, b"", &["channel 0", "port 36895", "expected 8080"]),
    lie("pod-short-prefix", 8080, b"", &["channel 0", "1 of the 2 bytes"]),
    lie("pod-text", 8080, b"", &["text message on a binary session"]),
    lie("pod-close-1011", 8080, b"partial", &["1011"]),
    lie("pod-huge-error-900000", 8080, b"", &["[cut]"]),
    lie("pod-huge-error", 8080, b"", &["1048576"]),
    lie("demo", 8085, b"", &["error forwarding port 8085", "connection refused"]),
    lie("demo", 8083, b"partial", &["error forwarding port 8083", "connection reset by peer"]),
    lie("pod-cut-1000", 8081, b"", &["lost"]),
    lie("pod-eof-1000", 8081, b"", &["lost"]),
    Lie { pod: "pod-unknown-channel", port: 8080, got: b"hello", reset: false, words: &[] },
    Lie { pod: "demo", port: 8084, got: b"got hello\n", reset: false, words: &[] },
];

fn every_lie_is_named<H: Home>() {
    if !portway_interop::require_go() {
        return;
    }
    let peer = Peer::start();
    let honest = Opened::<H>::new(&peer, "demo", &[8084]);
    for Lie { pod, port, got, reset, words } in LIES {
        let short = (Duration::from_secs(10), Duration::from_secs(2));
        let mut opened =
            Opened::<H>::with(&peer, pod, &[*port], |it| it.with_timeouts(short.0, short.1));
        let (received, was_reset) = opened.exchange(*port);
        if pod.starts_with("pod-cut") || pod.starts_with("pod-eof") {
            assert!(!received.is_empty() && received.len() < 1_000, "{pod}: {}", received.len());
        } else {
            assert_eq!(received, *got, "{pod} port {port}");
        }
        assert_eq!(was_reset, *reset, "{pod} port {port}: reset");
        match opened.next_end() {
            Ok(()) => assert!(words.is_empty(), "{pod} port {port}: ended without {words:?}"),
            Err(error) => {
                for word in *words {
                    assert!(error.contains(word), "{pod} port {port}: no {word:?} in {error:?}");
                }
                assert!(!words.is_empty(), "{pod} port {port}: {error}");
                let controls = error.chars().filter(|c| c.is_control()).count();
                assert_eq!(controls, 0, "{pod}: control characters in {error:?}");
                assert!(error.len() < 4_096, "{pod}: an error of {} bytes", error.len());
            }
        }
        let (answer, was_reset) = honest.exchange(8084);
        assert_eq!((&*answer, was_reset), (&b"got hello\n"[..], false), "beside {pod}");
    }
}

#[test]
fn every_lie_is_named_on_tokio() {
    every_lie_is_named::<OnTokio>();
}

#[test]
fn every_lie_is_named_on_smol() {
    every_lie_is_named::<OnSmol>();
}
