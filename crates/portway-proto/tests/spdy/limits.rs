//! What a hostile peer can make us hold.

use portway_proto::{CloseReason, OverflowPolicy, Violation};
use portway_testkit::spdy::{Frame, Spdy, cancel, data, fin, syn};

use crate::{CLIENT, SERVER, closed};

/// Answers that wait when a session stops reading.
const ENOUGH: usize = 1024;

/// Answers that may wait if it is read all the same: one read brings many.
const MOST: usize = 96 * 1024;

fn is_flood(rig: &mut Spdy) {
    let sent = rig.frames();
    assert!(matches!(sent[..], [Frame::GoAway { status: 1, .. }, Frame::Close(1002, _)]));
    let reason = closed(rig);
    assert!(matches!(reason, CloseReason::Violation(Violation::Flood { .. })), "{reason:?}");
}

/// It is read again once it takes what it asked for.
fn is_slowed_down(rig: &mut Spdy) {
    assert!(!rig.session.is_closed() && !rig.session.wants_read());
    assert!(rig.transmit().is_some());
    assert!(rig.session.wants_read());
}

#[test]
fn a_peer_that_pings_and_does_not_listen_is_slowed_down_and_then_ended() {
    for (mut rig, id) in [(Spdy::client(CLIENT), 2), (Spdy::server(SERVER), 1)] {
        let ping = Frame::Ping(id);
        for _ in 1..ENOUGH {
            rig.peer(&ping);
        }
        assert!(rig.session.wants_read(), "not yet");
        rig.peer(&ping);
        assert!(!rig.session.wants_read(), "it is slowed down");
        assert!(rig.transmit().is_some());
        assert!(rig.session.wants_read(), "it has listened");
        rig.peer_all(&vec![ping.clone(); MOST + 1]);
        is_flood(&mut rig);
    }
}

#[test]
fn a_peer_that_pings_and_listens_is_answered_for_ever() {
    let mut rig = Spdy::client(CLIENT);
    for _ in 0..20 {
        for _ in 0..1000 {
            rig.peer(&Frame::Ping(2));
        }
        assert_eq!(rig.frames().len(), 1000);
    }
}

#[test]
fn pings_in_one_message_count_alike() {
    let mut rig = Spdy::server(SERVER);
    rig.peer_all(&vec![Frame::Ping(1); MOST + 1]);
    is_flood(&mut rig);
}

#[test]
fn a_client_that_opens_and_resets_and_does_not_listen_is_slowed_down() {
    let config = SERVER.with_max_streams(4);
    let mut rig = Spdy::server(config.clone());
    let mut id = 1;
    while rig.session.wants_read() {
        rig.peer_all(&[syn(id, "error", 1, "0"), cancel(id)]);
        assert!(rig.session.streams() == 0 || !rig.session.wants_read());
        id += 2;
        assert!(id as usize <= 2 * ENOUGH + 3);
    }
    is_slowed_down(&mut rig);
}

#[test]
fn a_client_that_opens_and_does_not_listen_is_slowed_down() {
    let config = SERVER.with_max_streams(4);
    let mut rig = Spdy::server(config.clone());
    let mut id = 1;
    while rig.session.wants_read() {
        rig.syn_pair(id, 1, &id.to_string());
        assert!(rig.session.streams() <= 4);
        id += 4;
        assert!(id as usize <= 4 * ENOUGH);
    }
    is_slowed_down(&mut rig);
}

#[test]
fn a_server_that_opens_streams_and_does_not_listen_is_slowed_down() {
    let mut rig = Spdy::client(CLIENT);
    let mut id = 2;
    while rig.session.wants_read() {
        rig.peer(&syn(id, "data", 1, "0"));
        id += 2;
        assert!(id as usize <= 2 * ENOUGH + 4);
    }
    is_slowed_down(&mut rig);
}

#[test]
fn resets_and_data_of_nothing_cost_nothing() {
    let mut rig = Spdy::server(SERVER);
    for id in 1..20_000 {
        rig.peer_all(&[cancel(id), fin(id), data(id, "x")]);
    }
    assert_eq!((rig.frames(), rig.events()), (vec![], vec![]));
    assert_eq!(rig.session.stats().buffered, 0);
}

#[test]
fn streams_that_fill_up_hold_no_more_than_the_config_says() {
    // `Rig` holds `Stats::buffered` against `Config::worst_case` at every step.
    let config = SERVER
        .with_max_streams(3)
        .with_recv_buffer(100)
        .with_error_text(10)
        .with_overflow(OverflowPolicy::Reset);
    let mut rig = Spdy::server(config.clone());
    for id in [1, 5, 9] {
        rig.syn_pair(id, 1, &id.to_string());
    }
    let ids = rig.accept_all();
    for _ in 0..20 {
        for id in [3, 7, 11] {
            rig.data(id, [7; 60]);
        }
    }
    assert!(rig.session.stats().buffered <= config.worst_case(3, 68));
    assert_eq!(rig.session.stats().overflows, 3);
    for id in ids {
        rig.release(id);
    }
    assert_eq!(rig.session.stats().buffered, 0);
}
