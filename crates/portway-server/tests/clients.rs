//! Our own clients against our own server, on every runtime.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use common::*;
use portway_driver::proto::{CloseReason, Config, HalfClose, OpenError, StreamError};
use portway_driver::{
    Connector, HttpConnector, Mapping, Net, Options, Port, PortForward, PortStream, Protocol,
    RelayRules, Runtime, WireForm,
};
use portway_runtimes::on_every_runtime;
use portway_server::{ServerEvent, Serving};

on_every_runtime!(
    echo_in_process_in_every_form,
    a_tunnel_opens_a_port_as_often_as_wanted_and_v4_once,
    the_last_handle_that_is_dropped_ends_the_session,
    the_round_trip_is_told_in_every_form,
    a_refused_port_is_told_in_words,
    a_reset_of_the_pod_is_told_in_words,
    what_a_pod_said_before_it_hung_up_on_an_upload_arrives,
    sixty_four_programs_at_once,
    many_ports_in_one_session,
    the_pods_end_ends_a_v4_session_a_second_later,
    the_clients_end_becomes_a_fin_only_where_the_rules_say_so,
    a_client_that_vanishes_resets_the_pod,
    a_client_that_vanishes_is_noticed_behind_a_pod_that_does_not_read,
    the_observer_sees_sessions_come_and_go,
    shutdown_lets_sessions_finish,
    shutdown_takes_leave_of_what_takes_longer,
    shutdown_cuts_who_takes_no_leave,
    dropping_ends_everything,
);

fn connector<R: Runtime + Net>(rt: &R, serving: &Serving) -> HttpConnector<R> {
    rt.http(&format!("http://{}", serving.local_addr()), "default", "demo").unwrap()
}

fn local(addr: std::net::SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

async fn stream<R: Runtime + Net, C: Connector>(
    rt: &R,
    connector: C,
    port: Port,
    options: Options,
) -> PortStream {
    rt.forward(connector, &[port], options).await.unwrap().open(port).unwrap()
}

async fn write(stream: &mut PortStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let n = std::future::poll_fn(|cx| {
            futures_io::AsyncWrite::poll_write(std::pin::Pin::new(stream), cx, bytes)
        });
        bytes = &bytes[n.await.unwrap()..];
    }
}

async fn close(stream: &mut PortStream) {
    std::future::poll_fn(|cx| futures_io::AsyncWrite::poll_close(std::pin::Pin::new(stream), cx))
        .await
        .unwrap();
}

async fn read_exactly(stream: &mut PortStream, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        all.extend(stream.bytes().await.unwrap().expect("more to come"));
    }
    assert_eq!(all.len(), len);
    all
}

/// Everything up to the end, and the error that ended it.
async fn read_to_end(stream: &mut PortStream) -> (Vec<u8>, Option<StreamError>) {
    let mut all = Vec::new();
    loop {
        match stream.bytes().await {
            Ok(Some(bytes)) => all.extend(bytes),
            Ok(None) => return (all, None),
            Err(_) => return (all, Some(stream.error().expect("it has one"))),
        }
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

async fn echo_in_process_in_every_form<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let port = echo_pod();
    for (protocol, form) in [
        (Protocol::V4, WireForm::V4),
        (Protocol::V4Base64, WireForm::V4Base64),
        (Protocol::Tunnel, WireForm::Tunnel),
        (Protocol::Spdy, WireForm::Spdy),
        (Protocol::Auto, WireForm::Tunnel),
    ] {
        let options = Options::new().with_protocol(protocol);
        let mut forward = rt.forward(connector(&rt, &serving), &[port], options).await.unwrap();
        assert_eq!(forward.form(), form);
        let mut stream = forward.open(port).unwrap();
        write(&mut stream, &pattern(100_000)).await;
        assert!(read_exactly(&mut stream, 100_000).await == pattern(100_000));
    }
}

async fn a_tunnel_opens_a_port_as_often_as_wanted_and_v4_once<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let (asked, other) = (echo_pod(), answer_pod());
    for protocol in [Protocol::Tunnel, Protocol::Spdy] {
        let options = Options::new().with_protocol(protocol);
        let mut forward = rt.forward(connector(&rt, &serving), &[asked], options).await.unwrap();
        let mut streams: Vec<_> = (0..5).map(|_| forward.open(asked).unwrap()).collect();
        for (stream, text) in streams.iter_mut().zip([b"0", b"1", b"2", b"3", b"4"]) {
            write(stream, text).await;
            assert_eq!(read_exactly(stream, 1).await, text);
        }
        let mut stream = forward.open(other).expect("a port that was not named before");
        write(&mut stream, b"x\n").await;
        assert_eq!(read_to_end(&mut stream).await, (b"answer\n".to_vec(), None));
    }
    let options = Options::new().with_protocol(Protocol::V4);
    let mut forward = rt.forward(connector(&rt, &serving), &[asked], options).await.unwrap();
    let _once = forward.open(asked).unwrap();
    assert_eq!(forward.open(asked).unwrap_err(), OpenError::AlreadyOpen(asked));
    assert_eq!(forward.open(other).unwrap_err(), OpenError::NotRequested(other));
}

async fn the_last_handle_that_is_dropped_ends_the_session<R: Runtime + Net>(rt: R) {
    let (server, events) = observed(server(&rt));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let ended = || {
        let ended = |event| matches!(event, ServerEvent::Ended { .. });
        events.try_iter().any(ended)
    };
    for protocol in [Protocol::V4, Protocol::Tunnel, Protocol::Spdy] {
        let (port, options) = (echo_pod(), Options::new().with_protocol(protocol));
        let mut forward = rt.forward(connector(&rt, &serving), &[port], options).await.unwrap();
        let mut stream = forward.open(port).unwrap();
        drop(forward);
        write(&mut stream, b"x").await;
        assert_eq!(read_exactly(&mut stream, 1).await, b"x", "{protocol}: a stream keeps it going");
        assert!(!ended(), "{protocol}");
        drop(stream);
        let next = || events.recv_timeout(PATIENCE).unwrap();
        while !matches!(next(), ServerEvent::Ended { .. }) {}
    }
}

async fn the_round_trip_is_told_in_every_form<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    for protocol in [Protocol::Tunnel, Protocol::V4, Protocol::V4Base64, Protocol::Spdy] {
        let started = Instant::now();
        // No keep-alive would come in time.
        let options = Options::new().with_protocol(protocol);
        let port = echo_pod();
        let mut forward = rt.forward(connector(&rt, &serving), &[port], options).await.unwrap();
        let mut stream = forward.open(port).unwrap();
        for asked in 1..=3 {
            let took = forward.round_trip().await.unwrap();
            assert!(took > Duration::ZERO && took < started.elapsed(), "{protocol}: {took:?}");
            let stats = forward.stats();
            assert_eq!((stats.pings, stats.pongs, stats.round_trip), (asked, asked, Some(took)));
        }
        // The pod has seen nothing of it.
        write(&mut stream, b"x").await;
        assert_eq!(read_exactly(&mut stream, 1).await, b"x");
    }
    let port = echo_pod();
    let forward = rt.forward(connector(&rt, &serving), &[port], Options::new()).await.unwrap();
    drop(serving);
    assert_eq!(forward.closed().await, CloseReason::Disconnected);
    assert_eq!(forward.round_trip().await, Err(CloseReason::Disconnected));
}

async fn a_refused_port_is_told_in_words<R: Runtime + Net>(rt: R) {
    let (refused, _taken) = refused_port();
    let port = refused;
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let mut stream = stream(&rt, connector(&rt, &serving), port, Options::new()).await;
    let (all, error) = read_to_end(&mut stream).await;
    assert_eq!(all, b"");
    assert_eq!(
        error.unwrap().to_string(),
        format!(
            "error forwarding port {port} to pod demo, uid : failed to connect to localhost:{port} \
             inside namespace: dial tcp4 127.0.0.1:{port}: connect: connection refused"
        )
    );

    let mapping = Mapping::new(0, port);
    let listening = rt.listen(connector(&rt, &serving), [mapping], Options::new()).await.unwrap();
    let end = local(listening.local_addr()).read(&mut [0]).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
}

async fn a_reset_of_the_pod_is_told_in_words<R: Runtime + Net>(rt: R) {
    let port = reset_pod();
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let mut stream = stream(&rt, connector(&rt, &serving), port, Options::new()).await;
    write(&mut stream, b"A").await;
    let (all, error) = read_to_end(&mut stream).await;
    assert_eq!(all, b"partial");
    let text = error.unwrap().to_string();
    let begins = format!("error forwarding port {port} to pod demo, uid : writeto tcp4 127.0.0.1:");
    assert!(text.starts_with(&begins), "{text}");
    assert!(
        text.ends_with(&format!("->127.0.0.1:{port}: read: connection reset by peer")),
        "{text}"
    );
}

async fn what_a_pod_said_before_it_hung_up_on_an_upload_arrives<R: Runtime + Net>(rt: R) {
    // Closing over unread bytes makes an RST, which breaks the upload: writing fails first.
    let port = pod(|mut stream| {
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(&pattern(100_000)).unwrap();
    });
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let mut stream = stream(&rt, connector(&rt, &serving), port, Options::new()).await;
    // As much as it takes; the end of it is told by an error.
    let mut all = Vec::new();
    let chunk = pattern(64 * 1024);
    let error = loop {
        let mut done = None;
        std::future::poll_fn(|cx| {
            while let std::task::Poll::Ready(result) = stream.poll_bytes(cx) {
                match result {
                    Ok(Some(bytes)) => all.extend(bytes),
                    Ok(None) => done = Some(None),
                    Err(_) => done = Some(stream.error()),
                }
                if done.is_some() {
                    return std::task::Poll::Ready(());
                }
            }
            let pinned = std::pin::Pin::new(&mut stream);
            futures_io::AsyncWrite::poll_write(pinned, cx, &chunk).map(|_| ())
        })
        .await;
        if let Some(error) = done {
            break error;
        }
    };
    let text = error.expect("the upload was cut").to_string();
    assert!(text.contains(&format!("error forwarding port {port} to pod demo")), "{text}");
    assert!(all == pattern(100_000), "{} bytes", all.len());
}

async fn sixty_four_programs_at_once<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let mapping = Mapping::new(0, echo_pod());
    let options = Options::new().with_spare(false);
    let listening = rt.listen(connector(&rt, &serving), [mapping], options).await.unwrap();
    let addr = listening.local_addr();
    let programs: Vec<_> = (0..64).map(|_| local(addr)).collect();
    for (i, mut program) in programs.iter().enumerate() {
        program.write_all(&[i as u8; 1000]).unwrap();
    }
    for (i, mut program) in programs.iter().enumerate() {
        let mut back = [0; 1000];
        program.read_exact(&mut back).unwrap();
        assert_eq!(back, [i as u8; 1000]);
    }
    assert_eq!(serving.connections(), 64);
}

async fn many_ports_in_one_session<R: Runtime + Net>(rt: R) {
    let (server, events) = observed(server(&rt));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let (refused, _taken) = refused_port();
    let mut ports: Vec<Port> = (0..20).map(|_| echo_pod()).collect();
    ports.insert(7, refused);
    ports.insert(11, answer_pod());
    let options = Options::new().with_protocol(Protocol::V4);
    let mut forward = rt.forward(connector(&rt, &serving), &ports, options).await.unwrap();
    let mut streams: Vec<_> = ports.iter().map(|port| forward.open(*port).unwrap()).collect();
    // One that fails and one that ends leave the others alone.
    let (_, error) = read_to_end(&mut streams[7]).await;
    assert!(error.unwrap().to_string().contains("connection refused"));
    write(&mut streams[11], b"line\n").await;
    assert_eq!(read_exactly(&mut streams[11], 7).await, b"answer\n");
    for (i, stream) in streams.iter_mut().enumerate().filter(|(i, _)| ![7, 11].contains(i)) {
        write(stream, format!("stream {i}").as_bytes()).await;
    }
    for (i, stream) in streams.iter_mut().enumerate().filter(|(i, _)| ![7, 11].contains(i)) {
        let expected = format!("stream {i}");
        assert_eq!(read_exactly(stream, expected.len()).await, expected.as_bytes());
    }
    drop(streams);
    assert_eq!(forward.closed().await, CloseReason::Done);
    let Ok(ServerEvent::Opened { ports: opened, .. }) = events.recv() else { panic!() };
    assert_eq!(opened, ports);
    let mut ended = Vec::new();
    let totals = loop {
        let event = events.recv().unwrap();
        if let ServerEvent::Ended { session: 1, report } = event {
            break report.totals;
        }
        let ServerEvent::Disconnected { session: 1, report } = event else { panic!("{event:?}") };
        ended.push(report);
    };
    assert_eq!((totals.connections, totals.failed), (22, 1));
    let failed = ended.iter().filter(|relay| relay.failure.is_some());
    assert_eq!(failed.map(|relay| relay.port).collect::<Vec<_>>(), [Some(ports[7])]);
    assert_eq!(ended.iter().map(|relay| relay.bytes_up).sum::<u64>(), totals.bytes_up);
    let mut seen: Vec<_> = ended.iter().filter_map(|relay| relay.port).collect();
    seen.sort_unstable();
    let mut all = ports.clone();
    all.sort_unstable();
    assert_eq!(seen, all);
}

async fn the_pods_end_ends_a_v4_session_a_second_later<R: Runtime + Net>(rt: R) {
    for rules in [RelayRules::RUNTIME, RelayRules::FAITHFUL] {
        let (told, ears) = channel();
        let port = pod(move |mut stream| {
            stream.write_all(b"bye").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all);
            told.send(all).unwrap();
        });
        let serving = server(&rt).with_rules(rules).listen(LOCALHOST).await.unwrap();
        let options = Options::new().with_protocol(Protocol::V4);
        let mut stream = stream(&rt, connector(&rt, &serving), port, options).await;
        assert_eq!(read_exactly(&mut stream, 3).await, b"bye");
        let started = Instant::now();
        // The other direction goes on for that time.
        write(&mut stream, b"and you").await;
        assert_eq!(read_to_end(&mut stream).await, (vec![], None), "{rules:?}");
        assert!(started.elapsed() > Duration::from_millis(800), "{rules:?}");
        assert_eq!(ears.recv_timeout(PATIENCE).unwrap(), b"and you", "{rules:?}");
    }
}

async fn the_clients_end_becomes_a_fin_only_where_the_rules_say_so<R: Runtime + Net>(rt: R) {
    // What a runtime of today does is what happens where nothing is said.
    for (rules, at_once) in [(None, false), (Some(RelayRules::FAITHFUL), true)] {
        let (told, ears) = channel();
        let port = pod(move |mut stream| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            told.send((all, Instant::now())).unwrap();
        });
        let server = server(&rt);
        let server = rules.map_or_else(|| server.clone(), |rules| server.clone().with_rules(rules));
        let serving = server.listen(LOCALHOST).await.unwrap();
        let none = HalfClose::WhenIdle { unanswered: Duration::ZERO, answered: Duration::ZERO };
        let options = Options::new().with_session(Config::client().with_half_close(none));
        let mut stream = stream(&rt, connector(&rt, &serving), port, options).await;
        write(&mut stream, b"all of it").await;
        let started = Instant::now();
        close(&mut stream).await;
        let (all, ended) = ears.recv_timeout(PATIENCE).unwrap();
        assert_eq!(all, b"all of it");
        let took = ended.duration_since(started);
        assert_eq!(took < Duration::from_millis(900), at_once, "{rules:?}: {took:?}");
    }
}

async fn a_client_that_vanishes_resets_the_pod<R: Runtime + Net>(rt: R) {
    let (told, ears) = channel();
    let port = pod(move |mut stream| {
        stream.write_all(b"here").unwrap();
        told.send(stream.read(&mut [0])).unwrap();
    });
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::v4(serving.local_addr(), &format!("{API}?ports={port}"));
    while raw.frame().unwrap().payload != b"\0here" {}
    drop(raw);
    let end = ears.recv_timeout(PATIENCE).unwrap();
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

async fn a_client_that_vanishes_is_noticed_behind_a_pod_that_does_not_read<R: Runtime + Net>(
    rt: R,
) {
    for rules in [RelayRules::RUNTIME, RelayRules::FAITHFUL] {
        let (wake, asleep) = channel::<()>();
        let asleep = std::sync::Arc::new(std::sync::Mutex::new(asleep));
        let (told, ears) = channel();
        let port = pod(move |mut stream| {
            let _ = asleep.lock().unwrap().recv();
            told.send(stream.read_to_end(&mut Vec::new()).map_err(|error| error.kind())).unwrap();
        });
        let (server, events) = observed(server(&rt).with_rules(rules));
        let serving = server.listen(LOCALHOST).await.unwrap();
        let mut raw = Raw::v4(serving.local_addr(), &format!("{API}?ports={port}"));
        // Until every buffer on the way is full.
        raw.0.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let head = [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
        let message = [&head[..], &[1; 0x1_0000]].concat();
        while raw.0.write_all(&message).is_ok() {}
        socket2::SockRef::from(&raw.0).set_linger(Some(Duration::ZERO)).unwrap();
        drop(raw);
        let ended = loop {
            let event = events.recv_timeout(Duration::from_secs(8)).expect("it is noticed");
            if let ServerEvent::Ended { report, .. } = event {
                break report;
            }
        };
        assert_eq!(ended.closed, CloseReason::Disconnected);
        wake.send(()).unwrap();
        assert_eq!(ears.recv_timeout(PATIENCE).unwrap(), Err(ErrorKind::ConnectionReset));
    }
}

async fn the_observer_sees_sessions_come_and_go<R: Runtime + Net>(rt: R) {
    let (server, events) = observed(server(&rt));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let (port, nobody) = (answer_pod(), "http://".to_owned());
    let mut opened =
        stream(&rt, connector(&rt, &serving), port, Options::new().with_protocol(Protocol::V4))
            .await;
    write(&mut opened, b"x\n").await;
    assert_eq!(read_to_end(&mut opened).await, (b"answer\n".to_vec(), None));
    let Ok(ServerEvent::Opened { session: 1, target, ports, form, client, .. }) = events.recv()
    else {
        panic!()
    };
    assert_eq!((target.to_string().as_str(), form), ("default/demo", WireForm::V4));
    assert_eq!(ports, [port]);
    assert!(client.is_some());
    let Ok(ServerEvent::Disconnected { session: 1, report }) = events.recv() else { panic!() };
    assert_eq!((report.port, report.bytes_up, report.bytes_down), (Some(port), 7, 2));
    let Ok(ServerEvent::Ended { session: 1, report, .. }) = events.recv() else { panic!() };
    assert_eq!(report.closed, CloseReason::Done);
    assert_eq!((report.totals.bytes_up, report.totals.bytes_down), (7, 2));
    assert!(report.relays.is_empty());

    let gone = rt.http(&(nobody + &serving.local_addr().to_string()), "default", "gone").unwrap();
    assert!(rt.forward(gone, &[port], Options::new()).await.is_err());
    let Ok(ServerEvent::Refused { target, status, .. }) = events.recv() else { panic!() };
    assert_eq!((target.pod.as_str(), status.as_u16()), ("gone", 404));
}

async fn shutdown_lets_sessions_finish<R: Runtime + Net>(rt: R) {
    for protocol in [Protocol::V4, Protocol::Tunnel, Protocol::Spdy] {
        let options = Options::new().with_protocol(protocol);
        let serving = server(&rt).listen(LOCALHOST).await.unwrap();
        let addr = serving.local_addr();
        let port = pod(|mut stream| {
            stream.write_all(b"hello").unwrap();
            stream.read_exact(&mut [0]).unwrap();
            stream.write_all(b"answer\n").unwrap();
        });
        let mut open = stream(&rt, connector(&rt, &serving), port, options).await;
        assert_eq!(read_exactly(&mut open, 5).await, b"hello");
        let mut idle = Raw::connect(addr);
        let mut shutdown = Box::pin(serving.shutdown(Duration::MAX));
        // The first poll makes it stop accepting.
        let mut polled = false;
        std::future::poll_fn(|cx| {
            assert!(polled || shutdown.as_mut().poll(cx).is_pending());
            polled = true;
            std::task::Poll::Ready(())
        })
        .await;
        idle.expect_end();
        write(&mut open, b"x").await;
        assert_eq!(read_to_end(&mut open).await, (b"answer\n".to_vec(), None));
        assert_eq!(shutdown.await.connections, 0);
        assert!(TcpStream::connect(addr).is_err(), "nobody listens any more");
    }
}

async fn shutdown_takes_leave_of_what_takes_longer<R: Runtime + Net>(rt: R) {
    let going = CloseReason::Peer { code: 1001, reason: "shutting down".into() };
    // A reset of the stream comes before the goodbye where the wire has one.
    for (protocol, told_client) in [
        (Protocol::V4, StreamError::Session(going)),
        (Protocol::Tunnel, StreamError::RemoteReset),
        (Protocol::Spdy, StreamError::RemoteReset),
    ] {
        let options = Options::new().with_protocol(protocol);
        let (told, ears) = channel();
        let port = pod(move |mut stream| {
            stream.write_all(b"here").unwrap();
            let mut all = Vec::new();
            let end = stream.read_to_end(&mut all).map_err(|error| error.kind());
            told.send((all, end)).unwrap();
        });
        let (server, events) = observed(server(&rt));
        let serving = server.listen(LOCALHOST).await.unwrap();
        let mut open = stream(&rt, connector(&rt, &serving), port, options).await;
        assert_eq!(read_exactly(&mut open, 4).await, b"here");
        write(&mut open, b"half an upl").await;
        let leave = Duration::from_millis(200);
        let started = Instant::now();
        assert_eq!(serving.shutdown(leave).await.connections, 1);
        // A client that answers is not made to wait for the end of the time that it has for it.
        assert!(started.elapsed() < leave + Duration::from_millis(300), "{:?}", started.elapsed());
        let (_, error) = read_to_end(&mut open).await;
        assert_eq!(error, Some(told_client));
        let (all, end) = ears.recv_timeout(PATIENCE).unwrap();
        assert_eq!((all.as_slice(), end), (&b"half an upl"[..], Err(ErrorKind::ConnectionReset)));
        let Ok(ServerEvent::Opened { .. }) = events.recv() else { panic!() };
        let Ok(ServerEvent::Disconnected { report, .. }) = events.recv() else { panic!() };
        assert!(report.failure.is_some());
        let Ok(ServerEvent::Ended { report, .. }) = events.recv() else { panic!() };
        assert_eq!(report.closed, CloseReason::Shutdown);
    }
}

async fn shutdown_cuts_who_takes_no_leave<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::v4(serving.local_addr(), &format!("{API}?ports={}", echo_pod()));
    raw.frame().unwrap();
    raw.frame().unwrap();
    let started = Instant::now();
    assert_eq!(serving.shutdown(Duration::ZERO).await.connections, 1);
    let took = started.elapsed();
    assert!(took > Duration::from_millis(400) && took < Duration::from_millis(1500), "{took:?}");
    assert_eq!(raw.frame(), Some(frame(8, b"\x03\xe9shutting down")));
    raw.expect_end();
}

async fn dropping_ends_everything<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let port = echo_pod();
    let mut open = stream(&rt, connector(&rt, &serving), port, Options::new()).await;
    let mut idle = Raw::connect(addr);
    write(&mut open, b"x").await;
    assert_eq!(read_exactly(&mut open, 1).await, b"x");
    drop(serving);
    let (_, error) = read_to_end(&mut open).await;
    assert_eq!(error, Some(StreamError::Session(CloseReason::Disconnected)));
    idle.expect_end();
}
