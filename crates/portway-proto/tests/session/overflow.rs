//! A consumer that is too slow: Pause, Reset, PauseThenReset.

use portway_proto::{Config, OverflowPolicy, StreamError, StreamEvent, Timer, WriteError};
use portway_testkit::rig::{End, Rig, close, millis, secs};

fn two_ports(policy: OverflowPolicy) -> (Rig, portway_proto::StreamId, portway_proto::StreamId) {
    let config = Config::client().with_recv_buffer(100).with_overflow(policy).with_keep_alive(None);
    let mut rig = Rig::ready_client(config, &[1, 2]);
    let (slow, other) = (rig.open(1), rig.open(2));
    (rig, slow, other)
}

#[test]
fn pause_stops_the_reading_and_loses_nothing() {
    let (mut rig, slow, _) = two_ports(OverflowPolicy::Pause);
    rig.message(0, &[b'a'; 99]);
    assert!(rig.session.wants_read());
    rig.message(0, &[b'b'; 50]);
    assert!(!rig.session.wants_read(), "149 of 100 bytes are waiting");
    rig.after(secs(24 * 3600));
    assert!(!rig.session.wants_read());
    assert_eq!(rig.failure(slow), None);
    let (bytes, end) = rig.read_all(slow);
    assert_eq!((bytes.len(), end), (149, End::Open));
    assert!(rig.session.wants_read());
}

#[test]
fn bytes_read_and_not_consumed_still_count() {
    let (mut rig, slow, _) = two_ports(OverflowPolicy::Pause);
    rig.message(0, &[b'a'; 120]);
    assert_eq!(rig.read(slow).unwrap().unwrap().len(), 120);
    assert!(!rig.session.wants_read(), "the local socket has not taken them");
    rig.consumed(slow, 20);
    assert!(!rig.session.wants_read());
    rig.consumed(slow, 1);
    assert!(rig.session.wants_read());
    rig.consumed(slow, 1_000_000);
    assert_eq!(rig.session.stats().buffered, 0, "nobody gives back more than was read");
}

#[test]
fn the_session_goes_on_when_the_last_of_the_slow_ones_has_caught_up() {
    let (mut rig, a, b) = two_ports(OverflowPolicy::Pause);
    rig.message(0, &[0; 99]);
    rig.message(2, &[0; 99]);
    rig.pieces(0, &[0; 1], &[]);
    assert!(!rig.session.wants_read());
    // A driver that has several messages in one read hands in the rest of it all the same.
    rig.message(2, &[0; 1]);
    rig.read_all(a);
    assert!(!rig.session.wants_read());
    rig.read_all(b);
    assert!(rig.session.wants_read());
}

#[test]
fn a_piece_handed_in_during_a_pause_is_not_lost() {
    let (mut rig, slow, _) = two_ports(OverflowPolicy::Pause);
    rig.message(0, &[b'a'; 100]);
    rig.message(0, &[b'b'; 100]);
    assert_eq!(rig.read_all(slow).0.len(), 200);
}

#[test]
fn every_end_of_the_slow_stream_ends_the_pause() {
    type Ending = fn(&mut Rig, portway_proto::StreamId);
    let endings: [(&str, Ending); 3] = [
        ("reset", Rig::reset),
        ("stop", Rig::stop),
        ("release", |rig, id| rig.session.release(id, rig.now())),
    ];
    for (name, end) in endings {
        for read_before in [false, true] {
            let (mut rig, slow, _) = two_ports(OverflowPolicy::Pause);
            rig.message(0, &[b'a'; 100]);
            if read_before {
                rig.read(slow).unwrap();
            }
            assert!(!rig.session.wants_read());
            end(&mut rig, slow);
            assert!(rig.session.wants_read(), "{name}, read before: {read_before}");
        }
    }
}

#[test]
fn reset_gives_the_slow_stream_up_and_nobody_else_notices() {
    let (mut rig, slow, other) = two_ports(OverflowPolicy::Reset);
    rig.events();
    rig.message(0, &[b'a'; 100]);
    assert!(rig.session.wants_read(), "a full stream stops nobody");
    rig.message(2, b"neighbour");
    rig.message(0, b"one too many");
    assert!(rig.session.wants_read());
    assert_eq!(rig.failure(slow), Some(StreamError::Overflow));
    assert_eq!(rig.session.stats().overflows, 1);
    assert_eq!(rig.session.stats().buffered, 9);
    assert_eq!(rig.read_all(slow), (Vec::new(), End::Failed));
    assert_eq!(rig.try_write(slow, b"x"), Err(WriteError::Ended));
    assert_eq!(rig.read_all(other), (b"neighbour".to_vec(), End::Open));
    rig.message(0, b"ignored from now on");
    assert_eq!(rig.session.stats().ignored_late, 19);
    assert_eq!(rig.sent(), [], "and v4 has no word for it");
}

#[test]
fn reset_does_not_punish_a_consumer_that_keeps_up_with_large_messages() {
    let (mut rig, slow, _) = two_ports(OverflowPolicy::Reset);
    for _ in 0..10 {
        rig.message(0, &[b'a'; 1000]);
        assert_eq!(rig.read_all(slow).0.len(), 1000);
    }
    assert_eq!(rig.failure(slow), None);
}

#[test]
fn the_reset_of_the_last_stream_closes_the_session() {
    let config = Config::client().with_recv_buffer(10).with_overflow(OverflowPolicy::Reset);
    let mut rig = Rig::ready_client(config, &[1]);
    let id = rig.open(1);
    rig.message(0, &[0; 10]);
    rig.message(0, &[0; 10]);
    assert_eq!(rig.failure(id), Some(StreamError::Overflow));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn pause_then_reset_pauses_for_that_long_and_not_longer() {
    let (mut rig, slow, other) = two_ports(OverflowPolicy::PauseThenReset(secs(30)));
    rig.events();
    rig.message(2, b"neighbour");
    rig.message(0, &[b'a'; 100]);
    assert!(!rig.session.wants_read());
    assert_eq!(rig.next_timer(), Some((Timer::Stall, secs(30))));
    rig.after(millis(29_999));
    assert!(!rig.session.wants_read());
    assert_eq!(rig.failure(slow), None);
    rig.after(millis(1));
    assert!(rig.session.wants_read());
    assert_eq!(rig.failure(slow), Some(StreamError::Overflow));
    assert_eq!(
        rig.events_of(slow),
        [StreamEvent::Readable, StreamEvent::Failed, StreamEvent::Done]
    );
    assert_eq!(rig.read_all(other), (b"neighbour".to_vec(), End::Open));
}

#[test]
fn pause_then_reset_forgives_a_consumer_that_catches_up_in_time() {
    let (mut rig, slow, _) = two_ports(OverflowPolicy::PauseThenReset(secs(30)));
    for _ in 0..5 {
        rig.message(0, &[b'a'; 100]);
        rig.after(millis(29_999));
        assert_eq!(rig.read_all(slow).0.len(), 100);
        assert_eq!(rig.next_timer(), None);
        rig.after(secs(60));
    }
    assert_eq!(rig.failure(slow), None);
}

#[test]
fn the_default_is_pause_for_one_stream_and_thirty_seconds_for_several() {
    let mut rig =
        Rig::ready_client(Config::client().with_recv_buffer(1).with_keep_alive(None), &[1]);
    rig.message(0, b"x");
    assert!(!rig.session.wants_read());
    assert_eq!(rig.next_timer(), None, "one stream waits for ever");

    let mut rig =
        Rig::ready_client(Config::client().with_recv_buffer(1).with_keep_alive(None), &[1, 2]);
    rig.message(0, b"x");
    assert!(!rig.session.wants_read());
    assert_eq!(rig.next_timer(), Some((Timer::Stall, secs(30))));
}

#[test]
fn the_policy_of_a_stream_can_change_while_it_is_full() {
    let (mut rig, slow, _) = two_ports(OverflowPolicy::Pause);
    rig.message(0, &[b'a'; 100]);
    rig.after(secs(100));
    rig.set_overflow(slow, OverflowPolicy::PauseThenReset(secs(5)));
    assert_eq!(rig.next_timer(), Some((Timer::Stall, secs(5))));
    rig.set_overflow(slow, OverflowPolicy::Pause);
    assert_eq!(rig.next_timer(), None);
    rig.set_overflow(slow, OverflowPolicy::Reset);
    assert!(rig.session.wants_read(), "a stream that resets does not pause");
    assert_eq!(rig.failure(slow), None, "nothing was too much yet");
    rig.message(0, b"b");
    assert_eq!(rig.failure(slow), Some(StreamError::Overflow));

    let (mut rig, slow, _) = two_ports(OverflowPolicy::Reset);
    rig.message(0, &[b'a'; 100]);
    rig.set_overflow(slow, OverflowPolicy::Pause);
    assert!(!rig.session.wants_read());
    assert_eq!(rig.read_all(slow).0.len(), 100);
    assert!(rig.session.wants_read());
}

#[test]
fn a_stream_nobody_has_opened_yet_keeps_what_the_pod_says() {
    let mut rig = Rig::ready_client(Config::client(), &[5432]);
    rig.message(0, b"the pod speaks first");
    rig.after(secs(1));
    let id = rig.open(5432);
    assert_eq!(rig.read_all(id), (b"the pod speaks first".to_vec(), End::Open));
}

#[test]
fn sending_goes_on_during_a_pause() {
    let (mut rig, slow, other) = two_ports(OverflowPolicy::Pause);
    rig.message(0, &[b'a'; 100]);
    rig.write(slow, b"up");
    rig.write(other, b"up");
    assert_eq!(rig.sent().len(), 2);
}
