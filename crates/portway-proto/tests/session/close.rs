//! Ends of a session (D.1 and D.2 "any live", "Closing"; B.8; the rulings on Close codes).

use bytes::Bytes;
use portway_proto::{
    CloseFrame, CloseReason, Config, Event, HalfClose, Incoming, Side, StreamError, StreamEvent,
    Timer, Violation, WireForm, WriteError,
};
use portway_testkit::rig::{End, Rig, Sent, close, data, exchange, millis, secs};

fn peer(code: u16) -> CloseReason {
    CloseReason::Peer { code, reason: "".into() }
}

#[test]
fn code_1000_is_a_clean_end() {
    for mut rig in [
        Rig::ready_client(Config::client(), &[8080, 443]),
        Rig::ready_server(Config::server(), &[8080, 443]),
    ] {
        let ids = match rig.session.accept() {
            Some(first) => [first, rig.session.accept().unwrap()],
            None => [rig.open(8080), rig.open(443)],
        };
        rig.message(0, b"last words");
        rig.peer_close(1000);
        assert_eq!(rig.sent(), [close(1000)]);
        assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Done)));
        assert_eq!(rig.read_all(ids[0]), (b"last words".to_vec(), End::Eof));
        assert_eq!(rig.read_all(ids[1]), (Vec::new(), End::Eof));
        assert_eq!((rig.failure(ids[0]), rig.failure(ids[1])), (None, None));
        assert_eq!(rig.try_write(ids[0], b"x"), Err(WriteError::Ended));
    }
}

#[test]
fn every_other_code_is_not() {
    for code in [1001, 1002, 1006, 1009, 1011, 3000, 4999] {
        let mut rig = Rig::ready_client(Config::client(), &[8080]);
        let id = rig.open(8080);
        rig.message(0, b"kept");
        rig.peer_close(code);
        assert_eq!(rig.read_all(id), (b"kept".to_vec(), End::Failed), "{code}");
        assert_eq!(rig.failure(id), Some(StreamError::Session(peer(code))));
        rig.sent();
        assert_eq!(rig.events().last(), Some(&Event::Closed(peer(code))));
    }
}

#[test]
fn a_close_without_a_code_is_not_clean_and_is_answered_with_1000() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.feed(Incoming::Close(None));
    assert_eq!(rig.sent(), [close(1000)]);
    assert_eq!(rig.failure(id), Some(StreamError::Session(peer(1005))));
}

#[test]
fn the_bare_end_of_the_transport_is_not_clean() {
    for mut rig in
        [Rig::ready_client(Config::client(), &[8080]), Rig::ready_server(Config::server(), &[8080])]
    {
        let id = rig.session.accept().unwrap_or_else(|| rig.open(8080));
        rig.write(id, b"never sent");
        rig.message(0, b"kept");
        rig.disconnect();
        assert_eq!(rig.read_all(id), (b"kept".to_vec(), End::Failed));
        assert_eq!(rig.failure(id), Some(StreamError::Session(CloseReason::Disconnected)));
        assert_eq!(rig.sent(), [], "there is nobody to say anything to");
        assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Disconnected)));
    }
}

#[test]
fn the_end_of_the_transport_after_a_close_adds_nothing() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.peer_close(1000);
    rig.disconnect();
    assert_eq!(rig.read_all(id), (Vec::new(), End::Eof));
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Done)));
}

#[test]
fn a_close_before_the_announcement_is_not_clean() {
    for announced in 0..2 {
        let mut rig = Rig::client(&[8080]);
        let id = rig.open(8080);
        for channel in 0..announced {
            rig.prefix(channel);
        }
        rig.peer_close(1000);
        assert_eq!(rig.read_all(id), (Vec::new(), End::Failed));
        assert_eq!(rig.failure(id), Some(StreamError::Session(peer(1000))));
        assert_eq!(rig.sent(), [close(1000)]);
        assert_eq!(rig.events().last(), Some(&Event::Closed(peer(1000))));
    }
}

#[test]
fn a_close_before_the_announcement_fails_the_streams_even_if_we_closed_first() {
    let mut rig = Rig::client(&[8080]);
    let id = rig.open(8080);
    rig.session.close(CloseReason::Local, rig.now());
    assert_eq!(rig.sent(), [close(1000)]);
    rig.peer_close(1000);
    assert_eq!(rig.read_all(id), (Vec::new(), End::Failed));
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Local)));
}

#[test]
fn a_close_is_answered_with_its_code_if_that_may_stand_on_the_wire() {
    for (given, answer) in [
        (1000, 1000),
        (1001, 1001),
        (1011, 1011),
        (3000, 3000),
        (4999, 4999),
        (0, 1000),
        (999, 1000),
        (1004, 1000),
        (1005, 1000),
        (1006, 1000),
        (1015, 1000),
        (2999, 1000),
        (5000, 1000),
    ] {
        let mut rig = Rig::ready_client(Config::client(), &[8080]);
        rig.peer_close(given);
        assert_eq!(rig.sent(), [close(answer)], "{given}");
    }
}

#[test]
fn the_words_of_a_close_are_kept() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    rig.feed(Incoming::Close(Some(CloseFrame::new(1011, "no space left"))));
    rig.sent();
    let reason = CloseReason::Peer { code: 1011, reason: "no space left".into() };
    assert!(reason.to_string().ends_with("with code 1011: no space left"));
    assert_eq!(rig.events().last(), Some(&Event::Closed(reason)));
}

#[test]
fn close_sends_what_was_written_first() {
    for side in [Side::Client, Side::Server] {
        let config = Config::of(side).with_max_payload(4);
        let mut rig = Rig::new(side, WireForm::V4, config, &[1, 2]);
        if side == Side::Client {
            rig.announce();
        }
        rig.sent();
        let ids = rig.accept_all();
        let (a, b) =
            if side == Side::Client { (rig.open(1), rig.open(2)) } else { (ids[0], ids[1]) };
        rig.write(a, b"abcdefgh");
        rig.write(b, b"ijkl");
        rig.session.close(CloseReason::Local, rig.now());
        assert_eq!(rig.try_write(a, b"more"), Err(WriteError::Finished));
        let sent = rig.sent();
        assert_eq!(sent, [data(0, "abcd"), data(2, "ijkl"), data(0, "efgh"), close(1000)]);
        rig.message(0, b"crossed it");
        rig.peer_close(1000);
        assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Local)));
        assert_eq!(
            rig.read_all(a),
            (b"crossed it".to_vec(), End::Eof),
            "{side:?} {:?}",
            rig.failure(a)
        );
    }
}

#[test]
fn nothing_follows_our_close_on_the_wire() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    rig.session.close(CloseReason::Local, rig.now());
    assert_eq!(rig.sent(), [close(1000)]);
    rig.feed(Incoming::Ping(Bytes::from_static(b"still there?")));
    assert_eq!(rig.sent(), [], "not even a pong");
    rig.after(secs(1));
    assert_eq!(rig.sent(), []);
}

#[test]
fn a_pong_that_is_owed_goes_out_before_the_close() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    rig.feed(Incoming::Ping(Bytes::from_static(b"?")));
    rig.session.close(CloseReason::Local, rig.now());
    assert_eq!(rig.sent(), [Sent::Pong(b"?".to_vec()), close(1000)]);
}

#[test]
fn a_peer_that_closes_while_we_flush_ends_the_flushing() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.write(id, b"too late");
    rig.session.close(CloseReason::Local, rig.now());
    rig.peer_close(1000);
    assert_eq!(rig.sent(), [close(1000)], "a peer that has closed reads nothing");
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Local)));
}

#[test]
fn shutdown_says_going_away() {
    let mut rig = Rig::ready_server(Config::server(), &[8080]);
    rig.session.close(CloseReason::Shutdown, rig.now());
    assert_eq!(rig.sent(), [Sent::Close(1001, "shutting down".to_owned())]);
    rig.peer_close(1001);
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Shutdown)));
}

#[test]
fn abort_says_nothing() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.write(id, b"dropped");
    rig.session.abort(rig.now());
    assert_eq!(rig.sent(), []);
    assert_eq!(rig.failure(id), Some(StreamError::Session(CloseReason::Aborted)));
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Aborted)));
}

#[test]
fn a_violation_sends_nothing_but_the_close_and_waits_for_nobody() {
    let mut rig = Rig::client(&[8080]);
    let id = rig.open(8080);
    rig.write(id, b"never sent");
    rig.message(0, b"\x01\x02");
    assert!(!rig.session.wants_read(), "nothing that comes matters any more");
    let sent = rig.sent();
    assert!(matches!(&sent[..], [Sent::Close(1002, _)]), "{sent:?}");
    assert!(rig.session.is_closed());
    assert!(matches!(
        rig.failure(id),
        Some(StreamError::Session(CloseReason::Violation(Violation::WrongPort { .. })))
    ));
}

#[test]
fn a_violation_of_the_transport_is_one_of_the_session() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    rig.session.handle_violation(Violation::TextMessage, rig.now());
    let sent = rig.sent();
    assert!(matches!(&sent[..], [Sent::Close(1003, _)]), "{sent:?}");
    assert_eq!(
        rig.events().last(),
        Some(&Event::Closed(CloseReason::Violation(Violation::TextMessage)))
    );
}

#[test]
fn a_violation_while_we_wait_for_the_peers_close_ends_the_wait() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    rig.session.close(CloseReason::Local, rig.now());
    rig.sent();
    rig.feed(Incoming::Text { bytes: Bytes::new(), end: true });
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Local)));
}

#[test]
fn the_reset_of_one_of_several_is_local_and_the_last_closes() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let (a, b) = (rig.open(1), rig.open(2));
    rig.write(a, b"dropped");
    rig.reset(a);
    rig.message(0, b"ignored");
    assert_eq!(rig.sent(), []);
    assert_eq!(rig.read_all(a), (Vec::new(), End::Failed));
    assert_eq!(rig.session.stats().ignored_late, 7);
    rig.write(b, b"also dropped");
    rig.reset(b);
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn the_release_of_the_last_stream_closes() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.session.release(id, rig.now());
    assert_eq!(rig.sent(), [close(1000)]);
    rig.peer_close(1000);
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Done)));
}

#[test]
fn an_unclean_end_is_a_failure_also_to_one_who_only_writes() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.stop(id);
    rig.events();
    rig.write(id, b"an upload");
    rig.disconnect();
    assert_eq!(rig.try_write(id, b"x"), Err(WriteError::Ended));
    assert_eq!(rig.failure(id), Some(StreamError::Session(CloseReason::Disconnected)));
    assert_eq!(rig.events_of(id), [StreamEvent::Failed, StreamEvent::Done]);
}

#[test]
fn both_sides_close_at_once() {
    let mut client = Rig::ready_client(Config::client(), &[8080]);
    let mut server = Rig::ready_server(Config::server(), &[8080]);
    client.session.close(CloseReason::Local, client.now());
    server.session.close(CloseReason::Shutdown, server.now());
    exchange(&mut client, &mut server);
    assert_eq!(client.events().last(), Some(&Event::Closed(CloseReason::Local)));
    assert_eq!(server.events().last(), Some(&Event::Closed(CloseReason::Shutdown)));
}

#[test]
fn a_finished_exchange_closes_both_sides_cleanly() {
    for form in [WireForm::V4, WireForm::V4Base64] {
        let config = Config::client().with_half_close(HalfClose::Immediate);
        let mut client = Rig::new(Side::Client, form, config, &[8080]);
        let mut server = Rig::new(Side::Server, form, Config::server(), &[8080]);
        let (c, s) = (client.open(8080), server.accept_all()[0]);
        client.write(c, b"request");
        exchange(&mut client, &mut server);
        assert_eq!(server.read_all(s).0, b"request");
        server.write(s, b"answer");
        server.finish(s);
        exchange(&mut client, &mut server);
        assert_eq!(client.read_all(c), (b"answer".to_vec(), End::Open), "v4 shows no end of one");
        client.finish(c);
        exchange(&mut client, &mut server);
        assert_eq!(server.read_all(s), (Vec::new(), End::Eof));
        assert_eq!(client.read_all(c), (Vec::new(), End::Eof));
        assert_eq!(client.events().last(), Some(&Event::Closed(CloseReason::Done)));
        assert_eq!(server.events().last(), Some(&Event::Closed(CloseReason::Done)));
    }
}

/// A server that has said everything, and a transport that has written none of it.
fn slow_end(config: Config) -> Rig {
    let mut rig = Rig::ready_server(config, &[8080]);
    let id = rig.accept_all()[0];
    rig.write(id, b"the whole answer");
    rig.finish(id);
    rig.stop(id);
    assert_eq!(rig.sent(), [data(0, "the whole answer"), close(1000)]);
    rig.flushed(20);
    rig
}

#[test]
fn a_clean_end_waits_for_a_transport_that_is_slow_to_write() {
    let mut rig = slow_end(Config::server());
    rig.after(secs(59));
    rig.flushed(10);
    assert_eq!(rig.next_timer(), Some((Timer::Close, secs(60))), "it got further");
    rig.after(secs(59));
    rig.flushed(0);
    assert_eq!(rig.next_timer(), Some((Timer::Close, secs(2))), "an answer is due now");
    rig.after(secs(1));
    rig.peer_close(1000);
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Done)));
}

#[test]
fn a_transport_that_writes_nothing_is_not_waited_for_without_end() {
    let config = Config::server().with_drain_timeout(secs(7));
    let mut rig = slow_end(config);
    rig.after(millis(6_999));
    rig.flushed(20);
    assert!(!rig.session.is_closed());
    rig.after(millis(1));
    assert!(rig.session.is_closed());
}

#[test]
fn nobody_waits_for_the_rest_of_what_was_given_up() {
    // By a reset before the end, and by one after it.
    for ended in [false, true] {
        let config = Config::client().with_half_close(HalfClose::Immediate);
        let mut rig = Rig::ready_client(config, &[8080]);
        let id = rig.open(8080);
        rig.write(id, b"upload");
        if ended {
            rig.finish(id);
            rig.sent();
            rig.after(secs(1));
        }
        rig.reset(id);
        rig.sent();
        rig.flushed(6);
        assert_eq!(rig.next_timer(), Some((Timer::Close, secs(2))), "{ended}");
    }
}

#[test]
fn a_close_in_the_middle_of_a_slow_end_hurries_it() {
    let mut rig = slow_end(Config::server());
    assert_eq!(rig.next_timer(), Some((Timer::Close, secs(60))));
    rig.close(CloseReason::Shutdown);
    assert_eq!(rig.next_timer(), Some((Timer::Close, secs(2))));
    rig.after(secs(1));
    rig.flushed(3);
    assert_eq!(rig.next_timer(), Some((Timer::Close, secs(2))), "it still moves");
    rig.after(secs(2));
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Done)));
}
