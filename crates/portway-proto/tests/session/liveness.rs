//! Whether the peer is dead or only busy (rulings: misses count only while we sent no data since
//! the last answered ping, because a v4 server that a slow pod blocks answers nothing).

use std::cell::Cell;

use bytes::Bytes;
use portway_proto::{CloseReason, Config, Event, Incoming, StreamError};
use portway_testkit::rig::{Rig, Sent, secs};

const THREE_HOURS: u64 = 3 * 3600;

fn ping_of(sent: &[Sent]) -> Option<Vec<u8>> {
    sent.iter()
        .find_map(|sent| if let Sent::Ping(payload) = sent { Some(payload.clone()) } else { None })
}

#[test]
fn a_dead_peer_is_noticed_after_three_misses() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    let pings = Cell::new(0);
    rig.run(secs(119), |rig| {
        pings.set(pings.get() + u32::from(ping_of(&rig.sent()).is_some()));
    });
    assert_eq!(pings.get(), 3);
    assert!(!rig.session.is_closed());
    rig.after(secs(1));
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::PeerDead)));
    assert_eq!(rig.failure(id), Some(StreamError::Session(CloseReason::PeerDead)));
}

#[test]
fn a_peer_that_answers_every_ping_lives() {
    for mut rig in [
        Rig::ready_client(Config::client(), &[8080]),
        Rig::ready_server(Config::server().with_idle_timeout(None), &[8080]),
    ] {
        rig.run(secs(THREE_HOURS), |rig| {
            let sent = rig.sent();
            rig.peer_answers(&sent);
        });
        assert!(!rig.session.is_closed());
        assert_eq!(rig.session.stats().pings, THREE_HOURS / 30);
    }
}

#[test]
fn any_sign_of_life_is_one() {
    let signs = [
        Incoming::Binary { bytes: Bytes::from_static(b"\0x"), end: true },
        Incoming::Binary { bytes: Bytes::from_static(b"\0x"), end: false },
        Incoming::Binary { bytes: Bytes::new(), end: true },
        Incoming::Ping(Bytes::new()),
        Incoming::Pong(Bytes::from_static(b"an old one")),
    ];
    for sign in signs {
        let mut rig = Rig::ready_client(Config::client(), &[8080]);
        let id = rig.open(8080);
        for _ in 0..50 {
            rig.run(secs(89), |rig| drop(rig.sent()));
            rig.feed(sign.clone());
            rig.read_all(id);
        }
        assert!(!rig.session.is_closed(), "{sign:?}");
    }
}

#[test]
fn a_peer_that_is_blocked_while_we_send_is_not_killed_in_three_hours() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.write(id, b"the pod does not read this");
    rig.run(secs(THREE_HOURS), |rig| drop(rig.sent()));
    assert!(!rig.session.is_closed());
}

#[test]
fn a_blocked_peer_that_still_sends_is_not_killed_when_it_falls_silent() {
    // The pod talks without listening: its bytes prove that it lives, not that the server's read
    // loop is free to answer pings.
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.write(id, b"the pod does not read this");
    rig.sent();
    rig.message(0, b"but says that");
    rig.read_all(id);
    rig.run(secs(THREE_HOURS), |rig| drop(rig.sent()));
    assert!(!rig.session.is_closed());
}

#[test]
fn an_answer_to_a_ping_from_before_the_data_says_nothing_about_the_data() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.after(secs(30));
    let ping = ping_of(&rig.sent()).unwrap();
    rig.write(id, b"the pod does not read this");
    rig.sent();
    rig.feed(Incoming::Pong(ping.into()));
    rig.run(secs(THREE_HOURS), |rig| drop(rig.sent()));
    assert!(!rig.session.is_closed());
}

#[test]
fn the_answer_to_a_ping_after_the_data_starts_the_count_again() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.write(id, b"hello");
    rig.run(secs(3600), |rig| drop(rig.sent()));
    assert!(!rig.session.is_closed());
    // The pod reads at last, and the server answers all the pings at once.
    rig.after(secs(30));
    let ping = ping_of(&rig.sent()).unwrap();
    rig.feed(Incoming::Pong(ping.into()));
    rig.run(secs(89), |rig| drop(rig.sent()));
    assert!(!rig.session.is_closed());
    rig.run(secs(31), |rig| drop(rig.sent()));
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::PeerDead)));
}

#[test]
fn a_ping_that_the_transport_never_took_is_no_miss() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    rig.after(secs(THREE_HOURS));
    assert!(!rig.session.is_closed(), "nobody was asked anything");
    assert_eq!(rig.sent().len(), 2, "and what waits is one ping, not hundreds");
}

#[test]
fn a_pause_is_no_miss() {
    let mut rig = Rig::ready_client(Config::client().with_recv_buffer(1), &[8080]);
    let id = rig.open(8080);
    rig.after(secs(30));
    rig.sent();
    rig.message(0, b"x");
    rig.run(secs(THREE_HOURS), |rig| drop(rig.sent()));
    rig.read_all(id);
    rig.run(secs(89), |rig| drop(rig.sent()));
    assert!(!rig.session.is_closed());
}

#[test]
fn the_number_of_misses_can_be_set_and_is_at_least_one() {
    for (given, misses) in [(0, 1), (1, 1), (5, 5)] {
        let config = Config::client().with_keep_alive_misses(given);
        assert_eq!(config.keep_alive_misses(), misses);
        let mut rig = Rig::ready_client(config, &[8080]);
        let wait = secs(30 * (u64::from(misses) + 1));
        rig.run(wait - secs(1), |rig| drop(rig.sent()));
        assert!(!rig.session.is_closed(), "{given}");
        rig.after(secs(1));
        assert!(rig.session.is_closed(), "{given}");
    }
}

#[test]
fn a_late_answer_to_an_earlier_ping_says_nothing_about_the_data_behind_it() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.after(secs(30));
    let first = ping_of(&rig.sent()).unwrap();
    rig.write(id, b"the pod does not read this");
    rig.sent();
    rig.after(secs(30));
    let second = ping_of(&rig.sent()).unwrap();
    assert_ne!(first, second);
    rig.feed(Incoming::Pong(first.into()));
    rig.run(secs(THREE_HOURS), |rig| drop(rig.sent()));
    assert!(!rig.session.is_closed(), "the second ping is still behind the data");
}

#[test]
fn a_ping_on_demand_tells_the_round_trip() {
    let mut rig = Rig::ready_client(Config::client().with_keep_alive(None), &[8080]);
    rig.session.ping(rig.now());
    let sent = rig.sent();
    assert!(ping_of(&sent).is_some(), "{sent:?}");
    rig.after(secs(3));
    rig.peer_answers(&sent);
    assert_eq!(rig.session.stats().round_trip, Some(secs(3)));
    rig.session.close(CloseReason::Local, rig.now());
    drop(rig.sent());
    rig.session.ping(rig.now());
    assert_eq!(rig.sent(), []);
}
