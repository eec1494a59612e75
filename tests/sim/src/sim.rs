use std::fmt::{self, Write as _};
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use portway_driver::{Addr, Net, Runtime};

use crate::settings::Settings;
use crate::task::{Ready, Running, name_of, outcome};
use crate::trace::Happening;
use crate::world::World;
use crate::{
    Fault, FaultRecord, Link, Moved, Rng, SimListener, SimSleep, SimSocket, When, executor,
};

/// Runs `body` in a world of its own, made from `seed`: the same seed gives the same run.
///
/// # Panics
/// The body or a task panics; or there is a deadlock, a livelock, or a task that was forgotten.
pub fn run<T>(seed: u64, body: impl AsyncFnOnce(Sim) -> T) -> T {
    Builder::new(seed).run(body)
}

/// A simulation to be run, with other manners than the default.
#[derive(Debug, Clone)]
pub struct Builder {
    seed: u64,
    settings: Settings,
    strict: bool,
}

/// A world: time, tasks and a network. A clone is a handle to the same one.
#[derive(Clone)]
pub struct Sim {
    shared: Arc<Shared>,
}

struct Shared {
    /// What virtual time is counted from. Only differences are ever looked at.
    start: Instant,
    ready: Arc<Ready>,
    world: Mutex<World>,
}

/// What is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Leftovers {
    /// Tasks that are not over, besides the body of the test.
    pub tasks: usize,
    /// Ends of connections that nobody has dropped.
    pub sockets: usize,
    /// Listening sockets.
    pub listeners: usize,
    /// Timers.
    pub timers: usize,
}

impl Builder {
    /// A simulation made from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, settings: Settings::of(seed), strict: false }
    }

    /// Whether reads and writes are cut short now and then, and what is ready is not ready at once.
    /// Default: yes.
    #[must_use]
    pub const fn with_jitter(mut self, jitter: bool) -> Self {
        self.settings.jitter = jitter;
        self
    }

    /// One turn in so many polls a task that nobody has woken, as a runtime may; 0 for none. Default:
    /// 64 with half of the seeds, none with the others.
    #[must_use]
    pub const fn with_spurious(mut self, one_in: usize) -> Self {
        self.settings.spurious = one_in;
        self
    }

    /// One moment of rest in so many is used to poll a task that nobody has woken: one that does
    /// something then has lost a wake-up, and the run fails. 0 for none. Default: 4 with the seeds
    /// without spurious wake-ups, which would hide such losses.
    #[must_use]
    pub const fn with_probes(mut self, one_in: usize) -> Self {
        self.settings.probe = one_in;
        self
    }

    /// The most virtual time that one poll takes. Default: none, so that waits take what they say.
    #[must_use]
    pub const fn with_poll_cost(mut self, cost: Duration) -> Self {
        self.settings.poll_cost = cost;
        self
    }

    /// How many polls without a moment of rest are taken for a livelock. Default 1,000,000.
    #[must_use]
    pub const fn with_max_polls(mut self, polls: u64) -> Self {
        self.settings.max_polls = polls;
        self
    }

    /// When the body is done, nothing may be left, see [`Sim::assert_nothing_left`].
    #[must_use]
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Runs it.
    pub fn run<T>(self, body: impl AsyncFnOnce(Sim) -> T) -> T {
        let world = World::new(self.seed, self.settings);
        let shared =
            Shared { start: Instant::now(), ready: Arc::default(), world: Mutex::new(world) };
        let sim = Sim { shared: Arc::new(shared) };
        let handle = sim.clone();
        executor::run(&sim, async move {
            let output = body(handle.clone()).await;
            if self.strict {
                handle.assert_nothing_left().await;
            }
            output
        })
    }
}

impl Sim {
    /// Virtual time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.with(|world| world.now)
    }

    /// Waits.
    pub async fn sleep(&self, wait: Duration) {
        self.sleep_until(self.now() + wait).await;
    }

    /// Runs a task under a name, and returns a future of its output.
    pub fn start<T: Send + 'static>(
        &self,
        name: impl Into<String>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        let (output, running) = outcome();
        self.spawn_named(name, async move { output.set(work.await) });
        running
    }

    /// Waits until nobody else can run before time moves.
    pub async fn settled(&self) {
        let mut asked = false;
        std::future::poll_fn(|cx| {
            if asked && self.shared.ready.is_empty() {
                return Poll::Ready(());
            }
            asked = true;
            self.with(|world| world.settling.push(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Random numbers of their own, which depend on the seed and on nothing but the order of these
    /// calls and what was drawn before.
    pub fn rng(&self) -> Rng {
        self.with(|world| world.rng.fork())
    }

    /// Adds something to what two runs of the same seed have to have in common.
    pub fn note(&self, what: &str) {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        self.with(|world| world.note(Happening::Noted { what: hasher.finish() }));
    }

    /// All that has happened so far, and when, as one number.
    pub fn trace(&self) -> u64 {
        self.with(|world| world.trace.hash())
    }

    // -- the network

    /// What connections are like from now on, wherever they lead.
    pub fn set_default_link(&self, link: Link) {
        self.with(|world| world.net.set_default_link(link));
    }

    /// What connections to this address are like from now on.
    pub fn set_link(&self, to: SocketAddr, link: Link) {
        self.with(|world| world.net.set_link(to, link));
    }

    /// What a host name stands for.
    pub fn add_host(&self, name: impl Into<String>, addresses: &[IpAddr]) {
        self.with(|world| world.net.add_host(name.into(), addresses.to_vec()));
    }

    /// Decides from now on, for each connection to this address, what befalls it and when.
    pub fn plan_faults(
        &self,
        to: SocketAddr,
        plan: impl FnMut(&mut Rng) -> Option<(When, Fault)> + Send + 'static,
    ) {
        self.with(|world| {
            let rng = world.rng.fork();
            world.net.plan_faults(to, rng, Box::new(plan));
        });
    }

    /// Something befalls a connection now; see [`SimSocket::connection`].
    pub fn fault(&self, connection: u64, fault: Fault) {
        self.with(|world| world.inflict(connection, fault, false));
    }

    /// The connections to this address of which an end is still open.
    pub fn connections(&self, to: SocketAddr) -> Vec<u64> {
        self.with(|world| world.net.connections(to))
    }

    /// What has gone through a connection: what the end wrote that connected, and what the other one did.
    /// `None` if either is gone, or was silenced.
    pub fn moved(&self, connection: u64) -> Option<[Moved; 2]> {
        self.with(|world| world.net.moved(connection))
    }

    /// The next accepts at this address fail with an error of the system.
    pub fn fail_accepts(&self, at: SocketAddr, times: usize, error: io::ErrorKind) {
        self.with(|world| world.fail_accepts(at, times, error));
    }

    /// What has befallen connections so far.
    pub fn faults(&self) -> Vec<FaultRecord> {
        self.with(|world| world.net.faults().to_vec())
    }

    // -- what is left

    /// What is still there: tasks, sockets, listeners, timers.
    pub fn leftovers(&self) -> Leftovers {
        self.with(|world| {
            let (sockets, listeners) = world.net.open();
            let timers = world.agenda.timers().count();
            Leftovers { tasks: world.tasks.left(), sockets, listeners, timers }
        })
    }

    /// Lets everybody run who can without time moving, and fails the test if anything is left then.
    pub async fn assert_nothing_left(&self) {
        self.settled().await;
        let left = self.leftovers();
        assert!(left == Leftovers::default(), "{left:?}\n{}", self.dump());
    }

    /// Everything that is known of who waits for what.
    pub fn dump(&self) -> String {
        self.with(|world| {
            let mut text = format!("now: {:?}\ntasks:\n{:?}", world.now, world.tasks);
            text.push_str("timers:\n");
            for (id, at, waited) in world.agenda.timers() {
                let waited = if waited { "" } else { ", nobody waits" };
                let _ = writeln!(text, "  timer {id}: at {at:?}{waited}");
            }
            let _ = write!(text, "sockets:\n{:?}latest:\n{}", world.net, world.trace);
            text
        })
    }

    pub(crate) fn ready(&self) -> &Arc<Ready> {
        &self.shared.ready
    }

    pub(crate) fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.shared.start)
    }

    /// Does something to the world, and wakes who is to be woken by it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let (result, wake, endless) = {
            let mut world = self.shared.world.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut world);
            world.asked += 1;
            // Told once: who unwinds from it comes by here again.
            let endless = world.asked == world.settings.max_polls;
            (result, std::mem::take(&mut world.wake), endless)
        };
        assert!(!endless, "livelock: one poll that does not end\n{}", self.dump());
        wake.into_iter().for_each(std::task::Waker::wake);
        result
    }

    fn spawn_named(
        &self,
        name: impl Into<String>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let job = Box::pin(task);
        self.with(|world| {
            let task = world.tasks.add(name.into(), job, world.now);
            world.note(Happening::Spawned { task });
        });
    }
}

impl Runtime for Sim {
    type Sleep = SimSleep;

    fn now(&self) -> Instant {
        self.shared.start + self.elapsed()
    }

    fn sleep_until(&self, at: Instant) -> SimSleep {
        SimSleep::new(self.clone(), at)
    }

    fn random(&self) -> u64 {
        self.with(|world| world.rng.number())
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        fn name<F>(_: &F) -> String {
            name_of::<F>()
        }
        self.spawn_named(name(&task), task);
    }
}

impl Net for Sim {
    type Socket = SimSocket;
    type Listener = SimListener;

    async fn connect(&self, to: &Addr) -> io::Result<SimSocket> {
        crate::net::connect(self, to).await
    }

    async fn bind(&self, addr: SocketAddr) -> io::Result<SimListener> {
        SimListener::bind(self, addr)
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}
