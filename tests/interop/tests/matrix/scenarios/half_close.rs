//! The end of one direction is not the end of the other, where the pod side passes it on.

use std::time::{Duration, Instant};

use portway_interop::{End, Peer, PeerOptions, Target, load};
use portway_tokio::proto::HalfClose;
use portway_tokio::{Config, Options, Protocol};

use portway_runtimes::TestRuntime;

use crate::common::Opened;

/// What [`go_both_ways`] goes to.
pub(super) const PORTS: [u16; 2] = [8082, 8089];

/// On a session of its own each.
pub(crate) fn both_ways<T: TestRuntime>(form: Protocol) {
    let peer = Peer::start_with(PeerOptions::new().fin_passed_on());
    let session = Config::client().with_half_close(HalfClose::Immediate);
    let options = Options::new().with_protocol(form).with_session(session);
    let opened = Opened::<T>::with(&peer, "demo", &PORTS, options, |it| it);
    go_both_ways(&opened.target());
}

/// A program that closes its sending side gets the answer to that; one that still sends sees the pod's
/// end at once, as an end and not as a reset.
pub(super) fn go_both_ways(target: &Target) {
    let start = Instant::now();
    load::scenario_answer_after_eof(target).unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(3), "the answer came after {took:?}");

    let mut conn = target.open(8089).unwrap();
    let start = Instant::now();
    conn.send(&[0; 100]).unwrap();
    conn.expect_end(End::Fin).unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_secs(1), "the pod's end came after {took:?}");
    // Nobody in the pod reads it. It is no error all the same.
    conn.send(b"one more thing").unwrap();
}
