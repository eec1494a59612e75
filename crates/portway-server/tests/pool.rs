//! Which sessions a listener opens, keeps and gives up.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use common::wire::Wire;
use common::*;
use portway_driver::proto::handshake::Offer;
use portway_driver::proto::{CloseReason, Config, HalfClose};
use portway_driver::{
    Connector, DialError, Endpoint, Events, HttpConnector, ListenEvent, Listening, Mapping, Net,
    Options, Port, PortForward, Protocol, ReadBuf, RelayFailure, RelayRules, ResolveError, Runtime,
    SessionOrigin, Sessions, Socket, Upgraded, WireForm,
};
use portway_runtimes::on_every_runtime;
use portway_server::{ServerEvent, Serving};

on_every_runtime!(
    a_session_is_left_to_the_next_connection,
    a_spare_is_there_for_the_first_connection_and_replaced,
    a_burst_leaves_no_more_than_is_allowed_and_shrinks_to_one_and_to_none,
    what_waited_too_long_is_replaced,
    a_session_that_is_too_old_is_not_used_again,
    thirty_two_at_once_are_all_served,
    a_loss_of_what_waits_is_noticed_and_made_good,
    a_server_that_is_gone_is_no_event_of_nobody,
    a_session_that_fell_silent_costs_no_connection_a_byte,
    a_session_cut_under_a_request_costs_no_byte_and_no_end,
    a_second_failure_is_the_connections,
    nothing_is_used_again_that_may_lead_to_a_pod_that_is_gone,
    a_v4_server_is_asked_once_for_more,
    shared_sessions_are_filled_before_another_is_dialled,
    who_does_not_read_stops_nobody,
    who_waits_for_the_end_leaves_the_session_to_the_next,
    who_is_answered_after_the_end_keeps_the_session,
    who_counts_is_woken_by_what_counts,
    a_shutdown_takes_leave_of_what_waits,
    a_dropped_listener_takes_leave_of_what_waits,
    a_shutdown_does_not_wait_for_a_server_that_is_silent,
    a_request_goes_out_with_the_opening_in_one_write,
);

/// A server of both forms, and what it was asked.
struct Peer {
    serving: Serving,
    events: Receiver<ServerEvent>,
}

async fn peer<R: Runtime + Net>(rt: &R, forms: &[WireForm]) -> Peer {
    let rules = RelayRules::FAITHFUL;
    let (server, events) = observed(server(rt).with_forms(forms).with_rules(rules));
    Peer { serving: server.listen(LOCALHOST).await.unwrap(), events }
}

const BOTH: &[WireForm] = &[WireForm::Tunnel, WireForm::V4];

fn at<R: Runtime + Net>(rt: &R, addr: SocketAddr) -> HttpConnector<R> {
    rt.http(&format!("http://{addr}"), "default", "demo").unwrap()
}

/// No spare, and an end is an end.
fn options() -> Options {
    let config = Config::client().with_half_close(HalfClose::Immediate);
    Options::new().with_protocol(Protocol::Auto).with_session(config).with_spare(false)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn program(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Runs what blocks beside the runtime.
async fn aside<R: Runtime, T: Send + 'static>(
    rt: &R,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(work()));
    loop {
        match receiver.try_recv() {
            Ok(result) => return result,
            Err(std::sync::mpsc::TryRecvError::Empty) => pause(rt, ms(1)).await,
            Err(gone) => panic!("{gone}"),
        }
    }
}

async fn pause<R: Runtime>(rt: &R, wait: Duration) {
    rt.sleep_until(rt.now() + wait).await;
}

/// Waits for something to become true.
async fn eventually<R: Runtime>(rt: &R, what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        pause(rt, ms(5)).await;
    }
    panic!("never: {what}");
}

fn echo(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    assert!(back == text);
}

/// One connection from its beginning to its end.
async fn echo_once<R: Runtime>(rt: &R, addr: SocketAddr) {
    aside(rt, move || {
        let mut stream = program(addr);
        echo(&mut stream, b"hello");
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    })
    .await;
}

async fn idle<R: Runtime>(rt: &R, listening: &Listening, sessions: usize) {
    eventually(rt, &format!("{sessions} idle"), || listening.stats().idle == sessions).await;
}

async fn origin(events: &mut Events) -> SessionOrigin {
    loop {
        if let ListenEvent::Connected { origin, .. } = events.next().await.unwrap() {
            return origin;
        }
    }
}

/// Forms of the sessions the server has begun.
fn opened(events: &Receiver<ServerEvent>) -> Vec<WireForm> {
    let form = |event| if let ServerEvent::Opened { form, .. } = event { Some(form) } else { None };
    events.try_iter().filter_map(form).collect()
}

async fn a_session_is_left_to_the_next_connection<R: Runtime + Net>(rt: R) {
    for forms in [BOTH, &[WireForm::Spdy]] {
        let peer = peer(&rt, forms).await;
        let mapping = Mapping::new(0, echo_pod());
        let connector = at(&rt, peer.serving.local_addr());
        let listening = rt.listen(connector, [mapping], options()).await.unwrap();
        let mut events = listening.events();
        for expected in [SessionOrigin::Dialled, SessionOrigin::Reused, SessionOrigin::Reused] {
            echo_once(&rt, listening.local_addr()).await;
            idle(&rt, &listening, 1).await;
            assert_eq!(origin(&mut events).await, expected);
        }
        let stats = listening.stats();
        assert_eq!((stats.accepted, stats.dialled, stats.reused, stats.broken), (3, 1, 2, 0));
        assert_eq!(opened(&peer.events), forms[..1]);
    }
}

async fn a_spare_is_there_for_the_first_connection_and_replaced<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let mapping = Mapping::new(0, echo_pod());
    let connector = at(&rt, peer.serving.local_addr());
    let listening = rt.listen(connector, [mapping], options().with_spare(true)).await.unwrap();
    let mut events = listening.events();
    idle(&rt, &listening, 1).await;
    let mut stream = program(listening.local_addr());
    assert_eq!(origin(&mut events).await, SessionOrigin::Spare);
    echo(&mut stream, b"hello");
    idle(&rt, &listening, 1).await;
    assert_eq!((listening.stats().dialled, listening.stats().reused), (2, 1));
    // Nothing is dialled as long as something waits.
    drop(stream);
    idle(&rt, &listening, 2).await;
    for _ in 0..5 {
        echo_once(&rt, listening.local_addr()).await;
        assert_eq!(origin(&mut events).await, SessionOrigin::Reused);
        idle(&rt, &listening, 2).await;
    }
    assert_eq!(listening.stats().dialled, 2);
}

async fn a_burst_leaves_no_more_than_is_allowed_and_shrinks_to_one_and_to_none<R: Runtime + Net>(
    rt: R,
) {
    let peer = peer(&rt, BOTH).await;
    let mapping = Mapping::new(0, echo_pod());
    let options = options()
        .with_spare(true)
        .with_max_idle(2)
        .with_idle_time(ms(1_000))
        .with_spare_time(ms(3_000));
    let connector = at(&rt, peer.serving.local_addr());
    let listening = rt.listen(connector, [mapping], options).await.unwrap();
    let addr = listening.local_addr();
    let used = Instant::now();
    let mut all: Vec<_> = (0..8).map(|_| program(addr)).collect();
    all.iter_mut().for_each(|stream| echo(stream, b"hello"));
    drop(all);
    idle(&rt, &listening, 3).await;
    eventually(&rt, "the others closed", || peer.serving.connections() == 3).await;
    idle(&rt, &listening, 1).await;
    assert!(used.elapsed() >= ms(1_000), "{:?}", used.elapsed());
    idle(&rt, &listening, 0).await;
    assert!(used.elapsed() >= ms(3_000), "{:?}", used.elapsed());
    eventually(&rt, "nothing is left", || peer.serving.connections() == 0).await;
    // And it is not renewed before somebody comes.
    let dialled = listening.stats().dialled;
    pause(&rt, ms(300)).await;
    assert_eq!(listening.stats().dialled, dialled);
    echo_once(&rt, addr).await;
    idle(&rt, &listening, 2).await;
}

async fn what_waited_too_long_is_replaced<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let mapping = Mapping::new(0, echo_pod());
    let options = options().with_spare(true).with_max_age(ms(200)).with_idle_time(ms(50));
    let connector = at(&rt, peer.serving.local_addr());
    let listening = rt.listen(connector, [mapping], options).await.unwrap();
    eventually(&rt, "three spares", || listening.stats().dialled >= 3).await;
    idle(&rt, &listening, 1).await;
    eventually(&rt, "one is left", || peer.serving.connections() == 1).await;
}

async fn a_session_that_is_too_old_is_not_used_again<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let mapping = Mapping::new(0, echo_pod());
    let connector = at(&rt, peer.serving.local_addr());
    let options = options().with_max_age(ms(100));
    let listening = rt.listen(connector, [mapping], options).await.unwrap();
    let mut stream = program(listening.local_addr());
    echo(&mut stream, b"hello");
    pause(&rt, ms(150)).await;
    // What is alive on it is left alone.
    echo(&mut stream, b"hello");
    drop(stream);
    eventually(&rt, "it is closed", || peer.serving.connections() == 0).await;
    assert_eq!(listening.stats().idle, 0);
}

async fn thirty_two_at_once_are_all_served<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let mapping = Mapping::new(0, echo_pod());
    let connector = at(&rt, peer.serving.local_addr());
    let listening =
        rt.listen(connector, [mapping], options().with_spare(true).with_max_idle(8)).await.unwrap();
    let addr = listening.local_addr();
    for _ in 0..3 {
        let mut all: Vec<_> = (0..32).map(|_| program(addr)).collect();
        aside(&rt, move || {
            all.iter_mut().for_each(|stream| stream.write_all(&pattern(50_000)).unwrap());
            for stream in &mut all {
                let mut back = vec![0; 50_000];
                stream.read_exact(&mut back).unwrap();
                assert!(back == pattern(50_000));
            }
        })
        .await;
        idle(&rt, &listening, 9).await;
        eventually(&rt, "the others closed", || peer.serving.connections() == 9).await;
    }
    let stats = listening.stats();
    assert_eq!((stats.accepted, stats.failed, stats.broken), (96, 0, 0));
    assert!(stats.reused >= 18, "{stats:?}");
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

async fn a_loss_of_what_waits_is_noticed_and_made_good<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let wire = Wire::to(peer.serving.local_addr());
    let mapping = Mapping::new(0, echo_pod());
    let connector = at(&rt, wire.addr());
    let listening = rt.listen(connector, [mapping], options().with_spare(true)).await.unwrap();
    idle(&rt, &listening, 1).await;
    for lost in 0..3 {
        wire.cut(lost, 1);
        eventually(&rt, "another", || listening.stats().dialled == lost as u64 + 2).await;
        idle(&rt, &listening, 1).await;
    }
    let mut events = listening.events();
    echo_once(&rt, listening.local_addr()).await;
    assert_eq!(origin(&mut events).await, SessionOrigin::Spare);
}

async fn a_server_that_is_gone_is_no_event_of_nobody<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let wire = Wire::to(peer.serving.local_addr());
    let mapping = Mapping::new(0, echo_pod());
    let connector = at(&rt, wire.addr());
    let listening = rt.listen(connector, [mapping], options().with_spare(true)).await.unwrap();
    idle(&rt, &listening, 1).await;
    let mut events = listening.events();
    wire.close();
    wire.cut(0, 1);
    idle(&rt, &listening, 0).await;
    pause(&rt, ms(200)).await;
    // The first word is that of a program that has connected.
    let _program = program(listening.local_addr());
    assert!(matches!(events.next().await, Some(ListenEvent::Accepted { .. })));
    assert!(matches!(events.next().await, Some(ListenEvent::Failed { .. })));
}

/// A pod that tells everything it was sent, once it was told the end.
fn recording_pod() -> (Port, Receiver<Vec<u8>>) {
    let (sender, receiver) = channel();
    let port = pod(move |mut stream| {
        let mut all = Vec::new();
        if stream.read_to_end(&mut all).is_ok() {
            stream.write_all(b"got it").unwrap();
            sender.send(all).unwrap();
        }
    });
    (port, receiver)
}

/// A listener with two idle sessions, which get nothing through any more.
async fn with_silent_session<R: Runtime + Net>(
    rt: &R,
    peer: &Peer,
    pod: Port,
    config: Config,
) -> (Listening, Wire) {
    let wire = Wire::to(peer.serving.local_addr());
    let options = options().with_session(config.with_half_close(HalfClose::Immediate));
    let listening = rt.listen(at(rt, wire.addr()), [Mapping::new(0, pod)], options).await.unwrap();
    let addr = listening.local_addr();
    let both = [program(addr), program(addr)];
    eventually(rt, "both stand", || listening.stats().dialled == 2).await;
    aside(rt, move || {
        for stream in both {
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = (&stream).read_to_end(&mut Vec::new());
        }
    })
    .await;
    idle(rt, &listening, 2).await;
    wire.freeze();
    (listening, wire)
}

async fn a_session_that_fell_silent_costs_no_connection_a_byte<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let config = Config::client().with_open_timeout(ms(1_000)).with_send_buffer(64 * 1024);
    let (listening, _wire) = with_silent_session(&rt, &peer, echo_pod(), config).await;
    let mut events = listening.events();
    let addr = listening.local_addr();
    // More than what is kept: the rest is read once it is known where it goes.
    let data = pattern(300_000);
    let transfer = std::thread::spawn(move || {
        let mut stream = program(addr);
        let mut writer = stream.try_clone().unwrap();
        let sent = data.clone();
        let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
        let mut back = vec![0; data.len()];
        stream.read_exact(&mut back).unwrap();
        assert!(back == data);
        writing.join().unwrap();
    });
    eventually(&rt, "all that is kept", || listening.stats().bytes_up > 60_000).await;
    pause(&rt, ms(100)).await;
    assert_eq!(listening.stats().bytes_up, 64 * 1024);
    aside(&rt, move || transfer.join().unwrap()).await;
    assert_eq!(origin(&mut events).await, SessionOrigin::Reused);
    let retried = events.next().await.unwrap();
    assert!(matches!(retried, ListenEvent::Retried { connection: 3, .. }), "{retried:?}");
    assert_eq!(origin(&mut events).await, SessionOrigin::Dialled);
    idle(&rt, &listening, 2).await;
    let stats = listening.stats();
    assert_eq!((stats.dialled, stats.broken, stats.bytes_up), (3, 0, 300_000));
}

async fn who_counts_is_woken_by_what_counts<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let connector = at(&rt, peer.serving.local_addr());
    let mapping = Mapping::new(0, echo_pod());
    let listening = rt.listen(connector, [mapping], options()).await.unwrap();
    let counters = listening.counters();
    let mut stream = program(listening.local_addr());
    let mut stats = counters.stats();
    while stats.dialled == 0 {
        stats = counters.changed(&stats).await;
    }
    assert_eq!((stats.accepted, stats.open, stats.bytes_up), (1, 1, 0));
    // Nothing happens, so nobody is woken.
    let before = stats;
    let mut change = pin!(counters.changed(&before));
    let woken = poll_fn(|cx| Poll::Ready(change.as_mut().poll(cx).is_ready())).await;
    assert!(!woken);
    let echoing = std::thread::spawn(move || {
        echo(&mut stream, b"hello");
        stream
    });
    stats = change.await;
    while stats.bytes_down < 5 {
        stats = counters.changed(&stats).await;
    }
    assert_eq!((stats.bytes_up, stats.bytes_down), (5, 5));
    drop(aside(&rt, move || echoing.join().unwrap()).await);
    while stats.open > 0 {
        stats = counters.changed(&stats).await;
    }
    drop(listening);
    assert_eq!((counters.stats().accepted, counters.stats().bytes_down), (1, 5));
}

async fn a_session_cut_under_a_request_costs_no_byte_and_no_end<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let (port, recorded) = recording_pod();
    let (listening, wire) = with_silent_session(&rt, &peer, port, Config::client()).await;
    assert_eq!([recorded.recv().unwrap(), recorded.recv().unwrap()], [b"", b""]);
    let mut stream = program(listening.local_addr());
    stream.write_all(b"one ").unwrap();
    pause(&rt, ms(20)).await;
    stream.write_all(b"two").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    pause(&rt, ms(50)).await;
    wire.cut(0, 2);
    let answer = aside(&rt, move || {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map(|_| answer)
    });
    assert_eq!(answer.await.unwrap(), b"got it");
    assert_eq!(recorded.recv().unwrap(), b"one two");
    assert!(recorded.try_recv().is_err(), "once");
}

async fn a_second_failure_is_the_connections<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let config = Config::client().with_open_timeout(ms(1_000));
    let (listening, wire) = with_silent_session(&rt, &peer, echo_pod(), config).await;
    wire.close();
    let mut events = listening.events();
    let mut stream = program(listening.local_addr());
    let _ = stream.write_all(b"hello");
    let end = aside(&rt, move || stream.read(&mut [0]).unwrap_err().kind()).await;
    assert_eq!(end, ErrorKind::ConnectionReset);
    let mut said = Vec::new();
    while said.last() != Some(&"failed") {
        let event = events.next().await.unwrap();
        let is = |what, it: bool| it.then_some(what);
        said.extend(is("accepted", matches!(event, ListenEvent::Accepted { .. })));
        said.extend(is("connected", matches!(event, ListenEvent::Connected { .. })));
        said.extend(is("retried", matches!(event, ListenEvent::Retried { connection: 3, .. })));
        if let ListenEvent::Failed { connection: 3, local, .. } = event {
            assert_eq!(local.socket_addr(), Some(listening.local_addr()));
            said.push("failed");
        }
    }
    assert_eq!(said, ["accepted", "connected", "retried", "failed"]);
}

async fn nothing_is_used_again_that_may_lead_to_a_pod_that_is_gone<R: Runtime + Net>(rt: R) {
    let (refused, _taken) = refused_port();
    let peer = peer(&rt, BOTH).await;
    let mappings = [Mapping::new(0, echo_pod()), Mapping::new(0, refused)];
    let connector = at(&rt, peer.serving.local_addr());
    let listening = rt.listen(connector, mappings, options()).await.unwrap();
    echo_once(&rt, listening.local_addr()).await;
    idle(&rt, &listening, 1).await;
    let bound = listening.bound().iter().find(|bound| bound.remote == refused).unwrap();
    let bound = bound.local.clone();
    let mut events = listening.events();
    let mut stream = program(bound.socket_addr().unwrap());
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    loop {
        if let ListenEvent::Ended { local, remote, report, closed, .. } =
            events.next().await.unwrap()
        {
            assert_eq!((local, remote, closed), (bound, refused, None));
            let failure = report.failure.unwrap();
            assert!(matches!(&failure, RelayFailure::Stream(_)), "{failure:?}");
            break;
        }
    }
    eventually(&rt, "all closed", || peer.serving.connections() == 0).await;
    assert_eq!(listening.stats().idle, 0);
}

async fn a_v4_server_is_asked_once_for_more<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, &[WireForm::V4]).await;
    let mapping = Mapping::new(0, echo_pod());
    let connector = at(&rt, peer.serving.local_addr());
    let listening = rt.listen(connector, [mapping], options().with_spare(true)).await.unwrap();
    for _ in 0..3 {
        let mut stream = program(listening.local_addr());
        echo(&mut stream, b"hello");
        drop(stream);
        eventually(&rt, "the end", || peer.serving.connections() == 0).await;
    }
    let seen: Vec<_> = peer.events.try_iter().collect();
    let refused = seen.iter().filter(|event| matches!(event, ServerEvent::Refused { .. })).count();
    let opened = seen.iter().filter(|event| matches!(event, ServerEvent::Opened { .. })).count();
    assert_eq!((refused, opened, listening.stats().dialled), (1, 3, 3));
}

fn shared(max_streams: usize) -> Options {
    options().with_sessions(Sessions::Shared { max_streams })
}

async fn shared_sessions_are_filled_before_another_is_dialled<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let mappings = [Mapping::new(0, echo_pod()), Mapping::new(0, echo_pod())];
    let connector = at(&rt, peer.serving.local_addr());
    let listening = rt.listen(connector, mappings, shared(3)).await.unwrap();
    let ports: BTreeSet<_> = listening.bound().iter().map(|bound| bound.remote).collect();
    assert_eq!(ports.len(), 2);
    let mut all = Vec::new();
    for (number, dialled) in [1, 1, 1, 2, 2].into_iter().enumerate() {
        let bound = &listening.bound()[number % listening.bound().len()];
        let mut stream = program(bound.local.socket_addr().unwrap());
        echo(&mut stream, b"hello");
        all.push(stream);
        assert_eq!(listening.stats().dialled, dialled, "connection {number}");
    }
    // A place that becomes free is taken.
    drop(all.remove(0));
    eventually(&rt, "four are open", || listening.stats().open == 4).await;
    all.push(program(listening.local_addr()));
    all.push(program(listening.local_addr()));
    all.iter_mut().for_each(|stream| echo(stream, b"again"));
    assert_eq!(listening.stats().dialled, 2);
    drop(all);
    idle(&rt, &listening, 2).await;
}

async fn who_does_not_read_stops_nobody<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let endless = pod(|mut stream| while stream.write_all(&[7; 64 * 1024]).is_ok() {});
    let mappings = [Mapping::new(0, endless), Mapping::new(0, echo_pod())];
    let connector = at(&rt, peer.serving.local_addr());
    let listening = rt.listen(connector, mappings, options().with_spare(true)).await.unwrap();
    let _deaf = program(listening.local_addr());
    // Until everything between is full.
    let mut moved = 0;
    eventually(&rt, "it stands still", || {
        let before = std::mem::replace(&mut moved, listening.stats().bytes_down);
        std::thread::sleep(ms(50));
        before > 0 && before == moved
    })
    .await;
    let echo_port = listening.bound().last().unwrap().local.socket_addr().unwrap();
    let (_, took) = elapsed(|| {
        let mut stream = program(echo_port);
        (0..20).for_each(|_| echo(&mut stream, b"hello"));
    });
    assert!(took < ms(5_000), "{took:?}");
}

fn lingering(unanswered: Duration, answered: Duration) -> Options {
    let policy = HalfClose::WhenIdle { unanswered, answered };
    options().with_session(Config::client().with_half_close(policy))
}

async fn who_waits_for_the_end_leaves_the_session_to_the_next<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let connector = at(&rt, peer.serving.local_addr());
    let options = lingering(Duration::from_secs(60), Duration::from_secs(60));
    let listening = rt.listen(connector, [Mapping::new(0, echo_pod())], options).await.unwrap();
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let mut stream = program(listening.local_addr());
        echo(&mut stream, b"hello");
        stream.shutdown(Shutdown::Write).unwrap();
        waiting.push(stream);
        idle(&rt, &listening, 1).await;
    }
    let stats = listening.stats();
    assert_eq!((stats.dialled, stats.reused, stats.open), (1, 9, 10));
    // None of them has come to its end: that is the policy's.
    for stream in &mut waiting {
        stream.set_read_timeout(Some(ms(5))).unwrap();
        assert!(stream.read(&mut [0]).is_err());
    }
}

/// The pod has not said its last word: whoever owes an answer has the session for itself, and so has
/// who speaks on.
async fn who_is_answered_after_the_end_keeps_the_session<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let slow = pod(|mut stream| {
        stream.read_exact(&mut [0; 7]).unwrap();
        std::thread::sleep(ms(300));
        stream.write_all(b"an answer").unwrap();
    });
    let talker = pod(|mut stream| {
        stream.read_exact(&mut [0; 7]).unwrap();
        for _ in 0..100 {
            stream.write_all(b"word").unwrap();
            std::thread::sleep(ms(3));
        }
    });
    let connector = at(&rt, peer.serving.local_addr());
    let options = lingering(Duration::from_secs(60), Duration::from_secs(60));
    let mappings = [Mapping::new(0, slow), Mapping::new(0, talker)];
    let listening = rt.listen(connector, mappings, options).await.unwrap();
    for (port, answer) in [(slow, 9), (talker, 400)] {
        let bound = listening.bound().iter().find(|bound| bound.remote == port).unwrap();
        let mut stream = program(bound.local.socket_addr().unwrap());
        stream.write_all(b"request").unwrap();
        if port == talker {
            stream.read_exact(&mut [0]).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        let idle_before = listening.stats().idle;
        pause(&rt, ms(100)).await;
        // Taken, or taken back: on a busy machine the talker pauses for long enough to look done.
        idle(&rt, &listening, idle_before).await;
        let mut all = Vec::new();
        let read = aside(&rt, move || stream.read_to_end(&mut all)).await.unwrap();
        assert_eq!(read, answer - usize::from(port == talker));
    }
}

/// How the sessions of a server have ended.
fn ends(events: &Receiver<ServerEvent>) -> Vec<CloseReason> {
    let end = |event| {
        if let ServerEvent::Ended { report, .. } = event { Some(report.closed) } else { None }
    };
    events.try_iter().filter_map(end).collect()
}

async fn a_shutdown_takes_leave_of_what_waits<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let mapping = Mapping::new(0, echo_pod());
    let connector = at(&rt, peer.serving.local_addr());
    let listening = rt.listen(connector, [mapping], options().with_spare(true)).await.unwrap();
    idle(&rt, &listening, 1).await;
    echo_once(&rt, listening.local_addr()).await;
    idle(&rt, &listening, 2).await;
    // One that is in use is waited for, and not kept afterwards.
    let addr = listening.local_addr();
    let mut stream = program(addr);
    echo(&mut stream, b"hello");
    idle(&rt, &listening, 1).await;
    let last = std::thread::spawn(move || {
        std::thread::sleep(ms(200));
        echo(&mut stream, b"goodbye");
    });
    let started = Instant::now();
    let leftover = listening.shutdown(PATIENCE).await;
    last.join().unwrap();
    assert_eq!(leftover.connections, 0);
    assert!(started.elapsed() < ms(1_500), "{:?}", started.elapsed());
    eventually(&rt, "nothing is left", || peer.serving.connections() == 0).await;
    let ends = ends(&peer.events);
    assert!(ends.len() >= 2 && ends.iter().all(|end| *end == CloseReason::GoingAway), "{ends:?}");
}

async fn a_dropped_listener_takes_leave_of_what_waits<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let mapping = Mapping::new(0, echo_pod());
    let connector = at(&rt, peer.serving.local_addr());
    let listening = rt.listen(connector, [mapping], options().with_spare(true)).await.unwrap();
    idle(&rt, &listening, 1).await;
    drop(listening);
    eventually(&rt, "nothing is left", || peer.serving.connections() == 0).await;
    assert_eq!(ends(&peer.events), [CloseReason::GoingAway]);
}

async fn a_shutdown_does_not_wait_for_a_server_that_is_silent<R: Runtime + Net>(rt: R) {
    let peer = peer(&rt, BOTH).await;
    let (listening, _wire) = with_silent_session(&rt, &peer, echo_pod(), Config::client()).await;
    let started = Instant::now();
    let leftover = listening.shutdown(ms(100)).await;
    assert_eq!(leftover.connections, 0);
    assert!(started.elapsed() < ms(1_500), "{:?}", started.elapsed());
}

/// A connector whose connections tell what was written to them, and in how many pieces.
#[derive(Clone)]
struct Counting<C> {
    inner: C,
    writes: Arc<Mutex<Vec<Vec<u8>>>>,
}

struct Counted<S> {
    inner: S,
    writes: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl<C: Connector> Connector for Counting<C> {
    type Io = Counted<C::Io>;

    async fn resolve(&self, ports: &[Port]) -> Result<Endpoint, ResolveError> {
        self.inner.resolve(ports).await
    }

    async fn dial(&self, to: &Endpoint, offer: &Offer) -> Result<Upgraded<Self::Io>, DialError> {
        let Upgraded { io, leftover, form, .. } = self.inner.dial(to, offer).await?;
        let io = Counted { inner: io, writes: Arc::clone(&self.writes) };
        Ok(Upgraded::new(io, leftover, form))
    }
}

impl<S: Socket> Socket for Counted<S> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_read(cx, buf)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner.poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(written)) = written {
            let mut all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            all.truncate(written);
            self.writes.lock().unwrap().push(all);
        }
        written
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_shutdown_write(cx)
    }

    fn abort(&mut self) {
        self.inner.abort();
    }
}

/// The frames of plain SPDY, by their first two bytes' meaning.
fn frames(mut bytes: &[u8]) -> Vec<&'static str> {
    let mut all = Vec::new();
    while let [first, _, _, kind, flags, high, middle, low, rest @ ..] = bytes {
        let len = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        all.push(match (first & 0x80, kind, flags, len) {
            (0x80, 1, ..) => "SYN_STREAM",
            (0x80, ..) => "control",
            (_, _, 1, 0) => "FIN",
            _ => "DATA",
        });
        bytes = &rest[len..];
    }
    all
}

/// What a program sends as it connects is there when it is accepted: on tokio, before the runtime
/// has heard of it.
#[test]
fn a_request_goes_out_with_the_opening_on_one_thread() {
    let tokio = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let rt = portway_tokio::Tokio::current();
        let peer = peer(&rt, &[WireForm::Spdy]).await;
        let inner = at(&rt, peer.serving.local_addr());
        let connector = Counting { inner, writes: Arc::default() };
        let writes = Arc::clone(&connector.writes);
        let options = options().with_protocol(Protocol::Spdy).with_spare(true);
        let mapping = Mapping::new(0, echo_pod());
        let listening = rt.listen(connector, [mapping], options).await.unwrap();
        idle(&rt, &listening, 1).await;
        writes.lock().unwrap().clear();
        let mut stream = program(listening.local_addr());
        stream.write_all(b"the request").unwrap();
        aside(&rt, move || stream.read_exact(&mut [0; 11]).unwrap()).await;
        let opening = ["SYN_STREAM", "SYN_STREAM", "FIN", "DATA"];
        let all: Vec<_> = writes.lock().unwrap().iter().map(|bytes| frames(bytes)).collect();
        assert!(all.iter().any(|frames| frames == &opening), "{all:?}");
    });
}

async fn a_request_goes_out_with_the_opening_in_one_write<R: Runtime + Net>(rt: R) {
    for (protocol, form) in [(Protocol::Spdy, WireForm::Spdy), (Protocol::Tunnel, WireForm::Tunnel)]
    {
        let peer = peer(&rt, &[form]).await;
        let connector =
            Counting { inner: at(&rt, peer.serving.local_addr()), writes: Arc::default() };
        let writes = Arc::clone(&connector.writes);
        // One place: who connects second has sent its request by the time it is accepted.
        let options = options().with_protocol(protocol).with_spare(true).with_max_sessions(1);
        let mapping = Mapping::new(0, echo_pod());
        let listening = rt.listen(connector, [mapping], options).await.unwrap();
        idle(&rt, &listening, 1).await;
        let mut first = program(listening.local_addr());
        echo(&mut first, b"hello");
        idle(&rt, &listening, 1).await;
        let mut second = program(listening.local_addr());
        second.write_all(b"the request").unwrap();
        pause(&rt, ms(50)).await;
        // The first session is still in use when the second connection is accepted; what is
        // written for its end is not what is counted.
        writes.lock().unwrap().clear();
        drop(first);
        let mut back = [0; 11];
        second.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"the request");
        let writes = writes.lock().unwrap().clone();
        if form == WireForm::Spdy {
            let opening = ["SYN_STREAM", "SYN_STREAM", "FIN", "DATA"];
            let all: Vec<_> = writes.iter().map(|bytes| frames(bytes)).collect();
            assert!(all.iter().any(|frames| frames == &opening), "{all:?}");
        } else {
            // Masked: the length tells. Two openings, an end, and the data.
            assert!(writes.iter().any(|bytes| bytes.len() > 100), "{writes:?}");
            let small = writes.iter().filter(|bytes| (17..60).contains(&bytes.len()));
            assert!(small.count() <= 2, "{writes:?}");
        }
    }
}
