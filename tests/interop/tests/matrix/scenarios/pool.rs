//! Sessions that carry one connection after the other.

use std::thread;
use std::time::{Duration, Instant};

use portway_interop::Peer;
use portway_tokio::{Config, Options, Protocol};

use portway_runtimes::TestRuntime;

use crate::common::Opened;

/// 100 connections, one after the other: a few sessions carry them on SPDY, and each has one of its own
/// on v4.
pub(crate) fn is_used_again<T: TestRuntime>(form: Protocol) {
    const CONNECTIONS: u64 = 100;
    let peer = Peer::start();
    let opened = Opened::<T>::new(&peer, "demo", &[8080], form);
    for i in 0..CONNECTIONS {
        let mut conn = opened.target().open(8080).unwrap();
        let line = format!("connection {i}\n");
        conn.send(line.as_bytes()).unwrap();
        conn.expect(line.as_bytes()).unwrap();
    }
    let stats = peer.stats();
    assert_eq!(stats.pod_dials, CONNECTIONS);
    if matches!(form, Protocol::Tunnel | Protocol::Spdy) {
        // One of them may be there ahead of need.
        assert!((1..=20).contains(&stats.upgrades), "{} sessions", stats.upgrades);
        assert!(opened.listening.stats().reused >= 80, "{:?}", opened.listening.stats());
    } else {
        assert_eq!(stats.upgrades, CONNECTIONS);
    }
}

/// Two frames that come after a pod's end wedge a worker of Kubernetes' server for good, and with it a
/// fifth of all that is opened later (protocol.md C.8 #4, trap 29). On a long way there are always some.
/// Whoever comes next does not notice.
pub(crate) fn survives_a_wedge<T: TestRuntime>(form: Protocol) {
    /// Less than the server has to open a stream.
    const PROMPT: Duration = Duration::from_secs(8);
    const CHECK: Duration = Duration::from_secs(2);
    let peer = Peer::start();
    let check = Config::client().with_check_timeout(CHECK);
    let options = Options::new().with_protocol(form).with_session(check).with_spare(false);
    let opened = Opened::<T>::with(&peer, "pod-late-100", &[8080, 8089], options, |it| it);
    let target = opened.target().patience(Duration::from_secs(20));
    for round in 0..2 {
        let mut upload = target.open(8089).unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        while upload.pour(100, Duration::from_secs(1)) > 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        upload.end().unwrap();
        for i in 0..5 {
            let start = Instant::now();
            let mut conn = target.open(8080).unwrap();
            conn.send(b"hello").unwrap();
            conn.expect(b"hello").unwrap();
            let took = start.elapsed();
            assert!(took < PROMPT, "round {round}: connection {i} took {took:?}");
        }
    }
    // Healthy sessions wait for more; those that were wedged are gone, once their check has failed.
    thread::sleep(CHECK + Duration::from_secs(1));
    let stats = opened.listening.stats();
    assert!(stats.dialled > stats.idle as u64, "nothing was wedged: {stats:?}");
}
