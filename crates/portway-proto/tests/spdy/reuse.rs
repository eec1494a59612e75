//! When a session can carry another connection (C.8 point 4).

use portway_proto::{Config, OpenError, Retired, Reuse, Timer};
use portway_testkit::rig::{millis, secs};
use portway_testkit::spdy::{Frame, Spdy, cancel, fin, go_away};

use crate::{CLIENT, SERVER};

/// A client whose stream has come to an end and was released.
fn used(config: Config) -> Spdy {
    let (mut rig, id) = Spdy::opened(config);
    rig.peer_all(&[fin(3), fin(1)]);
    assert_eq!(rig.reusable(), Reuse::InUse, "not released");
    rig.release(id);
    rig
}

/// The pings of the health check, which are all that goes out.
fn pings(rig: &mut Spdy) -> Vec<Frame> {
    let message = rig.message().expect("the check");
    assert_eq!(rig.message(), None);
    assert_eq!(message.len(), 5, "{message:?}");
    assert!(message.iter().all(|frame| matches!(frame, Frame::Ping(id) if id % 2 == 1)));
    message
}

#[test]
fn what_was_never_used_is_ready() {
    let mut rig = Spdy::client(CLIENT);
    assert_eq!(rig.reusable(), Reuse::Ready);
    assert_eq!(rig.frames(), []);
}

#[test]
fn a_stream_that_never_reached_the_server_did_not_use_it() {
    let mut rig = Spdy::client(CLIENT);
    let id = rig.open(1);
    assert_eq!(rig.reusable(), Reuse::InUse);
    rig.release(id);
    assert_eq!(rig.frames(), []);
    assert_eq!(rig.reusable(), Reuse::Ready);
}

#[test]
fn five_pings_in_one_message_behind_our_last_word_and_five_answers_make_it_ready() {
    let mut rig = used(CLIENT);
    assert_eq!(rig.reusable(), Reuse::Checking);
    // Nothing has gone out yet: the reset comes first.
    let sent = rig.frames();
    assert_eq!(sent[0], cancel(3));
    assert_eq!(sent[1..], [1, 3, 5, 7, 9].map(Frame::Ping));
    assert_eq!(rig.next_timer(), Some((Timer::Check, secs(5))));
    for ping in [9, 3, 1, 5].map(Frame::Ping) {
        rig.peer(&ping);
        assert_eq!(rig.reusable(), Reuse::Checking, "not all");
    }
    rig.peer(&Frame::Ping(7));
    assert_eq!(rig.reusable(), Reuse::Ready);
    assert_eq!(rig.reusable(), Reuse::Ready, "until it is used");
    assert_eq!((rig.next_timer(), rig.frames()), (None, vec![]));
    let id = rig.open_replied(1, 5);
    rig.release(id);
    assert_eq!(rig.reusable(), Reuse::Checking, "again");
}

#[test]
fn the_check_waits_for_the_reset_of_a_release() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.release(id);
    assert_eq!(rig.reusable(), Reuse::Checking);
    let sent: Vec<_> = rig.frames();
    assert_eq!(sent[..2], [cancel(3), cancel(1)]);
    assert_eq!(sent.len(), 7);
}

#[test]
fn the_check_goes_behind_all_answers_however_many() {
    let mut rig = used(CLIENT);
    for _ in 0..4000 {
        rig.peer(&Frame::Ping(2));
    }
    assert_eq!(rig.reusable(), Reuse::Checking);
    let sent = rig.frames();
    assert_eq!(sent.len(), 1 + 4000 + 5);
    assert_eq!(sent[4001..], [1, 3, 5, 7, 9].map(Frame::Ping));
}

#[test]
fn four_answers_are_a_stuck_worker_and_the_session_is_never_used_again() {
    for missing in 0..5 {
        let mut rig = used(CLIENT);
        rig.frames();
        assert_eq!(rig.reusable(), Reuse::Checking);
        let pings = pings(&mut rig);
        for (at, ping) in pings.iter().enumerate().filter(|(at, _)| *at != missing) {
            rig.peer(ping);
            rig.peer(ping);
            assert_eq!(rig.reusable(), Reuse::Checking, "{at}");
        }
        rig.after(millis(4_999));
        assert_eq!(rig.reusable(), Reuse::Checking);
        rig.after(millis(1));
        assert_eq!(rig.reusable(), Reuse::No(Retired::Unanswered));
        rig.peer(&pings[missing]);
        assert_eq!(rig.reusable(), Reuse::No(Retired::Unanswered), "for good");
        let refusal = rig.try_open(1);
        assert_eq!(refusal, Err(OpenError::Retired(Retired::Unanswered)));
    }
}

#[test]
fn a_server_that_takes_nothing_any_more_fails_the_check_too() {
    let mut rig = used(CLIENT);
    rig.frames();
    assert_eq!(rig.reusable(), Reuse::Checking);
    // The transport is full: the pings wait here.
    rig.after(millis(4_999));
    assert_eq!(rig.reusable(), Reuse::Checking);
    rig.after(millis(1));
    assert_eq!(rig.reusable(), Reuse::No(Retired::Unanswered));
}

#[test]
fn a_stream_that_only_waits_for_its_end_does_not_hold_up_the_next() {
    let mut rig = Spdy::client(CLIENT);
    let id = rig.open_replied(8080, 1);
    rig.write(id, b"request");
    rig.frames();
    rig.finish(id);
    assert_eq!(rig.reusable(), Reuse::InUse, "an answer is owed");
    let mut rig = Spdy::client(CLIENT);
    let id = rig.open_replied(8080, 1);
    rig.write(id, b"request");
    rig.frames();
    rig.data(3, b"answer");
    assert_eq!(rig.reusable(), Reuse::InUse, "it may go on");
    rig.finish(id);
    assert_eq!(rig.reusable(), Reuse::Checking);
    for ping in pings(&mut rig) {
        rig.peer(&ping);
    }
    assert_eq!(rig.reusable(), Reuse::Ready);
    assert_eq!(rig.read_all(id).0, b"answer");
}

#[test]
fn a_keep_alive_that_is_due_does_not_come_between_the_five() {
    let mut rig = used(Config::client());
    rig.frames();
    rig.after(secs(30));
    assert_eq!(rig.reusable(), Reuse::Checking);
    assert_eq!(rig.message().unwrap().len(), 5);
    assert_eq!(rig.message().unwrap().len(), 1, "it follows");
    // An answer to a keep-alive is none to the check.
    rig.peer_all(&[1, 3, 5, 7, 11].map(Frame::Ping));
    assert_eq!(rig.reusable(), Reuse::Checking);
    rig.peer(&Frame::Ping(9));
    assert_eq!(rig.reusable(), Reuse::Ready);
}

#[test]
fn an_answer_from_before_the_check_proves_nothing() {
    let (mut rig, id) = Spdy::opened(Config::client());
    rig.after(secs(30));
    assert_eq!(rig.frames(), [Frame::Ping(1)]);
    rig.release(id);
    rig.frames();
    assert_eq!(rig.reusable(), Reuse::Checking);
    assert_eq!(pings(&mut rig), [3, 5, 7, 9, 11].map(Frame::Ping));
    rig.peer_all(&[1, 3, 5, 7, 9].map(Frame::Ping));
    assert_eq!(rig.reusable(), Reuse::Checking);
}

#[test]
fn a_new_stream_makes_the_check_void() {
    let mut rig = used(CLIENT);
    rig.frames();
    assert_eq!(rig.reusable(), Reuse::Checking);
    let pings = pings(&mut rig);
    rig.peer_all(&pings[..4]);
    let id = rig.open_replied(1, 5);
    assert_eq!(rig.next_timer(), None, "nothing is waited for");
    rig.after(secs(60));
    assert_eq!(rig.reusable(), Reuse::InUse, "the unanswered ping is forgotten");
    rig.release(id);
    rig.frames();
    rig.peer(&pings[4]);
    assert_eq!(rig.reusable(), Reuse::Checking, "from the beginning");
}

#[test]
fn what_the_server_has_given_up_is_not_used_again() {
    let mut rig = used(CLIENT);
    rig.frames();
    rig.peer(&go_away(3, 0));
    assert_ne!(rig.reusable(), Reuse::Checking);

    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.open(2);
    rig.frames();
    rig.after(secs(10));
    rig.frames();
    rig.release(id);
    assert_eq!(rig.reusable(), Reuse::No(Retired::OpenTimeout));
}

#[test]
fn a_session_that_closes_and_a_server_are_not_reused() {
    let mut rig = Spdy::client(CLIENT);
    rig.close(portway_proto::CloseReason::Local);
    assert_eq!(rig.reusable(), Reuse::No(Retired::Closing));
    rig.disconnect();
    assert_eq!(rig.reusable(), Reuse::No(Retired::Closing));
    let mut rig = Spdy::server(SERVER);
    assert_eq!(rig.reusable(), Reuse::No(Retired::Closing));
}

#[test]
fn a_pause_stops_the_check_and_asking_twice_sends_nothing_twice() {
    let mut rig = used(CLIENT);
    rig.frames();
    for _ in 0..3 {
        assert_eq!(rig.reusable(), Reuse::Checking);
    }
    pings(&mut rig);
    assert_eq!(rig.reusable(), Reuse::Checking);
    assert_eq!(rig.frames(), []);
}
