//! A session that is cut in the middle of a transfer: the program hears of it, by a reset.

use std::time::Duration;

use portway_interop::{End, Peer};
use portway_tokio::Protocol;

use portway_runtimes::TestRuntime;

use crate::common::Opened;

/// Cut by a reset, by an end that is not the protocol's, and by the clock; on the way down and on the
/// way up. What came before is whole, and no end looks clean.
pub(crate) fn in_the_middle<T: TestRuntime>(form: Protocol) {
    let peer = Peer::start();
    for pod in ["pod-cut-3000000", "pod-eof-3000000"] {
        let mut opened = Opened::<T>::new(&peer, pod, &[8081], form);
        let target = opened.target();
        let mut conn = target.open(8081).unwrap();
        // A reset discards what is still on its way.
        conn.expect_pattern(0, 100_000).unwrap();
        let (more, end) = conn.end().unwrap();
        assert!(more < 4_000_000, "{pod}: {more} bytes more");
        assert_eq!(end, End::Reset, "{pod}");
        let words = opened.next_end().unwrap_err();
        assert!(words.contains("lost"), "{pod}: {words}");
    }
    // A pod that talks for ever, and one that takes an upload that is never complete.
    for port in [8088, 8087] {
        let mut opened = Opened::<T>::new(&peer, "pod-drop-700", &[port], form);
        let target = opened.target();
        let mut conn = target.open(port).unwrap();
        conn.send(b"100000000000\n").unwrap();
        if port == 8087 {
            let sent = conn.pour(u64::MAX, Duration::from_secs(20));
            assert!(sent > 100_000, "{sent} bytes were taken in 0.7 s");
        } else {
            conn.expect_pattern(0, 100_000).unwrap();
            // A reset may be told once, to whoever asks first.
            assert_eq!(conn.end().unwrap().1, End::Reset, "port {port}");
        }
        let words = opened.next_end().unwrap_err();
        assert!(words.contains("lost"), "port {port}: {words}");
    }
}
