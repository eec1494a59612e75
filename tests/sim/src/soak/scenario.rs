use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portway_driver::{
    Lifecycle, ListenEvent, Listening, Mapping, Net, Port, PortForward, RelayFailure,
};
use portway_server::{Limits, LocalPod, LocalPods, Server, ServerEvent, Serving};

use super::fates::{self, Outage};
use super::ledger::{Ledger, ProgramSide};
use super::pattern::Header;
use super::pod::{self, Manner};
use super::program::{Ending, InProcess, Pace, Program};
use super::setup::{Finale, Setup};
use super::tally::Tally;
use super::verdict::{Evidence, judge};
use super::voice;
use crate::{Builder, Rng, Running, Sim};

/// What one seed came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// What happened, how often.
    pub tally: Tally,
    /// All that happened, and when, as one number.
    pub trace: u64,
    /// How much time passed in it.
    pub elapsed: Duration,
}

/// One seed.
///
/// # Panics
/// Something that has to be true was not.
pub fn run(seed: u64) -> Run {
    let mut rng = Rng::new(seed);
    let setup = Setup::draw(&mut rng);
    let builder = Builder::new(seed).with_poll_cost(setup.poll_cost).with_max_polls(200_000);
    let (mut run, said) = voice::heard(|| {
        builder.strict().run(async move |sim| {
            let tally = Scenario::new(sim.clone(), setup, rng).play().await;
            sim.settled().await;
            Run { tally, trace: sim.trace(), elapsed: sim.elapsed() }
        })
    });
    run.tally.merge(&said);
    run
}

struct Scenario {
    sim: Sim,
    setup: Setup,
    rng: Rng,
    ledger: Ledger,
    tally: Arc<Mutex<Tally>>,
    outage: Option<Outage>,
}

/// How the connections of the listeners went: by the address of the program.
type Ends = Arc<Mutex<BTreeMap<SocketAddr, ListenerEnd>>>;

/// What a listener said of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct ListenerEnd {
    /// No session came about.
    pub(super) failed: Option<String>,
    pub(super) failure: Option<RelayFailure>,
    pub(super) retried: bool,
}

const LOCALHOST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Scenario {
    fn new(sim: Sim, setup: Setup, rng: Rng) -> Self {
        Self { sim, setup, rng, ledger: Ledger::default(), tally: Arc::default(), outage: None }
    }

    async fn play(mut self) -> Tally {
        let life = Arc::new(Lifecycle::new(self.sim.clone()));
        self.sim.set_default_link(self.setup.local.clone());
        for manner in Manner::ALL {
            self.sim.set_link(manner.addr(), self.setup.pod.clone());
        }
        pod::start(&self.sim, &life, &self.ledger).await;
        let serving = self.serve().await;
        let server = serving.local_addr();
        self.sim.set_link(server, self.setup.hop.clone());
        let listening = self.listen(server).await;
        let doors: Vec<_> =
            listening.bound().iter().filter_map(|bound| bound.local.socket_addr()).collect();
        self.ledger.lock().server = Some(server);
        let troubles = if self.setup.faulty { self.trouble(server, &doors) } else { Vec::new() };
        let ends = Ends::default();
        let watching = self.watch(&listening, &ends);
        let mut programs = self.programs(&listening);
        programs.extend(self.streams(server));
        let (serving, cut_off) = self.finale(listening, serving, programs).await;
        watching.await;
        all(troubles).await;
        serving.shutdown(Duration::from_secs(1)).await;
        life.shutdown(Duration::from_secs(600)).await;
        self.judge(server, &doors, &ends, cut_off)
    }

    /// Plans what goes wrong.
    fn trouble(&mut self, server: SocketAddr, doors: &[SocketAddr]) -> Vec<Running<()>> {
        let rng = &mut self.rng;
        fates::plan(&self.sim, server, doors, rng);
        self.outage = Outage::draw(server, &self.setup, rng);
        let outage = self.outage.clone().map(|outage| outage.happen(self.sim.clone()));
        // As often the server as any of the listeners.
        let mut all = doors.to_vec();
        all.extend(doors.iter().map(|_| server));
        let exhausted = fates::exhaust(self.sim.clone(), all, rng.fork());
        let mut troubles = vec![self.sim.start("exhaustion", exhausted)];
        troubles.extend(outage.map(|outage| self.sim.start("outage", outage)));
        troubles
    }

    async fn serve(&self) -> Serving {
        let pod = Manner::ALL
            .into_iter()
            .fold(LocalPod::closed(), |pod, manner| pod.with_port(port(manner), manner.addr()));
        let pods = LocalPods::new(self.sim.clone()).with("default", "demo", pod);
        let (sim, tally) = (self.sim.clone(), Arc::clone(&self.tally));
        let observe = move |event: ServerEvent| {
            let what = match event {
                ServerEvent::Refused { status, .. } => format!("server: refused with {status}"),
                ServerEvent::Opened { form, .. } => format!("server: session over {form}"),
                ServerEvent::Disconnected { report, .. } if report.failure.is_some() => {
                    "server: pod connection broken".to_owned()
                }
                ServerEvent::AcceptFailed { .. } => "server: accept failed".to_owned(),
                _ => return,
            };
            sim.note(&what);
            lock(&tally).count(what);
        };
        let limits = Limits::new().with_sessions(self.setup.server_sessions);
        let server = Server::new(self.sim.clone(), pods)
            .with_forms(self.setup.forms)
            .with_rules(self.setup.rules())
            .with_session(self.setup.server_session())
            .with_limits(limits)
            .with_observer(observe);
        server.listen(LOCALHOST).await.expect("a port is free")
    }

    async fn listen(&mut self, server: SocketAddr) -> Listening {
        let connector = self.connector(server);
        let mappings = Manner::ALL.map(|manner| Mapping::new(0, port(manner)));
        self.sim.listen(connector, mappings, self.setup.options()).await.expect("ports are free")
    }

    fn connector(&self, server: SocketAddr) -> portway_driver::HttpConnector<Sim> {
        let connector = self.sim.http(&format!("http://{server}"), "default", "demo");
        connector.expect("the address is one")
    }

    /// Writes down what the listener says.
    fn watch(&self, listening: &Listening, ends: &Ends) -> Running<()> {
        let (sim, tally, ends) = (self.sim.clone(), Arc::clone(&self.tally), Arc::clone(ends));
        let mut events = listening.events();
        self.sim.start("watcher", async move {
            let mut from: BTreeMap<u64, SocketAddr> = BTreeMap::new();
            while let Some(event) = events.next().await {
                let (what, connection, end) = describe(event, &mut from);
                sim.note(&what);
                lock(&tally).count(what);
                if let Some(from) = connection.and_then(|number| from.get(&number)) {
                    let mut ends = lock(&ends);
                    let known = ends.entry(*from).or_default();
                    known.retried |= end.retried;
                    known.failed = known.failed.take().or(end.failed);
                    known.failure = known.failure.take().or(end.failure);
                }
            }
        })
    }

    /// Programs that connect to the listener, at once or one after the other.
    fn programs(&mut self, listening: &Listening) -> Vec<Running<()>> {
        let doors = listening.bound().to_vec();
        let burst = self.rng.one_in(2);
        let mut programs = Vec::new();
        for number in 1..=self.setup.programs as u64 {
            let manner = self.rng.pick(&Manner::ALL);
            let to = doors.iter().filter(|bound| bound.remote == port(manner));
            let to: Vec<_> = to.filter_map(|bound| bound.local.socket_addr()).collect();
            let to = self.rng.pick(&to);
            let start = if burst { Duration::from_millis(100) } else { Duration::from_secs(8) };
            let start = self.rng.time(Duration::ZERO..=start);
            let program = self.program(number, manner);
            let (sim, ledger) = (self.sim.clone(), self.ledger.clone());
            programs.push(self.sim.start(format!("program {number} {manner:?}"), async move {
                sim.sleep(start).await;
                // After a shutdown there is nobody.
                let Ok(socket) = sim.connect(&to.into()).await else { return };
                let local = portway_driver::Socket::addresses(&socket).map(|(local, _)| local);
                let mut program = program;
                program.side.started = sim.elapsed();
                program.side.local = local.map(|local| (socket.connection(), local));
                program.run(sim, ledger, socket).await;
            }));
        }
        programs
    }

    /// Streams in this process.
    fn streams(&mut self, server: SocketAddr) -> Option<Running<()>> {
        if self.setup.streams == 0 {
            return None;
        }
        let mut wanted = Vec::new();
        for number in 0..self.setup.streams as u64 {
            let manner = self.rng.pick(&Manner::ALL);
            if wanted.iter().all(|(known, _): &(Manner, Program)| *known != manner) {
                wanted.push((manner, self.program(1_000 + number, manner)));
            }
        }
        let (sim, ledger, tally) = (self.sim.clone(), self.ledger.clone(), Arc::clone(&self.tally));
        let (connector, options) = (self.connector(server), self.setup.options());
        Some(self.sim.start("streams", async move {
            let ports: Vec<_> = wanted.iter().map(|(manner, _)| port(*manner)).collect();
            let mut forward = match sim.forward(connector, &ports, options).await {
                Ok(forward) => forward,
                Err(error) => {
                    let what = "forward: failed";
                    sim.note(what);
                    lock(&tally).count(what);
                    return sim.note(&error.to_string());
                }
            };
            let mut running = Vec::new();
            for (manner, mut program) in wanted {
                let Ok(stream) = forward.open(port(manner)) else { continue };
                program.side.started = sim.elapsed();
                let name = format!("stream {manner:?}");
                let run = program.run(sim.clone(), ledger.clone(), InProcess(stream));
                running.push(sim.start(name, run));
            }
            all(running).await;
            forward.shutdown().await;
            lock(&tally).count("forward: done");
        }))
    }

    fn program(&mut self, number: u64, manner: Manner) -> Program {
        let rng = &mut self.rng;
        let mut size = || {
            let most = rng.pick(&[100, 3_000, 30_000, 30_000, 120_000]);
            rng.within(Header::LEN..=most) as u64
        };
        let header = Header { program: number, upload: size(), answer: size() };
        let length = manner.length(header);
        let below = |rng: &mut Rng, end: u64| rng.below(usize::try_from(end).unwrap_or(0)) as u64;
        let stuck = number < 1_000 && rng.one_in(16);
        let ending = match rng.below(10) {
            0 => Ending::Abort(below(rng, header.upload)),
            1 => Ending::Close(below(rng, length)),
            2 => Ending::Vanish(rng.time(Duration::ZERO..=Duration::from_secs(3))),
            3..=6 => Ending::Finish,
            _ => Ending::Wait,
        };
        if stuck {
            return Self::stuck(number, manner);
        }
        let pace = Pace {
            deaf: if rng.one_in(6) { Duration::from_secs(2) } else { Duration::ZERO },
            pause: rng.pick(&[Duration::ZERO, Duration::from_millis(5), Duration::from_millis(80)]),
            piece: rng.pick(&[500, 10_000, 70_000]),
        };
        Program { side: ProgramSide::new(header, manner, ending), pace }
    }

    /// A program that is given, or gives to a deaf pod, far more than anybody may hold, and is gone once it
    /// was looked at.
    fn stuck(number: u64, manner: Manner) -> Program {
        const MUCH: u64 = 2_000_000;
        const LITTLE: u64 = 3_000;
        let upload = if manner == Manner::Deaf { MUCH } else { LITTLE };
        let answer = if manner == Manner::Deaf { LITTLE } else { MUCH };
        let side = ProgramSide::new(
            Header { program: number, upload, answer },
            manner,
            Ending::Vanish(Duration::from_secs(4)),
        );
        let pace = Pace { deaf: Duration::from_secs(3), pause: Duration::ZERO, piece: 70_000 };
        Program { side, pace }
    }

    /// The end of it all, and when who was still there was cut off.
    async fn finale(
        &mut self,
        listening: Listening,
        serving: Serving,
        programs: Vec<Running<()>>,
    ) -> (Serving, Option<Duration>) {
        const LATE: Duration = Duration::from_secs(20);
        let moment = self.rng.time(Duration::ZERO..=Duration::from_secs(5));
        if self.setup.finale == Finale::AllDone {
            all(programs).await;
            self.shut_down(listening, LATE).await;
            return (serving, None);
        }
        self.sim.sleep(moment).await;
        let cut_off = Some(self.sim.elapsed());
        let mut serving = serving;
        match self.setup.finale {
            Finale::ShutDown(deadline) => self.shut_down(listening, deadline).await,
            Finale::ServerFirst => {
                self.ledger.lock().server = None;
                serving.shutdown(Duration::from_millis(300)).await;
                self.sim.sleep(Duration::from_secs(5)).await;
                serving = self.serve().await;
                self.shut_down(listening, LATE).await;
            }
            Finale::Dropped | Finale::AllDone => {
                drop(listening);
                self.sim.sleep(Duration::from_secs(5)).await;
                self.drained(serving.local_addr()).await;
            }
        }
        all(programs).await;
        (serving, cut_off)
    }

    /// A dropped listener is not waited for, and its sessions write what they were given for as long as it
    /// moves.
    async fn drained(&self, server: SocketAddr) {
        const SECOND: Duration = Duration::from_secs(1);
        for _ in 0..60 {
            if self.sim.connections(server).is_empty() {
                return;
            }
            self.sim.sleep(SECOND).await;
        }
    }

    async fn shut_down(&self, listening: Listening, deadline: Duration) {
        self.note_stats(&listening);
        let left = listening.shutdown(deadline).await;
        if left.connections > 0 {
            self.count("listener: cut off by its shutdown");
        }
    }

    fn note_stats(&self, listening: &Listening) {
        let stats = listening.stats();
        self.sim.note(&format!("{stats:?}"));
        let mut tally = lock(&self.tally);
        tally.add("listener: sessions dialled", stats.dialled);
        tally.add("listener: connections on a session that was there", stats.reused);
    }

    fn count(&self, what: &str) {
        self.sim.note(what);
        lock(&self.tally).count(what);
    }

    fn judge(
        &self,
        server: SocketAddr,
        doors: &[SocketAddr],
        ends: &Ends,
        cut_off: Option<Duration>,
    ) -> Tally {
        let mut tally = lock(&self.tally).clone();
        let entries = self.ledger.lock();
        let faults = self.sim.faults();
        let ends = lock(ends).clone();
        let evidence = Evidence {
            setup: &self.setup,
            entries: &entries,
            faults: &faults,
            outage: self.outage.as_ref(),
            server,
            doors,
            ends: &ends,
            cut_off,
        };
        judge(&evidence, &mut tally);
        tally
    }
}

async fn all(running: Vec<Running<()>>) {
    for running in running {
        running.await;
    }
}

/// What happened, to which connection, and what is to be kept of it.
fn describe(
    event: ListenEvent,
    from: &mut BTreeMap<u64, SocketAddr>,
) -> (String, Option<u64>, ListenerEnd) {
    let mut end = ListenerEnd::default();
    let (what, connection) = match event {
        ListenEvent::Accepted { connection, from: program, .. } => {
            from.extend(program.map(|program| (connection, program)));
            ("listener: accepted".to_owned(), Some(connection))
        }
        ListenEvent::Connected { connection, form, origin, .. } => {
            (format!("listener: connected over {form}, {origin:?}"), Some(connection))
        }
        ListenEvent::Retried { connection, .. } => {
            end.retried = true;
            ("listener: retried on a fresh session".to_owned(), Some(connection))
        }
        ListenEvent::Failed { connection, error, .. } => {
            end.failed = Some(error.to_string());
            let error = error.to_string();
            let why = ["refused", "timed out"].into_iter().find(|why| error.ends_with(why));
            let why = why.map_or_else(String::new, |why| format!(", {why}"));
            (format!("listener: failed to connect{why}"), Some(connection))
        }
        ListenEvent::Ended { connection, report, .. } => {
            let what = match &report.failure {
                None => "listener: ended cleanly".to_owned(),
                Some(RelayFailure::Stream(error)) => format!("listener: ended, {}", kind(error)),
                Some(RelayFailure::Socket(_)) => "listener: ended, program gone".to_owned(),
                Some(_) => "listener: ended, aborted".to_owned(),
            };
            end.failure = report.failure;
            (what, Some(connection))
        }
        ListenEvent::AcceptFailed { .. } => ("listener: accept failed".to_owned(), None),
        ListenEvent::Full { .. } => ("listener: full".to_owned(), None),
        _ => ("listener: events missed".to_owned(), None),
    };
    (what, connection, end)
}

fn kind(error: &portway_driver::proto::StreamError) -> &'static str {
    use portway_driver::proto::StreamError;
    match error {
        StreamError::Remote(_) => "remote text",
        StreamError::Overflow => "overflow",
        StreamError::OpenTimeout => "not opened in time",
        StreamError::RemoteReset => "remote reset",
        StreamError::Session(_) => "session lost",
        _ => "something else",
    }
}

/// The port of the pod that leads to such a program.
fn port(manner: Manner) -> Port {
    Port::new(manner.addr().port()).expect("not zero")
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
