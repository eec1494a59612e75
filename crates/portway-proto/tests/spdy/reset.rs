//! What our own giving up says (D.4).

use portway_proto::{StreamError, StreamEvent};
use portway_testkit::rig::End;
use portway_testkit::spdy::{Spdy, cancel, data, fin};

use crate::{CLIENT, TEXT, count};

#[test]
fn a_stream_that_is_given_up_is_cancelled_on_both_numbers_ahead_of_everything() {
    for release in [false, true] {
        let (mut rig, id) = Spdy::opened(CLIENT.with_max_payload(1));
        let other = rig.open_replied(2, 5);
        rig.events();
        rig.write(other, b"bulk");
        rig.write(id, b"queued");
        if release {
            rig.release(id);
        } else {
            rig.reset(id);
            assert_eq!(rig.failure(id), Some(StreamError::Reset));
            assert_eq!(count(&mut rig, id, StreamEvent::Done), 1);
        }
        assert_eq!(rig.message().unwrap(), [cancel(3), cancel(1)]);
        assert_eq!(rig.frames(), ["b", "u", "l", "k"].map(|part| data(7, part)));
        rig.peer_all(&[data(3, "late"), fin(3), data(1, TEXT), cancel(1)]);
        assert_eq!((rig.frames(), rig.events()), (vec![], vec![]), "and late answers say nothing");
    }
}

#[test]
fn one_that_we_finished_is_cancelled_all_the_same() {
    let (mut rig, id) = Spdy::opened(CLIENT.with_half_close(portway_proto::HalfClose::Immediate));
    rig.finish(id);
    assert_eq!(rig.frames(), [fin(3)]);
    rig.reset(id);
    assert_eq!(rig.frames(), [cancel(3), cancel(1)]);
}

#[test]
fn one_that_has_ended_is_released_without_a_word() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.peer_all(&[fin(3), fin(1)]);
    assert_eq!(rig.frames(), [cancel(3)]);
    rig.reset(id);
    assert_eq!(rig.failure(id), None, "it had ended");
    rig.release(id);
    assert_eq!(rig.frames(), []);
}

#[test]
fn one_that_waits_for_its_error_stream_cancels_that_alone() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.fin(3);
    assert_eq!(rig.frames(), [cancel(3)]);
    rig.release(id);
    assert_eq!(rig.frames(), [cancel(1)]);
}

#[test]
fn a_text_that_has_come_is_not_lost_to_our_own_reset() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.data(1, TEXT);
    rig.reset(id);
    assert_eq!(portway_testkit::rig::remote_text(rig.failure(id).as_ref()), TEXT);
    assert_eq!(rig.read_all(id).1, End::Failed);
}

#[test]
fn a_stream_is_reset_once_however_often_it_is_asked_for() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.reset(id);
    rig.reset(id);
    rig.stop(id);
    rig.release(id);
    rig.release(id);
    assert_eq!(rig.frames(), [cancel(3), cancel(1)]);
}
