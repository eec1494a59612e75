//! The side next to the pod (D.2; B.5; B.8).

use portway_proto::{CloseReason, Config, Event, Port, Side, StreamEvent, WireForm, WriteError};
use portway_testkit::rig::{End, Rig, close, data, encode, payload, secs};

#[test]
fn the_ports_are_announced_first_in_order_one_message_a_channel() {
    for form in [WireForm::V4, WireForm::V4Base64] {
        let mut rig = Rig::new(Side::Server, form, Config::server(), &[8080, 443]);
        let ids = rig.accept_all();
        rig.write(ids[1], b"early");
        rig.fail(ids[0], "refused").unwrap();
        let expected: Vec<Vec<u8>> = [
            (0, &b"\x90\x1f"[..]),
            (1, b"\x90\x1f"),
            (2, b"\xbb\x01"),
            (3, b"\xbb\x01"),
            (2, b"early"),
            (1, b"refused"),
        ]
        .map(|(channel, payload)| encode(form, channel, payload))
        .into();
        let sent: Vec<Vec<u8>> =
            std::iter::from_fn(|| rig.transmit()).map(|t| payload(&t).to_vec()).collect();
        assert_eq!(sent, expected);
    }
}

#[test]
fn every_port_is_there_to_accept_from_the_start() {
    let mut rig = Rig::new(Side::Server, WireForm::V4, Config::server(), &[8080, 443]);
    let events = rig.events();
    let ids = rig.accept_all();
    let ports: Vec<_> = ids.iter().map(|id| rig.session.port(*id).unwrap().get()).collect();
    assert_eq!(ports, [8080, 443]);
    let opened = |at: usize, port| Event::Stream {
        id: ids[at],
        event: StreamEvent::Opened { port: Port::new(port).unwrap() },
    };
    assert_eq!(events, [Event::Ready, opened(0, 8080), opened(1, 443)]);
}

#[test]
fn what_a_client_says_on_an_error_channel_is_dropped() {
    let mut rig = Rig::ready_server(Config::server(), &[8080]);
    let id = rig.accept_all()[0];
    rig.message(1, b"client has no errors");
    assert_eq!(rig.failure(id), None);
    assert_eq!(rig.read_all(id), (Vec::new(), End::Open));
    assert_eq!(rig.session.stats().ignored_late, 20);
}

#[test]
fn the_first_bytes_of_a_client_are_data_not_a_prefix() {
    let mut rig = Rig::ready_server(Config::server(), &[8080]);
    let id = rig.accept_all()[0];
    rig.message(0, b"\x90\x1f");
    assert_eq!(rig.read_all(id).0, b"\x90\x1f");
}

#[test]
fn data_for_a_port_that_has_ended_is_dropped_and_the_session_goes_on() {
    let mut rig = Rig::ready_server(Config::server(), &[1, 2]);
    let ids = rig.accept_all();
    rig.finish(ids[0]);
    rig.stop(ids[0]);
    rig.message(0, b"late");
    assert_eq!(rig.session.stats().ignored_late, 4);
    rig.write(ids[1], b"alive");
    assert_eq!(rig.sent(), [data(2, "alive")]);
}

#[test]
fn the_end_of_a_pod_is_no_message() {
    let mut rig = Rig::ready_server(Config::server(), &[1, 2]);
    let ids = rig.accept_all();
    rig.write(ids[0], b"last");
    rig.finish(ids[0]);
    rig.stop(ids[0]);
    assert_eq!(rig.sent(), [data(0, "last")]);
    assert!(rig.session.is_done(ids[0]));
}

#[test]
fn when_all_pods_are_done_the_session_closes_with_1000() {
    let mut rig = Rig::ready_server(Config::server(), &[1, 2]);
    let ids = rig.accept_all();
    for id in &ids {
        rig.write(*id, b"bye");
        rig.finish(*id);
    }
    rig.stop(ids[0]);
    assert_eq!(rig.sent(), [data(0, "bye"), data(2, "bye")]);
    rig.after(secs(3));
    rig.message(2, b"still listening");
    assert_eq!(rig.read_all(ids[1]).0, b"still listening");
    rig.stop(ids[1]);
    assert_eq!(rig.sent(), [close(1000)]);
    rig.peer_close(1000);
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Done)));
}

#[test]
fn the_local_end_does_not_wait_for_a_half_close_policy() {
    let config = Config::server().with_keep_alive(None).with_idle_timeout(None);
    let mut rig = Rig::ready_server(config, &[1, 2]);
    let ids = rig.accept_all();
    rig.write(ids[0], b"last");
    rig.finish(ids[0]);
    rig.sent();
    assert!(rig.session.send(ids[0]).unwrap().is_over());
    assert_eq!(rig.next_timer(), None);
    rig.message(0, b"still heard");
    assert_eq!(rig.read_all(ids[0]), (b"still heard".to_vec(), End::Open));

    let mut rig = Rig::ready_server(Config::server(), &[1]);
    let id = rig.accept_all()[0];
    rig.stop(id);
    rig.finish(id);
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn an_error_text_follows_the_data_written_before_it() {
    let mut rig = Rig::ready_server(Config::server().with_max_payload(4), &[1]);
    let id = rig.accept_all()[0];
    rig.write(id, b"partial");
    rig.fail(id, "reset by peer").unwrap();
    assert_eq!(
        rig.sent(),
        [data(0, "part"), data(0, "ial"), data(1, "reset by peer"), close(1000)]
    );
    assert!(rig.session.is_done(id));
}

#[test]
fn an_error_text_ends_that_port_alone() {
    let mut rig = Rig::ready_server(Config::server(), &[1, 2]);
    let ids = rig.accept_all();
    rig.fail(ids[0], "refused").unwrap();
    assert_eq!(rig.sent(), [data(1, "refused")]);
    assert_eq!(rig.try_write(ids[0], b"x"), Err(WriteError::Finished));
    assert!(rig.fail(ids[0], "twice").is_err());
    rig.message(2, b"go on");
    assert_eq!(rig.read_all(ids[1]), (b"go on".to_vec(), End::Open));
}

#[test]
fn an_error_text_is_cut_at_a_character() {
    let mut rig = Rig::ready_server(Config::server().with_error_text(3), &[1, 2]);
    let ids = rig.accept_all();
    rig.fail(ids[0], "ab€").unwrap();
    assert_eq!(rig.sent(), [data(1, "ab")]);
    rig.fail(ids[1], "").unwrap();
    assert_eq!(rig.sent(), [close(1000)], "no text is no message");
}

#[test]
fn the_close_of_the_client_ends_all_pods_and_drops_what_they_still_say() {
    let mut rig = Rig::ready_server(Config::server(), &[1, 2]);
    let ids = rig.accept_all();
    rig.write(ids[0], b"discarded, as the reference does");
    rig.message(0, b"last");
    rig.peer_close(1000);
    assert_eq!(rig.sent(), [close(1000)]);
    assert_eq!(rig.read_all(ids[0]), (b"last".to_vec(), End::Eof));
    assert_eq!(rig.read_all(ids[1]), (Vec::new(), End::Eof));
}

#[test]
fn a_client_that_closes_at_once_gets_the_announcement_and_the_answer() {
    let mut rig = Rig::new(Side::Server, WireForm::V4, Config::server(), &[8080]);
    rig.peer_close(1000);
    let expected = [data(0, [0x90, 0x1f]), data(1, [0x90, 0x1f]), close(1000)];
    assert_eq!(rig.sent(), expected);
}
