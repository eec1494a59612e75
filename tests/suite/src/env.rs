//! What a scenario is given.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_lite::future::zip;
use portway_driver::proto::{Capabilities, Config, HalfClose};
use portway_driver::{
    Elapsed, Forward, HttpConnector, Listener, Listening, Mapping, Net, Options, Port, PortForward,
    PortStream, Protocol, RelayRules, Runtime, WireForm, until,
};
use portway_server::{LocalPod, LocalPods, Server, Serving};

use crate::line::{End, Line, Ours};
use crate::matrix::{Case, Role};
use crate::pipe::Pipe;
use crate::raw::{RawStream, RawStreams};

/// A port of the pod.
pub const PORT: Port = Port::new(8080).expect("not zero");

/// Where everything listens.
pub const LOCALHOST: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0));

/// The runtime, the wire form and the role of one run of a scenario, and helpers to set the stage.
/// Everything that has a socket, a task or a clock has it from the runtime.
#[derive(Debug)]
pub struct Env<R> {
    runtime: R,
    case: Case,
    scale: Scale,
}

/// How much is much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) bulk: usize,
    pub(crate) connections: usize,
}

/// How the half that is tested behaves. What a scenario is not about happens at once.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs)]
pub struct Setup {
    /// The session.
    pub session: Config,
    /// A server's ends.
    pub rules: RelayRules,
    /// What the program says as it connects, before it is answered.
    pub first: &'static [u8],
}

impl<R: Runtime + Net> Env<R> {
    pub(crate) const fn new(runtime: R, case: Case, scale: Scale) -> Self {
        Self { runtime, case, scale }
    }

    /// The runtime.
    pub const fn runtime(&self) -> &R {
        &self.runtime
    }

    /// The name of the promise.
    pub const fn scenario(&self) -> &'static str {
        self.case.scenario.name
    }

    /// Whose promise it is.
    pub const fn role(&self) -> Role {
        self.case.role
    }

    /// The wire form.
    pub const fn form(&self) -> WireForm {
        self.case.form
    }

    /// What the wire form can do.
    pub const fn can(&self) -> Capabilities {
        self.case.form.capabilities()
    }

    /// More bytes than fit into the buffers on the way.
    pub fn bulk(&self) -> Vec<u8> {
        pattern(self.scale.bulk)
    }

    /// Many connections.
    pub const fn connections(&self) -> usize {
        self.scale.connections
    }

    /// The clock of the runtime.
    pub fn now(&self) -> Instant {
        self.runtime.now()
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        self.runtime.sleep_until(self.now() + time).await;
    }

    /// Runs `work` for no longer than `time`.
    ///
    /// # Errors
    /// It takes longer.
    pub async fn within<T>(
        &self,
        time: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        until(&self.runtime, self.now() + time, work).await
    }

    /// Nothing comes of `work` for that long.
    pub async fn nothing_for<T>(&self, time: Duration, work: impl Future<Output = T>) {
        assert!(self.within(time, work).await.is_err(), "something came within {time:?}");
    }

    /// Waits for something to become true of which nobody tells.
    pub async fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        for _ in 0..2_000 {
            if holds() {
                return;
            }
            self.pass(ms(5)).await;
        }
        panic!("never: {what}");
    }

    /// The defaults of that role, but that an end is passed on at once.
    pub const fn setup(&self) -> Setup {
        let session = match self.case.role {
            Role::Client => Config::client().with_half_close(HalfClose::Immediate),
            Role::Server => Config::server(),
        };
        Setup { session, rules: RelayRules::FAITHFUL, first: b"" }
    }

    /// The wire form, to be chosen by name.
    pub const fn protocol(&self) -> Protocol {
        match self.case.form {
            WireForm::V4 => Protocol::V4,
            WireForm::V4Base64 => Protocol::V4Base64,
            WireForm::Tunnel => Protocol::Tunnel,
            _ => Protocol::Spdy,
        }
    }

    /// Options of a listener that speaks the wire form and dials for who connects.
    pub fn options(&self) -> Options {
        let options = Options::new().with_protocol(self.protocol()).with_spare(false);
        options.with_session(self.setup().session)
    }

    /// A connection through our half, which behaves as usual.
    pub async fn line(&self) -> Line<R::Socket> {
        self.line_with(self.setup()).await
    }

    /// A connection through our half.
    pub async fn line_with(&self, setup: Setup) -> Line<R::Socket> {
        match self.case.role {
            Role::Client => {
                let options = self.options().with_session(setup.session);
                let mut site = self.site(options).await;
                let events = site.listening.events();
                let mut program = self.connect(site.listening.local_addr()).await;
                program.push(setup.first);
                program.flush().await.expect("the bytes are taken");
                let pod = self.serve(&mut site.server).await;
                let Site { listening, .. } = site;
                let (program, pod) = (End::Socket(program), End::Wire(pod));
                Line { program, pod, ours: Ours::Client(listening, events) }
            }
            Role::Server => {
                let mut pod = self.bind().await;
                let pods = LocalPod::closed().with_port(PORT, local_addr(&pod));
                let server = self.server(pods, &setup);
                let serving = server.listen(LOCALHOST).await.expect("a port");
                let pipe = self.connect(serving.local_addr()).await;
                let mut program = RawStream::connect(pipe, self.form(), PORT.get()).await;
                program.push_data(setup.first);
                program.pipe.flush().await.expect("the bytes are taken");
                let pod = self.accept(&mut pod).await;
                let (program, pod) = (End::Wire(program), End::Socket(pod));
                Line { program, pod, ours: Ours::Server(serving) }
            }
        }
    }

    /// A program by hand at our server, whose pod refuses every port.
    pub async fn refused(&self) -> (RawStream<R::Socket>, Serving) {
        let server = self.server(LocalPod::closed(), &self.setup());
        let serving = server.listen(LOCALHOST).await.expect("a port");
        let pipe = self.connect(serving.local_addr()).await;
        (RawStream::connect(pipe, self.form(), PORT.get()).await, serving)
    }

    /// Our listener in front of a server that is written by hand.
    pub async fn site(&self, options: Options) -> Site<R::Listener> {
        let server = self.bind().await;
        let connector = self.connector(local_addr(&server));
        let mapping = Mapping::new(0, PORT).on([LOCALHOST.ip()]);
        let listening = self.runtime.listen(connector, [mapping], options);
        Site { listening: listening.await.expect("a local port"), server }
    }

    /// A program connects, and its stream is opened on a session of its own.
    pub async fn open(&self, site: &mut Site<R::Listener>) -> Opened<R::Socket> {
        let program = End::Socket(self.connect(site.listening.local_addr()).await);
        Opened { program, pod: self.serve(&mut site.server).await }
    }

    /// Streams in process through our half, one to each port, on one session of a server by hand.
    pub async fn forward(&self, ports: &[Port], options: Options) -> Forwarded<R::Socket> {
        let mut server = self.bind().await;
        let connector = self.connector(local_addr(&server));
        let forward = self.runtime.forward(connector, ports, options);
        let serving =
            async { RawStreams::serve(self.accept(&mut server).await, self.form()).await };
        let (forward, session) = zip(forward, serving).await;
        let mut forward = forward.expect("a session");
        let open = |port| forward.open(port).expect("a stream");
        let streams = ports.iter().copied().map(open).collect();
        Forwarded { forward, streams, session }
    }

    /// A client by hand with a stream to each of several pods' ports, on one session of our server.
    pub async fn served(&self, ports: &[Port], setup: &Setup) -> Served<R> {
        let mut listeners = Vec::new();
        let mut all = LocalPod::closed();
        for port in ports {
            let listener = self.bind().await;
            all = all.with_port(*port, local_addr(&listener));
            listeners.push(listener);
        }
        let serving = self.server(all, setup).listen(LOCALHOST).await.expect("a port");
        let pipe = self.connect(serving.local_addr()).await;
        let numbers: Vec<u16> = ports.iter().map(|port| port.get()).collect();
        let session = RawStreams::connect(pipe, self.form(), &numbers).await;
        let mut pods = Vec::new();
        for listener in &mut listeners {
            pods.push(self.accept(listener).await);
        }
        Served { session, pods, serving }
    }

    /// Our listener in front of our server with one pod, which leads to that listener.
    pub async fn both(&self, pod: SocketAddr, options: Options) -> (Listening, Serving) {
        let pod = LocalPod::closed().with_port(PORT, pod);
        let setup = Setup { session: Config::server(), ..self.setup() };
        let serving = self.server(pod, &setup).listen(LOCALHOST).await.expect("a port");
        let connector = self.connector(serving.local_addr());
        let mapping = Mapping::new(0, PORT).on([LOCALHOST.ip()]);
        let listening = self.runtime.listen(connector, [mapping], options);
        (listening.await.expect("a local port"), serving)
    }

    /// A connector to the pod of the server at that address.
    pub fn connector(&self, server: SocketAddr) -> HttpConnector<R> {
        self.runtime.http(&format!("http://{server}"), "default", "demo").expect("a URL")
    }

    /// Our server with one pod.
    pub fn server(&self, pod: LocalPod, setup: &Setup) -> Server<R, LocalPods<R>> {
        let pods = LocalPods::new(self.runtime.clone()).with("default", "demo", pod);
        Server::new(self.runtime.clone(), pods)
            .with_session(setup.session.clone())
            .with_rules(setup.rules)
    }

    /// A connection.
    pub async fn connect(&self, to: SocketAddr) -> Pipe<R::Socket> {
        Pipe::new(self.runtime.connect(&to.into()).await.expect("somebody listens"))
    }

    /// A listener.
    pub async fn bind(&self) -> R::Listener {
        self.runtime.bind(LOCALHOST).await.expect("a port")
    }

    /// The next connection.
    pub async fn accept(&self, listener: &mut R::Listener) -> Pipe<R::Socket> {
        let accepted = std::future::poll_fn(|cx| listener.poll_accept(cx)).await;
        Pipe::new(accepted.expect("a connection").0)
    }

    /// The next connection, upgraded, with its first stream.
    pub async fn serve(&self, listener: &mut R::Listener) -> RawStream<R::Socket> {
        let pipe = self.accept(listener).await;
        RawStream::serve(pipe, self.form(), PORT.get()).await
    }
}

/// Our listener, and the server by hand that it dials.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct Site<L> {
    /// Ours.
    pub listening: Listening,
    /// Where it dials.
    pub server: L,
}

/// A program, and its stream at the server by hand.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct Opened<S> {
    /// The program.
    pub program: End<S>,
    /// The stream.
    pub pod: RawStream<S>,
}

/// Streams in process, and their session at the server by hand.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct Forwarded<S> {
    /// Ours.
    pub forward: Forward,
    /// A stream for each port.
    pub streams: Vec<PortStream>,
    /// Their session.
    pub session: RawStreams<S>,
}

/// The streams of a client by hand, and their pods.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct Served<R: Net> {
    /// The client.
    pub session: RawStreams<R::Socket>,
    /// The pod of each stream.
    pub pods: Vec<Pipe<R::Socket>>,
    /// Ours.
    pub serving: Serving,
}

/// The address that is listened on.
pub fn local_addr<L: Listener>(listener: &L) -> SocketAddr {
    listener.local_addr().expect("an address")
}

/// Bytes of which no two stretches are alike.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// Milliseconds.
pub const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
