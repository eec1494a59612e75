//! The text of an error stream (C.6).

use portway_testkit::rig::{End, remote_text};
use portway_testkit::spdy::{Spdy, cancel, data, fin};

use crate::{CLIENT, SERVER};

#[test]
fn a_text_in_three_frames_that_are_cut_inside_of_a_character_is_one_text() {
    let text = "port 8080: añ€";
    let bytes = text.as_bytes();
    let cuts = [bytes.len() - 4, bytes.len() - 2];
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.data(1, &bytes[..cuts[0]]);
    rig.data(1, &bytes[cuts[0]..cuts[1]]);
    rig.fin(3);
    rig.data(1, &bytes[cuts[1]..]);
    rig.rst(1);
    assert_eq!(remote_text(rig.failure(id).as_ref()), text);
}

#[test]
fn a_text_is_bounded_and_says_that_it_was_cut() {
    let (mut rig, id) = Spdy::opened(CLIENT.with_error_text(10));
    for _ in 0..100 {
        rig.data(1, "123456");
    }
    rig.peer_all(&[fin(3), fin(1)]);
    assert_eq!(remote_text(rig.failure(id).as_ref()), "1234561234");
    assert!(rig.failure(id).unwrap().to_string().ends_with("[cut]"));
}

#[test]
fn what_is_no_utf8_is_shown_all_the_same() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.peer_all(&[data(1, b"bad \xff"), fin(3), cancel(1)]);
    assert_eq!(remote_text(rig.failure(id).as_ref()), "bad \u{fffd}");
}

#[test]
fn an_empty_text_is_none() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    rig.peer_all(&[data(1, ""), fin(3), fin(1)]);
    assert_eq!((rig.read_all(id).1, rig.failure(id)), (End::Eof, None));
}

#[test]
fn the_text_of_a_server_goes_out_before_the_ends_and_behind_the_data() {
    let (mut rig, id) = Spdy::accepted(SERVER.with_max_payload(4));
    rig.write(id, b"partial");
    rig.fail(id, "connection reset").unwrap();
    assert_eq!(
        rig.frames(),
        [data(3, "part"), data(3, "ial"), data(1, "connection reset"), cancel(3), cancel(1)]
    );
    assert!(rig.session.is_done(id));
    rig.release(id);
    assert_eq!(rig.frames(), []);
}

#[test]
fn the_text_the_ends_and_nothing_between_them_are_one_message() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.fail(id, "refused").unwrap();
    assert_eq!(rig.message().unwrap(), [data(1, "refused"), cancel(3), cancel(1)]);
}

#[test]
fn what_a_client_says_on_an_error_stream_is_dropped() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    // It said FIN there; another client may not.
    rig.data(1, "late");
    rig.peer(&portway_testkit::spdy::syn(5, "error", 1, "9"));
    rig.data(5, "early");
    assert_eq!((rig.read_all(id).1, rig.failure(id)), (End::Open, None));
    assert_eq!(rig.session.stats().ignored_late, 9);
}

#[test]
fn a_failure_without_a_text_ends_the_stream() {
    let (mut rig, id) = Spdy::accepted(SERVER);
    rig.fail(id, "").unwrap();
    assert_eq!(rig.frames(), [fin(3), fin(1)]);
    assert!(rig.session.is_done(id));
}
