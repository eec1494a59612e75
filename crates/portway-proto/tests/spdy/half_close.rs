//! The half-close policies with a FIN on the wire.

use portway_proto::{HalfClose, Timer};
use portway_testkit::rig::{End, millis, secs};
use portway_testkit::spdy::{Spdy, cancel, data, fin};

use crate::{CLIENT, SERVER};

#[test]
fn immediate_is_a_fin_behind_the_last_byte_and_the_rest_is_still_received() {
    let (mut rig, id) =
        Spdy::opened(CLIENT.with_half_close(HalfClose::Immediate).with_max_payload(4));
    rig.write(id, b"request");
    rig.finish(id);
    assert!(!rig.session.send(id).unwrap().is_over(), "not sent yet");
    assert_eq!(rig.frames(), [data(3, "requ"), data(3, "est"), fin(3)]);
    assert!(rig.session.send(id).unwrap().is_over());
    rig.after(secs(3600));
    rig.data(3, "answer");
    rig.peer_all(&[fin(3), fin(1)]);
    assert_eq!(rig.read_all(id), (b"answer".to_vec(), End::Eof));
    assert_eq!(rig.frames(), []);
}

#[test]
fn a_stream_can_be_finished_before_it_went_out() {
    let mut rig = Spdy::client(CLIENT.with_half_close(HalfClose::Immediate));
    let id = rig.open(1);
    rig.write(id, b"x");
    rig.finish(id);
    assert_eq!(rig.frames()[3..], [data(3, "x"), fin(3)]);
    let id = rig.open(2);
    rig.finish(id);
    assert_eq!(rig.frames()[3..], [fin(7)]);
}

#[test]
fn never_leaves_the_end_to_the_pod() {
    let (mut rig, id) = Spdy::opened(CLIENT.with_half_close(HalfClose::Never));
    rig.write(id, b"request");
    rig.finish(id);
    assert_eq!(rig.frames(), [data(3, "request")]);
    rig.after(secs(24 * 3600));
    assert_eq!(rig.frames(), []);
    rig.peer_all(&[data(3, "answer"), fin(3)]);
    assert_eq!(rig.frames(), [cancel(3)]);
    rig.fin(1);
    assert_eq!(rig.read_all(id), (b"answer".to_vec(), End::Eof));
}

#[test]
fn when_idle_waits_for_the_pods_silence() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.write(id, b"request");
    rig.finish(id);
    rig.frames();
    assert_eq!(rig.next_timer(), Some((Timer::HalfClose, secs(5))), "an answer is owed");
    for _ in 0..10 {
        rig.after(millis(4_999));
        rig.data(3, "slow");
        rig.read_all(id);
        assert_eq!(rig.frames(), []);
    }
    rig.after(secs(5));
    assert_eq!(rig.frames(), [fin(3)]);

    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.data(3, "banner");
    rig.finish(id);
    assert_eq!(rig.next_timer(), Some((Timer::HalfClose, secs(1))), "nothing is owed");
    rig.after(secs(1));
    assert_eq!(rig.frames(), [fin(3)]);
}

#[test]
fn a_fin_does_not_wait_for_the_bulk_of_others() {
    let (mut rig, id) =
        Spdy::opened(CLIENT.with_half_close(HalfClose::Immediate).with_max_payload(1));
    let other = rig.open_replied(2, 5);
    rig.write(other, b"bulk");
    rig.finish(id);
    assert_eq!(rig.message().unwrap(), [fin(3)]);
}

#[test]
fn who_stops_reading_has_nothing_to_wait_for() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.finish(id);
    rig.stop(id);
    assert_eq!(rig.frames(), [fin(3)]);
    assert!(rig.session.is_done(id));
}

#[test]
fn a_server_passes_the_pods_end_on_at_once_whatever_the_policy() {
    for policy in [HalfClose::Immediate, HalfClose::Never, HalfClose::DEFAULT] {
        let (mut rig, id) = Spdy::accepted(SERVER.with_half_close(policy));
        rig.write(id, b"x");
        rig.finish(id);
        assert_eq!(rig.frames(), [data(3, "x"), fin(3), fin(1)]);
    }
}
