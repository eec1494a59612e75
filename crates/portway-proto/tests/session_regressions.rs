//! What the fuzzer and a reviewer found in the session: one test a finding.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "a test needs some moment to start from")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use portway_proto::{
    CloseFrame, CloseReason, Config, Event, HalfClose, Incoming, Kind, OverflowPolicy, Port,
    ReadError, Session, StreamError, StreamEvent, StreamId, WireForm,
};

const SECOND: Duration = Duration::from_secs(1);

fn ports(count: u16) -> Vec<Port> {
    (0..count).map(|index| Port::new(8080 + index).unwrap()).collect()
}

fn binary(channel: u8, payload: &[u8]) -> Incoming {
    Incoming::Binary { bytes: [&[channel], payload].concat().into(), end: true }
}

/// A client whose server has announced every port.
fn client(config: Config, count: u16, now: Instant) -> (Session, Vec<StreamId>) {
    let ports = ports(count);
    let mut session = Session::client(Arc::new(config), WireForm::V4, &ports, now).unwrap();
    let ids = ports.iter().map(|port| session.open(*port, now).unwrap()).collect();
    for (channel, port) in (0..).zip(ports.iter().flat_map(|port| [port, port])) {
        session.handle_incoming(binary(channel, &port.get().to_le_bytes()), now);
    }
    assert_eq!(session.poll_event(), Some(Event::Ready));
    while session.poll_event().is_some() {}
    (session, ids)
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

fn kinds(session: &mut Session, now: Instant) -> Vec<Kind> {
    std::iter::from_fn(|| session.poll_transmit(now)).map(|transmit| transmit.kind()).collect()
}

#[test]
fn no_timer_is_due_after_handle_timeout() {
    let now = Instant::now();
    let config = Config::client().with_close_timeout(Duration::ZERO);
    let (mut session, ids) = client(config, 1, now);
    session.send(ids[0]).unwrap().finish(now).unwrap();
    let due = now + 5 * SECOND;
    assert_eq!(session.poll_timeout(), Some(due));
    session.handle_timeout(due);
    assert_eq!(session.poll_timeout(), None, "the half-close made the end of the close due");
    assert!(session.is_closed());
}

#[test]
fn a_full_stream_never_pauses_the_others_under_reset() {
    let now = Instant::now();
    let config = Config::client().with_overflow(OverflowPolicy::Reset).with_recv_buffer(10);
    let (mut session, ids) = client(config, 2, now);
    session.handle_incoming(binary(0, &[7; 10]), now);
    assert!(session.wants_read(), "full to the byte");
    session.handle_incoming(binary(2, &[7; 25]), now);
    assert_eq!(session.failure(ids[1]), None, "a large piece finds nothing waiting");
    session.handle_incoming(binary(0, &[7; 1]), now);
    assert_eq!(session.failure(ids[0]), Some(&StreamError::Overflow));
    assert_eq!(session.failure(ids[1]), None);
    assert!(session.wants_read());
}

#[test]
fn a_pause_ends_when_the_policy_becomes_reset() {
    let now = Instant::now();
    let config = Config::client().with_recv_buffer(10);
    let (mut session, ids) = client(config, 1, now);
    session.handle_incoming(binary(0, &[7; 10]), now);
    assert!(!session.wants_read());
    session.recv(ids[0]).unwrap().set_overflow(OverflowPolicy::Reset, now);
    assert!(session.wants_read());
}

#[test]
fn a_close_ends_in_time_though_a_consumer_is_stuck() {
    let now = Instant::now();
    let (mut session, _) = client(Config::client().with_recv_buffer(10), 1, now);
    session.handle_incoming(binary(0, &[7; 10]), now);
    session.close(CloseReason::Local, now);
    assert_eq!(kinds(&mut session, now), [Kind::Close]);
    assert!(!session.wants_read(), "the peer's Close stays unread");
    assert_eq!(session.poll_timeout(), Some(now + 2 * SECOND));
    session.handle_timeout(now + 2 * SECOND);
    assert!(session.is_closed());
}

#[test]
fn close_is_the_last_message() {
    let now = Instant::now();
    let (mut session, _) = client(Config::client(), 1, now);
    session.handle_timeout(now + 30 * SECOND);
    session.close(CloseReason::Local, now + 30 * SECOND);
    assert_eq!(kinds(&mut session, now), [Kind::Close], "a keep-alive has no use any more");
    session.handle_incoming(Incoming::Ping(Bytes::from_static(b"there?")), now);
    assert_eq!(kinds(&mut session, now), [], "a pong behind the Close");
    session.handle_incoming(Incoming::Close(Some(CloseFrame::new(1000, ""))), now);
    assert!(session.is_closed());
}

#[test]
fn want_writable_is_answered_when_there_is_nothing_to_wait_for() {
    let now = Instant::now();
    let (mut session, ids) = client(Config::client(), 2, now);
    let writable = |id| vec![Event::Stream { id, event: StreamEvent::Writable }];
    session.send(ids[0]).unwrap().want_writable();
    assert_eq!(events(&mut session), writable(ids[0]), "there is room");
    session.send(ids[1]).unwrap().reset(now);
    events(&mut session);
    assert_eq!(session.send(ids[1]).unwrap().capacity(), 0);
    session.send(ids[1]).unwrap().want_writable();
    assert_eq!(events(&mut session), writable(ids[1]), "it is over");
}

/// Ticks of keep-alive until the peer counts as dead.
fn ticks_until_dead(session: &mut Session, mut now: Instant) -> Option<usize> {
    (1..10).find(|_| {
        now += 30 * SECOND;
        session.handle_timeout(now);
        kinds(session, now);
        session.is_closed()
    })
}

#[test]
fn a_peer_that_may_be_blocked_by_our_data_is_not_dead() {
    let now = Instant::now();
    let (mut session, ids) = client(Config::client(), 1, now);
    assert_eq!(ticks_until_dead(&mut session, now), Some(4), "three pings with no answer");

    // Ping, data, pong: the peer stopped reading at the data.
    let (mut session, _) = client(Config::client(), 1, now);
    session.handle_timeout(now + 30 * SECOND);
    assert!(kinds(&mut session, now).contains(&Kind::Ping));
    session.send(ids[0]).unwrap().write(Bytes::from_static(b"data")).unwrap();
    assert_eq!(kinds(&mut session, now), [Kind::Binary]);
    session.handle_incoming(Incoming::Pong(Bytes::new()), now + 30 * SECOND);
    assert_eq!(ticks_until_dead(&mut session, now + 30 * SECOND), None);

    // It sends data, and does not read ours.
    let (mut session, ids) = client(Config::client(), 1, now);
    session.send(ids[0]).unwrap().write(Bytes::from_static(b"data")).unwrap();
    assert_eq!(kinds(&mut session, now), [Kind::Binary]);
    session.handle_incoming(binary(0, b"data"), now);
    assert_eq!(ticks_until_dead(&mut session, now), None);
}

#[test]
fn a_peer_has_the_time_to_answer_one_keep_alive() {
    let now = Instant::now();
    let (mut session, _) = client(Config::client().with_keep_alive_misses(0), 1, now);
    assert_eq!(ticks_until_dead(&mut session, now), Some(2));
}

#[test]
fn answers_to_our_own_keep_alives_do_not_keep_an_idle_session() {
    let now = Instant::now();
    let config = Config::server().with_idle_timeout(Some(100 * SECOND));
    let mut session = Session::server(Arc::new(config), WireForm::V4, &ports(1), now).unwrap();
    for tick in 1..=3 {
        let now = now + tick * 30 * SECOND;
        session.handle_timeout(now);
        assert!(kinds(&mut session, now).contains(&Kind::Ping));
        session.handle_incoming(Incoming::Pong(Bytes::new()), now);
    }
    session.handle_timeout(now + 100 * SECOND);
    assert_eq!(kinds(&mut session, now), [Kind::Close]);
}

#[test]
fn a_close_before_the_ports_is_no_clean_end_however_long_we_would_have_waited() {
    let now = Instant::now();
    for (wait, close_first) in [(Duration::MAX, false), (SECOND, true)] {
        let config = Arc::new(Config::client().with_open_timeout(wait));
        let mut session = Session::client(config, WireForm::V4, &ports(1), now).unwrap();
        let id = session.open(ports(1)[0], now).unwrap();
        if close_first {
            session.close(CloseReason::Local, now);
        }
        session.handle_incoming(Incoming::Close(Some(CloseFrame::new(1000, ""))), now);
        assert!(session.failure(id).is_some());
        assert_eq!(session.recv(id).unwrap().read(), Err(ReadError::Failed));
    }
}

#[test]
fn a_half_close_that_began_in_a_pause_waits_from_its_end() {
    let now = Instant::now();
    let (mut session, ids) = client(Config::client().with_recv_buffer(10), 1, now);
    session.handle_incoming(binary(0, &[7; 10]), now);
    let later = now + 100 * SECOND;
    session.send(ids[0]).unwrap().finish(later).unwrap();
    assert_eq!(session.poll_timeout(), None, "nobody listens");
    session.recv(ids[0]).unwrap().read().unwrap();
    let resumed = now + 101 * SECOND;
    session.recv(ids[0]).unwrap().consumed(10, resumed);
    assert_eq!(session.poll_timeout(), Some(resumed + SECOND));
}

#[test]
fn a_pause_moves_no_endless_wait_over_the_end_of_time() {
    let now = Instant::now();
    // The longest wait that still has a moment.
    let mut wait = Duration::ZERO;
    for bit in (0..64).rev().map(|bit| Duration::from_secs(1 << bit)) {
        let longer = wait.checked_add(bit).filter(|wait| now.checked_add(*wait).is_some());
        wait = longer.unwrap_or(wait);
    }
    let half_close = HalfClose::WhenIdle { unanswered: wait, answered: wait };
    let config = Config::client().with_recv_buffer(10).with_half_close(half_close);
    let (mut session, ids) = client(config.with_idle_timeout(Some(wait)), 1, now);
    session.send(ids[0]).unwrap().finish(now).unwrap();
    session.handle_incoming(binary(0, &[7; 10]), now);
    session.recv(ids[0]).unwrap().read().unwrap();
    session.recv(ids[0]).unwrap().consumed(10, now + 100 * SECOND);
    assert!(session.wants_read());
}

#[test]
fn the_worst_case_covers_a_group_of_base64_that_ends_in_a_small_piece() {
    let now = Instant::now();
    // One byte of room is left behind the first group: the next one is three, in pieces of one.
    let config = Config::server().with_recv_buffer(4);
    let most = config.worst_case(1, 1) - config.send_buffer() - config.error_text();
    let mut session =
        Session::server(Arc::new(config), WireForm::V4Base64, &ports(1), now).unwrap();
    for byte in *b"0YWFhYWFh" {
        assert!(session.wants_read());
        let bytes = Bytes::copy_from_slice(&[byte]);
        session.handle_incoming(Incoming::Text { bytes, end: false }, now);
    }
    assert_eq!(session.stats().buffered, 6);
    assert!(most >= 6, "{most}");
}
