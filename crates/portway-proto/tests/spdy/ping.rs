//! Pings of the peer and ours (D.3; D.5; traps 25 and 37).

use portway_proto::{Config, Incoming, Side};
use portway_testkit::rig::secs;
use portway_testkit::spdy::{Frame, Spdy};

use crate::{CLIENT, SERVER};

fn rig(side: Side, config: Config) -> Spdy {
    Spdy::new(side, portway_proto::WireForm::Tunnel, config)
}

#[test]
fn a_ping_of_the_peer_is_echoed_once() {
    for (side, config, id) in [(Side::Client, CLIENT, 2), (Side::Server, SERVER, 1)] {
        let mut rig = rig(side, config);
        rig.peer(&Frame::Ping(id));
        assert_eq!(rig.frames(), [Frame::Ping(id)]);
        rig.peer_all(&[Frame::Ping(id + 2), Frame::Ping(id), Frame::Ping(id + 0x7fff_0000)]);
        assert_eq!(
            rig.frames(),
            [Frame::Ping(id + 2), Frame::Ping(id), Frame::Ping(id + 0x7fff_0000)]
        );
        assert_eq!(rig.frames(), []);
    }
}

#[test]
fn an_answer_to_a_ping_is_never_answered_whether_or_not_it_was_sent() {
    for (side, config, id) in [(Side::Client, CLIENT, 1), (Side::Server, SERVER, 2)] {
        let mut rig = rig(side, config);
        rig.peer_all(&[Frame::Ping(id), Frame::Ping(id + 2), Frame::Ping(0xffff_fff0 + id)]);
        assert_eq!((rig.frames(), rig.events()), (vec![], vec![]));
    }
}

#[test]
fn our_pings_have_our_parity_and_rise() {
    for (side, config, first) in
        [(Side::Client, Config::client(), 1), (Side::Server, Config::server(), 2)]
    {
        let mut rig = rig(side, config);
        for number in 0..4 {
            rig.after(secs(30));
            let ping = Frame::Ping(first + 2 * number);
            assert_eq!(rig.frames(), std::slice::from_ref(&ping));
            rig.peer(&ping);
        }
        assert_eq!((rig.session.stats().pings, rig.session.stats().pongs), (4, 4));
        assert!(!rig.session.is_closed());
    }
}

#[test]
fn a_websocket_ping_is_answered_beside_them() {
    let (mut rig, _) = Spdy::opened(CLIENT);
    rig.feed(Incoming::Ping(b"hop".to_vec().into()));
    assert_eq!(rig.frames(), [Frame::WsPong(b"hop".to_vec())]);
}

#[test]
fn a_pong_goes_before_bulk() {
    let (mut rig, id) = Spdy::opened(CLIENT.with_max_payload(1));
    rig.write(id, b"bulk");
    rig.peer(&Frame::Ping(2));
    assert_eq!(rig.message().unwrap(), [Frame::Ping(2)]);
}

#[test]
fn a_websocket_pong_is_no_answer_to_a_spdy_ping() {
    let (mut rig, id) = Spdy::opened(Config::client());
    rig.write(id, b"x");
    rig.frames();
    for number in 1..=5_u32 {
        rig.after(secs(30));
        rig.frames();
        rig.feed(Incoming::Pong(number.to_be_bytes().to_vec().into()));
    }
    assert_eq!(rig.session.stats().pongs, 0);
    rig.run(secs(3600), |rig| while rig.transmit().is_some() {});
    assert!(!rig.session.is_closed(), "the data may still block the server");
}

#[test]
fn a_ping_on_demand_tells_the_round_trip_of_its_own_answer() {
    for (side, config, first) in [(Side::Client, CLIENT, 1), (Side::Server, SERVER, 2)] {
        let mut rig = rig(side, config);
        assert_eq!(rig.session.stats().round_trip, None);
        let now = rig.now();
        rig.session.ping(now);
        assert_eq!(rig.frames(), [Frame::Ping(first)]);
        rig.after(secs(1));
        let now = rig.now();
        rig.session.ping(now);
        assert_eq!(rig.frames(), [Frame::Ping(first + 2)]);
        rig.after(secs(2));
        // Of the one before, which nobody waits for any more.
        rig.peer(&Frame::Ping(first));
        assert_eq!(rig.session.stats().round_trip, None);
        rig.peer(&Frame::Ping(first + 2));
        assert_eq!(rig.session.stats().round_trip, Some(secs(2)));
        rig.after(secs(1));
        rig.peer(&Frame::Ping(first + 2));
        assert_eq!(rig.session.stats().round_trip, Some(secs(2)));
    }
}
