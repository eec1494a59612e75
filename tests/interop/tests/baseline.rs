//! The load against the pod programs, through a relay that does everything right. (The long test
//! looks at its own process for leaks: nothing else heavy belongs here.)

use std::fmt::Write as _;

use portway_interop::load::{self, SCENARIOS};
use portway_interop::{Peer, Relay, Target, require_go};

#[test]
fn a_plain_relay_passes_every_scenario() {
    if !require_go() {
        return;
    }
    let peer = Peer::start();
    let relay = Relay::start(load::ports(), |port| peer.pod_addr(port), None);
    let target = Target::new(relay.addrs()).watching(std::process::id());
    let mut failures = String::new();
    for scenario in SCENARIOS {
        if let Err(e) = (scenario.run)(&target) {
            writeln!(failures, "{}: {e}", scenario.name).unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn half_close_goes_through_a_plain_relay() {
    if !require_go() {
        return;
    }
    let peer = Peer::start();
    let relay = Relay::start([8082], |port| peer.pod_addr(port), None);
    load::scenario_answer_after_eof(&Target::new(relay.addrs())).unwrap();
}
