//! Every timer, through `poll_timeout` and `handle_timeout`, in virtual time.

use std::time::Duration;

use portway_proto::{
    CloseReason, Config, Event, HalfClose, OverflowPolicy, Side, StreamError, Timer, WireForm,
};
use portway_testkit::rig::{End, Rig, Sent, close, millis, secs};

#[test]
fn a_server_that_announces_nothing_in_time_is_given_up() {
    let mut rig = Rig::client(&[8080]);
    let id = rig.open(8080);
    assert_eq!(rig.next_timer(), Some((Timer::Open, secs(10))));
    rig.prefix(0);
    rig.after(millis(9_999));
    assert_eq!(rig.sent(), []);
    rig.after(millis(1));
    assert_eq!(rig.sent(), [close(1000)]);
    assert_eq!(rig.failure(id), Some(StreamError::Session(CloseReason::OpenTimeout)));
    rig.prefix(1);
    rig.after(secs(2));
    let events = rig.events();
    assert!(!events.contains(&Event::Ready), "{events:?}");
    assert_eq!(events.last(), Some(&Event::Closed(CloseReason::OpenTimeout)));
}

#[test]
fn the_announcement_ends_the_wait_for_it() {
    let config = Config::client().with_open_timeout(secs(3)).with_keep_alive(None);
    let mut rig = Rig::new(Side::Client, WireForm::V4, config, &[8080]);
    assert_eq!(rig.next_timer(), Some((Timer::Open, secs(3))));
    rig.announce();
    assert_eq!(rig.next_timer(), None);
}

#[test]
fn a_server_waits_for_no_announcement() {
    let config = Config::server().with_keep_alive(None).with_idle_timeout(None);
    let mut rig = Rig::new(Side::Server, WireForm::V4, config, &[8080]);
    assert_eq!(rig.next_timer(), None);
    assert_eq!(rig.events()[0], Event::Ready);
}

#[test]
fn a_client_keeps_alive_by_a_ping_and_an_empty_message() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    for _ in 0..2 {
        assert_eq!(rig.next_timer(), Some((Timer::KeepAlive, secs(30))));
        rig.after(secs(30));
        let sent = rig.sent();
        assert!(matches!(&sent[..], [Sent::Ping(_), Sent::Empty]), "{sent:?}");
        rig.peer_answers(&sent);
    }
    assert_eq!(rig.session.stats().pings, 2);
    assert_eq!(rig.session.stats().pongs, 2);
}

#[test]
fn a_base64_client_sends_an_empty_text_message() {
    let mut rig = Rig::new(Side::Client, WireForm::V4Base64, Config::client(), &[8080]);
    rig.announce();
    rig.after(secs(30));
    let sent = rig.sent();
    assert!(matches!(&sent[..], [Sent::Ping(_), Sent::Empty]), "{sent:?}");
}

#[test]
fn a_server_keeps_alive_by_a_ping_alone() {
    let mut rig = Rig::ready_server(Config::server(), &[8080]);
    rig.after(secs(30));
    let sent = rig.sent();
    assert!(matches!(&sent[..], [Sent::Ping(_)]), "{sent:?}");
}

#[test]
fn no_keep_alive_means_none() {
    for interval in [None, Some(Duration::ZERO)] {
        let config = Config::client().with_keep_alive(interval);
        let mut rig = Rig::ready_client(config, &[8080]);
        assert_eq!(rig.next_timer(), None);
        rig.after(secs(365 * 24 * 3600));
        assert_eq!(rig.sent(), []);
    }
}

#[test]
fn a_session_in_which_nothing_moves_ends_after_the_idle_timeout() {
    let config = Config::server().with_idle_timeout(Some(secs(60))).with_keep_alive(None);
    let mut rig = Rig::ready_server(config, &[8080]);
    let id = rig.accept_all()[0];
    assert_eq!(rig.next_timer(), Some((Timer::Idle, secs(60))));
    rig.after(secs(59));
    rig.message(0, b"in");
    rig.after(secs(59));
    rig.write(id, b"out");
    rig.sent();
    rig.after(secs(59));
    rig.raw(b"", true);
    rig.after(millis(59_999));
    assert_eq!(rig.sent(), []);
    rig.after(millis(1));
    assert_eq!(rig.sent(), [Sent::Close(1001, "idle timeout".to_owned())]);
    rig.peer_close(1001);
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Idle)));
}

#[test]
fn our_own_keep_alives_do_not_keep_an_idle_session() {
    let config = Config::server().with_idle_timeout(Some(secs(100)));
    let mut rig = Rig::ready_server(config, &[8080]);
    rig.run(secs(100), |rig| {
        let sent = rig.sent();
        rig.peer_answers(&sent);
    });
    assert_eq!(rig.events().last(), None);
    assert_eq!(rig.next_timer().unwrap().0, Timer::Close, "idle for 100 s");
}

#[test]
fn the_keep_alives_of_the_peer_keep_an_idle_session() {
    let config = Config::server().with_idle_timeout(Some(secs(100))).with_keep_alive(None);
    let mut rig = Rig::ready_server(config, &[8080]);
    for _ in 0..100 {
        rig.after(secs(99));
        rig.raw(b"", true);
    }
    assert_eq!(rig.sent(), []);
}

#[test]
fn a_peer_that_does_not_answer_our_close_is_waited_for_two_seconds() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    rig.session.close(CloseReason::Local, rig.now());
    assert_eq!(rig.sent(), [close(1000)]);
    assert_eq!(rig.next_timer(), Some((Timer::Close, secs(2))));
    rig.after(millis(1999));
    assert!(!rig.session.is_closed());
    rig.after(millis(1));
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Local)));
}

#[test]
fn a_transport_that_takes_nothing_ends_a_close_too() {
    let mut rig = Rig::ready_client(Config::client().with_close_timeout(secs(7)), &[8080]);
    let id = rig.open(8080);
    rig.write(id, b"stuck");
    rig.session.close(CloseReason::Local, rig.now());
    rig.after(secs(7));
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Local)));
    assert_eq!(rig.sent(), []);
}

#[test]
fn as_long_as_data_flows_out_a_close_waits_for_it() {
    let mut rig = Rig::ready_client(Config::client().with_max_payload(1), &[8080]);
    let id = rig.open(8080);
    rig.write(id, &[0; 100]);
    rig.session.close(CloseReason::Local, rig.now());
    for _ in 0..100 {
        rig.after(millis(1900));
        assert!(matches!(rig.sent_one(), Some(Sent::Data(0, _))));
    }
    assert_eq!(rig.sent(), [close(1000)]);
}

#[test]
fn a_close_comes_to_its_end_during_a_pause() {
    // Nobody drains the full stream any more: its owner wanted the end.
    let config = Config::client().with_recv_buffer(1);
    let mut rig = Rig::ready_client(config, &[8080]);
    let id = rig.open(8080);
    rig.message(0, b"full");
    rig.session.close(CloseReason::Local, rig.now());
    assert_eq!(rig.sent(), [close(1000)]);
    assert!(!rig.session.wants_read());
    rig.after(secs(2));
    assert_eq!(rig.events().last(), Some(&Event::Closed(CloseReason::Local)));
    assert_eq!(rig.read_all(id).0, b"full", "what was received can still be read");
}

#[test]
fn paused_longer_than_everything_survives() {
    let config = Config::client()
        .with_recv_buffer(4)
        .with_half_close(HalfClose::WhenIdle { unanswered: secs(5), answered: secs(1) })
        .with_overflow(OverflowPolicy::Pause)
        .with_idle_timeout(Some(secs(60)));
    let mut rig = Rig::new(Side::Client, WireForm::V4, config, &[1, 2]);
    let (a, b) = (rig.open(1), rig.open(2));
    // The other prefix and the end of an error text lie unread in the transport.
    rig.prefix(0);
    rig.prefix(1);
    rig.message(1, b"half a te");
    rig.finish(b);
    rig.after(millis(100));
    rig.message(0, b"full");
    assert!(!rig.session.wants_read());
    assert_eq!(rig.next_timer(), None, "every timer that needs reading is suspended");
    rig.after(secs(7 * 24 * 3600));
    assert_eq!(rig.sent(), []);
    assert_eq!(rig.read_all(a), (b"full".to_vec(), End::Open));

    // They go on where they stood.
    assert_eq!(rig.next_timer(), Some((Timer::ErrorSettle, millis(100))));
    rig.message(1, b"xt");
    rig.prefix(2);
    rig.prefix(3);
    assert!(rig.events().contains(&Event::Ready));
    rig.after(millis(200));
    assert_eq!(portway_testkit::rig::remote_text(rig.failure(a).as_ref()), "half a text");
    assert_eq!(rig.next_timer(), Some((Timer::HalfClose, millis(4700))));
}

#[test]
fn suspended_timers_go_on_where_they_stood() {
    let config = Config::client().with_recv_buffer(1).with_idle_timeout(Some(secs(50)));
    let mut rig = Rig::ready_client(config, &[8080]);
    let id = rig.open(8080);
    rig.after(secs(20));
    rig.message(0, b"x");
    rig.after(secs(1000));
    rig.read_all(id);
    assert_eq!(rig.next_timer(), Some((Timer::KeepAlive, secs(10))));
    rig.after(secs(10));
    let sent = rig.sent();
    rig.peer_answers(&sent);
    rig.after(secs(30));
    rig.sent();
    assert!(!rig.session.is_closed());
    assert_eq!(rig.next_timer(), Some((Timer::Idle, secs(10))), "50 s after the last data");
}

#[test]
fn a_pause_does_not_suspend_the_limit_on_pauses() {
    let config =
        Config::client().with_recv_buffer(1).with_overflow(OverflowPolicy::PauseThenReset(secs(9)));
    let mut rig = Rig::ready_client(config, &[1, 2]);
    rig.message(0, b"x");
    assert_eq!(rig.next_timer(), Some((Timer::Stall, secs(9))));
}

#[test]
fn an_early_call_does_nothing() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    let before = rig.session.poll_timeout();
    for _ in 0..10 {
        rig.sleep(secs(2));
        rig.timeout();
        assert_eq!(rig.session.poll_timeout(), before);
    }
    assert_eq!((rig.sent(), rig.events()), (vec![], vec![]));
}

#[test]
fn a_machine_that_slept_for_a_day_has_missed_one_keep_alive_not_thousands() {
    let mut rig = Rig::ready_client(Config::client(), &[8080]);
    rig.after(secs(30));
    rig.sent();
    rig.sleep(secs(24 * 3600));
    rig.timeout();
    assert!(!rig.session.is_closed());
    let sent = rig.sent();
    assert!(matches!(&sent[..], [Sent::Ping(_), Sent::Empty]), "{sent:?}");
}

#[test]
fn no_wait_is_too_long_to_be_named() {
    for wait in [Duration::MAX, Duration::from_secs(i64::MAX as u64 - 3_000_000)] {
        let config = Config::client()
            .with_recv_buffer(1)
            .with_open_timeout(wait)
            .with_error_settle(wait)
            .with_close_timeout(wait)
            .with_keep_alive(Some(wait))
            .with_idle_timeout(Some(wait))
            .with_overflow(OverflowPolicy::PauseThenReset(wait))
            .with_half_close(HalfClose::WhenIdle { unanswered: wait, answered: wait });
        let mut rig = Rig::new(Side::Client, WireForm::V4, config, &[1, 2]);
        let (a, b) = (rig.open(1), rig.open(2));
        rig.prefix(0);
        rig.prefix(1);
        rig.finish(b);
        rig.message(1, b"text");
        rig.message(0, b"full");
        rig.after(secs(4_000_000_000));
        rig.read_all(a);
        rig.after(secs(4_000_000_000));
        rig.session.close(CloseReason::Local, rig.now());
        assert_eq!(rig.sent(), [close(1000)]);
        rig.peer_close(1000);
        assert!(rig.session.is_closed());
    }
}

#[test]
fn a_close_before_the_announcement_is_not_clean_however_long_we_would_have_waited() {
    let config = Config::client().with_open_timeout(Duration::MAX);
    let mut rig = Rig::new(Side::Client, WireForm::V4, config, &[8080]);
    let id = rig.open(8080);
    rig.peer_close(1000);
    rig.sent();
    assert!(matches!(rig.failure(id), Some(StreamError::Session(CloseReason::Peer { .. }))));
}

#[test]
fn a_timer_that_a_pause_had_caught_on_its_last_instant_is_handled_when_the_pause_ends() {
    let config = Config::client()
        .with_recv_buffer(1)
        .with_overflow(OverflowPolicy::PauseThenReset(secs(30)));
    let mut rig = Rig::ready_client(config, &[1, 2]);
    rig.sleep(secs(30));
    rig.message(0, b"full");
    assert_eq!(rig.next_timer(), Some((Timer::Stall, secs(30))));
    // `after` panics when something is due after `handle_timeout`.
    rig.after(secs(30));
    assert!(matches!(&rig.sent()[..], [Sent::Ping(_), Sent::Empty]));
}
