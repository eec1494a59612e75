//! Slow consumers, in a session of many streams.

use portway_proto::{Config, OverflowPolicy, StreamError, StreamId, Timer};
use portway_testkit::rig::{End, millis, secs};
use portway_testkit::spdy::{Spdy, cancel, data, fin};

use crate::{CLIENT, SERVER};

fn both(config: impl Fn(Config) -> Config) -> [(Spdy, StreamId); 2] {
    [Spdy::opened(config(CLIENT)), Spdy::accepted(config(SERVER))]
}

#[test]
fn the_default_pauses_for_thirty_seconds_and_then_gives_the_stream_up() {
    for (mut rig, id) in both(|config| config.with_recv_buffer(4)) {
        rig.data(3, "full");
        assert!(!rig.session.wants_read());
        assert_eq!(rig.next_timer(), Some((Timer::Stall, secs(30))));
        rig.after(millis(29_999));
        assert_eq!(rig.frames(), []);
        rig.after(millis(1));
        assert!(rig.session.wants_read());
        assert_eq!(rig.failure(id), Some(StreamError::Overflow));
        assert_eq!(rig.frames(), [cancel(3), cancel(1)]);
        rig.data(3, "late");
        assert_eq!(rig.read_all(id), (vec![], End::Failed));
        assert_eq!(rig.frames(), []);
    }
}

#[test]
fn a_consumer_that_catches_up_loses_nothing() {
    for (mut rig, id) in both(|config| config.with_recv_buffer(4)) {
        for _ in 0..20 {
            rig.data(3, "full");
            assert!(!rig.session.wants_read());
            rig.after(secs(29));
            assert_eq!(rig.read_all(id), (b"full".to_vec(), End::Open));
            assert!(rig.session.wants_read());
        }
    }
}

#[test]
fn reset_gives_up_the_stream_that_is_full_when_more_comes_and_no_other() {
    let mut rig = Spdy::client(CLIENT.with_recv_buffer(4).with_overflow(OverflowPolicy::Reset));
    let (slow, other) = (rig.open_replied(1, 1), rig.open_replied(2, 5));
    rig.data(3, "full");
    assert!(rig.session.wants_read());
    assert_eq!(rig.failure(slow), None);
    rig.data(3, "more");
    assert_eq!(rig.failure(slow), Some(StreamError::Overflow));
    rig.data(7, "fine");
    assert_eq!(rig.read_all(other), (b"fine".to_vec(), End::Open));
    assert_eq!(rig.frames(), [cancel(3), cancel(1)]);
}

#[test]
fn the_end_of_the_pod_behind_a_full_buffer_is_read_in_its_time() {
    let (mut rig, id) = Spdy::opened(CLIENT.with_recv_buffer(4));
    rig.peer_all(&[data(3, "full and more"), fin(3), fin(1)]);
    assert_eq!(rig.read_all(id), (b"full and more".to_vec(), End::Eof));
    assert!(rig.session.wants_read());
}

#[test]
fn a_stream_that_its_peer_gives_up_keeps_nobody_waiting() {
    for (mut rig, id) in both(|config| config.with_recv_buffer(4)) {
        rig.peer_all(&[data(3, "full and more"), cancel(3), cancel(1)]);
        assert!(rig.session.wants_read(), "no more can come of it");
        assert_eq!(rig.read_all(id), (b"full and more".to_vec(), End::Failed));
    }
}

#[test]
fn a_full_stream_that_overflows_while_it_is_half_leaves_nothing_behind() {
    let mut rig = Spdy::server(SERVER.with_recv_buffer(4).with_max_streams(1));
    for id in [1, 3, 5] {
        rig.peer_all(&[
            portway_testkit::spdy::syn(id, "data", 1, "same"),
            data(id, "far too much"),
            cancel(id),
        ]);
        rig.after(secs(60));
        assert!(rig.session.wants_read());
        assert_eq!((rig.session.streams(), rig.next_timer()), (0, None));
    }
    rig.syn_pair(7, 1, "same");
    assert!(rig.session.accept().is_some());
}
