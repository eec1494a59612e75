//! Nothing is left of a forward.

use std::thread;
use std::time::{Duration, Instant};

use portway_interop::{Peer, load};
use portway_tokio::Protocol;

use portway_runtimes::TestRuntime;

use crate::common::Opened;

/// Refusals, crowds, and an end while everybody is busy: nothing is left, here or at the server.
pub(crate) fn nothing_is_left<T: TestRuntime>(form: Protocol) {
    let peer = Peer::start();
    let opened = Opened::<T>::new(&peer, "demo", &[8080, 8085, 8088], form);
    let target = opened.target();
    for _ in 0..20 {
        let (got, was_reset) = opened.exchange(8085);
        assert!(got.is_empty() && was_reset, "{got:?}");
    }
    load::scenario_sequential(&target, 50).unwrap();
    let mut busy: Vec<_> = (0..10).map(|_| target.open(8088).unwrap()).collect();
    for conn in &mut busy {
        conn.send(b"1000000000\n").unwrap();
        conn.receive(100_000).unwrap();
    }
    let Opened { runtime, listening, .. } = opened;
    let start = Instant::now();
    drop(busy);
    runtime.block_on(listening.shutdown(Duration::from_secs(2)));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(8), "the end took {took:?}");
    let patience = Instant::now() + Duration::from_secs(20);
    while peer.stats().live_pod_relays > 0 || peer.stats().live_upgrades > 0 {
        assert!(Instant::now() < patience, "left at the server: {:?}", peer.stats());
        thread::sleep(Duration::from_millis(50));
    }
}
