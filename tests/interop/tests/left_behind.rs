//! The load notices what is left behind. Alone in its process, because it looks at all of it.

use portway_interop::{Fault, Peer, Relay, Target, load, require_go};

#[test]
fn sockets_left_behind_are_noticed() {
    if !require_go() {
        return;
    }
    let peer = Peer::start();
    let relay = Relay::start([8080], |port| peer.pod_addr(port), Some(Fault::LeaksSockets));
    let target = Target::new(relay.addrs()).watching(std::process::id());
    let failure = load::scenario_sequential(&target, 100).unwrap_err();
    assert!(failure.contains("after 100 connections"), "{failure}");
}
