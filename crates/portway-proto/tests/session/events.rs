//! Events are edges, at most one of each pending, and `Closed` is the last.

use portway_proto::{
    CloseReason, Config, Event, HalfClose, OverflowPolicy, ReadError, StreamEvent, WriteError,
};
use portway_testkit::rig::{End, Rig, secs};

#[test]
fn readable_is_an_edge() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.message(0, b"a");
    rig.message(0, b"b");
    assert_eq!(rig.events_of(id), [StreamEvent::Readable], "one for both");
    rig.message(0, b"c");
    assert_eq!(rig.events_of(id), [], "still readable, nothing new");
    assert_eq!(rig.read_all(id), (b"abc".to_vec(), End::Open));
    assert_eq!(rig.read(id), Err(ReadError::Blocked));
    rig.message(0, b"d");
    assert_eq!(rig.events_of(id), [StreamEvent::Readable]);
}

#[test]
fn a_reader_that_stops_at_the_last_byte_is_woken_too() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.message(0, b"a");
    rig.events();
    // It did not come back to see `Blocked`.
    rig.read(id).unwrap();
    rig.message(0, b"b");
    assert_eq!(rig.events_of(id), [StreamEvent::Readable]);
}

#[test]
fn the_end_is_something_to_read() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let id = rig.open(8080);
    rig.message(0, b"x");
    rig.events();
    rig.peer_close(1000);
    assert_eq!(rig.events_of(id), [StreamEvent::Readable]);
    assert!(!rig.session.is_done(id), "some waits to be read");
    assert_eq!(rig.read_all(id), (b"x".to_vec(), End::Eof));
    assert_eq!(rig.events_of(id), [StreamEvent::Done]);
}

#[test]
fn done_comes_once_and_only_when_everything_was_read() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let id = rig.open(1);
    rig.message(0, b"x");
    rig.message(1, b"broken");
    rig.after(secs(1));
    assert_eq!(rig.events_of(id), [StreamEvent::Readable, StreamEvent::Failed]);
    rig.read_all(id);
    assert_eq!(rig.events_of(id), [StreamEvent::Done]);
    rig.read_all(id);
    rig.reset(id);
    rig.stop(id);
    assert_eq!(rig.events_of(id), []);
}

#[test]
fn one_of_each_is_the_most_that_is_pending() {
    let mut rig = Rig::new(
        portway_proto::Side::Client,
        portway_proto::WireForm::V4,
        Config::client().with_send_buffer(2),
        &[1, 2],
    );
    let (a, b) = (rig.open(1), rig.open(2));
    rig.announce();
    for _ in 0..100 {
        for (id, channel) in [(a, 0), (b, 2)] {
            rig.message(channel, b"in");
            rig.read(id).unwrap();
            drop(rig.try_write(id, b"out"));
            rig.sent();
        }
    }
    for channel in [1, 3] {
        rig.message(channel, b"broken");
    }
    rig.after(secs(1));
    let events = rig.events();
    for id in [a, b] {
        let of: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Stream { id: of, event } if *of == id => Some(*event),
                Event::Stream { .. } | Event::Ready | Event::Closed(_) | _ => None,
            })
            .collect();
        assert_eq!(of.len(), 5, "{of:?}");
        assert!(matches!(of[0], StreamEvent::Opened { .. }));
        assert_eq!(
            of[1..],
            [StreamEvent::Readable, StreamEvent::Writable, StreamEvent::Failed, StreamEvent::Done]
        );
    }
}

#[test]
fn closed_comes_once_after_the_events_of_all_streams() {
    type Ending = fn(&mut Rig);
    let endings: [(&str, Ending); 6] = [
        ("peer", |rig| rig.peer_close(1000)),
        ("disconnect", Rig::disconnect),
        ("abort", |rig| rig.session.abort(rig.now())),
        ("close", |rig| rig.session.close(CloseReason::Local, rig.now())),
        ("violation", |rig| {
            rig.feed(portway_proto::Incoming::Text { bytes: bytes::Bytes::new(), end: true })
        }),
        ("silence", |rig| rig.run(secs(1000), |rig| drop(rig.sent()))),
    ];
    for (name, end) in endings {
        for also in [endings[0].1, endings[1].1, endings[2].1, endings[3].1, endings[5].1] {
            let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
            rig.open(1);
            rig.open(2);
            rig.message(0, b"x");
            end(&mut rig);
            also(&mut rig);
            rig.sent();
            rig.run(secs(1000), |rig| drop(rig.sent()));
            // `events` panics when one follows `Closed`.
            let events = rig.events();
            let closed = events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
            assert_eq!(closed, 1, "{name}: {events:?}");
            rig.disconnect();
            rig.session.abort(rig.now());
            assert_eq!(rig.events(), []);
        }
    }
}

#[test]
fn a_reset_is_reported_to_whoever_watches_the_stream() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let id = rig.open(1);
    rig.reset(id);
    let news = [StreamEvent::Readable, StreamEvent::Failed, StreamEvent::Done];
    assert_eq!(rig.events_of(id), news, "a reader may wait in another task");
    assert_eq!(rig.read(id), Err(ReadError::Failed));
}

#[test]
fn a_reader_that_waits_is_told_of_an_overflow() {
    let config = Config::client().with_recv_buffer(4).with_overflow(OverflowPolicy::Reset);
    let mut rig = Rig::ready_client(config, &[1, 2]);
    let id = rig.open(1);
    rig.message(0, b"held");
    assert_eq!(rig.read(id).unwrap().unwrap(), "held");
    assert_eq!(rig.read(id), Err(ReadError::Blocked), "and nothing is consumed");
    rig.events();
    rig.message(0, b"more");
    assert_eq!(rig.events_of(id), [StreamEvent::Readable, StreamEvent::Failed, StreamEvent::Done]);
    assert_eq!(rig.read(id), Err(ReadError::Failed));
}

#[test]
fn done_comes_too_where_a_reset_cuts_off_the_text_that_was_waited_for() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let id = rig.open(1);
    rig.stop(id);
    rig.message(1, b"broken, and perhaps mo");
    rig.events();
    assert!(!rig.session.is_done(id));
    rig.reset(id);
    assert_eq!(rig.events_of(id), [StreamEvent::Failed, StreamEvent::Done]);
}

#[test]
fn a_writer_that_waits_is_told_that_the_session_closes() {
    let mut rig = Rig::ready_client(Config::client().with_send_buffer(4), &[1, 2]);
    let id = rig.open(1);
    rig.write(id, b"full");
    assert_eq!(rig.try_write(id, b"x"), Err(WriteError::Blocked("x".into())));
    rig.events();
    rig.close(CloseReason::Local);
    assert_eq!(rig.events_of(id), [StreamEvent::Writable], "though nothing was sent yet");
    assert_eq!(rig.try_write(id, b"x"), Err(WriteError::Finished));
}

#[test]
fn the_beginning_and_the_end_of_lingering_are_news() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let id = rig.open(1);
    rig.write(id, b"request");
    rig.finish(id);
    assert_eq!(rig.events_of(id), [], "it is not sent yet");
    rig.sent();
    assert_eq!(rig.events_of(id), [StreamEvent::Lingering]);
    assert!(rig.session.send(id).unwrap().lingering().is_some());
    rig.after(secs(5));
    assert_eq!(rig.events_of(id), [StreamEvent::Lingering], "the policy lets the end go");
    assert!(rig.session.send(id).unwrap().lingering().is_none());
}

#[test]
fn an_end_that_is_not_held_back_does_not_linger() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let id = rig.open(1);
    rig.message(0, b"the last word");
    rig.events();
    rig.set_half_close(id, HalfClose::Immediate);
    rig.finish(id);
    rig.sent();
    assert_eq!(rig.events_of(id), []);
}
