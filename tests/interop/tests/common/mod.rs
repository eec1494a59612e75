//! portway's `listen()` on each runtime, with the peer behind it.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use portway_interop::{Peer, Target};
use portway_runtimes::TestRuntime;
use portway_tokio::{
    Bound, Connector, Events, HttpConnector, ListenEvent, Listening, Mapping, Options, Port,
    PortForward, Protocol, Runtime, until,
};

/// The forms of the wire that are tested, one after the other.
pub(crate) const FORMS: &[Protocol] =
    &[Protocol::V4, Protocol::V4Base64, Protocol::Tunnel, Protocol::Spdy];

/// Local ports into one pod of a peer.
pub(crate) struct Opened<T: TestRuntime> {
    pub(crate) runtime: T,
    pub(crate) listening: Listening,
    pub(crate) events: Events,
    locals: BTreeMap<u16, SocketAddr>,
}

impl<T: TestRuntime> Opened<T> {
    pub(crate) fn new(peer: &Peer, pod: &str, ports: &[u16], form: Protocol) -> Self {
        let options = Options::new().with_protocol(form);
        Self::with(peer, pod, ports, options, |connector| connector)
    }

    pub(crate) fn with(
        peer: &Peer,
        pod: &str,
        ports: &[u16],
        options: Options,
        adjust: impl FnOnce(HttpConnector<T::Runtime>) -> HttpConnector<T::Runtime>,
    ) -> Self {
        let runtime = T::start();
        let connector = adjust(runtime.handle().http(&peer.server(), "default", pod).unwrap());
        Self::through(runtime, connector, ports, options)
    }

    pub(crate) fn through(
        runtime: T,
        connector: impl Connector,
        ports: &[u16],
        options: Options,
    ) -> Self {
        let mappings: Vec<Mapping> =
            ports.iter().map(|port| Mapping::new(0, Port::new(*port).unwrap())).collect();
        let listening =
            runtime.block_on(runtime.handle().listen(connector, mappings, options)).unwrap();
        let events = listening.events();
        let locals = listening.bound().iter().rev();
        let local = |bound: &Bound| Some((bound.remote.get(), bound.local.socket_addr()?));
        let locals = locals.filter_map(local).collect();
        Self { runtime, listening, events, locals }
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
        let (rt, events) = (self.runtime.handle(), &mut self.events);
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
        let ended = self.runtime.block_on(until(&rt, patience, next));
        ended.unwrap_or_else(|_| panic!("no connection has ended"))
    }
}
