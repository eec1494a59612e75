//! How a client opens a stream (D.4; C.5).

use portway_proto::{
    Event, OpenError, Port, Retired, Side, StreamError, StreamEvent, Timer, WireForm,
};
use portway_testkit::rig::{End, millis, secs};
use portway_testkit::spdy::{Frame, Spdy, cancel, data, fin, refused, reply, syn};

use crate::{CLIENT, count};

#[test]
fn both_streams_the_end_of_the_error_stream_and_the_first_data_go_out_before_any_answer() {
    for form in [WireForm::Tunnel, WireForm::Spdy] {
        let mut rig = Spdy::new(Side::Client, form, CLIENT);
        let id = rig.open(8080);
        rig.write(id, b"hello");
        let opening = [syn(1, "error", 8080, "0"), syn(3, "data", 8080, "0"), fin(1)];
        assert_eq!(rig.message().unwrap(), opening, "in one message");
        assert_eq!(rig.message().unwrap(), [data(3, "hello")]);
        assert_eq!(rig.message(), None);
    }
}

#[test]
fn numbers_rise_by_two_and_every_stream_has_its_own_request() {
    let mut rig = Spdy::client(CLIENT);
    for (number, port) in [(0_u32, 8080), (1, 8080), (2, 9090)] {
        rig.open(port);
        let request = number.to_string();
        let first = 1 + 4 * number;
        assert_eq!(
            rig.frames(),
            [
                syn(first, "error", port, &request),
                syn(first + 2, "data", port, &request),
                fin(first)
            ]
        );
    }
}

#[test]
fn a_stream_that_was_given_up_before_it_went_out_takes_no_number_and_says_nothing() {
    let mut rig = Spdy::client(CLIENT);
    let (a, b, c) = (rig.open(1), rig.open(2), rig.open(3));
    rig.reset(a);
    rig.release(b);
    rig.write(c, b"x");
    let opening = [syn(1, "error", 3, "0"), syn(3, "data", 3, "0"), fin(1), data(3, "x")];
    assert_eq!(rig.frames(), opening);
    assert_eq!(rig.failure(a), Some(StreamError::Reset));
}

#[test]
fn a_stream_is_open_when_both_replies_have_come_in_any_order() {
    for order in [[1, 3], [3, 1]] {
        let mut rig = Spdy::client(CLIENT);
        let id = rig.open(8080);
        rig.frames();
        rig.peer(&reply(order[0]));
        assert_eq!(rig.events(), [], "half of it");
        rig.peer(&reply(order[1]));
        let port = Port::new(8080).unwrap();
        let opened = Event::Stream { id, event: StreamEvent::Opened { port } };
        assert_eq!(rig.events(), [opened]);
        assert_eq!(rig.next_timer(), None, "nothing is waited for");
        rig.peer_all(&[reply(1), reply(3)]);
        assert_eq!(rig.events(), [], "a second reply says nothing");
    }
}

#[test]
fn replies_to_nothing_are_ignored() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.peer_all(&[reply(5), reply(2), reply(77)]);
    assert_eq!((rig.events(), rig.frames()), (vec![], vec![]));
    assert_eq!(rig.read_all(id).1, End::Open);
}

#[test]
fn the_wait_for_the_replies_begins_when_the_transport_has_taken_the_opening() {
    let mut rig = Spdy::client(CLIENT);
    let id = rig.open(8080);
    rig.after(secs(3600));
    assert_eq!(rig.failure(id), None, "it waits for the transport");
    rig.frames();
    assert_eq!(rig.next_timer(), Some((Timer::Open, secs(10))));
    rig.after(millis(9_999));
    assert_eq!((rig.failure(id), rig.frames()), (None, vec![]));
    rig.after(millis(1));
    assert_eq!(rig.failure(id), Some(StreamError::OpenTimeout));
    assert_eq!(rig.frames(), [cancel(3), cancel(1)]);
}

#[test]
fn a_stream_that_is_not_opened_in_time_retires_the_session_while_its_others_go_on() {
    for first_reply in [false, true] {
        let (mut rig, other) = Spdy::opened(CLIENT);
        let id = rig.open(9090);
        rig.write(id, b"never seen");
        rig.frames();
        if first_reply {
            rig.peer(&reply(5));
        }
        rig.after(secs(10));
        assert_eq!(rig.frames(), [cancel(7), cancel(5)]);
        assert_eq!(rig.failure(id), Some(StreamError::OpenTimeout));
        assert_eq!(count(&mut rig, id, StreamEvent::Failed), 1);

        let retired = Retired::OpenTimeout;
        let refusal = rig.try_open(1);
        assert_eq!(refusal, Err(OpenError::Retired(retired)));
        rig.peer_all(&[reply(5), reply(7), data(7, "late")]);
        assert_eq!((rig.frames(), rig.events()), (vec![], vec![]), "late answers say nothing");
        rig.write(other, b"ping");
        rig.data(3, "pong");
        assert_eq!(rig.frames(), [data(3, "ping")]);
        assert_eq!(rig.read_all(other), (b"pong".to_vec(), End::Open));
    }
}

#[test]
fn a_server_that_resets_what_is_being_opened_refuses_it_and_the_sibling_is_cancelled() {
    for (refuse, sibling) in [(1, 3), (3, 1)] {
        for frame in [cancel(refuse), refused(refuse)] {
            for replied in [false, true] {
                let mut rig = Spdy::client(CLIENT);
                let id = rig.open(8080);
                rig.write(id, b"queued");
                rig.message();
                if replied {
                    rig.peer(&reply(sibling));
                }
                rig.peer(&frame);
                assert_eq!(rig.failure(id), Some(StreamError::Refused));
                assert_eq!(rig.frames(), [cancel(sibling)], "and no data");
                assert_eq!(rig.read_all(id).1, End::Failed);
                assert!(rig.session.is_done(id));
                rig.release(id);
                assert_eq!(rig.frames(), []);
                assert!(rig.try_open(1).is_ok(), "no reason");
            }
        }
    }
}

#[test]
fn a_text_that_came_before_a_refusal_is_what_is_told() {
    let mut rig = Spdy::client(CLIENT);
    let id = rig.open(8080);
    rig.frames();
    rig.peer_all(&[reply(1), data(1, "no such pod"), cancel(3)]);
    let failure = rig.failure(id);
    assert_eq!(portway_testkit::rig::remote_text(failure.as_ref()), "no such pod");
}

#[test]
fn data_before_the_replies_is_taken() {
    let mut rig = Spdy::client(CLIENT);
    let id = rig.open(8080);
    rig.frames();
    rig.data(3, "banner");
    assert_eq!(rig.read_all(id), (b"banner".to_vec(), End::Open));
    rig.peer_all(&[reply(1), reply(3)]);
    assert_eq!(rig.failure(id), None);
}

#[test]
fn data_that_came_before_a_refusal_can_be_read() {
    let mut rig = Spdy::client(CLIENT);
    let (a, b) = (rig.open(1), rig.open(2));
    rig.frames();
    rig.peer_all(&[data(3, "banner"), cancel(3), data(7, "slow")]);
    assert_eq!(rig.frames(), [cancel(1)]);
    assert_eq!(rig.read_all(a), (b"banner".to_vec(), End::Failed));
    assert_eq!(rig.failure(a), Some(StreamError::Refused));
    rig.after(secs(10));
    assert_eq!(rig.read_all(b), (b"slow".to_vec(), End::Failed));
    assert_eq!(rig.failure(b), Some(StreamError::OpenTimeout));
}

#[test]
fn a_stream_may_end_before_its_replies() {
    let mut rig = Spdy::client(CLIENT);
    let id = rig.open(8080);
    rig.frames();
    rig.peer_all(&[data(3, "x"), fin(3), fin(1)]);
    assert_eq!(rig.read_all(id), (b"x".to_vec(), End::Eof));
    assert_eq!(rig.frames(), [cancel(3)]);
    rig.after(secs(60));
    assert_eq!(rig.failure(id), None);
    assert!(rig.try_open(1).is_ok());
}

#[test]
fn a_stream_that_the_server_opens_is_refused_and_its_headers_are_inflated() {
    let mut rig = Spdy::client(CLIENT);
    rig.peer(&syn(2, "data", 1, "0"));
    rig.peer(&syn(4, "data", 1, "0"));
    assert_eq!(rig.frames(), [refused(2), refused(4)]);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.session.accept(), None);
    let id = rig.open_replied(8080, 1);
    rig.data(3, "fine");
    assert_eq!(rig.read_all(id).0, b"fine");
}

#[test]
fn a_server_that_opens_our_own_number_with_a_fin_ends_nothing_of_ours() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    let Frame::Syn { headers, .. } = syn(3, "data", 1, "0") else { panic!() };
    rig.peer(&Frame::Syn { id: 3, fin: true, headers });
    rig.after(secs(60));
    assert_eq!(rig.read_all(id), (vec![], End::Open));
    rig.write(id, b"x");
    assert_eq!(rig.frames(), [refused(3), data(3, "x")]);
}

#[test]
fn a_client_carries_so_many_streams_and_no_more() {
    let mut rig = Spdy::client(CLIENT.with_max_streams(2));
    let (a, _b) = (rig.open(1), rig.open(2));
    let open = |rig: &mut Spdy| rig.try_open(3);
    assert_eq!(open(&mut rig), Err(OpenError::TooManyStreams { limit: 2 }));
    rig.frames();
    rig.peer_all(&[reply(1), reply(3), data(3, "unread"), fin(3), fin(1)]);
    assert_eq!(
        open(&mut rig),
        Err(OpenError::TooManyStreams { limit: 2 }),
        "it holds what was not read"
    );
    rig.release(a);
    assert!(open(&mut rig).is_ok());
}

#[test]
fn only_a_client_opens_streams() {
    let mut rig = Spdy::server(crate::SERVER);
    assert_eq!(rig.try_open(1), Err(OpenError::NotAClient));
}
