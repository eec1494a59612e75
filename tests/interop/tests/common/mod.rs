//! portway's `listen()` on each runtime, with the peer behind it.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use portway_async_std::AsyncStd;
use portway_interop::{Peer, Target};
use portway_smol::Smol;
use portway_tokio::{
    Events, HttpConnector, ListenEvent, Listening, Mapping, Net, Options, Port, PortForward,
    Protocol, Runtime, Tokio, until,
};

/// The forms of the wire that are tested, one after the other.
pub(crate) const FORMS: &[Protocol] =
    &[Protocol::V4, Protocol::V4Base64, Protocol::Tunnel, Protocol::Spdy];

/// A runtime and how to wait on it from a test.
pub(crate) trait Home: Send + 'static {
    type Rt: Runtime + Net;
    fn new() -> Self;
    fn rt(&self) -> Self::Rt;
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T;
}

pub(crate) struct OnTokio(tokio::runtime::Runtime);

impl Home for OnTokio {
    type Rt = Tokio;

    fn new() -> Self {
        Self(tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap())
    }

    fn rt(&self) -> Tokio {
        Tokio::new(self.0.handle().clone())
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}

pub(crate) struct OnSmol;

impl Home for OnSmol {
    type Rt = Smol;

    fn new() -> Self {
        Self
    }

    fn rt(&self) -> Smol {
        Smol::global()
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        smol::block_on(future)
    }
}

pub(crate) struct OnAsyncStd;

impl Home for OnAsyncStd {
    type Rt = AsyncStd;

    fn new() -> Self {
        Self
    }

    fn rt(&self) -> AsyncStd {
        AsyncStd::global()
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        async_std::task::block_on(future)
    }
}

/// Local ports into one pod of a peer.
pub(crate) struct Opened<H: Home> {
    pub(crate) home: H,
    pub(crate) listening: Listening,
    pub(crate) events: Events,
    locals: BTreeMap<u16, SocketAddr>,
}

impl<H: Home> Opened<H> {
    pub(crate) fn new(peer: &Peer, pod: &str, ports: &[u16], form: Protocol) -> Self {
        let options = Options::new().with_protocol(form);
        Self::with(peer, pod, ports, options, |connector| connector)
    }

    pub(crate) fn with(
        peer: &Peer,
        pod: &str,
        ports: &[u16],
        options: Options,
        adjust: impl FnOnce(HttpConnector<H::Rt>) -> HttpConnector<H::Rt>,
    ) -> Self {
        let home = H::new();
        let connector = adjust(home.rt().http(&peer.server(), "default", pod).unwrap());
        let mappings: Vec<Mapping> =
            ports.iter().map(|port| Mapping::new(0, Port::new(*port).unwrap())).collect();
        let listening = home.block_on(home.rt().listen(connector, mappings, options)).unwrap();
        let events = listening.events();
        let locals = listening.bound().iter().rev();
        let locals = locals.map(|bound| (bound.remote.get(), bound.local)).collect();
        Self { home, listening, events, locals }
    }

    pub(crate) fn addr(&self, port: u16) -> SocketAddr {
        self.locals[&port]
    }

    pub(crate) fn target(&self) -> Target {
        let locals = self.locals.clone();
        Target::new(move |port| locals[&port])
    }

    /// Connects, sends a line, and reads to the end: what came, and whether the end was a reset.
    pub(crate) fn exchange(&self, port: u16) -> (Vec<u8>, bool) {
        let mut stream = match TcpStream::connect(self.addr(port)) {
            // Accepted, and reset before we came to look.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return (Vec::new(), true),
            connected => connected.unwrap(),
        };
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The other side may be gone before it is written. A reset is told once, to whoever asks first.
        if let Err(error) = stream.write_all(b"hello\n")
            && error.kind() == ErrorKind::ConnectionReset
        {
            return (Vec::new(), true);
        }
        let mut got = Vec::new();
        match stream.read_to_end(&mut got) {
            Ok(_) => (got, false),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => (got, true),
            Err(error) => panic!("port {port}: neither an end nor a reset: {error}"),
        }
    }

    /// How the next connection ended: `Ok` or the words of its error.
    pub(crate) fn next_end(&mut self) -> Result<(), String> {
        let (rt, events) = (self.home.rt(), &mut self.events);
        let patience = rt.now() + Duration::from_secs(20);
        let next = async {
            while let Some(event) = events.next().await {
                if let ListenEvent::Failed { error, .. } = event {
                    return Err(error.to_string());
                }
                if let ListenEvent::Ended { report, .. } = event {
                    return report.failure.map_or(Ok(()), |failure| Err(failure.to_string()));
                }
            }
            panic!("the listener is gone");
        };
        let ended = self.home.block_on(until(&rt, patience, next));
        ended.unwrap_or_else(|_| panic!("no connection has ended"))
    }
}
