//! How a session ends (D.3; D.5; C.7).

use portway_proto::{CloseReason, Incoming, StreamError, Violation};
use portway_testkit::rig::{End, remote_text, secs};
use portway_testkit::spdy::{Frame, Spdy, cancel, close, data, fin, go_away};

use crate::{CLIENT, SERVER, TEXT, closed};

#[test]
fn a_goodbye_resets_what_is_unfinished_and_says_go_away_and_close() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.write(id, b"written before");
    rig.close(CloseReason::Local);
    assert_eq!(
        rig.frames(),
        [data(3, "written before"), cancel(3), cancel(1), go_away(0, 0), close(1000)]
    );
    rig.peer(&Frame::Ping(2));
    rig.data(3, "late");
    assert_eq!(rig.frames(), [], "nothing follows a Close");
    rig.peer_close(1000);
    assert_eq!(rig.failure(id), Some(StreamError::Session(CloseReason::Local)));
    assert_eq!(closed(&mut rig), CloseReason::Local);
}

#[test]
fn a_goodbye_of_a_server_names_the_last_stream_of_the_client() {
    let (mut rig, _) = Spdy::accepted(SERVER);
    rig.close(CloseReason::Shutdown);
    assert_eq!(
        rig.frames(),
        [cancel(3), cancel(1), go_away(3, 0), Frame::Close(1001, "shutting down".into())]
    );
}

#[test]
fn what_has_ended_is_not_reset_by_a_goodbye() {
    let (mut rig, _) = Spdy::opened(CLIENT);
    rig.peer_all(&[fin(3), fin(1)]);
    rig.frames();
    rig.close(CloseReason::Local);
    assert_eq!(rig.frames(), [go_away(0, 0), close(1000)]);
}

#[test]
fn a_stream_that_waits_for_its_error_stream_is_clean_when_the_session_ends() {
    for code in [None, Some(1000), Some(1011)] {
        let (mut rig, id) = Spdy::opened(CLIENT);
        rig.data(3, "x");
        rig.fin(3);
        rig.frames();
        match code {
            Some(code) => rig.peer_close(code),
            None => rig.disconnect(),
        }
        assert_eq!(rig.read_all(id), (b"x".to_vec(), End::Eof), "{code:?}");
    }
}

#[test]
fn a_text_is_what_a_stream_failed_of_when_the_session_ends() {
    for code in [None, Some(1000), Some(1011)] {
        let (mut rig, id) = Spdy::opened(CLIENT);
        rig.data(1, TEXT);
        match code {
            Some(code) => rig.peer_close(code),
            None => rig.disconnect(),
        }
        assert_eq!(remote_text(rig.failure(id).as_ref()), TEXT, "{code:?}");
    }
}

#[test]
fn a_close_with_1000_is_not_clean_for_streams_that_have_not_ended() {
    let (mut rig, cut) = Spdy::opened(CLIENT);
    let ended = rig.open_replied(2, 5);
    rig.data(3, "some");
    rig.peer_all(&[data(7, "all"), fin(7)]);
    rig.frames();
    rig.peer_close(1000);
    let reason = CloseReason::Peer { code: 1000, reason: "".into() };
    assert_eq!(rig.read_all(cut), (b"some".to_vec(), End::Failed));
    assert_eq!(rig.failure(cut), Some(StreamError::Session(reason.clone())));
    assert_eq!(rig.read_all(ended), (b"all".to_vec(), End::Eof));
    assert_eq!(rig.frames(), [close(1000)], "a peer that has said goodbye hears of nothing else");
    assert_eq!(closed(&mut rig), reason);
}

#[test]
fn a_close_with_1000_is_clean_where_nothing_was_cut() {
    let (mut rig, _) = Spdy::opened(CLIENT);
    rig.peer_all(&[fin(3), fin(1)]);
    rig.frames();
    rig.peer_close(1000);
    assert_eq!(rig.frames(), [close(1000)]);
    assert_eq!(closed(&mut rig), CloseReason::Done);
}

#[test]
fn a_close_cuts_a_client_that_was_not_done_too() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.data(3, "some");
    rig.peer_close(1000);
    assert_eq!(rig.read_all(id), (b"some".to_vec(), End::Failed));
    let reason = CloseReason::Peer { code: 1000, reason: "".into() };
    assert_eq!(rig.failure(id), Some(StreamError::Session(reason)));
}

#[test]
fn a_violation_is_told_and_ends_everything() {
    for (mut rig, id, last) in [
        {
            let (rig, id) = Spdy::opened(CLIENT);
            (rig, id, 0)
        },
        {
            let (rig, id) = Spdy::accepted(SERVER);
            (rig, id, 3)
        },
    ] {
        rig.data(3, "before");
        rig.write(id, b"queued");
        // A PING with id 0.
        rig.bytes(&[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 0]);
        rig.data(3, "after");
        let sent = rig.frames();
        assert_eq!(sent[0], go_away(last, 1));
        let [_, Frame::Close(1002, words)] = &sent[..] else { panic!("{sent:?}") };
        assert!(words.contains("PING"), "{words}");
        assert_eq!(rig.read_all(id), (b"before".to_vec(), End::Failed));
        let reason = closed(&mut rig);
        assert!(matches!(reason, CloseReason::Violation(Violation::Spdy(_))), "{reason:?}");
        assert_eq!(rig.failure(id), Some(StreamError::Session(reason)));
    }
}

#[test]
fn what_came_before_a_violation_in_the_same_message_counts() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    let mut bytes = rig.encode(&data(3, "all of it"));
    bytes.extend(rig.encode(&fin(3)));
    bytes.extend(rig.encode(&fin(1)));
    bytes.extend([0x80, 2, 0, 6, 0, 0, 0, 4]);
    rig.bytes(&bytes);
    assert_eq!(rig.read_all(id), (b"all of it".to_vec(), End::Eof));
    assert!(matches!(rig.frames()[..], [.., Frame::Close(1002, _)]));
}

#[test]
fn a_header_block_that_does_not_inflate_is_a_violation() {
    let mut rig = Spdy::server(SERVER);
    let block = [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2, 0xff, 0xff, 0, 0, 0xff, 0xff];
    let body = [&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &block].concat();
    rig.peer(&Frame::Other { kind: 1, body });
    assert!(matches!(
        rig.frames()[..],
        [Frame::GoAway { last: 0, status: 1 }, Frame::Close(1002, _)]
    ));
}

#[test]
fn a_text_message_is_fatal_to_either_side() {
    for (mut rig, id) in [Spdy::opened(CLIENT), Spdy::accepted(SERVER)] {
        rig.feed(Incoming::Text { bytes: vec![].into(), end: false });
        let sent = rig.frames();
        assert!(
            matches!(sent[..], [Frame::GoAway { status: 1, .. }, Frame::Close(1003, _)]),
            "{sent:?}"
        );
        let reason = CloseReason::Violation(Violation::TextMessage);
        assert_eq!(rig.failure(id), Some(StreamError::Session(reason.clone())));
        assert_eq!(closed(&mut rig), reason);
    }
}

#[test]
fn a_lost_transport_cuts_what_has_not_ended() {
    for (mut rig, id) in [Spdy::opened(CLIENT), Spdy::accepted(SERVER)] {
        rig.data(3, "some");
        rig.disconnect();
        assert_eq!(rig.read_all(id), (b"some".to_vec(), End::Failed));
        assert_eq!(rig.failure(id), Some(StreamError::Session(CloseReason::Disconnected)));
        assert_eq!(closed(&mut rig), CloseReason::Disconnected);
        assert_eq!(rig.frames(), []);
    }
}

#[test]
fn a_server_that_closes_takes_no_more_streams() {
    let mut rig = Spdy::server(SERVER);
    rig.close(CloseReason::Shutdown);
    rig.syn_pair(1, 1, "0");
    assert_eq!((rig.session.accept(), rig.session.streams()), (None, 0));
    assert_eq!(rig.frames()[0], go_away(3, 0));
}

#[test]
fn an_abort_says_nothing() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.write(id, b"x");
    rig.abort();
    assert_eq!(rig.frames(), []);
    assert_eq!(rig.failure(id), Some(StreamError::Session(CloseReason::Aborted)));
}

#[test]
fn a_peer_that_answers_no_goodbye_is_waited_for_two_seconds() {
    let (mut rig, _) = Spdy::opened(CLIENT);
    rig.close(CloseReason::Local);
    rig.frames();
    rig.after(secs(2));
    assert_eq!(closed(&mut rig), CloseReason::Local);
}

#[test]
fn a_client_that_finished_and_closes_has_cut_nothing_of_its_own() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.peer_all(&[data(3, "request"), fin(3)]);
    rig.finish(id);
    rig.frames();
    rig.peer_close(1000);
    assert_eq!(rig.read_all(id), (b"request".to_vec(), End::Eof));
    assert_eq!(rig.frames(), [close(1000)]);
    assert_eq!(closed(&mut rig), CloseReason::Done);
}
