//! Error texts: whole, cut, long, broken, late, of one port among several (B.5, B.8; D.1 "Failed").

use portway_proto::{
    CloseReason, Config, Event, Side, StreamError, StreamEvent, WireForm, WriteError,
};
use portway_testkit::rig::{End, Rig, Sent, close, millis, remote_text};

#[test]
fn one_message_fails_the_stream_with_its_words() {
    for form in [WireForm::V4, WireForm::V4Base64] {
        let mut rig = Rig::new(Side::Client, form, Config::client(), &[8085]);
        let id = rig.open(8085);
        rig.announce();
        rig.message(1, b"error forwarding port 8085 to pod x, uid : connection refused");
        rig.peer_close(1000);
        let failure = rig.failure(id);
        assert_eq!(
            remote_text(failure.as_ref()),
            "error forwarding port 8085 to pod x, uid : connection refused"
        );
        assert_eq!(rig.read_all(id), (Vec::new(), End::Failed));
        assert_eq!(rig.sent(), [close(1000)]);
        assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Done)));
    }
}

#[test]
fn three_messages_cut_inside_a_character_are_one_text() {
    let text = "verbunden: fünf € über Gebühr";
    let bytes = text.as_bytes();
    // Inside the ü of "fünf" and inside the euro sign.
    let cuts = [13, 18];
    assert!(cuts.iter().all(|cut| !text.is_char_boundary(*cut)));
    for form in [WireForm::V4, WireForm::V4Base64] {
        let mut rig = Rig::new(Side::Client, form, Config::client(), &[8085]);
        let id = rig.open(8085);
        rig.announce();
        rig.message(1, &bytes[..cuts[0]]);
        rig.after(millis(150));
        rig.message(1, &bytes[cuts[0]..cuts[1]]);
        rig.after(millis(150));
        rig.message(1, &bytes[cuts[1]..]);
        assert_eq!(rig.failure(id), None, "more of it may come");
        rig.after(millis(200));
        assert_eq!(remote_text(rig.failure(id).as_ref()), text);
    }
}

#[test]
fn pieces_of_a_message_are_one_text() {
    for form in [WireForm::V4, WireForm::V4Base64] {
        let mut rig = Rig::new(Side::Client, form, Config::client(), &[8085]);
        let id = rig.open(8085);
        rig.announce();
        rig.pieces(1, "grün".as_bytes(), &[1, 4]);
        rig.after(millis(200));
        assert_eq!(remote_text(rig.failure(id).as_ref()), "grün");
    }
}

#[test]
fn a_text_over_the_limit_is_cut_and_says_so() {
    let mut rig = Rig::ready_client(Config::client().with_error_text(10), &[8085]);
    let id = rig.open(8085);
    rig.message(1, b"0123456");
    rig.message(1, b"789abc");
    rig.message(1, b"never looked at");
    rig.peer_close(1000);
    let failure = rig.failure(id);
    assert_eq!(remote_text(failure.as_ref()), "0123456789");
    let Some(StreamError::Remote(text)) = failure else { panic!("remote") };
    assert!(text.truncated());
    assert!(text.to_string().ends_with(" [cut]"));
}

#[test]
fn a_text_that_fits_exactly_is_not_cut() {
    let mut rig = Rig::ready_client(Config::client().with_error_text(4), &[8085]);
    let id = rig.open(8085);
    rig.message(1, b"full");
    rig.peer_close(1000);
    let Some(StreamError::Remote(text)) = rig.failure(id) else { panic!("remote") };
    assert_eq!((text.as_str(), text.truncated()), ("full", false));
}

#[test]
fn with_no_room_for_any_text_the_failure_is_still_seen() {
    let mut rig = Rig::ready_client(Config::client().with_error_text(0), &[8085]);
    let id = rig.open(8085);
    rig.message(1, b"refused");
    rig.peer_close(1000);
    assert_eq!(remote_text(rig.failure(id).as_ref()), "");
}

#[test]
fn bytes_that_are_not_utf8_do_not_destroy_the_diagnosis() {
    let mut rig = Rig::ready_client(Config::client(), &[8085]);
    let id = rig.open(8085);
    rig.message(1, b"bad \xff\xfe bytes \xe2\x82");
    rig.peer_close(1000);
    assert_eq!(remote_text(rig.failure(id).as_ref()), "bad \u{fffd}\u{fffd} bytes \u{fffd}");
}

#[test]
fn data_overtaken_by_its_error_text_is_still_delivered() {
    let mut rig = Rig::ready_client(Config::client(), &[8085]);
    let id = rig.open(8085);
    rig.message(0, b"first ");
    rig.message(1, b"broken");
    rig.after(millis(100));
    rig.message(0, b"second");
    assert_eq!(rig.read_all(id), (b"first second".to_vec(), End::Open));
    rig.after(millis(100));
    assert_eq!(rig.read_all(id), (Vec::new(), End::Failed));
    rig.message(0, b"too late");
    assert_eq!(rig.read_all(id), (Vec::new(), End::Failed));
    assert_eq!(rig.session.stats().ignored_late, 8);
}

#[test]
fn all_data_before_the_text_is_read_before_the_failure() {
    let mut rig = Rig::ready_client(Config::client(), &[8085]);
    let id = rig.open(8085);
    rig.message(0, b"partial");
    rig.message(1, b"reset by peer");
    rig.peer_close(1000);
    rig.sent();
    assert!(rig.session.is_closed());
    assert_eq!(rig.read_all(id), (b"partial".to_vec(), End::Failed));
    assert_eq!(remote_text(rig.failure(id).as_ref()), "reset by peer");
}

#[test]
fn an_error_on_one_port_leaves_the_others_alive() {
    let mut rig = Rig::ready_client(Config::client(), &[8085, 8080]);
    let (bad, good) = (rig.open(8085), rig.open(8080));
    rig.write(bad, b"never sent");
    rig.message(1, b"refused");
    rig.after(millis(200));
    assert_eq!(rig.events_of(bad), [StreamEvent::Readable, StreamEvent::Failed, StreamEvent::Done]);
    assert_eq!(rig.read_all(bad), (Vec::new(), End::Failed));
    assert_eq!(rig.try_write(bad, b"x"), Err(WriteError::Ended));

    rig.write(good, b"ping");
    rig.message(2, b"pong");
    assert_eq!(rig.sent(), [Sent::Data(2, b"ping".to_vec())]);
    assert_eq!(rig.read_all(good), (b"pong".to_vec(), End::Open));
    assert_eq!(rig.failure(good), None);
    assert!(!rig.session.is_closed());
}

#[test]
fn when_every_port_has_failed_the_session_closes() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let (a, b) = (rig.open(1), rig.open(2));
    rig.message(1, b"refused");
    rig.after(millis(500));
    assert_eq!(rig.sent(), []);
    rig.message(3, b"refused too");
    assert_eq!(rig.sent(), [], "more of the text may come");
    rig.after(millis(200));
    assert_eq!(rig.sent(), [close(1000)]);
    rig.peer_close(1000);
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Done)));
    assert_eq!(remote_text(rig.failure(a).as_ref()), "refused");
    assert_eq!(remote_text(rig.failure(b).as_ref()), "refused too");
}

#[test]
fn the_text_wins_over_every_other_end() {
    // Each of these ends the stream while more of the text is waited for.
    type Ending = fn(&mut Rig, portway_proto::StreamId);
    let endings: [(&str, Ending); 6] = [
        ("bare end of transport", |rig, _| rig.disconnect()),
        ("close code", |rig, _| rig.peer_close(1011)),
        ("reset", Rig::reset),
        ("abort", |rig, _| rig.session.abort(rig.now())),
        ("violation", |rig, _| rig.message(3, b"?")),
        ("stop", |rig, id| {
            rig.stop(id);
            rig.after(millis(200));
        }),
    ];
    for (name, end) in endings {
        let mut rig = Rig::client(&[1, 2]);
        let id = rig.open(1);
        rig.prefix(0);
        rig.prefix(1);
        rig.message(1, b"the cause");
        end(&mut rig, id);
        let Some(StreamError::Remote(text)) = rig.failure(id) else {
            panic!("{name}: {:?}", rig.failure(id));
        };
        assert_eq!(text.as_str(), "the cause", "{name}");
    }
}

#[test]
fn a_text_is_heard_by_an_application_that_has_stopped_reading() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let id = rig.open(1);
    rig.stop(id);
    rig.events();
    rig.message(1, b"no ");
    rig.message(1, b"such pod");
    assert!(!rig.session.is_done(id), "more of the text may come");
    assert_eq!(rig.try_write(id, b"x"), Err(WriteError::Ended));
    rig.after(millis(200));
    assert_eq!(remote_text(rig.failure(id).as_ref()), "no such pod");
    assert_eq!(rig.events_of(id), [StreamEvent::Failed, StreamEvent::Done]);
}

#[test]
fn a_text_for_a_stream_that_is_over_is_counted_and_dropped() {
    let mut rig = Rig::ready_client(Config::client(), &[1, 2]);
    let id = rig.open(1);
    rig.reset(id);
    rig.message(1, b"late");
    assert_eq!(rig.failure(id), Some(StreamError::Reset));
    assert_eq!(rig.session.stats().ignored_late, 4);
}

#[test]
fn the_settling_time_can_be_set() {
    let mut rig = Rig::ready_client(Config::client().with_error_settle(millis(5)), &[1, 2]);
    let id = rig.open(1);
    rig.message(1, b"x");
    rig.after(millis(4));
    assert_eq!(rig.failure(id), None);
    rig.after(millis(1));
    assert_eq!(remote_text(rig.failure(id).as_ref()), "x");
}
