//! Data in both directions (D.1 "Open", D.2 "Forwarding", the rulings on unknown channels, empty
//! messages, text messages and the size of outgoing data).

use bytes::Bytes;
use portway_proto::{
    CloseReason, Config, Event, Incoming, Kind, Side, StreamEvent, Violation, WireForm, WriteError,
};
use portway_testkit::rig::{End, Rig, Sent, data, exchange, payload};

#[test]
fn what_is_written_goes_out_on_the_data_channel_in_order() {
    let mut rig = Rig::ready_client(Config::client(), &[8080, 443]);
    let id = rig.open(443);
    rig.write(id, b"GET ");
    rig.write(id, b"/");
    assert_eq!(rig.sent(), [data(2, "GET "), data(2, "/")]);
    assert!(rig.session.send(id).unwrap().is_flushed());
}

#[test]
fn a_client_may_write_before_the_server_has_spoken() {
    let mut rig = Rig::client(&[8080]);
    let id = rig.open(8080);
    rig.write(id, b"hello");
    assert_eq!(rig.sent(), [data(0, "hello")]);
}

#[test]
fn a_long_write_is_cut_at_the_message_limit_and_a_message_is_never_fragmented() {
    for (form, kind) in [(WireForm::V4, Kind::Binary), (WireForm::V4Base64, Kind::Text)] {
        let config = Config::client().with_max_payload(1000);
        let mut rig = Rig::new(Side::Client, form, config, &[8080]);
        let id = rig.open(8080);
        let bytes: Vec<u8> = (0..=255).cycle().take(2500).collect();
        rig.write(id, &bytes);
        let mut rest = bytes.as_slice();
        for len in [1000, 1000, 500] {
            let sent = rig.sent_one();
            assert_eq!(sent, Some(data(0, &rest[..len])));
            rest = &rest[len..];
        }
        assert_eq!(rig.sent(), []);
        rig.write(id, b"x");
        assert_eq!(rig.transmit().unwrap().kind(), kind);
    }
}

#[test]
fn data_reaches_the_reader_whatever_the_cuts() {
    let text = b"hello, world";
    for form in [WireForm::V4, WireForm::V4Base64] {
        let len = portway_testkit::rig::encode(form, 0, text).len();
        for first in 0..=len {
            for second in first..=len {
                let mut rig = Rig::new(Side::Client, form, Config::client(), &[8080]);
                let id = rig.open(8080);
                rig.announce();
                rig.pieces(0, text, &[first, second]);
                // A control message between the pieces of the next one changes nothing.
                rig.pieces(0, text, &[first]);
                assert_eq!(rig.read_all(id), (text.repeat(2), End::Open));
            }
        }
    }
}

#[test]
fn control_messages_between_the_pieces_of_a_message_change_nothing() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.raw(&[0, b'a'], false);
    rig.feed(Incoming::Ping(Bytes::from_static(b"?")));
    rig.feed(Incoming::Pong(Bytes::new()));
    rig.raw(b"b", false);
    assert_eq!(rig.read_all(id).0, b"ab", "pieces are passed on as they come, never gathered");
    rig.raw(b"", true);
    assert_eq!(rig.sent(), [Sent::Pong(b"?".to_vec())]);
    rig.message(0, b"c");
    assert_eq!(rig.read_all(id).0, b"c");
}

#[test]
fn ten_mebibytes_arrive_whole_in_both_directions_at_once() {
    for form in [WireForm::V4, WireForm::V4Base64] {
        let mut client = Rig::new(Side::Client, form, Config::client(), &[8080]);
        let mut server = Rig::new(Side::Server, form, Config::server(), &[8080]);
        let (c, s) = (client.open(8080), server.accept_all()[0]);
        let total = 10 << 20;
        let source: Vec<u8> = (0..total).map(|i: u32| i.to_le_bytes()[1] ^ 0x5a).collect();
        let (mut up, mut down) = (0, 0);
        let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
        for round in 0.. {
            assert!(round < 1000, "no progress: {up} {down} {}", at_server.len());
            for (rig, id, sent) in [(&mut client, c, &mut up), (&mut server, s, &mut down)] {
                let capacity = rig.session.send(id).unwrap().capacity();
                let end = source.len().min(*sent + capacity);
                rig.write(id, &source[*sent..end]);
                *sent = end;
            }
            exchange(&mut client, &mut server);
            at_client.extend_from_slice(&client.read_all(c).0);
            at_server.extend_from_slice(&server.read_all(s).0);
            if at_client.len() == source.len() && at_server.len() == source.len() {
                break;
            }
        }
        assert!(at_client == source && at_server == source);
    }
}

#[test]
fn an_empty_payload_is_nothing() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.message(0, b"");
    rig.message(1, b"");
    rig.raw(b"", true);
    rig.raw(b"", false);
    rig.raw(b"", true);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.read_all(id), (Vec::new(), End::Open));
    assert_eq!(rig.session.stats().ignored_empty, 2);
    rig.write(id, b"");
    assert_eq!(rig.sent(), [], "an empty write sends nothing");
}

#[test]
fn a_channel_that_was_not_asked_for_is_ignored_and_counted() {
    for (side, config) in [(Side::Client, Config::client()), (Side::Server, Config::server())] {
        for form in [WireForm::V4, WireForm::V4Base64] {
            let mut rig = Rig::new(side, form, config.clone(), &[8080]);
            if side == Side::Client {
                rig.announce();
            }
            rig.events();
            rig.message(2, b"?");
            rig.pieces(9, b"abcdef", &[1, 2]);
            rig.raw(&[255, b'!'], true);
            // Not even base64 of such a channel is looked at.
            rig.raw(b"9?", true);
            assert_eq!(rig.events(), [], "{side:?} {form}");
            assert_eq!(rig.session.stats().ignored_channel, 4);
            assert!(!rig.session.is_closed());
        }
    }
}

#[test]
fn text_on_a_binary_form_is_a_violation_to_a_client() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.message(0, b"before");
    rig.feed(Incoming::Text { bytes: Bytes::from_static(b"0aGk="), end: true });
    let violation = Violation::TextMessage;
    assert_eq!(rig.sent(), [Sent::Close(1003, violation.to_string())]);
    let closed = Event::Closed(CloseReason::Violation(violation));
    assert_eq!(rig.events().last(), Some(&closed));
    assert_eq!(rig.read_all(id), (b"before".to_vec(), End::Failed), "what came before is kept");
}

#[test]
fn a_server_does_not_look_at_the_opcode() {
    let mut rig = Rig::ready_server(Config::server(), &[8080]);
    let id = rig.accept_all()[0];
    rig.feed(Incoming::Text { bytes: Bytes::from_static(b"\0hi"), end: true });
    assert_eq!(rig.read_all(id).0, b"hi");

    let mut rig = Rig::new(Side::Server, WireForm::V4Base64, Config::server(), &[8080]);
    let id = rig.accept_all()[0];
    rig.feed(Incoming::Binary { bytes: Bytes::from_static(b"0aGk="), end: true });
    assert_eq!(rig.read_all(id).0, b"hi");
}

#[test]
fn a_base64_client_takes_binary_messages_too() {
    let mut rig = Rig::new(Side::Client, WireForm::V4Base64, Config::client(), &[8080]);
    for channel in [b"0kB8=", b"1kB8="] {
        rig.feed(Incoming::Binary { bytes: Bytes::from_static(channel), end: true });
    }
    assert!(rig.events().contains(&Event::Ready));
}

#[test]
fn text_that_is_not_base64_closes_the_session_and_names_the_channel() {
    for side in [Side::Client, Side::Server] {
        let mut rig = Rig::new(side, WireForm::V4Base64, Config::of(side), &[8080, 443]);
        if side == Side::Client {
            rig.announce();
        }
        rig.sent();
        rig.raw(b"2aGk=", true);
        rig.raw(b"2a!k=", true);
        let violation = Violation::Base64 { channel: 2 };
        assert_eq!(rig.sent(), [Sent::Close(1002, violation.to_string())]);
        let closed = Event::Closed(CloseReason::Violation(violation));
        assert_eq!(rig.events().last(), Some(&closed));
    }
}

#[test]
fn the_send_buffer_is_bounded_and_says_when_there_is_room() {
    let config = Config::client().with_send_buffer(100).with_max_payload(20);
    let mut rig = Rig::ready_client(config, &[8080]);
    let id = rig.open(8080);
    rig.events();
    assert_eq!(rig.session.send(id).unwrap().capacity(), 100);
    let bytes = Bytes::from((0..150).collect::<Vec<u8>>());
    let Err(WriteError::Blocked(rest)) = rig.session.send(id).unwrap().write(bytes.clone()) else {
        panic!("150 bytes do not fit in 100");
    };
    assert_eq!(rest, bytes.slice(100..), "what did not fit comes back");
    assert_eq!(rest.as_ptr(), bytes[100..].as_ptr(), "without a copy");
    assert_eq!(rig.session.send(id).unwrap().capacity(), 0);
    for _ in 0..2 {
        rig.sent_one().unwrap();
        assert_eq!(rig.events_of(id), [], "not woken for crumbs");
    }
    rig.sent_one().unwrap();
    assert_eq!(rig.events_of(id), [StreamEvent::Writable]);
    assert_eq!(rig.session.send(id).unwrap().write(rest), Ok(()));
    assert_eq!(rig.sent().len(), 5);
    assert_eq!(rig.events_of(id), [], "nobody waits: nobody is woken");
}

#[test]
fn a_writer_that_asks_to_be_woken_is_woken() {
    let config = Config::client().with_send_buffer(10);
    let mut rig = Rig::ready_client(config, &[8080]);
    let id = rig.open(8080);
    rig.events();
    rig.write(id, b"0123456789");
    rig.session.send(id).unwrap().want_writable();
    assert_eq!(rig.events_of(id), []);
    rig.sent();
    assert_eq!(rig.events_of(id), [StreamEvent::Writable]);
    // And at once where there is room already, or there never will be: no wake-up gets lost.
    rig.session.send(id).unwrap().want_writable();
    assert_eq!(rig.events_of(id), [StreamEvent::Writable]);
    rig.reset(id);
    rig.events();
    rig.session.send(id).unwrap().want_writable();
    assert_eq!(rig.events_of(id), [StreamEvent::Writable]);
}

#[test]
fn a_blocked_writer_hears_of_the_end() {
    let mut rig = Rig::ready_client(Config::client().with_send_buffer(4), &[8080, 443]);
    let id = rig.open(8080);
    rig.events();
    assert!(rig.try_write(id, b"too long").is_err());
    rig.message(1, b"the pod is gone");
    assert_eq!(rig.events_of(id), [StreamEvent::Writable]);
    assert_eq!(rig.try_write(id, b"more"), Err(WriteError::Ended));
}

#[test]
fn a_bulk_neighbour_delays_an_interactive_stream_by_at_most_one_message() {
    let mut rig = Rig::ready_client(Config::client().with_max_payload(10), &[1, 2]);
    let (bulk, shell) = (rig.open(1), rig.open(2));
    rig.write(bulk, &[b'#'; 1000]);
    for _ in 0..20 {
        rig.sent_one().unwrap();
        rig.write(shell, b"k");
        let next: Vec<_> = (0..2).map_while(|_| rig.sent_one()).collect();
        assert!(next.contains(&data(2, "k")), "{next:?}");
    }
}

#[test]
fn streams_that_all_send_take_turns() {
    let mut rig = Rig::ready_client(Config::client().with_max_payload(1), &[1, 2, 3]);
    for port in 1..=3 {
        let id = rig.open(port);
        rig.write(id, b"abc");
    }
    let channels: Vec<u8> =
        std::iter::from_fn(|| rig.transmit()).map(|transmit| payload(&transmit)[0]).collect();
    assert_eq!(channels, [0, 2, 4, 0, 2, 4, 0, 2, 4]);
}

#[test]
fn nothing_is_taken_from_the_buffers_before_the_transport_asks() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.write(id, b"hello");
    assert_eq!(rig.session.stats().buffered, 5);
    assert!(!rig.session.send(id).unwrap().is_flushed());
    rig.sent();
    assert_eq!(rig.session.stats().buffered, 0);
}

#[test]
fn a_ping_is_answered_before_data_and_only_the_latest_counts() {
    for mut rig in
        [Rig::ready_client(Config::client(), &[8080]), Rig::ready_server(Config::server(), &[8080])]
    {
        let id = rig.session.accept().unwrap_or_else(|| rig.open(8080));
        rig.write(id, b"data");
        rig.feed(Incoming::Ping(Bytes::from_static(b"one")));
        rig.feed(Incoming::Ping(Bytes::from_static(b"two")));
        assert_eq!(rig.sent(), [Sent::Pong(b"two".to_vec()), data(0, "data")]);
    }
}

#[test]
fn an_unasked_pong_is_nothing() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    rig.feed(Incoming::Pong(Bytes::from_static(b"?")));
    assert_eq!((rig.events(), rig.sent()), (vec![], vec![]));
    assert_eq!(rig.session.stats().pongs, 1);
}
