//! What the local end does on a wire without a half-close (design: half-close is a policy).

use portway_proto::{CloseReason, Config, Event, HalfClose, StreamEvent, Timer, WriteError};
use portway_testkit::rig::{End, Rig, close, data, millis, secs};

fn client(policy: HalfClose) -> (Rig, portway_proto::StreamId) {
    let config = Config::client().with_half_close(policy).with_keep_alive(None);
    let mut rig = Rig::ready_client(config, &[8080]);
    let id = rig.open(8080);
    (rig, id)
}

const WHEN_IDLE: HalfClose = HalfClose::WhenIdle { unanswered: secs(5), answered: secs(1) };

#[test]
fn an_unanswered_request_keeps_the_session_for_the_longer_wait() {
    let (mut rig, id) = client(WHEN_IDLE);
    rig.write(id, b"request");
    rig.finish(id);
    assert_eq!(rig.sent(), [data(0, "request")], "the end says nothing on the wire");
    assert_eq!(rig.next_timer(), Some((Timer::HalfClose, secs(5))));
    rig.after(millis(4999));
    assert_eq!(rig.sent(), []);
    rig.after(millis(1));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn an_answered_exchange_keeps_the_session_for_the_shorter_wait() {
    let (mut rig, id) = client(WHEN_IDLE);
    rig.write(id, b"request");
    rig.sent();
    rig.message(0, b"answer");
    rig.after(secs(60));
    rig.finish(id);
    rig.after(millis(999));
    assert_eq!(rig.sent(), []);
    rig.after(millis(1));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn a_stream_that_never_carried_anything_counts_as_unanswered() {
    let (mut rig, id) = client(WHEN_IDLE);
    rig.finish(id);
    rig.after(millis(4999));
    assert_eq!(rig.sent(), []);
    rig.after(millis(1));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn the_last_bytes_before_the_end_decide_not_what_comes_after_it() {
    // The request is written, but still here when the answer to the one before comes.
    let (mut rig, id) = client(WHEN_IDLE);
    rig.write(id, b"one");
    rig.sent();
    rig.write(id, b"two");
    rig.message(0, b"answer to one");
    rig.finish(id);
    rig.sent();
    rig.message(0, b"answer to two, first half");
    rig.after(millis(4999));
    assert_eq!(rig.sent(), [], "two is still owed an answer: the pod may pause in the middle");
    rig.after(millis(1));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn every_byte_of_the_pod_starts_the_wait_again() {
    let (mut rig, id) = client(WHEN_IDLE);
    rig.write(id, b"request");
    rig.finish(id);
    rig.sent();
    for _ in 0..100 {
        rig.after(millis(4999));
        rig.message(0, b".");
        assert_eq!(rig.read_all(id), (b".".to_vec(), End::Open));
    }
    assert_eq!(rig.sent(), []);
    rig.after(secs(5));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn the_wait_begins_when_the_last_byte_is_out_not_when_the_local_end_is_seen() {
    let (mut rig, id) = client(WHEN_IDLE);
    rig.write(id, b"request");
    rig.finish(id);
    rig.after(secs(60));
    assert_eq!(rig.session.send(id).unwrap().lingering(), None);
    assert_eq!(rig.sent(), [data(0, "request")], "the transport was busy for a minute");
    assert_eq!(rig.session.send(id).unwrap().lingering(), Some(rig.now()));
    rig.after(millis(4999));
    assert_eq!(rig.sent(), []);
    rig.after(millis(1));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn the_wait_begins_when_the_pod_has_been_given_the_last_byte() {
    let (mut rig, id) = client(WHEN_IDLE);
    rig.write(id, b"a long question");
    rig.finish(id);
    rig.sent();
    rig.flushed(15);
    for left in (0..5).rev() {
        rig.after(secs(4));
        rig.flushed(left);
    }
    rig.after(millis(4999));
    assert_eq!(rig.sent(), []);
    rig.after(millis(1));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn what_others_write_later_is_no_reason_to_wait() {
    let (mut rig, id) = client(WHEN_IDLE);
    rig.write(id, b"question");
    rig.finish(id);
    rig.sent();
    rig.flushed(0);
    for left in [9, 5, 2, 1] {
        rig.after(secs(1));
        rig.flushed(left);
    }
    rig.after(secs(1));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn immediate_waits_a_second_for_an_answer_that_is_owed() {
    let (mut rig, id) = client(HalfClose::Immediate);
    rig.write(id, b"request");
    rig.finish(id);
    assert_eq!(rig.sent(), [data(0, "request")]);
    rig.after(millis(999));
    assert_eq!(rig.sent(), []);
    rig.after(millis(1));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn immediate_waits_for_nothing_after_an_answer() {
    let (mut rig, id) = client(HalfClose::Immediate);
    rig.write(id, b"request");
    rig.sent();
    rig.message(0, b"answer");
    rig.finish(id);
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn never_leaves_the_end_to_the_pod() {
    let (mut rig, id) = client(HalfClose::Never);
    rig.write(id, b"request");
    rig.finish(id);
    rig.sent();
    assert_eq!(rig.next_timer(), None);
    rig.after(secs(24 * 3600));
    assert_eq!(rig.sent(), []);
    rig.message(0, b"a day later");
    rig.peer_close(1000);
    assert_eq!(rig.sent(), [close(1000)]);
    assert_eq!(rig.read_all(id), (b"a day later".to_vec(), End::Eof));
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Done)));
}

#[test]
fn the_answer_after_an_early_end_is_complete() {
    let (mut rig, id) = client(HalfClose::DEFAULT);
    rig.write(id, b"request");
    rig.finish(id);
    rig.sent();
    for _ in 0..50 {
        rig.after(millis(4900));
        rig.message(0, &[b'x'; 10_000]);
        assert_eq!(rig.read_all(id).0.len(), 10_000);
    }
    rig.peer_close(1000);
    assert_eq!(rig.read_all(id), (Vec::new(), End::Eof));
    assert_eq!(rig.failure(id), None);
}

#[test]
fn data_that_comes_while_we_close_is_still_delivered() {
    let (mut rig, id) = client(HalfClose::Immediate);
    rig.finish(id);
    rig.after(secs(1));
    assert_eq!(rig.sent(), [close(1000)]);
    rig.message(0, b"crossed the Close on its way");
    rig.peer_close(1000);
    assert_eq!(rig.read_all(id), (b"crossed the Close on its way".to_vec(), End::Eof));
}

#[test]
fn the_policy_can_change_while_the_stream_lingers() {
    let (mut rig, id) = client(HalfClose::Never);
    rig.write(id, b"request");
    rig.finish(id);
    rig.sent();
    rig.after(secs(3));
    rig.set_half_close(id, WHEN_IDLE);
    assert_eq!(rig.next_timer(), Some((Timer::HalfClose, secs(2))), "three of five have passed");
    let zero = HalfClose::WhenIdle { unanswered: secs(0), answered: secs(0) };
    rig.set_half_close(id, zero);
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn nobody_waits_for_an_answer_that_nobody_reads() {
    let (mut rig, id) = client(WHEN_IDLE);
    rig.write(id, b"request");
    rig.finish(id);
    rig.sent();
    rig.stop(id);
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn one_lingering_port_does_not_end_a_session_with_others() {
    let config = Config::client().with_half_close(HalfClose::Immediate).with_keep_alive(None);
    let mut rig = Rig::ready_client(config, &[1, 2]);
    let (a, b) = (rig.open(1), rig.open(2));
    rig.finish(a);
    rig.after(secs(10));
    assert_eq!(rig.sent(), []);
    rig.message(0, b"after the wait");
    assert_eq!(rig.read_all(a), (b"after the wait".to_vec(), End::Open), "nothing was cut");
    rig.write(b, b"alive");
    assert_eq!(rig.sent(), [data(2, "alive")]);
    rig.finish(b);
    rig.after(secs(1));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn after_finish_nothing_more_is_taken() {
    let (mut rig, id) = client(WHEN_IDLE);
    rig.finish(id);
    assert_eq!(rig.try_write(id, b"x"), Err(WriteError::Finished));
    assert_eq!(rig.try_finish(id), Err(WriteError::Finished));
    assert_eq!(rig.session.send(id).unwrap().capacity(), 0);
}

#[test]
fn the_pods_end_is_the_end_while_we_linger() {
    let (mut rig, id) = client(WHEN_IDLE);
    rig.finish(id);
    rig.peer_close(1000);
    let news = [StreamEvent::Readable, StreamEvent::Lingering, StreamEvent::Done];
    assert_eq!(rig.events_of(id), news);
    assert_eq!(rig.read_all(id), (Vec::new(), End::Eof));
    assert_eq!(rig.next_timer().unwrap().0, Timer::Close, "only our answer is left to send");
}

#[test]
fn a_slow_reader_is_no_silence_of_the_pod() {
    let config = Config::client().with_recv_buffer(10).with_keep_alive(None);
    let mut rig = Rig::ready_client(config, &[8080]);
    let id = rig.open(8080);
    rig.write(id, b"request");
    rig.finish(id);
    rig.sent();
    rig.after(secs(4));
    rig.message(0, b"0123456789");
    assert!(!rig.session.wants_read());
    rig.after(secs(3600));
    assert_eq!(rig.sent(), [], "nobody listens, so nobody knows that the pod is silent");
    assert_eq!(rig.read_all(id).0, b"0123456789");
    rig.after(millis(4999));
    assert_eq!(rig.sent(), []);
    rig.after(millis(1));
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn a_local_end_during_a_pause_waits_no_longer_than_one_outside() {
    let config = Config::client().with_recv_buffer(10).with_keep_alive(None);
    let mut rig = Rig::ready_client(config, &[8080]);
    let id = rig.open(8080);
    rig.message(0, b"0123456789");
    rig.after(secs(3600));
    rig.write(id, b"last words");
    rig.finish(id);
    rig.sent();
    rig.after(secs(100));
    rig.read_all(id);
    rig.after(millis(4999));
    assert_eq!(rig.sent(), []);
    rig.after(millis(1));
    assert_eq!(rig.sent(), [close(1000)], "the pause before finish() counts for nothing");
}
