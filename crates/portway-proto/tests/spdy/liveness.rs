//! Whether the peer still answers (C.8 point 3; C.9).

use portway_proto::{CloseReason, Config, Incoming, StreamError};
use portway_testkit::rig::{millis, secs};
use portway_testkit::spdy::{Frame, Spdy, data};

use crate::closed;

const THREE_HOURS: u64 = 3 * 3600;

/// Lets time pass; the peer answers the pings that `answers` says, by their number from 1.
fn answering(rig: &mut Spdy, wait: u64, mut answers: impl FnMut(u32) -> bool) {
    let mut left = secs(wait);
    while !left.is_zero() && !rig.session.is_closed() {
        let step = rig.next_timer().map_or(left, |(_, at)| at.min(left)).max(millis(1));
        rig.after(step);
        left -= step;
        for frame in rig.frames() {
            if let Frame::Ping(id) = frame
                && answers(id.div_ceil(2))
            {
                rig.peer(&Frame::Ping(id));
            }
        }
    }
}

#[test]
fn a_dead_peer_is_noticed_after_three_missed_pings() {
    for (mut rig, id) in [Spdy::opened(Config::client()), Spdy::accepted(Config::server())] {
        answering(&mut rig, 119, |_| false);
        assert!(!rig.session.is_closed());
        answering(&mut rig, 1, |_| false);
        assert_eq!(closed(&mut rig), CloseReason::PeerDead);
        assert_eq!(rig.failure(id), Some(StreamError::Session(CloseReason::PeerDead)));
    }
}

#[test]
fn whatever_comes_in_between_is_a_sign_of_life() {
    let signs = [
        Incoming::Ping(vec![].into()),
        Incoming::Binary { bytes: vec![0, 0, 0, 9, 0, 0, 0, 0].into(), end: true },
        Incoming::Binary { bytes: vec![0x80, 3, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0].into(), end: true },
    ];
    for sign in signs {
        let (mut rig, _) = Spdy::opened(Config::client());
        for _ in 0..50 {
            answering(&mut rig, 89, |_| false);
            rig.feed(sign.clone());
        }
        assert!(!rig.session.is_closed());
    }
}

#[test]
fn a_server_one_of_whose_five_workers_is_stuck_is_not_killed() {
    // A pod does not read what we sent: its worker is stuck, and every fifth ping behind it.
    for stuck in 0..5 {
        let (mut rig, id) = Spdy::opened(Config::client());
        rig.write(id, b"the pod does not read this");
        rig.frames();
        answering(&mut rig, THREE_HOURS, |number| number % 5 != stuck);
        assert!(!rig.session.is_closed(), "{stuck}");
    }
}

#[test]
fn a_server_whose_queue_behind_a_stuck_worker_has_filled_up_is_not_killed() {
    // Fifty frames wait for the stuck worker, our pings among them; then the server's read loop waits
    // too, and nothing is answered any more, though all is well.
    for stuck in 0..5 {
        let (mut rig, id) = Spdy::opened(Config::client());
        rig.write(id, b"the pod does not read this");
        rig.frames();
        let mut waiting = 30;
        answering(&mut rig, THREE_HOURS, |number| {
            waiting += u32::from(number % 5 == stuck);
            waiting <= 50 && number % 5 != stuck
        });
        assert!(waiting > 50, "the queue has filled up");
        assert!(!rig.session.is_closed(), "{stuck}");
    }
}

#[test]
fn a_peer_that_is_blocked_while_we_send_is_not_killed() {
    let (mut rig, id) = Spdy::opened(Config::client());
    rig.write(id, b"the pod does not read this");
    rig.frames();
    answering(&mut rig, THREE_HOURS, |_| false);
    assert!(!rig.session.is_closed());
}

#[test]
fn a_peer_that_talks_and_does_not_listen_is_not_killed_when_it_falls_silent() {
    let (mut rig, id) = Spdy::opened(Config::client());
    rig.write(id, b"the pod does not read this");
    rig.frames();
    rig.data(3, "but says that");
    rig.read_all(id);
    answering(&mut rig, THREE_HOURS, |_| false);
    assert!(!rig.session.is_closed());
}

#[test]
fn five_answers_in_a_row_prove_that_all_data_was_taken_and_the_count_begins_again() {
    let (mut rig, id) = Spdy::opened(Config::client());
    rig.write(id, b"hello");
    rig.frames();
    answering(&mut rig, 5 * 30, |_| true);
    answering(&mut rig, 89, |_| false);
    assert!(!rig.session.is_closed());
    answering(&mut rig, 31, |_| false);
    assert_eq!(closed(&mut rig), CloseReason::PeerDead);
}

#[test]
fn four_answers_prove_nothing_about_the_fifth_worker() {
    let (mut rig, id) = Spdy::opened(Config::client());
    rig.write(id, b"hello");
    rig.frames();
    answering(&mut rig, 4 * 30, |_| true);
    answering(&mut rig, THREE_HOURS, |_| false);
    assert!(!rig.session.is_closed());
}

#[test]
fn the_health_check_proves_it_too() {
    let (mut rig, id) = Spdy::opened(Config::client());
    rig.write(id, b"hello");
    rig.frames();
    rig.release(id);
    rig.frames();
    assert_eq!(rig.reusable(), portway_proto::Reuse::Checking);
    for frame in rig.frames() {
        rig.peer(&frame);
    }
    answering(&mut rig, 121, |_| false);
    assert_eq!(closed(&mut rig), CloseReason::PeerDead);
}

#[test]
fn a_ping_that_the_transport_never_took_is_no_miss() {
    let (mut rig, _) = Spdy::opened(Config::client());
    rig.after(secs(THREE_HOURS));
    assert!(!rig.session.is_closed());
    assert_eq!(rig.frames(), [Frame::Ping(1)], "and what waits is one");
}

#[test]
fn a_pause_is_no_miss() {
    let config = Config::client().with_recv_buffer(1);
    let (mut rig, id) = Spdy::opened(config.with_overflow(portway_proto::OverflowPolicy::Pause));
    answering(&mut rig, 30, |_| false);
    rig.data(3, "x");
    answering(&mut rig, THREE_HOURS, |_| false);
    rig.read_all(id);
    answering(&mut rig, 89, |_| false);
    assert!(!rig.session.is_closed());
}

#[test]
fn idle_is_a_session_in_which_nothing_moves() {
    let config = Config::server().with_idle_timeout(Some(secs(60))).with_keep_alive(None);
    let (mut rig, id) = Spdy::accepted(config);
    rig.after(secs(59));
    rig.data(3, "in");
    rig.after(secs(59));
    rig.write(id, b"out");
    assert_eq!(rig.frames(), [data(3, "out")]);
    rig.after(secs(59));
    rig.peer(&Frame::Ping(1));
    rig.after(millis(59_999));
    assert_eq!(rig.frames(), [Frame::Ping(1)]);
    rig.after(millis(1));
    let last = rig.frames().pop().unwrap();
    assert_eq!(last, Frame::Close(1001, "idle timeout".into()));
}

#[test]
fn our_own_pings_and_their_answers_do_not_keep_an_idle_session() {
    let config = Config::server().with_idle_timeout(Some(secs(100)));
    let (mut rig, _) = Spdy::accepted(config);
    answering(&mut rig, 101, |_| true);
    rig.after(secs(3));
    assert_eq!(closed(&mut rig), CloseReason::Idle);
}

#[test]
fn pings_of_the_peer_keep_it() {
    let config = Config::server().with_idle_timeout(Some(secs(100))).with_keep_alive(None);
    let (mut rig, _) = Spdy::accepted(config);
    for _ in 0..100 {
        rig.after(secs(99));
        rig.peer(&Frame::Ping(1));
        assert_eq!(rig.frames(), [Frame::Ping(1)]);
    }
}

#[test]
fn a_client_does_not_end_a_session_for_being_idle() {
    let (mut rig, _) = Spdy::opened(Config::client());
    answering(&mut rig, 24 * 3600, |_| true);
    assert!(!rig.session.is_closed());
}

#[test]
fn answers_to_pings_from_before_the_data_prove_nothing_about_it() {
    let (mut rig, id) = Spdy::opened(Config::client().with_keep_alive_misses(100));
    let mut early = Vec::new();
    for _ in 0..6 {
        rig.after(secs(30));
        early.extend(rig.frames());
    }
    rig.write(id, b"the pod does not read this");
    rig.frames();
    rig.after(secs(30));
    rig.frames();
    rig.peer_all(&early);
    answering(&mut rig, THREE_HOURS, |_| false);
    assert!(!rig.session.is_closed());
}

#[test]
fn a_stuck_worker_is_not_buried_under_our_pings() {
    let (mut rig, id) = Spdy::opened(Config::client());
    rig.write(id, b"the pod does not read this");
    rig.frames();
    let mut stuck = Vec::new();
    answering(&mut rig, 4 * THREE_HOURS, |number| {
        stuck.extend((number % 5 == 0).then_some(number));
        number % 5 != 0
    });
    assert!(!rig.session.is_closed());
    assert_eq!(stuck.len(), 25, "with 51 the server would stop reading");
    // The pod goes on.
    for number in stuck {
        rig.peer(&Frame::Ping(2 * number - 1));
    }
    let mut pings = 0;
    answering(&mut rig, 300, |_| {
        pings += 1;
        true
    });
    assert_eq!(pings, 10, "every 30 s again");
}

#[test]
fn a_peer_that_is_pinged_no_more_is_noticed_to_be_dead_all_the_same() {
    let (mut rig, _) = Spdy::opened(Config::client());
    for _ in 0..50 {
        answering(&mut rig, 60, |_| false);
        rig.feed(Incoming::Ping(vec![].into()));
    }
    assert!(!rig.session.is_closed());
    answering(&mut rig, 60, |_| panic!("pinged in spite of all that wait"));
    assert!(!rig.session.is_closed());
    answering(&mut rig, 60, |_| false);
    assert_eq!(closed(&mut rig), CloseReason::PeerDead);
}
