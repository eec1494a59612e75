//! GOAWAY of the peer (D.3; D.5; trap 31).

use portway_proto::{CloseReason, OpenError, Retired, Reuse, StreamError};
use portway_testkit::rig::{End, secs};
use portway_testkit::spdy::{Spdy, close, data, fin, go_away, syn};

use crate::{CLIENT, SERVER, closed};

#[test]
fn streams_that_the_server_did_not_get_to_are_told_so_and_the_others_go_on() {
    let (mut rig, old) = Spdy::opened(CLIENT);
    let new = rig.open_replied(2, 5);
    let unsent = rig.open(3);
    rig.peer(&go_away(3, 0));
    assert_eq!(rig.failure(new), Some(StreamError::NotProcessed));
    assert_eq!(rig.failure(unsent), Some(StreamError::NotProcessed));
    let events = rig.events_of(new);
    assert!(events.contains(&portway_proto::StreamEvent::Readable), "{events:?}: the end is news");
    assert_eq!(rig.frames(), []);
    rig.data(3, "x");
    rig.data(7, "not for us any more");
    rig.write(old, b"y");
    assert_eq!(rig.frames(), [data(3, "y")]);
    assert_eq!(rig.read_all(old), (b"x".to_vec(), End::Open));
    let refusal = rig.try_open(1);
    assert_eq!(refusal, Err(OpenError::Retired(Retired::GoingAway)));
    assert_eq!(rig.reusable(), Reuse::No(Retired::GoingAway));
}

#[test]
fn half_of_a_stream_is_not_enough() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.peer(&go_away(1, 0));
    assert_eq!(rig.failure(id), Some(StreamError::NotProcessed));
}

#[test]
fn the_session_closes_when_the_last_stream_has_ended() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.peer(&go_away(3, 0));
    rig.data(3, "the last");
    rig.peer_all(&[fin(3), fin(1)]);
    let sent = rig.frames();
    assert_eq!(sent.last(), Some(&close(1000)), "{sent:?}");
    assert_eq!(rig.read_all(id), (b"the last".to_vec(), End::Eof));
    rig.peer_close(1000);
    assert_eq!(closed(&mut rig), CloseReason::GoingAway);
}

#[test]
fn a_session_without_streams_closes_at_once() {
    for (mut rig, last) in [(Spdy::client(CLIENT), 0), (Spdy::server(SERVER), 0)] {
        rig.peer(&go_away(last, 0));
        assert_eq!(rig.frames(), [go_away(0, 0), close(1000)]);
        rig.disconnect();
        assert_eq!(closed(&mut rig), CloseReason::GoingAway);
    }
}

#[test]
fn a_server_lets_streams_end_and_takes_no_more() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.peer(&go_away(0, 0));
    rig.peer(&syn(5, "error", 1, "1"));
    rig.write(id, b"rest");
    assert_eq!(rig.frames(), [data(3, "rest")], "and no reply");
    assert_eq!(rig.session.streams(), 1);
    rig.finish(id);
    rig.release(id);
    assert_eq!(rig.frames(), [fin(3), fin(1), go_away(5, 0), close(1000)]);
    rig.peer_close(1000);
    assert_eq!(closed(&mut rig), CloseReason::GoingAway);
}

#[test]
fn a_server_that_goes_away_and_hangs_up_has_cut_its_streams() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.peer(&go_away(3, 0));
    rig.after(secs(1));
    rig.disconnect();
    assert_eq!(rig.failure(id), Some(StreamError::Session(CloseReason::Disconnected)));
}
