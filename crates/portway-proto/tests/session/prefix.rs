//! The announcement of the ports (protocol.md B.3, B.4; D.1 "Prefixing").

use std::sync::Arc;

use portway_proto::{
    CloseReason, Config, ConfigError, Event, Port, Session, Side, StreamEvent, Violation, WireForm,
};
use portway_testkit::rig::{End, Rig, Sent, close, data};

const BOTH: [WireForm; 2] = [WireForm::V4, WireForm::V4Base64];

fn opened(port: u16) -> StreamEvent {
    StreamEvent::Opened { port: Port::new(port).unwrap() }
}

#[test]
fn prefixes_open_the_streams_and_then_the_session() {
    for form in BOTH {
        let mut rig = Rig::new(Side::Client, form, Config::client(), &[8080, 443]);
        let (a, b) = (rig.open(8080), rig.open(443));
        assert_eq!(rig.events(), [], "nothing before the server has spoken");
        rig.prefix(0);
        assert_eq!(rig.events(), [], "half a pair opens nothing");
        rig.prefix(1);
        assert_eq!(rig.events(), [Event::Stream { id: a, event: opened(8080) }]);
        rig.prefix(2);
        assert_eq!(rig.events(), []);
        rig.prefix(3);
        let events = rig.events();
        assert_eq!(events, [Event::Ready, Event::Stream { id: b, event: opened(443) }]);
        assert_eq!(rig.sent(), [], "a client announces nothing");
    }
}

#[test]
fn prefixes_may_come_in_any_order_of_channels() {
    let mut rig = Rig::client(&[8080, 443]);
    for channel in [3, 0, 2, 1] {
        assert!(!rig.events().contains(&Event::Ready));
        rig.prefix(channel);
    }
    assert!(rig.events().contains(&Event::Ready));
}

#[test]
fn what_follows_the_two_bytes_of_a_prefix_is_data() {
    for form in BOTH {
        let mut rig = Rig::new(Side::Client, form, Config::client(), &[8080]);
        let id = rig.open(8080);
        rig.message(0, b"\x90\x1fhello");
        rig.prefix(1);
        assert_eq!(rig.read_all(id), (b"hello".to_vec(), End::Open));
    }
}

#[test]
fn data_may_come_before_the_error_channel_is_announced() {
    let mut rig = Rig::client(&[8080]);
    let id = rig.open(8080);
    rig.prefix(0);
    rig.message(0, b"early");
    rig.prefix(1);
    assert_eq!(rig.read_all(id), (b"early".to_vec(), End::Open));
}

#[test]
fn a_prefix_cut_anywhere_is_one_prefix() {
    for form in BOTH {
        let len = if form == WireForm::V4 { 3 } else { 5 };
        for first in 0..=len {
            for second in first..=len {
                let mut rig = Rig::new(Side::Client, form, Config::client(), &[8080]);
                rig.pieces(0, &[0x90, 0x1f], &[first, second]);
                rig.pieces(1, &[0x90, 0x1f], &[first, second]);
                assert!(rig.events().contains(&Event::Ready), "{form} cut at {first}, {second}");
            }
        }
    }
}

#[test]
fn a_short_prefix_closes_the_session_and_names_channel_and_length() {
    for form in BOTH {
        for len in [0, 1] {
            let mut rig = Rig::new(Side::Client, form, Config::client(), &[8080, 443]);
            rig.prefix(0);
            rig.message(1, &[0x90, 0x1f][..len]);
            let violation = Violation::ShortPrefix { channel: 1, len };
            assert_eq!(
                violation.to_string(),
                format!(
                    "the first message on channel 1 has {len} of the 2 bytes of its port prefix"
                )
            );
            assert_eq!(rig.sent(), [Sent::Close(1002, violation.to_string())]);
            let events = rig.events();
            assert_eq!(events.last(), Some(&Event::Closed(CloseReason::Violation(violation))));
            assert!(!events.contains(&Event::Ready));
        }
    }
}

#[test]
fn a_prefix_of_another_port_closes_the_session_and_names_all_three_numbers() {
    for form in BOTH {
        let mut rig = Rig::new(Side::Client, form, Config::client(), &[8080, 443]);
        let (a, b) = (rig.open(8080), rig.open(443));
        rig.write(a, b"never sent");
        for channel in 0..3 {
            rig.prefix(channel);
        }
        // 443 in the wrong byte order.
        rig.message(3, &[0x01, 0xbb]);
        let expected = Port::new(443).unwrap();
        let violation = Violation::WrongPort { channel: 3, expected, actual: 0xbb01 };
        let text = "channel 3 announces port 47873, expected 443";
        assert_eq!(violation.to_string(), text);
        assert_eq!(rig.sent(), [Sent::Close(1002, text.to_owned())]);
        let reason = CloseReason::Violation(violation);
        assert_eq!(rig.events().last(), Some(&Event::Closed(reason)));
        for id in [a, b] {
            assert_eq!(rig.read_all(id), (Vec::new(), End::Failed));
        }
    }
}

#[test]
fn the_order_of_the_ports_is_the_order_of_the_channels() {
    let mut rig = Rig::ready_client(Config::client(), &[30, 10, 20]);
    for (channel, port) in [(0, 30), (2, 10), (4, 20)] {
        let id = rig.open(port);
        rig.message(channel, &port.to_be_bytes());
        assert_eq!(rig.read_all(id).0, port.to_be_bytes());
        rig.write(id, b"x");
        assert_eq!(rig.sent(), [data(channel, "x")]);
    }
}

#[test]
fn as_many_ports_as_the_channel_byte_can_number_and_not_one_more() {
    let ports = |n: u16| (1..=n).map(|port| Port::new(port).unwrap()).collect::<Vec<_>>();
    let now = Rig::client(&[1]).now();
    let config = Arc::new(Config::client());
    for (side, form, limit) in [
        (Side::Client, WireForm::V4, 127_u16),
        (Side::Server, WireForm::V4, 128),
        (Side::Client, WireForm::V4Base64, 40),
        (Side::Server, WireForm::V4Base64, 40),
    ] {
        let numbers: Vec<u16> = (1..=limit).collect();
        let last = u8::try_from(limit * 2 - 2).unwrap();
        let mut rig = Rig::new(side, form, Config::client(), &numbers);
        let id = if side == Side::Client {
            rig.announce();
            rig.open(limit)
        } else {
            assert_eq!(rig.sent().len(), usize::from(limit) * 2);
            *rig.accept_all().last().unwrap()
        };
        rig.write(id, b"x");
        assert_eq!(rig.sent(), [data(last, "x")]);
        rig.message(last, b"y");
        assert_eq!(rig.read_all(id).0, b"y");

        let given = usize::from(limit) + 1;
        let ports = ports(limit + 1);
        let result = match side {
            Side::Client => Session::client(Arc::clone(&config), form, &ports, now),
            Side::Server => Session::server(Arc::clone(&config), form, &ports, now),
        };
        let limit = usize::from(limit);
        assert_eq!(result.unwrap_err(), ConfigError::TooManyPorts { form, given, limit });
    }
}

#[test]
fn a_client_refuses_a_port_given_twice_and_a_server_takes_it() {
    let now = Rig::client(&[1]).now();
    let config = Arc::new(Config::client());
    let port = |n| Port::new(n).unwrap();
    let ports = [port(80), port(443), port(80)];
    let error = Session::client(Arc::clone(&config), WireForm::V4, &ports, now).unwrap_err();
    assert_eq!(error, ConfigError::DuplicatePort(port(80)));

    let mut rig = Rig::new(Side::Server, WireForm::V4, Config::server(), &[80, 443, 80]);
    let ids = rig.accept_all();
    assert_eq!(ids.len(), 3);
    rig.sent();
    rig.write(ids[2], b"third");
    rig.message(0, b"first");
    assert_eq!(rig.sent(), [data(4, "third")]);
    assert_eq!(rig.read_all(ids[0]).0, b"first");
    assert_eq!(rig.read_all(ids[2]).0, b"");
}

#[test]
fn a_session_has_at_least_one_port() {
    let now = Rig::client(&[1]).now();
    let config = Arc::new(Config::client());
    for form in BOTH {
        let client = Session::client(Arc::clone(&config), form, &[], now).unwrap_err();
        let server = Session::server(Arc::clone(&config), form, &[], now).unwrap_err();
        assert_eq!((client, server), (ConfigError::NoPort(form), ConfigError::NoPort(form)));
    }
}

#[test]
fn a_late_prefix_announces_nothing_once_the_session_closes() {
    let mut rig = Rig::client(&[8080]);
    rig.session.close(CloseReason::Local, rig.now());
    assert_eq!(rig.sent(), [close(1000)]);
    rig.announce();
    assert!(!rig.events().contains(&Event::Ready));
}
