//! Local misuse is a typed error and changes nothing; a closed session stays closed.

use bytes::Bytes;
use portway_proto::{
    CloseReason, Config, Event, HalfClose, Incoming, OpenError, OverflowPolicy, Port, ReadError,
    StreamError, UnknownStream, Violation, WriteError,
};
use portway_testkit::rig::{End, Rig, secs};

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

#[test]
fn a_port_is_opened_once_and_only_if_it_was_asked_for() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let now = rig.now();
    assert_eq!(rig.session.open(port(80), now), Err(OpenError::NotRequested(port(80))));
    let id = rig.open(8080);
    assert_eq!(rig.session.open(port(8080), now), Err(OpenError::AlreadyOpen(port(8080))));
    assert_eq!(rig.session.port(id), Some(port(8080)));
    rig.session.close(CloseReason::Local, now);
    assert_eq!(rig.session.open(port(8080), now), Err(OpenError::Closed));
}

#[test]
fn each_side_keeps_to_its_verb() {
    let mut rig = Rig::ready_server(Config::server(), &[8080]);
    let now = rig.now();
    assert_eq!(rig.session.open(port(8080), now), Err(OpenError::NotAClient));
    assert!(rig.session.accept().is_some());
    assert_eq!(rig.session.accept(), None);
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    assert_eq!(rig.session.accept(), None);
    let id = rig.open(8080);
    assert!(rig.fail(id, "only a server says why").is_err());
    assert_eq!(rig.try_write(id, b"and nothing has happened"), Ok(()));
}

#[test]
fn a_released_stream_is_unknown_and_its_port_stays_taken() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let (a, b) = (rig.open(1), rig.open(2));
    let now = rig.now();
    rig.message(0, b"dropped");
    rig.session.release(a, now);
    let UnknownStream { .. } = rig.session.send(a).unwrap_err();
    let UnknownStream { .. } = rig.session.recv(a).unwrap_err();
    assert_eq!(rig.session.port(a), None);
    assert_eq!(rig.session.failure(a), None);
    assert!(rig.session.is_done(a));
    rig.session.release(a, now);
    assert_eq!(rig.session.streams(), 1);
    assert_eq!(rig.session.open(port(1), now), Err(OpenError::AlreadyOpen(port(1))));
    assert_eq!(rig.events_of(a), [], "no event names a stream that was released");
    // Neither its late bytes nor its late error text reach its neighbour.
    rig.message(0, b"late");
    rig.message(1, b"late too");
    assert_eq!(rig.session.stats().ignored_late, 12);
    assert_eq!(rig.read_all(b), (Vec::new(), End::Open));
}

#[test]
fn after_reset_everything_is_refused_and_nothing_panics() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let id = rig.open(1);
    rig.reset(id);
    rig.reset(id);
    rig.stop(id);
    assert_eq!(rig.try_write(id, b"x"), Err(WriteError::Ended));
    assert_eq!(rig.try_finish(id), Err(WriteError::Ended));
    assert_eq!(rig.read(id), Err(ReadError::Failed));
    rig.consumed(id, 100);
    let now = rig.now();
    rig.session.send(id).unwrap().set_half_close(HalfClose::Never, now);
    rig.session.recv(id).unwrap().set_overflow(OverflowPolicy::Reset, now);
    assert_eq!(rig.failure(id), Some(StreamError::Reset));
    assert!(rig.session.is_done(id));
}

#[test]
fn after_stop_a_read_says_so() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.message(0, b"dropped");
    rig.stop(id);
    assert_eq!(rig.read(id), Err(ReadError::Stopped));
    assert_eq!(rig.session.stats().buffered, 0);
    rig.message(0, b"ignored");
    assert_eq!(rig.session.stats().ignored_late, 7);
    rig.write(id, b"the other half lives");
    assert_eq!(rig.sent().len(), 1);
}

#[test]
fn the_end_can_be_read_again_and_again() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.peer_close(1000);
    for _ in 0..3 {
        assert_eq!(rig.read(id), Ok(None));
    }
}

#[test]
fn closed_is_latched() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let (a, b) = (rig.open(1), rig.open(2));
    rig.message(0, b"kept");
    rig.disconnect();
    let events = rig.events();
    assert_eq!(events.last(), Some(&Event::Closed(CloseReason::Disconnected)));
    let stats = rig.session.stats();

    let now = rig.now();
    rig.session.close(CloseReason::Local, now);
    rig.session.abort(now);
    rig.session.handle_disconnect(now);
    rig.session.handle_violation(Violation::TextMessage, now);
    rig.session.handle_timeout(now + secs(1000));
    for piece in [
        Incoming::Binary { bytes: Bytes::from_static(b"\0x"), end: true },
        Incoming::Text { bytes: Bytes::from_static(b"x"), end: false },
        Incoming::Ping(Bytes::new()),
        Incoming::Close(None),
    ] {
        rig.session.handle_incoming(piece, now);
    }
    assert_eq!(rig.session.send(a).unwrap().finish(now), Err(WriteError::Ended));
    rig.reset(b);
    rig.stop(b);
    rig.session.send(b).unwrap().want_writable();
    assert_eq!((rig.events(), rig.sent()), (vec![], vec![]));
    assert_eq!(rig.session.stats(), stats);
    assert_eq!(rig.session.open(port(1), now), Err(OpenError::Closed));
    assert_eq!(rig.read_all(a), (b"kept".to_vec(), End::Failed), "what was received is kept");
    assert_eq!(rig.failure(a), Some(StreamError::Session(CloseReason::Disconnected)));
    rig.session.release(a, now);
    rig.session.release(b, now);
    assert_eq!((rig.events(), rig.session.streams()), (vec![], 0));
}

#[test]
fn time_that_goes_backwards_is_survived() {
    let config = Config::client().with_recv_buffer(1).with_idle_timeout(Some(secs(60)));
    let mut rig = Rig::ready_client(config, &[8080]);
    let id = rig.open(8080);
    let before = rig.now();
    rig.after(secs(10));
    rig.message(0, b"x");
    assert!(!rig.session.wants_read());
    let past = Incoming::Binary { bytes: Bytes::from_static(b"\0y"), end: true };
    rig.session.handle_incoming(past, before);
    rig.session.handle_timeout(before);
    rig.session.recv(id).unwrap().read().unwrap();
    rig.session.recv(id).unwrap().consumed(10, before);
    assert_eq!(rig.read_all(id).0, b"y");
}

#[test]
fn limits_of_nothing_are_limits_of_one() {
    let config = Config::client().with_recv_buffer(0).with_send_buffer(0).with_max_payload(0);
    assert_eq!((config.recv_buffer(), config.send_buffer(), config.max_payload()), (1, 1, 1));
    let mut rig = Rig::ready_client(config, &[8080]);
    let id = rig.open(8080);
    rig.write(id, b"x");
    assert_eq!(rig.sent().len(), 1);
    rig.message(0, b"y");
    assert_eq!(rig.read_all(id).0, b"y");
}

#[test]
fn limits_without_end_are_limits_too() {
    let config = Config::client()
        .with_recv_buffer(usize::MAX)
        .with_send_buffer(usize::MAX)
        .with_max_payload(usize::MAX)
        .with_error_text(usize::MAX);
    assert_eq!(config.worst_case(128, usize::MAX), usize::MAX);
    let mut rig = Rig::ready_client(config.with_overflow(OverflowPolicy::Reset), &[8080]);
    let id = rig.open(8080);
    rig.write(id, b"x");
    assert_eq!(rig.sent().len(), 1);
    rig.message(0, b"y");
    rig.message(1, b"z");
    assert_eq!(rig.read_all(id).0, b"y");
}
