//! Other people's Go clients against our server, on every runtime: client-go's port forwarder, in the
//! tunnel and over plain SPDY, and v4 on the two WebSocket libraries that Kubernetes is made with.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use common::program::{self, *};
use common::*;
use portway_driver::proto::CloseReason;
use portway_driver::{Net, Port, RelayRules, Runtime, WireForm};
use portway_interop::{GoClient, GoClientEnd, GoForwarder, Pattern, Peer, PeerOptions, require_go};
use portway_runtimes::TestRuntime;
use portway_server::{LocalPods, Origins, Pods, Server, ServerEvent, Serving};

/// Registers generic test bodies with every client, on every runtime.
macro_rules! with_every_client {
    ($names:tt) => {
        with_clients!(tunnel: Tunnel, $names);
        with_clients!(spdy: Spdy, $names);
        with_clients!(gorilla: Gorilla, $names);
        with_clients!(gorilla_base64: GorillaBase64, $names);
        with_clients!(xnet: XNet, $names);
        with_clients!(xnet_base64: XNetBase64, $names);
    };
}

macro_rules! with_clients {
    ($module:ident: $by:ident, ($($name:ident),+ $(,)?)) => {
        mod $module {
            mod tokio {
                $(#[test] fn $name() { crate::run::<portway_runtimes::TokioThreads>(crate::Client::$by, crate::$name) })+
            }
            mod smol {
                $(#[test] fn $name() { crate::run::<portway_runtimes::SmolGlobal>(crate::Client::$by, crate::$name) })+
            }
            mod async_std {
                $(#[test] fn $name() { crate::run::<portway_runtimes::AsyncStdGlobal>(crate::Client::$by, crate::$name) })+
            }
        }
    };
}

with_every_client!((
    one_program_echoes,
    sixty_four_mebibytes_arrive_each_way,
    a_pod_that_speaks_first_is_heard_to_the_end,
    what_was_sent_before_an_early_end_arrives,
    three_ports_lead_to_three_programs,
    sixty_four_programs_echo_at_once,
    five_hundred_programs_leave_nothing_behind,
    a_refused_port_is_told_word_for_word,
    a_pods_reset_is_told_and_what_came_before_it_arrives,
    programs_that_break_off_leave_nothing_behind,
    talking_on_behind_a_pods_end_costs_nobody_anything,
    a_stop_frees_everything,
    a_kill_frees_everything,
    a_shutdown_is_noticed,
    our_keep_alives_are_answered,
    a_pod_that_does_not_exist_is_told_as_it_is,
));

/// With Kubernetes' own API server between the client and us, as a kubelet has it.
mod behind_an_api_server {
    with_clients!(tunnel: Tunnel, (it_changes_nothing, it_passes_our_goodbye_on));
    with_clients!(spdy: Spdy, (it_changes_nothing, it_passes_our_goodbye_on));
    with_clients!(gorilla: Gorilla, (it_changes_nothing, it_passes_our_goodbye_on));
    with_clients!(xnet_base64: XNetBase64, (it_changes_nothing));
}

/// What only a client does that has one session for everything.
mod client_go {
    with_clients!(tunnel: Tunnel, (an_idle_session_lives_by_its_pings));
    with_clients!(spdy: Spdy, (an_idle_session_lives_by_its_pings));
    with_clients!(fallback: Fallback, (
        the_tunnel_is_taken_where_there_is_one,
        plain_spdy_is_taken_where_there_is_no_tunnel,
    ));
}

/// What only a client does that makes up an `Origin`.
mod x_net {
    with_clients!(plain: XNet, (an_origin_that_was_not_allowed_is_refused));
    with_clients!(base64: XNetBase64, (an_origin_that_was_not_allowed_is_refused));
}

type Client = GoForwarder;

fn run<T: TestRuntime>(client: Client, body: impl AsyncFnOnce(T::Runtime, Client)) {
    // What is missing says so itself.
    if require_go() {
        portway_runtimes::run::<T, _>(async |rt| body(rt, client).await);
    }
}

fn serve<R: Runtime + Net>(rt: &R) -> Server<R, LocalPods<R>> {
    welcoming(server(rt))
}

/// What a client on x/net needs, which cannot do without an `Origin`.
fn welcoming<R: Runtime, P: Pods>(server: Server<R, P>) -> Server<R, P> {
    server.with_origins(Origins::only([GoForwarder::ORIGIN]))
}

fn url(serving: &Serving) -> String {
    format!("http://{}", serving.local_addr())
}

#[track_caller]
fn start(client: Client, serving: &Serving, ports: &[Port]) -> GoClient {
    let ports: Vec<u16> = ports.iter().map(|port| port.get()).collect();
    GoClient::start(client, &url(serving), &ports).unwrap()
}

fn open(client: &GoClient, port: Port) -> TcpStream {
    program::open(client.addr(port.get()))
}

const fn form(client: Client) -> WireForm {
    if client.is_base64() {
        WireForm::V4Base64
    } else if !client.is_client_go() {
        WireForm::V4
    } else if matches!(client, Client::Spdy) {
        WireForm::Spdy
    } else {
        WireForm::Tunnel
    }
}

/// Nothing that the client would complain of has happened, and it goes as it is told.
#[track_caller]
fn ends_well(client: GoClient) {
    let end = client.stop();
    assert_eq!((end.end.as_deref(), end.errors), (Some(""), vec![]));
}

/// client-go is over after any error text, and the others go on.
#[track_caller]
fn is_over_if_client_go(by: Client, client: &mut GoClient) {
    if by.is_client_go() {
        let end = client.end_within(PATIENCE).expect("client-go ends");
        assert_eq!(end.end.as_deref(), Some("lost connection to pod"), "{end:?}");
    }
}

async fn one_program_echoes<R: Runtime + Net>(rt: R, by: Client) {
    let (server, events) = observed(serve(&rt));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let port = echo_pod();
    let client = start(by, &serving, &[port]);
    echoes(&mut open(&client, port), b"hello");
    let Ok(ServerEvent::Opened { form: spoken, target, .. }) = events.recv() else { panic!() };
    assert_eq!((spoken, target.to_string().as_str()), (form(by), "default/demo"));
    ends_well(client);
}

async fn sixty_four_mebibytes_arrive_each_way<R: Runtime + Net>(rt: R, by: Client) {
    let serving = serve(&rt).listen(LOCALHOST).await.unwrap();
    let (source, sink) = (source_pod(), sink_pod());
    let client = start(by, &serving, &[source, sink]);
    downloads(&mut open(&client, source));
    uploads(&mut open(&client, sink));
    ends_well(client);
}

async fn a_pod_that_speaks_first_is_heard_to_the_end<R: Runtime + Net>(rt: R, by: Client) {
    const LONG: usize = 5_000_000;
    let serving = serve(&rt).listen(LOCALHOST).await.unwrap();
    let port = pod(|mut stream| {
        let mut speech = vec![0; LONG];
        Pattern::new(1).fill(&mut speech);
        stream.write_all(&speech).unwrap();
    });
    let client = start(by, &serving, &[port]);
    for _ in 0..3 {
        let mut heard = Vec::new();
        open(&client, port).read_to_end(&mut heard).unwrap();
        assert_eq!((heard.len(), Pattern::new(1).check(&heard)), (LONG, Ok(())));
    }
    ends_well(client);
}

/// With the rules of today's runtimes the pod hears of the end when all is over; with faithful ones at
/// once, and it is heard in return. v4 has no word for a half-close: there the end is everybody's.
async fn what_was_sent_before_an_early_end_arrives<R: Runtime + Net>(rt: R, by: Client) {
    for rules in [RelayRules::RUNTIME, RelayRules::FAITHFUL] {
        let serving = serve(&rt).with_rules(rules).listen(LOCALHOST).await.unwrap();
        let (sender, counted) = channel();
        let port = pod(move |mut stream| {
            let mut all = Vec::new();
            // A reset behind what was read takes nothing away.
            let _ = stream.read_to_end(&mut all);
            sender.send((all.len(), Pattern::new(2).check(&all))).unwrap();
            let _ = stream.write_all(all.len().to_string().as_bytes());
        });
        let client = start(by, &serving, &[port]);
        let mut program = open(&client, port);
        let mut said = vec![0; 300_000];
        Pattern::new(2).fill(&mut said);
        program.write_all(&said).unwrap();
        program.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        program.read_to_string(&mut answer).unwrap();
        assert_eq!(counted.recv_timeout(PATIENCE).unwrap(), (said.len(), Ok(())), "{rules:?}");
        let heard = rules.pass_fin && by.is_client_go();
        assert_eq!(answer, if heard { "300000" } else { "" }, "{rules:?}");
        ends_well(client);
    }
}

async fn three_ports_lead_to_three_programs<R: Runtime + Net>(rt: R, by: Client) {
    let serving = serve(&rt).listen(LOCALHOST).await.unwrap();
    let says = |words: &'static [u8]| pod(move |mut stream| stream.write_all(words).unwrap());
    let ports = [says(b"one"), says(b"two"), echo_pod()];
    let client = start(by, &serving, &ports);
    let hear = |port| {
        let mut heard = [0; 3];
        open(&client, port).read_exact(&mut heard).unwrap();
        heard
    };
    assert_eq!((&hear(ports[0]), &hear(ports[1])), (b"one", b"two"));
    echoes(&mut open(&client, ports[2]), b"three");
    ends_well(client);
}

async fn sixty_four_programs_echo_at_once<R: Runtime + Net>(rt: R, by: Client) {
    let serving = serve(&rt).listen(LOCALHOST).await.unwrap();
    let (port, live) = counted_pod();
    let client = start(by, &serving, &[port]);
    let mut programs: Vec<_> = (0..64).map(|_| open(&client, port)).collect();
    std::thread::scope(|scope| {
        for (i, program) in programs.iter_mut().enumerate() {
            scope.spawn(move || {
                for round in 0..5 {
                    echoes(program, &vec![(i * 5 + round) as u8; 3_000]);
                }
            });
        }
    });
    assert_eq!(live.load(Ordering::SeqCst), 64);
    drop(programs);
    soon("no pod connection is left", || live.load(Ordering::SeqCst) == 0);
    ends_well(client);
}

async fn five_hundred_programs_leave_nothing_behind<R: Runtime + Net>(rt: R, by: Client) {
    const PROGRAMS: usize = 500;
    let (server, events) = observed(serve(&rt));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let (port, live) = counted_pod();
    let client = start(by, &serving, &[port]);
    for i in 0..PROGRAMS {
        echoes(&mut open(&client, port), format!("program {i}").as_bytes());
    }
    soon("no pod connection is left", || live.load(Ordering::SeqCst) == 0);
    if by.is_client_go() {
        assert_eq!(sessions(&events), (1, 0), "all in one session");
    } else {
        soon("no session is left", || serving.connections() == 0);
        assert_eq!(sessions(&events), (PROGRAMS, PROGRAMS), "a session each");
    }
    ends_well(client);
    soon("no session is left", || serving.connections() == 0);
}

async fn a_refused_port_is_told_word_for_word<R: Runtime + Net>(rt: R, by: Client) {
    let serving = serve(&rt).listen(LOCALHOST).await.unwrap();
    let ((refused, _taken), other) = (refused_port(), echo_pod());
    let mut client = start(by, &serving, &[refused, other]);
    let mut neighbour = open(&client, other);
    echoes(&mut neighbour, b"before");
    assert_eq!(open(&client, refused).read(&mut [0]).unwrap_or(0), 0);

    assert!(client.errors_within(1, PATIENCE), "{client:?}");
    let text = format!(
        "error forwarding port {refused} to pod demo, uid : failed to connect to localhost:{refused} \
         inside namespace: dial tcp4 127.0.0.1:{refused}: connect: connection refused"
    );
    assert_eq!(client.errors()[0], told(by, &client, refused, &text));
    is_over_if_client_go(by, &mut client);
    if !by.is_client_go() {
        echoes(&mut neighbour, b"after");
        ends(client.stop(), 1);
    }
    drop(neighbour);
    soon("no session is left", || serving.connections() == 0);
}

/// The text of the pod's side, as this client puts it.
fn told(by: Client, client: &GoClient, port: Port, text: &str) -> String {
    let local = client.addr(port.get()).port();
    if by.is_client_go() {
        format!("an error occurred forwarding {local} -> {port}: {text}")
    } else {
        text.to_owned()
    }
}

/// It was told so many errors and then ended well.
#[track_caller]
fn ends(end: GoClientEnd, errors: usize) {
    assert_eq!((end.end.as_deref(), end.errors.len()), (Some(""), errors), "{end:?}");
}

async fn a_pods_reset_is_told_and_what_came_before_it_arrives<R: Runtime + Net>(rt: R, by: Client) {
    let serving = serve(&rt).listen(LOCALHOST).await.unwrap();
    // It waits for a second byte, so that the reset cannot overtake what it said.
    let port = pod(|mut stream| {
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(b"partial").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let mut client = start(by, &serving, &[port]);
    let mut program = open(&client, port);
    let mut heard = [0; 7];
    program.write_all(b"?").unwrap();
    program.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"partial");
    program.write_all(b"!").unwrap();
    assert_eq!(program.read(&mut [0]).unwrap_or(0), 0);

    assert!(client.errors_within(1, PATIENCE), "{client:?}");
    let error = &client.errors()[0];
    let text = format!("error forwarding port {port} to pod demo, uid : writeto tcp4 127.0.0.1:");
    assert!(error.starts_with(&told(by, &client, port, &text)), "{error}");
    assert!(error.ends_with(": read: connection reset by peer"), "{error}");
    is_over_if_client_go(by, &mut client);
    soon("no session is left", || serving.connections() == 0);
}

async fn programs_that_break_off_leave_nothing_behind<R: Runtime + Net>(rt: R, by: Client) {
    let serving = serve(&rt).listen(LOCALHOST).await.unwrap();
    let (port, live) = counted_pod();
    let (over, is_over) = channel();
    let talker = pod(move |mut stream| {
        while stream.write_all(&[b'x'; 10_000]).is_ok() {}
        over.send(()).unwrap();
    });
    let client = start(by, &serving, &[port, talker]);
    // 20 is more than the workers of a SPDY session: a wedge would show.
    for port in [port, talker].repeat(20) {
        let mut program = open(&client, port);
        program.write_all(b"hello").unwrap();
        program.read_exact(&mut [0]).unwrap();
        socket2::SockRef::from(&program).set_linger(Some(Duration::ZERO)).unwrap();
    }
    soon("no pod connection is left", || live.load(Ordering::SeqCst) == 0);
    for _ in 0..20 {
        is_over.recv_timeout(PATIENCE).unwrap();
    }
    let mut programs: Vec<_> = (0..10).map(|_| open(&client, port)).collect();
    programs.iter_mut().for_each(|program| echoes(program, b"still here"));
    assert!(client.errors().iter().all(|error| error.contains("local connection")), "{client:?}");
}

/// The pod ends its sending first, and the program talks on: what wedges a worker of other servers
/// (protocol.md C.8).
async fn talking_on_behind_a_pods_end_costs_nobody_anything<R: Runtime + Net>(rt: R, by: Client) {
    let serving = serve(&rt).listen(LOCALHOST).await.unwrap();
    // It reads on: a pod that did not would reset the connection, and that ends client-go.
    let brief = pod(|mut stream| {
        stream.read_exact(&mut [0]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let (port, _) = counted_pod();
    let client = start(by, &serving, &[brief, port]);
    let talk_until_the_end = |mut program: TcpStream| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match program.write_all(&[b'x'; 1_000]) {
                Ok(()) => assert!(Instant::now() < deadline, "it is never told"),
                Err(error) => {
                    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                    break assert!(kinds.contains(&error.kind()), "{error}");
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..10 {
            let program = open(&client, brief);
            scope.spawn(move || talk_until_the_end(program));
        }
    });
    let mut programs: Vec<_> = (0..10).map(|_| open(&client, port)).collect();
    programs.iter_mut().for_each(|program| echoes(program, b"still here"));
}

async fn a_stop_frees_everything<R: Runtime + Net>(rt: R, by: Client) {
    gone(rt, by, |client| assert_eq!(client.stop().end.as_deref(), Some(""))).await;
}

async fn a_kill_frees_everything<R: Runtime + Net>(rt: R, by: Client) {
    gone(rt, by, |client| assert_eq!(client.kill().end, None)).await;
}

/// However the client goes, nothing of it stays.
async fn gone<R: Runtime + Net>(rt: R, by: Client, end: impl Fn(GoClient)) {
    let (server, events) = observed(serve(&rt));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let (port, live) = counted_pod();
    let client = start(by, &serving, &[port]);
    let mut programs: Vec<_> = (0..5).map(|_| open(&client, port)).collect();
    programs.iter_mut().for_each(|program| echoes(program, b"here"));
    let (opened, ended) = sessions(&events);
    assert_eq!((live.load(Ordering::SeqCst), ended), (5, 0));
    assert_eq!(opened, if by.is_client_go() { 1 } else { 5 });
    end(client);
    soon("no pod connection is left", || live.load(Ordering::SeqCst) == 0);
    soon("no session is left", || serving.connections() == 0);
    assert_eq!(sessions(&events), (0, opened));
    assert_eq!(serving.shutdown(Duration::ZERO).await.connections, 0);
}

async fn a_shutdown_is_noticed<R: Runtime + Net>(rt: R, by: Client) {
    let (server, events) = observed(serve(&rt));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let (port, live) = counted_pod();
    let mut client = start(by, &serving, &[port]);
    let mut program = open(&client, port);
    echoes(&mut program, b"here");
    let started = Instant::now();
    assert_eq!(serving.shutdown(Duration::from_millis(50)).await.connections, 1);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    soon("no pod connection is left", || live.load(Ordering::SeqCst) == 0);
    assert_eq!(program.read(&mut [0]).unwrap_or(0), 0);
    is_over_if_client_go(by, &mut client);
    if by.is_x_net() {
        // It knows no code of a Close.
        ends_well(client);
    } else if !by.is_client_go() {
        assert!(client.errors_within(1, PATIENCE), "{client:?}");
        let error = &client.errors()[0];
        assert!(error.starts_with("websocket: close 1001 (going away)"), "{error}");
    }
    let mut ended = events.try_iter().filter_map(|event| {
        if let ServerEvent::Ended { report, .. } = event { Some(report) } else { None }
    });
    assert_eq!(ended.next().unwrap().closed, CloseReason::Shutdown);
}

async fn our_keep_alives_are_answered<R: Runtime + Net>(rt: R, by: Client) {
    let interval = Duration::from_millis(250);
    let config = portway_driver::proto::Config::server()
        .with_keep_alive(Some(interval))
        .with_keep_alive_misses(3);
    let (server, events) = observed(serve(&rt).with_session(config));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let port = echo_pod();
    let client = start(by, &serving, &[port]);
    let mut program = open(&client, port);
    echoes(&mut program, b"before");
    // Were they not answered, the session would be over by now.
    rt.sleep_until(rt.now() + interval * 8).await;
    echoes(&mut program, b"after");
    assert_eq!(sessions(&events), (1, 0));
    ends_well(client);
}

async fn a_pod_that_does_not_exist_is_told_as_it_is<R: Runtime + Net>(rt: R, by: Client) {
    let nobody = LocalPods::new(rt.clone());
    let serving = welcoming(Server::new(rt.clone(), nobody)).listen(LOCALHOST).await.unwrap();
    let port = echo_pod();
    if by.is_client_go() {
        let end = GoClient::start(by, &url(&serving), &[port.get()]).unwrap_err();
        let said = end.end.clone().unwrap_or_default();
        assert!(said.starts_with("error upgrading connection: "), "{end:?}");
        assert!(said.contains("pods \"demo\" not found"), "{end:?}");
    } else {
        let client = start(by, &serving, &[port]);
        assert_eq!(open(&client, port).read(&mut [0]).unwrap_or(0), 0);
        assert!(client.errors_within(1, PATIENCE), "{client:?}");
        let error = &client.errors()[0];
        // What x/net says of it is all that it knows.
        let texts: &[&str] = if by.is_x_net() {
            &["bad status"]
        } else {
            &["404 Not Found", "\"demo\\\" not found"]
        };
        assert!(texts.iter().all(|text| error.contains(text)), "{error}");
    }
}

/// The API server in front of it.
fn front(serving: &Serving) -> Peer {
    Peer::start_with(PeerOptions::new().kubelet(serving.local_addr()))
}

async fn it_changes_nothing<R: Runtime + Net>(rt: R, by: Client) {
    let (server, events) = observed(serve(&rt).with_rules(RelayRules::FAITHFUL));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let api_server = front(&serving);
    let ((port, live), (refused, _taken)) = (counted_pod(), refused_port());
    let (source, sink) = (source_pod(), sink_pod());
    let ports = [port, source, sink, refused].map(Port::get);
    let mut client = GoClient::start(by, &api_server.server(), &ports).unwrap();

    let mut programs: Vec<_> = (0..16).map(|_| open(&client, port)).collect();
    programs.iter_mut().for_each(|program| echoes(program, &[b'x'; 10_000]));
    assert_eq!(live.load(Ordering::SeqCst), 16);
    let Ok(ServerEvent::Opened { form: spoken, .. }) = events.recv() else { panic!() };
    // It ends the tunnel, and speaks plain SPDY behind it.
    let expected = if by.is_client_go() { WireForm::Spdy } else { form(by) };
    assert_eq!(spoken, expected);
    downloads(&mut open(&client, source));
    uploads(&mut open(&client, sink));
    drop(programs);
    soon("no pod connection is left", || live.load(Ordering::SeqCst) == 0);

    assert_eq!(open(&client, refused).read(&mut [0]).unwrap_or(0), 0);
    assert!(client.errors_within(1, PATIENCE), "{client:?}");
    let text = format!(
        "error forwarding port {refused} to pod demo, uid : failed to connect to localhost:{refused} \
         inside namespace: dial tcp4 127.0.0.1:{refused}: connect: connection refused"
    );
    assert_eq!(client.errors(), [told(by, &client, refused, &text)]);
    is_over_if_client_go(by, &mut client);
    soon("no session is left", || serving.connections() == 0);
}

async fn it_passes_our_goodbye_on<R: Runtime + Net>(rt: R, by: Client) {
    let serving = serve(&rt).listen(LOCALHOST).await.unwrap();
    let api_server = front(&serving);
    let (port, live) = counted_pod();
    // In the tunnel it tells nobody who says nothing (docs/PROTOCOL.md).
    let ping = Duration::from_millis(200);
    let ports = [port.get()];
    let mut client = GoClient::start_pinging(by, &api_server.server(), &ports, ping).unwrap();
    let mut program = open(&client, port);
    echoes(&mut program, b"here");
    assert_eq!(serving.shutdown(Duration::from_millis(50)).await.connections, 1);
    soon("no pod connection is left", || live.load(Ordering::SeqCst) == 0);
    assert_eq!(program.read(&mut [0]).unwrap_or(0), 0);
    is_over_if_client_go(by, &mut client);
    if !by.is_client_go() {
        assert!(client.errors_within(1, PATIENCE), "{client:?}");
        let error = &client.errors()[0];
        assert!(error.starts_with("websocket: close 1001 (going away)"), "{error}");
    }
}

async fn an_origin_that_was_not_allowed_is_refused<R: Runtime + Net>(rt: R, by: Client) {
    let (server, events) = observed(server(&rt));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let port = echo_pod();
    let client = start(by, &serving, &[port]);
    assert_eq!(open(&client, port).read(&mut [0]).unwrap_or(0), 0);
    assert!(client.errors_within(1, PATIENCE), "{client:?}");
    assert!(client.errors()[0].contains("bad status"), "{client:?}");
    let Ok(ServerEvent::Refused { status, .. }) = events.recv() else { panic!() };
    assert_eq!(status.as_u16(), 403);
}

async fn an_idle_session_lives_by_its_pings<R: Runtime + Net>(rt: R, by: Client) {
    let idle = Duration::from_millis(1_500);
    let config = portway_driver::proto::Config::server().with_idle_timeout(Some(idle));
    let (server, events) = observed(serve(&rt).with_session(config));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let port = echo_pod();
    let ports = [port.get()];
    let client = GoClient::start_pinging(by, &url(&serving), &ports, idle / 6).unwrap();
    let mut program = open(&client, port);
    echoes(&mut program, b"before");
    // client-go sends no ping before the last one was answered, so the first that was not would be the
    // end of it within the idle time.
    rt.sleep_until(rt.now() + idle * 3).await;
    echoes(&mut program, b"after");
    echoes(&mut open(&client, port), b"and another");
    assert_eq!(sessions(&events), (1, 0));
    drop(program);
    ends_well(client);

    let silent = GoClient::start_pinging(by, &url(&serving), &ports, idle * 10);
    let end = silent.unwrap().end_within(PATIENCE).expect("without pings it is over");
    assert_eq!(end.end.as_deref(), Some("lost connection to pod"));
}

async fn the_tunnel_is_taken_where_there_is_one<R: Runtime + Net>(rt: R, by: Client) {
    spoken(serve(&rt), by, WireForm::Tunnel).await;
}

async fn plain_spdy_is_taken_where_there_is_no_tunnel<R: Runtime + Net>(rt: R, by: Client) {
    let old = [WireForm::V4, WireForm::V4Base64, WireForm::Spdy];
    let serving = serve(&rt).with_forms(&old).listen(LOCALHOST).await.unwrap();
    let end = GoClient::start(Client::Tunnel, &url(&serving), &[80]).unwrap_err();
    let said = end.end.clone().unwrap_or_default();
    assert!(said.starts_with("error upgrading connection: unable to upgrade streaming"), "{end:?}");
    spoken(serve(&rt).with_forms(&old), by, WireForm::Spdy).await;
}

async fn spoken<R: Runtime + Net>(server: Server<R, LocalPods<R>>, by: Client, expected: WireForm) {
    let (server, events) = observed(server);
    let serving = server.listen(LOCALHOST).await.unwrap();
    let port = echo_pod();
    let client = start(by, &serving, &[port]);
    echoes(&mut open(&client, port), b"hello");
    let opened = events.try_iter().find_map(|event| {
        if let ServerEvent::Opened { form, .. } = event { Some(form) } else { None }
    });
    assert_eq!(opened, Some(expected));
    ends_well(client);
}
