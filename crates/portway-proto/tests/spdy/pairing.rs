//! How a server makes one stream of two (C.5; D.5).

use portway_proto::{Event, Port, StreamEvent, Timer};
use portway_testkit::rig::{End, millis, secs};
use portway_testkit::spdy::{Frame, Spdy, cancel, data, fin, refused, reply, syn};

use crate::SERVER;

fn syn_with(id: u32, headers: &[(&str, &str)]) -> Frame {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Frame::Syn { id, fin: false, headers }
}

fn port_of(rig: &mut Spdy) -> Option<u16> {
    let id = rig.session.accept()?;
    rig.session.port(id).map(Port::get)
}

#[test]
fn a_stream_is_there_when_both_halves_are_in_any_order() {
    for order in [["error", "data"], ["data", "error"]] {
        let mut rig = Spdy::server(SERVER);
        rig.peer(&syn(1, order[0], 8080, "0"));
        assert_eq!(rig.frames(), [reply(1)], "at once");
        assert_eq!((rig.session.accept(), rig.events()), (None, vec![]));
        rig.peer(&syn(3, order[1], 8080, "0"));
        assert_eq!(rig.frames(), [reply(3)]);
        let id = rig.session.accept().unwrap();
        let port = Port::new(8080).unwrap();
        assert_eq!(rig.events(), [Event::Stream { id, event: StreamEvent::Opened { port } }]);
        assert_eq!(rig.session.port(id), Some(port));
        assert_eq!(rig.next_timer(), None);
    }
}

#[test]
fn the_port_is_that_of_the_data_stream() {
    for order in [["error", "data"], ["data", "error"]] {
        let mut rig = Spdy::server(SERVER);
        for (id, kind) in [(1, order[0]), (3, order[1])] {
            rig.peer(&syn(id, kind, if kind == "data" { 7 } else { 9 }, "0"));
        }
        assert_eq!(port_of(&mut rig), Some(7));
    }
}

#[test]
fn streams_are_accepted_in_the_order_in_which_they_became_whole() {
    let mut rig = Spdy::server(SERVER);
    rig.peer_all(&[syn(1, "error", 1, "a"), syn(3, "error", 2, "b")]);
    rig.peer_all(&[syn(5, "data", 2, "b"), syn(7, "data", 1, "a")]);
    assert_eq!([port_of(&mut rig), port_of(&mut rig), port_of(&mut rig)], [Some(2), Some(1), None]);
}

#[test]
fn without_a_request_id_a_data_stream_belongs_to_the_error_stream_before_it() {
    let mut rig = Spdy::server(SERVER);
    let headers = |kind| [("streamtype", kind), ("port", "8080")];
    rig.peer(&syn_with(5, &headers("error")));
    rig.peer(&syn_with(7, &headers("data")));
    assert_eq!(port_of(&mut rig), Some(8080));
    rig.peer(&syn_with(9, &headers("error")));
    rig.peer(&syn_with(13, &headers("data")));
    assert_eq!(port_of(&mut rig), None, "not the one before it");
}

#[test]
fn a_request_id_is_free_again_when_its_pair_is_whole() {
    let mut rig = Spdy::server(SERVER);
    rig.syn_pair(1, 1, "same");
    rig.syn_pair(5, 2, "same");
    assert_eq!([port_of(&mut rig), port_of(&mut rig)], [Some(1), Some(2)]);
    rig.frames();
    rig.data(7, "to the second");
    assert_eq!(rig.session.streams(), 2);
}

#[test]
fn data_that_comes_with_the_opening_is_there_when_the_stream_is() {
    let mut rig = Spdy::server(SERVER);
    rig.peer_all(&[
        syn(1, "error", 1, "0"),
        fin(1),
        syn(3, "data", 1, "0"),
        data(3, "first"),
        fin(3),
    ]);
    assert_eq!(rig.frames(), [reply(1), reply(3)]);
    let id = rig.session.accept().unwrap();
    assert_eq!(rig.read_all(id), (b"first".to_vec(), End::Eof));
}

#[test]
fn data_and_an_end_before_the_second_half_are_kept_and_told_when_there_is_a_stream() {
    for end in [false, true] {
        let mut rig = Spdy::server(SERVER);
        rig.peer_all(&[syn(1, "data", 1, "0"), data(1, "early")]);
        if end {
            rig.fin(1);
        }
        assert_eq!(rig.events(), [], "of a stream that nobody knows yet");
        rig.peer(&syn(3, "error", 1, "0"));
        let id = rig.session.accept().unwrap();
        let port = Port::new(1).unwrap();
        let events = rig.events_of(id);
        assert_eq!(events, [StreamEvent::Opened { port }, StreamEvent::Readable]);
        let expected = if end { End::Eof } else { End::Open };
        assert_eq!(rig.read_all(id), (b"early".to_vec(), expected));
    }
}

#[test]
fn a_fin_with_the_opening_is_the_clients_end() {
    let mut rig = Spdy::server(SERVER);
    for (id, kind) in [(1, "error"), (3, "data")] {
        let Frame::Syn { headers, .. } = syn(id, kind, 1, "0") else { panic!() };
        rig.peer(&Frame::Syn { id, fin: true, headers });
    }
    assert_eq!(rig.frames(), [reply(1), reply(3)]);
    let id = rig.session.accept().unwrap();
    assert_eq!(rig.read_all(id).1, End::Eof);
    rig.write(id, b"answer");
    assert_eq!(rig.frames(), [data(3, "answer")]);
}

#[test]
fn an_error_stream_without_data_is_told_why_after_thirty_seconds() {
    let mut rig = Spdy::server(SERVER);
    rig.peer(&syn(1, "error", 1, "seven"));
    rig.peer(&fin(1));
    rig.frames();
    assert_eq!(rig.next_timer(), Some((Timer::Open, secs(30))));
    rig.after(millis(29_999));
    assert_eq!(rig.frames(), []);
    rig.after(millis(1));
    let sent = rig.frames();
    let [Frame::Data { id: 1, bytes, fin: false }, end] = &sent[..] else { panic!("{sent:?}") };
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains("seven") && text.contains("timed out waiting for streams"), "{text}");
    assert_eq!(*end, fin(1));
    assert_eq!((rig.session.streams(), rig.events(), rig.session.accept()), (0, vec![], None));
    rig.peer(&syn(3, "data", 1, "seven"));
    assert_eq!(rig.frames(), [reply(3)], "too late: the first of another pair");
    assert_eq!(rig.session.accept(), None);
}

#[test]
fn a_data_stream_without_an_error_stream_is_cancelled_after_thirty_seconds() {
    for ended in [false, true] {
        let mut rig = Spdy::server(SERVER);
        rig.peer_all(&[syn(1, "data", 1, "0"), data(1, "early")]);
        if ended {
            rig.fin(1);
        }
        rig.frames();
        rig.after(secs(30));
        assert_eq!(rig.frames(), [cancel(1)]);
        rig.data(1, "late");
        assert_eq!((rig.session.streams(), rig.events()), (0, vec![]));
        assert_eq!(rig.session.stats().buffered, 0);
    }
}

#[test]
fn a_half_that_the_client_takes_back_is_forgotten() {
    for kind in ["error", "data"] {
        let mut rig = Spdy::server(SERVER);
        rig.peer_all(&[syn(1, kind, 1, "0"), cancel(1)]);
        assert_eq!(rig.frames(), [reply(1)]);
        assert_eq!((rig.session.streams(), rig.next_timer()), (0, None));
        rig.syn_pair(3, 2, "0");
        assert_eq!(port_of(&mut rig), Some(2), "a fresh pair");
    }
}

#[test]
fn a_second_stream_of_a_kind_is_cancelled_and_the_first_error_stream_told() {
    let mut rig = Spdy::server(SERVER);
    rig.peer(&syn(1, "error", 1, "x"));
    rig.peer(&syn(3, "error", 1, "x"));
    let sent = rig.frames();
    let [first, Frame::Data { id: 1, bytes, fin: false }, last] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!((first, last), (&reply(1), &cancel(3)));
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains("request x") && text.contains("error stream already assigned"), "{text}");
    rig.peer(&syn(5, "data", 1, "x"));
    assert_eq!(rig.frames(), [reply(5)]);
    assert_eq!(port_of(&mut rig), Some(1), "the pair is none the worse");

    rig.peer_all(&[syn(7, "data", 1, "y"), syn(9, "data", 1, "y")]);
    assert_eq!(rig.frames(), [reply(7), cancel(9)], "no error stream to tell it to");
}

#[test]
fn a_stream_without_good_headers_is_cancelled_and_not_replied_to() {
    let bad: &[&[(&str, &str)]] = &[
        &[],
        &[("streamtype", "data"), ("requestid", "0")],
        &[("port", "8080"), ("requestid", "0")],
        &[("streamtype", "data"), ("port", "0")],
        &[("streamtype", "data"), ("port", "65536")],
        &[("streamtype", "data"), ("port", "")],
        &[("streamtype", "data"), ("port", "x")],
        &[("streamtype", "data"), ("port", "+80")],
        &[("streamtype", "data"), ("port", "-1")],
        &[("streamtype", "Data"), ("port", "1")],
        &[("streamtype", "stderr"), ("port", "1")],
    ];
    let mut rig = Spdy::server(SERVER);
    let mut id = 1;
    for headers in bad {
        rig.peer(&syn_with(id, headers));
        assert_eq!(rig.frames(), [cancel(id)], "{headers:?}");
        id += 2;
    }
    assert_eq!(rig.session.streams(), 0);
    rig.syn_pair(id, 1, "0");
    assert_eq!(port_of(&mut rig), Some(1), "the header stream is none the worse");
}

#[test]
fn a_number_that_does_not_rise_or_is_even_breaks_the_rules_of_that_stream() {
    let mut rig = Spdy::server(SERVER);
    rig.syn_pair(5, 1, "0");
    let id = rig.session.accept().unwrap();
    rig.frames();
    let broken = |id| Frame::Rst { id, status: 1 };
    for number in [3, 8, 1] {
        rig.peer(&syn(number, "data", 1, "1"));
        assert_eq!(rig.frames(), [broken(number)]);
    }
    assert_eq!(rig.failure(id), None);
    rig.peer(&syn(7, "data", 1, "1"));
    assert_eq!(rig.frames(), [broken(7), fin(5)], "a live one is killed by it, as in Go");
    assert_eq!(rig.read_all(id).1, End::Failed);
    rig.peer(&syn(21, "error", 1, "2"));
    assert_eq!(rig.frames(), [reply(21)], "gaps are fine");
}

#[test]
fn more_than_so_many_streams_are_refused_and_room_is_made_by_release() {
    let mut rig = Spdy::server(SERVER.with_max_streams(2));
    rig.syn_pair(1, 1, "0");
    rig.peer(&syn(5, "error", 2, "1"));
    rig.frames();
    rig.syn_pair(9, 3, "2");
    assert_eq!(rig.frames(), [refused(9), refused(11)]);
    rig.peer(&syn(13, "data", 2, "1"));
    assert_eq!(rig.frames(), [reply(13)], "the second half of one that is there");
    let id = rig.session.accept().unwrap();
    rig.rst(3);
    rig.frames();
    rig.peer(&syn(15, "error", 2, "3"));
    assert_eq!(rig.frames(), [refused(15)], "it is not released yet");
    rig.release(id);
    rig.peer(&syn(17, "error", 2, "3"));
    assert_eq!(rig.frames(), [reply(17)]);
}

#[test]
fn a_half_may_not_send_more_than_a_buffer_before_the_other_half_is_there() {
    let mut rig = Spdy::server(SERVER.with_recv_buffer(10));
    rig.peer_all(&[syn(1, "data", 1, "0"), data(1, "12345")]);
    assert_eq!(rig.frames(), [reply(1)]);
    rig.data(1, "67890");
    assert_eq!(rig.frames(), [cancel(1)]);
    assert!(rig.session.wants_read(), "nobody can read what nobody knows of");
    assert_eq!((rig.session.streams(), rig.next_timer()), (0, None));
    rig.syn_pair(3, 2, "0");
    assert_eq!(port_of(&mut rig), Some(2));
}

#[test]
fn a_request_id_is_bounded() {
    let mut rig = Spdy::server(SERVER);
    let long = "x".repeat(257);
    rig.peer(&syn(1, "error", 1, &long));
    assert_eq!(rig.frames(), [cancel(1)]);
    rig.syn_pair(3, 2, &long[..256]);
    assert_eq!(port_of(&mut rig), Some(2));
}

#[test]
fn a_stream_that_never_became_whole_has_no_events_when_the_session_ends() {
    for violation in [false, true] {
        let mut rig = Spdy::server(SERVER);
        rig.peer_all(&[syn(1, "data", 1, "0"), data(1, "x"), syn(3, "error", 1, "1")]);
        rig.frames();
        if violation {
            rig.bytes(&[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 0]);
            rig.frames();
        } else {
            rig.disconnect();
        }
        assert!(matches!(rig.events()[..], [Event::Closed(_)]));
        assert_eq!((rig.session.streams(), rig.session.accept()), (0, None));
    }
}
