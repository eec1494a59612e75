use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use event_listener::{Event, EventListener};

use crate::Runtime;
use crate::runtime::after;
use crate::signal::Signal;

/// The life of something that accepts connections and serves each in a task of its own: who is there,
/// and how all of them are told to end.
///
/// Its end has steps: [accept](Self::accepting) no more; [close](Self::closing) what is left, with a
/// goodbye; [abort](Self::aborting) it.
pub struct Lifecycle {
    accepting: Signal,
    closing: Signal,
    aborting: Signal,
    connections: AtomicUsize,
    /// The accepting tasks, until each has dropped its listener, and what else has to end.
    doors: AtomicUsize,
    /// A connection or an accepting task has ended.
    ended: Event,
    sleep: SleepFn,
}

type SleepFn = Box<dyn Fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl Lifecycle {
    /// How long a goodbye may take once the time for a shutdown is up.
    const GOODBYE: Duration = Duration::from_millis(500);

    /// Nobody is there yet.
    pub fn new<R: Runtime>(runtime: R) -> Self {
        let sleep: SleepFn = Box::new(move |wait| {
            let sleep = runtime.sleep_until(after(runtime.now(), wait));
            Box::pin(sleep)
        });
        Self {
            accepting: Signal::default(),
            closing: Signal::default(),
            aborting: Signal::default(),
            connections: AtomicUsize::new(0),
            doors: AtomicUsize::new(0),
            ended: Event::new(),
            sleep,
        }
    }

    /// Counts a task that accepts, for as long as the presence lives. It has to outlive the listener.
    pub fn door(self: &Arc<Self>) -> Presence {
        Presence::new(self, |life| &life.doors)
    }

    /// Counts a connection, for as long as the presence lives. It has to outlive the sockets.
    pub fn connection(self: &Arc<Self>) -> Presence {
        Presence::new(self, |life| &life.connections)
    }

    /// Counts what is neither but has to be over before a shutdown is.
    pub fn helper(self: &Arc<Self>) -> Presence {
        self.door()
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Told when a connection or an accepting task has ended.
    pub(crate) fn ended(&self) -> EventListener {
        self.ended.listen()
    }

    /// Runs `work` for as long as connections are accepted: then `None`.
    pub async fn accepting<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.accepting.or(work).await
    }

    /// Runs `work` until what is left is to be closed: then `None`.
    pub async fn open<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.closing.or(work).await
    }

    /// Told when no more connections are accepted; `None` if that time has come.
    pub fn finishing(&self) -> Option<EventListener> {
        self.accepting.listen()
    }

    /// Told when what is left is to be closed with a goodbye; `None` if that time has come.
    pub fn closing(&self) -> Option<EventListener> {
        self.closing.listen()
    }

    /// Told when what is left is to be aborted; `None` if that time has come.
    pub fn aborting(&self) -> Option<EventListener> {
        self.aborting.listen()
    }

    /// Goes through the steps: gives connections until `deadline`, those that are left then a moment
    /// for their goodbye, and returns once nothing is left. Returns how many had to be closed.
    pub async fn shutdown(&self, deadline: Duration) -> usize {
        self.accepting.set();
        if self.drained_in(deadline).await {
            return 0;
        }
        let late = self.connections();
        self.closing.set();
        if !self.drained_in(Self::GOODBYE).await {
            self.aborting.set();
            self.drained().await;
        }
        late
    }

    /// Takes all the steps at once and waits for nothing.
    pub fn abort(&self) {
        self.accepting.set();
        // Before the goodbye, which nobody is to begin now.
        self.aborting.set();
        self.closing.set();
    }

    async fn drained_in(&self, time: Duration) -> bool {
        let mut late = (self.sleep)(time);
        let mut drained = pin!(self.drained());
        std::future::poll_fn(|cx| {
            if drained.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            late.as_mut().poll(cx).map(|()| false)
        })
        .await
    }

    /// No connection and no listener is left.
    async fn drained(&self) {
        loop {
            let ended = self.ended.listen();
            let left = [&self.connections, &self.doors];
            if left.iter().all(|counter| counter.load(Ordering::SeqCst) == 0) {
                return;
            }
            ended.await;
        }
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("connections", &self.connections())
            .field("accepting", &!self.accepting.is_set())
            .finish_non_exhaustive()
    }
}

/// Counts something for as long as it is there.
#[derive(Debug)]
pub struct Presence {
    life: Arc<Lifecycle>,
    counter: fn(&Lifecycle) -> &AtomicUsize,
}

impl Presence {
    fn new(life: &Arc<Lifecycle>, counter: fn(&Lifecycle) -> &AtomicUsize) -> Self {
        counter(life).fetch_add(1, Ordering::SeqCst);
        Self { life: Arc::clone(life), counter }
    }

    /// The life it is part of.
    pub fn life(&self) -> &Lifecycle {
        &self.life
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        (self.counter)(&self.life).fetch_sub(1, Ordering::SeqCst);
        self.life.ended.notify(usize::MAX);
    }
}
