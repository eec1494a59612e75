//! How a stream ends, as a client sees it: every row of D.4 and every case of C.6.

use portway_proto::{HalfClose, StreamError, StreamEvent, Timer};
use portway_testkit::rig::{End, millis, remote_text, secs};
use portway_testkit::spdy::{Frame, Spdy, cancel, data, fin, reply};

use crate::{CLIENT, TEXT, count};

/// Our side has ended before, or not.
fn opened(finished: bool) -> (Spdy, portway_proto::StreamId) {
    let (mut rig, id) = Spdy::opened(CLIENT.with_half_close(HalfClose::Immediate));
    if finished {
        rig.finish(id);
        assert_eq!(rig.frames(), [fin(3)]);
    }
    (rig, id)
}

/// What is owed at the pod's end: a reset, unless our side had ended before.
fn answer(finished: bool) -> Vec<Frame> {
    if finished { vec![] } else { vec![cancel(3)] }
}

#[test]
fn a_normal_end_in_either_order_is_clean() {
    for finished in [false, true] {
        for order in [[3, 1], [1, 3]] {
            let (mut rig, id) = opened(finished);
            rig.data(3, "answer");
            rig.peer_all(&[fin(order[0]), fin(order[1])]);
            assert_eq!(rig.read_all(id), (b"answer".to_vec(), End::Eof));
            assert_eq!(rig.frames(), answer(finished));
            assert!(rig.session.is_done(id));
            assert_eq!(count(&mut rig, id, StreamEvent::Done), 1);
            assert_eq!(rig.next_timer(), None, "nothing is waited for");
        }
    }
}

#[test]
fn a_fin_may_come_with_the_last_data() {
    let (mut rig, id) = opened(false);
    rig.peer(&Frame::Data { id: 3, bytes: b"last".to_vec(), fin: true });
    rig.fin(1);
    assert_eq!(rig.read_all(id), (b"last".to_vec(), End::Eof));
}

#[test]
fn a_fin_of_the_data_is_no_success_before_the_error_stream_has_ended() {
    let (mut rig, id) = opened(true);
    rig.fin(3);
    assert_eq!(rig.read_all(id).1, End::Open, "not known yet");
    assert!(!rig.session.is_done(id));
    rig.after(millis(4_999));
    assert_eq!(rig.read_all(id).1, End::Open);
    rig.data(1, TEXT);
    rig.rst(1);
    assert_eq!(rig.read_all(id).1, End::Failed);
    assert_eq!(remote_text(rig.failure(id).as_ref()), TEXT);
}

#[test]
fn an_error_stream_that_does_not_end_is_waited_for_five_seconds_and_cancelled() {
    for finished in [false, true] {
        let (mut rig, id) = opened(finished);
        rig.data(3, "x");
        rig.fin(3);
        assert_eq!(rig.frames(), answer(finished));
        assert_eq!(rig.next_timer(), Some((Timer::ErrorSettle, secs(5))));
        rig.after(secs(5));
        assert_eq!(rig.frames(), [cancel(1)]);
        assert_eq!(rig.read_all(id), (b"x".to_vec(), End::Eof));
        rig.data(1, "too late");
        rig.rst(1);
        assert_eq!((rig.failure(id), rig.frames()), (None, vec![]));
    }
}

#[test]
fn the_pods_failure_is_told_in_every_order_of_the_field() {
    let text = || data(1, TEXT);
    let orders: &[&[Frame]] = &[
        // containerd and CRI-O, as recorded.
        &[fin(3), text(), cancel(1)],
        // Before the forwarder starts, and Windows.
        &[text(), cancel(3), cancel(1)],
        // Servers before 1.32 send no resets.
        &[fin(3), text(), fin(1)],
        &[text(), fin(3), fin(1)],
        &[text(), fin(1), fin(3)],
        // What could come some day.
        &[text(), cancel(1), cancel(3)],
        &[text(), cancel(1), fin(3)],
        &[cancel(3), text(), cancel(1)],
        &[cancel(3), text(), fin(1)],
    ];
    for order in orders {
        for finished in [false, true] {
            for at_once in [false, true] {
                let (mut rig, id) = opened(finished);
                rig.data(3, "before it");
                if at_once {
                    rig.peer_all(order);
                } else {
                    order.iter().for_each(|frame| rig.peer(frame));
                }
                assert_eq!(rig.read_all(id), (b"before it".to_vec(), End::Failed), "{order:?}");
                assert_eq!(remote_text(rig.failure(id).as_ref()), TEXT, "{order:?}");
                assert!(rig.session.is_done(id));
                assert_eq!(count(&mut rig, id, StreamEvent::Failed), 1);
                assert_eq!(rig.next_timer(), None);
                let mut sent = rig.frames();
                sent.retain(|frame| *frame != cancel(3));
                assert_eq!(sent, [], "{order:?}");
            }
        }
    }
}

#[test]
fn data_that_an_error_text_overtook_is_delivered() {
    let (mut rig, id) = opened(false);
    rig.data(1, TEXT);
    rig.data(3, "overtaken");
    rig.peer_all(&[fin(3), cancel(1)]);
    assert_eq!(rig.read_all(id), (b"overtaken".to_vec(), End::Failed));
}

#[test]
fn an_error_text_that_nothing_follows_ends_the_stream_after_five_seconds() {
    // The texts of servers about pairs and duplicates come without an end (trap 32).
    let (mut rig, id) = opened(false);
    rig.data(1, "timed out waiting for streams");
    rig.after(millis(4_999));
    assert_eq!((rig.failure(id), rig.frames()), (None, vec![]));
    rig.after(millis(1));
    assert_eq!(remote_text(rig.failure(id).as_ref()), "timed out waiting for streams");
    assert_eq!(rig.frames(), [cancel(3), cancel(1)]);
}

#[test]
fn a_reset_of_the_data_without_a_text_is_a_reset() {
    for end in [fin(1), cancel(1)] {
        let (mut rig, id) = opened(false);
        rig.data(3, "some");
        rig.rst(3);
        assert_eq!(rig.failure(id), None, "a text may follow");
        rig.peer(&end);
        assert_eq!(rig.read_all(id), (b"some".to_vec(), End::Failed));
        assert_eq!(rig.failure(id), Some(StreamError::RemoteReset));
        assert_eq!(rig.frames(), []);
    }
    let (mut rig, id) = opened(false);
    rig.rst(3);
    rig.after(secs(5));
    assert_eq!(rig.failure(id), Some(StreamError::RemoteReset));
    assert_eq!(rig.frames(), [cancel(1)]);
}

#[test]
fn the_end_of_the_error_stream_alone_ends_nothing() {
    for end in [fin(1), cancel(1)] {
        let (mut rig, id) = opened(false);
        rig.peer(&end);
        rig.after(secs(3600));
        rig.data(3, "still here");
        assert_eq!(rig.read_all(id), (b"still here".to_vec(), End::Open));
        rig.write(id, b"so are we");
        assert_eq!(rig.frames(), [data(3, "so are we")]);
    }
}

#[test]
fn at_the_pods_end_what_is_queued_is_dropped_and_a_reset_goes_ahead_of_everything() {
    // A second late DATA frame wedges a worker of containerd for good (trap 29).
    for end in [fin(3), Frame::Data { id: 3, bytes: b"bye".to_vec(), fin: true }] {
        let config = CLIENT.with_max_payload(4);
        let (mut rig, id) = Spdy::opened(config);
        let other = rig.open_replied(9090, 5);
        rig.write(other, b"bulk of a neighbour");
        rig.write(id, b"queued and not sent yet");
        rig.message();
        rig.message();
        rig.peer(&end);
        assert_eq!(rig.message().unwrap(), [cancel(3)], "before the neighbour's bulk");
        for frame in rig.frames() {
            assert!(!matches!(frame, Frame::Data { id: 3, .. }), "{frame:?} behind the reset");
        }
        assert!(rig.try_write(id, b"more").is_err());
        assert_eq!(rig.frames(), []);
    }
}

#[test]
fn a_reset_by_the_pod_drops_what_is_queued_and_is_not_answered() {
    let (mut rig, id) = opened(false);
    rig.write(id, b"queued");
    rig.rst(3);
    assert_eq!(rig.frames(), []);
    assert!(rig.try_write(id, b"more").is_err());
}

#[test]
fn a_blocked_writer_hears_of_the_pods_end() {
    let (mut rig, id) = Spdy::opened(CLIENT.with_send_buffer(4));
    assert!(rig.try_write(id, b"too much").is_err());
    rig.fin(3);
    assert_eq!(count(&mut rig, id, StreamEvent::Writable), 1);
    assert!(!rig.session.send(id).unwrap().is_open());
}

#[test]
fn what_comes_after_an_end_is_ignored_and_not_answered() {
    for finished in [false, true] {
        let (mut rig, id) = opened(finished);
        rig.data(3, "x");
        rig.fin(3);
        rig.frames();
        rig.peer_all(&[data(3, "late"), fin(3), cancel(3)]);
        rig.fin(1);
        rig.peer_all(&[data(3, "later"), data(1, "text"), fin(1), cancel(1), cancel(3), reply(3)]);
        assert_eq!(rig.frames(), []);
        assert_eq!(rig.read_all(id), (b"x".to_vec(), End::Eof));
        assert_eq!(rig.session.stats().ignored_late, 4 + 5 + 4);
    }
}

#[test]
fn frames_of_streams_that_never_were_are_ignored_and_not_answered() {
    let (mut rig, id) = opened(false);
    rig.peer_all(&[
        data(9, "what"),
        fin(9),
        cancel(9),
        reply(9),
        data(2, "x"),
        cancel(0x7fff_ffff),
    ]);
    assert_eq!((rig.frames(), rig.events()), (vec![], vec![]));
    rig.data(3, "fine");
    assert_eq!(rig.read_all(id), (b"fine".to_vec(), End::Open));
}

#[test]
fn a_stream_that_was_stopped_still_comes_to_its_end() {
    for text in [false, true] {
        let (mut rig, id) = opened(false);
        rig.stop(id);
        rig.data(3, "nobody reads this");
        rig.fin(3);
        if text {
            rig.data(1, TEXT);
        }
        rig.rst(1);
        assert_eq!(rig.frames(), [cancel(3)]);
        assert!(rig.session.is_done(id));
        assert_eq!(count(&mut rig, id, StreamEvent::Done), 1);
    }
}

#[test]
fn a_pause_stops_the_wait_for_the_error_stream() {
    let (mut rig, id) = Spdy::opened(CLIENT.with_recv_buffer(1));
    let other = rig.open_replied(2, 5);
    rig.fin(3);
    rig.data(7, "full");
    assert!(!rig.session.wants_read());
    rig.after(secs(20));
    assert!(!rig.session.is_done(id), "what is waited for may lie there unread");
    rig.read_all(other);
    rig.after(millis(4_999));
    assert!(!rig.session.is_done(id));
    rig.after(millis(1));
    assert_eq!(rig.read_all(id).1, End::Eof);
}

#[test]
fn the_end_of_one_stream_is_no_concern_of_the_others() {
    let (mut rig, id) = opened(false);
    let other = rig.open_replied(2, 5);
    rig.peer_all(&[fin(3), data(1, TEXT), cancel(1)]);
    assert!(rig.failure(id).is_some());
    rig.data(7, "fine");
    assert_eq!(rig.read_all(other), (b"fine".to_vec(), End::Open));
    assert_eq!(rig.failure(other), None);
}
