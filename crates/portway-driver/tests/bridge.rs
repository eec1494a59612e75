//! A bridge over a transport in memory: whom a wake-up looks at, and what is left of a stream.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use portway_driver::proto::{Config, Incoming, Kind, Port, Session, StreamId, Transmit, WireForm};
use portway_driver::{
    Bridge, ReadBuf, RelayRules, Runtime, Sleep, Socket, Transport, TransportError,
};

#[test]
fn a_wake_up_looks_only_at_who_has_something_to_do() {
    for others in [1, 128, 1024] {
        let mut site = Site::new(others);
        for _ in 0..10 {
            site.echo();
        }
        assert_eq!(site.polls_of_others(), 0, "of {others} sockets on which nothing happened");
    }
}

#[test]
fn a_client_that_leaves_before_the_pod_is_reached_leaves_nothing_behind() {
    let (now, port) = (Instant::now(), Port::new(80).unwrap());
    let config = Arc::new(Config::server().with_max_streams(1));
    let server = Session::server(config, WireForm::Tunnel, &[port], now).unwrap();
    let client =
        Session::client(Arc::new(Config::client()), WireForm::Tunnel, &[port], now).unwrap();
    let client = Arc::new(Mutex::new(Peer { session: client, reader: None }));
    let line = Line { peer: Arc::clone(&client), stuck: false, now };
    let bridge = Bridge::new(Still::new(now), server, line, RelayRules::FAITHFUL);
    let mut bridge = Box::pin(bridge.with_pods(|_| Box::pin(std::future::pending())));
    let task = Arc::new(Task::default());
    task.woken.store(1, Ordering::SeqCst);
    for attempt in 0..3 {
        let id = client.lock().unwrap().session.open(port, now).unwrap();
        for leave in [false, true] {
            let mut client = client.lock().unwrap();
            if leave {
                assert_eq!(client.session.failure(id), None, "attempt {attempt}");
                client.session.release(id, now);
            }
            client.reader.take().into_iter().for_each(Waker::wake);
            drop(client);
            settle(&mut bridge, &task);
        }
    }
}

#[test]
fn a_socket_whose_time_is_up_does_not_keep_the_task_awake_until_its_stream_is_done() {
    let (now, port) = (Instant::now(), Port::new(80).unwrap());
    let session = |config| Session::client(Arc::new(config), WireForm::Tunnel, &[port], now);
    let mut client = session(Config::client().with_keep_alive(None)).unwrap();
    let id = client.open(port, now).unwrap();
    let peer = Peer { session: session(Config::client()).unwrap(), reader: None };
    let line = Line { peer: Arc::new(Mutex::new(peer)), stuck: true, now };
    let clock = Still::new(now);
    let rules = RelayRules::RUNTIME;
    let inbox = [Bytes::from_static(b"nobody takes it")].into();
    let wire = Wire { inbox, ended: true, ..Wire::default() };
    let bridge = Bridge::new(clock.clone(), client, line, rules);
    let mut bridge = Box::pin(bridge.with_socket(id, Plug(Arc::new(Mutex::new(wire)))));
    let task = Arc::new(Task::default());
    for second in 0..5 {
        *clock.0.lock().unwrap() = now + Duration::from_secs(second);
        let waker = Waker::from(Arc::clone(&task));
        assert!(bridge.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(task.woken.load(Ordering::SeqCst), 0, "after {second} s");
    }
}

/// What `docs/PERFORMANCE.md` says of it. Instructions:
/// `valgrind --tool=callgrind --toggle-collect='*Site*echo*' TEST --ignored --exact cost`.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, reason = "what it is for")]
fn cost() {
    const ECHOES: u32 = 200;
    let given = std::env::var("OTHERS").ok().map(|others| vec![others.parse().unwrap()]);
    for others in given.unwrap_or_else(|| vec![1, 16, 128, 1024]) {
        let mut site = Site::new(others);
        site.echo();
        let (before, begun) = (site.polls_of_others(), Instant::now());
        for _ in 0..ECHOES {
            site.echo();
        }
        let took = begun.elapsed() / ECHOES;
        let polls = (site.polls_of_others() - before) as f64 / f64::from(ECHOES);
        println!("{others:5} others: {took:?} and {polls} polls of their sockets per echo");
    }
}

/// A session in a tunnel with one connection that is used and many others: every second of those has
/// ended its sending and waits for the pod.
struct Site {
    bridge: Tested,
    task: Arc<Task>,
    server: Arc<Mutex<Peer>>,
    busy: Arc<Mutex<Wire>>,
    at_server: StreamId,
    others: Vec<Arc<Mutex<Wire>>>,
    now: Instant,
}

impl Site {
    fn new(others: usize) -> Self {
        let now = Instant::now();
        let port = Port::new(80).unwrap();
        let config = Config::client().with_max_streams(2000);
        let mut client = Session::client(Arc::new(config), WireForm::Tunnel, &[port], now).unwrap();
        let config = Config::server().with_max_streams(2000);
        let server = Session::server(Arc::new(config), WireForm::Tunnel, &[port], now).unwrap();
        let server = Arc::new(Mutex::new(Peer { session: server, reader: None }));
        let ids: Vec<_> = (0..=others).map(|_| client.open(port, now).unwrap()).collect();
        let line = Line { peer: Arc::clone(&server), stuck: false, now };
        let mut bridge = Bridge::new(Still::new(now), client, line, RelayRules::FAITHFUL);
        let mut wires = Vec::new();
        for (index, id) in ids.into_iter().enumerate() {
            let wire = Arc::new(Mutex::new(Wire { ended: index % 2 == 1, ..Wire::default() }));
            wires.push(Arc::clone(&wire));
            bridge = bridge.with_socket(id, Plug(wire));
        }
        let busy = wires.remove(0);
        let task = Arc::new(Task::default());
        task.woken.store(1, Ordering::SeqCst);
        let mut bridge = Box::pin(bridge);
        settle(&mut bridge, &task);
        let at_server = server.lock().unwrap().session.accept().unwrap();
        let mut site = Self { bridge, task, server, busy, at_server, others: wires, now };
        site.echo();
        for wire in &site.others {
            wire.lock().unwrap().polls = 0;
        }
        site
    }

    /// The pod says something, and the program answers.
    #[inline(never)]
    fn echo(&mut self) {
        let said = Bytes::from_static(&[b'x'; 64]);
        let mut server = self.server.lock().unwrap();
        server.session.send(self.at_server).unwrap().write(said.clone()).unwrap();
        let reader = server.reader.take();
        drop(server);
        reader.unwrap().wake();
        settle(&mut self.bridge, &self.task);
        let mut busy = self.busy.lock().unwrap();
        assert_eq!(std::mem::take(&mut busy.outbox), said);
        busy.inbox.push_back(said.clone());
        let reader = busy.reader.take();
        drop(busy);
        reader.unwrap().wake();
        settle(&mut self.bridge, &self.task);
        let mut server = self.server.lock().unwrap();
        let mut half = server.session.recv(self.at_server).unwrap();
        assert_eq!(half.read(), Ok(Some(said)));
        half.consumed(64, self.now);
        while server.session.poll_event().is_some() {}
    }

    fn polls_of_others(&self) -> usize {
        self.others.iter().map(|wire| wire.lock().unwrap().polls).sum()
    }
}

type Tested = Pin<Box<Bridge<Still, Line, Plug>>>;

/// Polls the bridge for as long as it was woken.
fn settle(bridge: &mut Tested, task: &Arc<Task>) {
    let waker = Waker::from(Arc::clone(task));
    let mut cx = Context::from_waker(&waker);
    while task.woken.swap(0, Ordering::SeqCst) > 0 {
        assert!(bridge.as_mut().poll(&mut cx).is_pending(), "the session is over");
    }
}

#[derive(Default)]
struct Task {
    woken: AtomicUsize,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
    }
}

/// The other end of the transport.
struct Peer {
    session: Session,
    reader: Option<Waker>,
}

/// A transport that is the peer's session itself.
struct Line {
    peer: Arc<Mutex<Peer>>,
    /// It takes nothing.
    stuck: bool,
    now: Instant,
}

impl Transport for Line {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Incoming>, TransportError>> {
        let mut peer = self.peer.lock().unwrap();
        let Some(transmit) = peer.session.poll_transmit(self.now) else {
            peer.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let bytes = [transmit.head(), transmit.body()].concat().into();
        Poll::Ready(Ok(Some(Incoming::Binary { bytes, end: true })))
    }

    fn has_room(&self) -> bool {
        !self.stuck
    }

    fn send(&mut self, transmit: Transmit) {
        assert_eq!(transmit.kind(), Kind::Binary);
        let bytes = [transmit.head(), transmit.body()].concat().into();
        let incoming = Incoming::Binary { bytes, end: true };
        let mut peer = self.peer.lock().unwrap();
        peer.session.handle_incoming(incoming, self.now);
        // What it has to answer.
        if let Some(reader) = peer.reader.take() {
            reader.wake();
        }
    }

    fn unsent(&self) -> usize {
        0
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stuck { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self) {}
}

/// A socket, and what is at its other end.
struct Plug(Arc<Mutex<Wire>>);

#[derive(Default)]
struct Wire {
    inbox: VecDeque<Bytes>,
    ended: bool,
    outbox: Vec<u8>,
    reader: Option<Waker>,
    polls: usize,
}

impl Socket for Plug {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock().unwrap();
        wire.polls += 1;
        if let Some(bytes) = wire.inbox.pop_front() {
            let read = |space: &mut [u8]| {
                space[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            };
            return Poll::Ready(buf.fill(read));
        }
        if wire.ended {
            return Poll::Ready(Ok(0));
        }
        wire.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_write_vectored(
        &mut self,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock().unwrap();
        wire.polls += 1;
        bufs.iter().for_each(|buf| wire.outbox.extend_from_slice(buf));
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self) {}
}

/// A runtime on which time passes when the test says so, and nobody is woken for it.
#[derive(Clone)]
struct Still(Arc<Mutex<Instant>>);

struct Until {
    clock: Still,
    at: Instant,
}

impl Still {
    fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }
}

impl Runtime for Still {
    type Sleep = Until;

    fn now(&self) -> Instant {
        *self.0.lock().unwrap()
    }

    fn sleep_until(&self, at: Instant) -> Until {
        Until { clock: self.clone(), at }
    }

    fn spawn(&self, _: impl Future<Output = ()> + Send + 'static) {}
}

impl Sleep for Until {
    fn reset(&mut self, at: Instant) {
        self.at = at;
    }
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.at <= self.clock.now() { Poll::Ready(()) } else { Poll::Pending }
    }
}
