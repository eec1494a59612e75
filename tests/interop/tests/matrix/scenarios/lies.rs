//! Servers that refuse, lie and break off: each a clear error, a reset where bytes may be missing, and
//! nothing lost on other connections.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use portway_interop::Peer;
use portway_tokio::{Config, Options, Protocol};

use portway_runtimes::TestRuntime;

use crate::common::Opened;

/// In which forms a lie can be told.
#[derive(Clone, Copy)]
enum In {
    Any,
    WebSocket,
    V4,
    Spdy,
    Tunnel,
}

impl In {
    fn has(self, form: Protocol) -> bool {
        match self {
            Self::Any => true,
            Self::WebSocket => form != Protocol::Spdy,
            Self::V4 => form == Protocol::V4,
            Self::Spdy => matches!(form, Protocol::Tunnel | Protocol::Spdy),
            Self::Tunnel => form == Protocol::Tunnel,
        }
    }
}

/// What a pod of the peer does to a connection.
struct Lie {
    told: In,
    pod: &'static str,
    port: u16,
    /// What the program gets before the end.
    got: &'static [u8],
    /// Words of the error that comes with a reset; `None` for a clean end and no error.
    words: Option<&'static [&'static str]>,
}

const fn lie(
    told: In,
    pod: &'static str,
    port: u16,
    got: &'static [u8],
    words: &'static [&'static str],
) -> Lie {
    Lie { told, pod, port, got, words: Some(words) }
}

/// Nothing is wrong with the answer, however strange the way it comes.
const fn fine(told: In, pod: &'static str, port: u16, got: &'static [u8]) -> Lie {
    Lie { told, pod, port, got, words: None }
}

const LIES: &[Lie] = &[
    lie(In::Any, "pod-401", 8080, b"", &["401", "Unauthorized"]),
    lie(In::Any, "pod-403", 8080, b"", &["403", "get", "create", "pods/portforward", "pod-403"]),
    lie(In::Any, "pod-404", 8080, b"", &["404", "pod-404"]),
    lie(In::Any, "pod-429", 8080, b"", &["429"]),
    lie(In::Any, "pod-500", 8080, b"", &["500", "pod-500"]),
    lie(In::Any, "pod-garbage", 8080, b"", &["HTTP", "is it an API server?"]),
    lie(In::Any, "pod-silent", 8080, b"", &["did not answer", "2 s"]),
    lie(In::WebSocket, "pod-wrong-accept", 8080, b"", &["Sec-WebSocket-Accept"]),
    lie(In::WebSocket, "pod-no-protocol", 8080, b"", &["no subprotocol"]),
    lie(In::WebSocket, "pod-wrong-protocol", 8080, b"", &["subprotocol", "not offered"]),
    lie(In::V4, "pod-wrong-prefix", 8080, b"", &["channel 0", "port 36895", "expected 8080"]),
    lie(In::V4, "pod-short-prefix", 8080, b"", &["channel 0", "1 of the 2 bytes"]),
    lie(In::V4, "pod-text", 8080, b"", &["text message on a binary session"]),
    lie(In::V4, "pod-close-1011", 8080, b"partial", &["1011"]),
    lie(In::V4, "pod-huge-error-900000", 8080, b"", &["[cut]"]),
    lie(In::V4, "pod-huge-error", 8080, b"", &["1048576"]),
    fine(In::V4, "pod-unknown-channel", 8080, b"hello"),
    fine(In::Any, "demo", 8084, b"got hello\n"),
    lie(In::Any, "demo", 8085, b"", &["error forwarding port 8085", "connection refused"]),
    lie(In::Any, "demo", 8083, b"partial", &["error forwarding port 8083", "reset by peer"]),
    lie(In::Any, "pod-cut-1000", 8081, b"", &["lost"]),
    lie(In::Any, "pod-eof-1000", 8081, b"", &["lost"]),
    // What SPDY has room for. What makes no sense costs one session; what means nothing costs nothing.
    lie(In::Spdy, "pod-spdy-goaway-first", 8080, b"", &[]),
    lie(In::Spdy, "pod-spdy-goaway-mid", 8080, b"partial", &[]),
    lie(In::Spdy, "pod-spdy-mute", 8080, b"", &[]),
    lie(In::Spdy, "pod-spdy-reply-half", 8080, b"", &[]),
    lie(In::Spdy, "pod-spdy-rst-not-reply", 8080, b"", &[]),
    lie(In::Spdy, "pod-spdy-garbage", 8080, b"", &[]),
    lie(In::Spdy, "pod-spdy-wrong-zlib", 8080, b"", &[]),
    lie(In::Spdy, "pod-spdy-truncated", 8080, b"partial", &[]),
    lie(In::Spdy, "pod-spdy-huge-control", 8080, b"", &[]),
    lie(In::Spdy, "pod-spdy-header-bomb", 8080, b"", &[]),
    lie(In::Spdy, "pod-spdy-wrong-length", 8080, b"", &[]),
    lie(In::Spdy, "pod-spdy-eof", 8080, b"partial", &[]),
    lie(In::Spdy, "pod-spdy-data-rst", 8080, b"partial", &[]),
    lie(In::Spdy, "pod-spdy-error-after-fin", 8080, b"partial", &["grüße, connection refused"]),
    lie(In::Spdy, "pod-spdy-error-first", 8080, b"partial", &["grüße, connection refused"]),
    lie(In::Spdy, "pod-spdy-error-split", 8080, b"partial", &["grüße, connection refused"]),
    lie(In::Spdy, "pod-spdy-error-fin", 8080, b"partial", &["grüße, connection refused"]),
    lie(In::Spdy, "pod-spdy-huge-error", 8080, b"", &["[cut]"]),
    lie(In::Tunnel, "pod-spdy-text", 8080, b"partial", &["text"]),
    lie(In::Tunnel, "pod-spdy-close-1000", 8080, b"partial", &[]),
    lie(In::Tunnel, "pod-spdy-close-1011", 8080, b"partial", &["1011"]),
    fine(In::Spdy, "pod-spdy-settings", 8080, b"hello"),
    fine(In::Spdy, "pod-spdy-ping-flood", 8080, b"hello"),
    fine(In::Spdy, "pod-spdy-ping-replies", 8080, b"hello"),
    fine(In::Spdy, "pod-spdy-data-after-fin", 8080, b"hello"),
    fine(In::Spdy, "pod-spdy-unknown-streams", 8080, b"hello"),
    fine(In::Spdy, "pod-spdy-unknown-frames", 8080, b"hello"),
    fine(In::Spdy, "pod-spdy-headers", 8080, b"hello"),
    fine(In::Spdy, "pod-spdy-windows", 8080, b"hello"),
    fine(In::Spdy, "pod-spdy-opens-streams", 8080, b"hello"),
    fine(In::Spdy, "pod-spdy-replies-twice", 8080, b"hello"),
    fine(In::Spdy, "pod-spdy-no-verdict", 8080, b"hello"),
    fine(In::Spdy, "pod-spdy-bytewise", 8080, b"hello"),
    fine(In::Tunnel, "pod-spdy-empties", 8080, b"hello"),
    fine(In::Tunnel, "pod-spdy-fragments", 8080, b"hello"),
];

/// How long a server has to answer an upgrade, and to open a stream.
const PATIENCE: Duration = Duration::from_secs(2);

fn opened<T: TestRuntime>(peer: &Peer, pod: &str, port: u16, form: Protocol) -> Opened<T> {
    let session = Config::client().with_open_timeout(PATIENCE);
    let options = Options::new().with_protocol(form).with_session(session);
    let connect = Duration::from_secs(10);
    Opened::with(peer, pod, &[port], options, |it| it.with_timeouts(connect, PATIENCE))
}

/// How many are told at a time: most of the time is waiting.
const AT_ONCE: usize = 4;

/// Each lie, beside an honest pod that is served all along.
pub(crate) fn every_lie_is_named<T: TestRuntime>(form: Protocol) {
    let peer = Peer::start();
    let lies = Mutex::new(LIES.iter().filter(|lie| lie.told.has(form)));
    let next = || lies.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let honest = Opened::<T>::new(&peer, "demo", &[8084], form);
                while let Some(lie) = next() {
                    is_named::<T>(lie, &peer, form);
                    let (answer, was_reset) = honest.exchange(8084);
                    assert_eq!(answer, b"got hello\n", "beside {}", lie.pod);
                    assert!(!was_reset, "beside {}", lie.pod);
                }
            });
        }
    });
}

fn is_named<T: TestRuntime>(Lie { pod, port, got, words, .. }: &Lie, peer: &Peer, form: Protocol) {
    let what = format!("{pod} port {port}");
    let mut opened = opened::<T>(peer, pod, *port, form);
    let (received, was_reset) = opened.exchange(*port);
    if pod.starts_with("pod-cut") || pod.starts_with("pod-eof") {
        assert!(!received.is_empty() && received.len() < 1_000, "{what}: {}", received.len());
    } else {
        assert_eq!(received, *got, "{what}");
    }
    assert_eq!(was_reset, words.is_some(), "{what}: reset");
    match (opened.next_end(), words) {
        (Ok(()), None) => {}
        (Ok(()), Some(words)) => panic!("{what}: ended without {words:?}"),
        (Err(error), None) => panic!("{what}: {error}"),
        (Err(error), Some(words)) => {
            for word in *words {
                assert!(error.contains(word), "{what}: no {word:?} in {error:?}");
            }
            let controls = error.chars().filter(|c| c.is_control()).count();
            assert_eq!(controls, 0, "{what}: control characters in {error:?}");
            assert!(error.len() < 4_096, "{what}: an error of {} bytes", error.len());
        }
    }
}

/// A session that goes away before its first stream, or never opens one, is not the end: whoever comes
/// next is served on another. The first may be, too, or is told by a reset.
pub(crate) fn the_next_session_works<T: TestRuntime>(form: Protocol) {
    for pod in ["pod-spdy-goaway-once", "pod-spdy-mute-once"] {
        let peer = Peer::start();
        let opened = opened::<T>(&peer, pod, 8084, form);
        let first = opened.exchange(8084);
        let served = (b"got hello\n".to_vec(), false);
        assert!(first == served || first == (Vec::new(), true), "{pod}: {first:?}");
        assert_eq!(opened.exchange(8084), served, "{pod}");
    }
}
