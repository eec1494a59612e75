//! What is between us and the server makes no difference.

use std::time::Duration;

use portway_interop::{Peer, PeerOptions, load};
use portway_tokio::Protocol;

use portway_runtimes::TestRuntime;

use crate::common::Opened;

/// The pass-through proxy of an API server.
pub(crate) fn through_the_api_server<T: TestRuntime>(form: Protocol) {
    let peer = Peer::start_with(PeerOptions::new().proxied());
    passes::<T>(&peer, "demo", 8, form);
}

/// A proxy that sends every byte by itself: each a message, where there are messages.
pub(crate) fn in_single_bytes<T: TestRuntime>(form: Protocol) {
    let peer = Peer::start_with(PeerOptions::new().every_pod("pod-recut-bytes"));
    passes::<T>(&peer, "demo", 0, form);
}

/// A proxy that makes one message of all that comes within 20 ms.
pub(crate) fn merged<T: TestRuntime>(form: Protocol) {
    let peer = Peer::start_with(PeerOptions::new().every_pod("pod-recut-merged"));
    passes::<T>(&peer, "demo", 8, form);
}

/// A server that is honest all the same: answers, transfers of some MiB, ends and error texts.
fn passes<T: TestRuntime>(peer: &Peer, pod: &str, mib: u64, form: Protocol) {
    let ports = [8080, 8083, 8084, 8085, 8086, 8087, 8088];
    let mut opened = Opened::<T>::new(peer, pod, &ports, form);
    let target = opened.target().promptness(Duration::from_secs(10));
    load::scenario_line_answer(&target).unwrap();
    opened.next_end().unwrap();
    assert_eq!(opened.exchange(8085), (Vec::new(), true));
    assert_eq!(opened.next_end(), Err(peer.error_text(pod, 8085).trim_end().to_owned()));
    load::scenario_pod_reset(&target).unwrap();
    if mib > 0 {
        load::scenario_upload(&target, mib).unwrap();
        load::scenario_download(&target, mib).unwrap();
        load::scenario_early_local_eof(&target).unwrap();
    } else {
        let mut conn = target.open(8088).unwrap();
        conn.send(b"100000 7\n").unwrap();
        conn.expect_pattern(7, 100_000).unwrap();
        let mut conn = target.open(8080).unwrap();
        conn.send_pattern(8, 20_000).unwrap();
        conn.expect_pattern(8, 20_000).unwrap();
    }
}
