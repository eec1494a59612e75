//! The load can fail: each mistake of a forwarder is caught by the scenario that is there for it.

use std::time::Duration;

use portway_interop::load::{self, Report};
use portway_interop::{Fault, Peer, Relay, Target, require_go};

/// Runs a scenario through a relay with this fault and returns how it failed.
fn caught(
    fault: Fault,
    scenario: fn(&Target) -> Result<Report, String>,
    change: fn(Target) -> Target,
) -> Option<String> {
    if !require_go() {
        return None;
    }
    let peer = Peer::start();
    let relay = Relay::start(load::ports(), |port| peer.pod_addr(port), Some(fault));
    let target = change(Target::new(relay.addrs()));
    match scenario(&target) {
        Ok(report) => panic!("{fault:?} went unnoticed: {report}"),
        Err(e) => Some(e),
    }
}

#[track_caller]
fn assert_says(failure: Option<String>, words: &str) {
    if let Some(failure) = failure {
        assert!(failure.contains(words), "{failure:?} does not say {words:?}");
    }
}

#[test]
fn an_answer_cut_after_local_eof() {
    let failure = caught(Fault::CutsAfterLocalEof, load::scenario_early_local_eof, |t| t);
    assert_says(failure, "expected 1000000 bytes, after 0 of them, saw a clean end");
}

#[test]
fn a_clean_end_of_a_refused_port() {
    let failure = caught(Fault::FinAfterRefusal, load::scenario_refused_port, |t| t);
    assert_says(failure, "port 8085: expected a reset, saw a clean end");
}

#[test]
fn a_clean_end_after_a_reset() {
    let failure = caught(Fault::FinAfterReset, load::scenario_pod_reset, |t| t);
    assert_says(failure, "port 8083: expected a reset, saw a clean end");
}

#[test]
fn a_refused_port_that_ends_everything() {
    let failure = caught(Fault::DiesOfRefusal, load::scenario_refused_port, |t| t);
    assert_says(failure, "the neighbours: 4 of 4 failed");
}

#[test]
fn a_tail_that_is_missing() {
    let failure = caught(Fault::DropsTail, load::scenario_server_speaks_first, |t| t);
    assert_says(failure, "expected 5000000 bytes");
}

#[test]
fn an_upload_that_arrives_changed() {
    let failure = caught(Fault::FlipsUpload, |t| load::scenario_upload(t, 1), |t| t);
    assert_says(failure, "port 8087: expected \"1048576 ");
    let failure = caught(Fault::FlipsUpload, load::scenario_parallel_echo, |t| t);
    assert_says(failure, "the one at 700000 is wrong");
}

#[test]
fn one_slow_reader_that_stalls_all() {
    let failure = caught(Fault::OneSlowReaderStallsAll, load::scenario_stalled_reader, |t| {
        t.patience(Duration::from_secs(8))
    });
    assert_says(failure, "the neighbours: ");
}

#[test]
fn an_end_that_is_not_passed_on() {
    let failure = caught(Fault::WithholdsEof, load::scenario_line_answer, |t| {
        t.patience(Duration::from_secs(2))
    });
    assert_says(failure, "expected the connection to end, saw nothing more within 2s");
}
