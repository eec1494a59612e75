//! How a stream ends, as a server says and sees it: the rows of D.5.

use portway_proto::{StreamError, StreamEvent};
use portway_testkit::rig::{End, secs};
use portway_testkit::spdy::{Frame, Spdy, cancel, data, fin};

use crate::{SERVER, count};

#[test]
fn the_pods_end_is_a_fin_of_the_data_and_then_of_the_error_stream() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.write(id, b"last");
    rig.finish(id);
    assert_eq!(rig.frames(), [data(3, "last"), fin(3), fin(1)]);
    assert!(rig.session.send(id).unwrap().is_over());
    rig.data(3, "still heard");
    assert_eq!(rig.read_all(id), (b"still heard".to_vec(), End::Open));
    rig.rst(3);
    assert_eq!(rig.read_all(id).1, End::Failed, "the client may have had more to say");
    assert_eq!(rig.frames(), []);
    rig.release(id);
    assert_eq!(rig.frames(), []);
}

#[test]
fn the_clients_end_is_told_and_the_other_direction_goes_on() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.peer(&Frame::Data { id: 3, bytes: b"request".to_vec(), fin: true });
    assert_eq!(rig.read_all(id), (b"request".to_vec(), End::Eof));
    rig.after(secs(3600));
    rig.write(id, b"answer");
    rig.finish(id);
    assert_eq!(rig.frames(), [data(3, "answer"), fin(3), fin(1)]);
    assert!(rig.session.is_done(id));
    assert_eq!(rig.failure(id), None);
}

#[test]
fn a_reset_by_the_client_ends_both_directions_and_the_error_stream() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.write(id, b"queued");
    rig.data(3, "some");
    rig.rst(3);
    assert_eq!(rig.frames(), [fin(1)], "and nothing of what was queued");
    assert_eq!(rig.read_all(id), (b"some".to_vec(), End::Failed));
    assert_eq!(rig.failure(id), Some(StreamError::RemoteReset));
    assert!(rig.session.is_done(id));
    assert_eq!(count(&mut rig, id, StreamEvent::Done), 1);
    assert!(rig.fail(id, "too late").is_err());
    rig.release(id);
    assert_eq!(rig.frames(), []);
}

#[test]
fn a_client_may_reset_what_it_has_finished() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.fin(3);
    assert_eq!(rig.read_all(id).1, End::Eof);
    rig.write(id, b"an answer that nobody wants");
    rig.rst(3);
    assert_eq!(rig.failure(id), Some(StreamError::RemoteReset));
    assert_eq!(rig.frames(), [fin(1)]);
}

#[test]
fn the_end_of_the_error_stream_by_the_client_means_nothing() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.peer_all(&[fin(1), cancel(1)]);
    rig.data(3, "fine");
    assert_eq!(rig.read_all(id), (b"fine".to_vec(), End::Open));
    rig.write(id, b"fine");
    assert_eq!(rig.frames(), [data(3, "fine")]);
}

#[test]
fn nothing_is_said_on_an_error_stream_that_the_client_gave_up() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.rst(1);
    rig.fail(id, "nobody hears this").unwrap();
    assert_eq!(rig.frames(), [cancel(3)]);
}

#[test]
fn what_comes_after_an_end_is_ignored_and_not_answered() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.fin(3);
    rig.peer_all(&[data(3, "late"), fin(3), fin(1)]);
    assert_eq!(rig.read_all(id), (vec![], End::Eof));
    rig.rst(3);
    rig.frames();
    rig.peer_all(&[data(3, "later"), fin(3), cancel(3), data(99, "never was"), cancel(98)]);
    assert_eq!(rig.frames(), []);
    assert_eq!(rig.session.stats().ignored_late, 4 + 5 + 9);
}

#[test]
fn a_pod_that_is_given_up_is_a_reset_of_both_streams() {
    for release in [false, true] {
        let (mut rig, id) = Spdy::accepted(SERVER);
        rig.write(id, b"queued");
        if release {
            rig.release(id);
        } else {
            rig.reset(id);
        }
        assert_eq!(rig.frames(), [cancel(3), cancel(1)]);
    }
}

#[test]
fn a_stream_that_is_released_right_after_its_end_says_its_end() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.finish(id);
    rig.release(id);
    assert_eq!(rig.frames(), [fin(3), fin(1)]);
    rig.data(3, "late");
    assert_eq!(rig.frames(), []);
}

#[test]
fn an_end_that_waits_for_the_transport_does_not_wait_for_the_bulk_of_others() {
    let (mut rig, id) = Spdy::accepted(SERVER.with_max_payload(4));
    rig.syn_pair(5, 2, "1");
    let other = rig.session.accept().unwrap();
    rig.frames();
    rig.write(other, b"bulk of a neighbour");
    rig.finish(id);
    assert_eq!(rig.message().unwrap(), [fin(3), fin(1)]);
}
