//! The counters, and the bound on memory.

use bytes::Bytes;
use portway_proto::{Config, Incoming, OverflowPolicy, Side, WireForm};
use portway_testkit::rig::{Rig, secs};

#[test]
fn payload_is_counted_as_the_application_sees_it() {
    for form in [WireForm::V4, WireForm::V4Base64] {
        let mut rig = Rig::new(Side::Client, form, Config::client().with_max_payload(10), &[8080]);
        rig.announce();
        let id = rig.open(8080);
        let before = rig.session.stats();
        assert_eq!((before.messages_in, before.bytes_in), (2, 0), "prefixes are no payload");
        rig.pieces(0, b"0123456789", &[1, 3]);
        rig.message(0, b"01234");
        rig.write(id, b"0123456789012345");
        rig.sent();
        let stats = rig.session.stats();
        assert_eq!((stats.bytes_in, stats.messages_in), (15, 4));
        assert_eq!((stats.bytes_out, stats.messages_out), (16, 2));
    }
}

#[test]
fn what_is_held_is_counted_until_it_is_out_of_our_hands() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let id = rig.open(1);
    rig.message(0, &[0; 100]);
    rig.message(1, &[b'e'; 10]);
    assert_eq!(rig.session.stats().buffered, 110);
    rig.read(id).unwrap();
    assert_eq!(rig.session.stats().buffered, 110);
    rig.consumed(id, 60);
    assert_eq!(rig.session.stats().buffered, 50);
    rig.after(secs(1));
    assert_eq!(rig.session.stats().buffered, 40, "the text is the failure now");
    rig.consumed(id, 40);
    assert_eq!(rig.session.stats().buffered, 0);
}

#[test]
fn a_session_whose_buffers_are_all_full_holds_no_more_than_promised() {
    let config = Config::client()
        .with_recv_buffer(1000)
        .with_send_buffer(500)
        .with_error_text(50)
        .with_overflow(OverflowPolicy::Pause);
    let piece = 301;
    let mut rig = Rig::ready_client(config.clone(), &[1, 2, 3]);
    for (port, channel) in [(1, 0), (2, 2), (3, 4)] {
        let id = rig.open(port);
        drop(rig.try_write(id, &[0; 9999]));
        rig.raw(&[[channel].as_slice(), &[0; 300]].concat(), true);
        rig.raw(&[[channel].as_slice(), &[0; 300]].concat(), true);
        rig.raw(&[[channel].as_slice(), &[0; 300]].concat(), true);
    }
    rig.message(0, &[0; 300]);
    assert!(!rig.session.wants_read());
    let held = rig.session.stats().buffered;
    assert_eq!(held, 3 * 500 + 3 * 900 + 300);
    assert!(held <= config.worst_case(3, piece));
    assert_eq!(config.worst_case(3, piece), 3 * (1000 + 301 + 500 + 50));
}

#[test]
fn floods_of_nothing_are_held_nowhere() {
    let mut rig = Rig::ready_client(Config::client().with_error_text(100), &[1, 2]);
    let id = rig.open(1);
    rig.stop(id);
    for _ in 0..10_000 {
        rig.feed(Incoming::Ping(Bytes::from_static(&[0; 125])));
        rig.raw(b"", true);
        rig.raw(b"\x63unknown", true);
        rig.message(0, b"for nobody");
        rig.message(3, b"text");
    }
    assert_eq!(rig.session.stats().buffered, 100);
    assert_eq!(rig.sent().len(), 1, "one pong");
}
