//! A runtime that counts what it gave out and did not get back, and fails when it is told to.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use event_listener::Event;
use portway_driver::{Addr, Listener, Net, ReadBuf, Runtime, Socket};

/// Any runtime, and how many tasks, connections and listeners of it live.
#[derive(Debug, Clone)]
pub struct Watched<R> {
    inner: R,
    alive: Arc<Alive>,
}

/// How many live.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Count {
    /// Tasks that were spawned and have not ended.
    pub tasks: usize,
    /// Connections that are open.
    pub sockets: usize,
    /// Listeners that are open.
    pub listeners: usize,
}

impl<R> Watched<R> {
    /// Watches a runtime.
    pub fn new(inner: R) -> Self {
        Self { inner, alive: Arc::default() }
    }
}

/// A runtime that can tell what of it lives.
pub trait Counting {
    /// What lives now.
    fn count(&self) -> Count;

    /// Waits until no more than `allowed` lives.
    fn at_most(&self, allowed: Count) -> impl Future<Output = ()>;
}

/// A runtime that fails as it is told to.
pub trait Failing {
    /// So many times, whoever is about to accept a connection at that address hears of an error
    /// instead: the process has no descriptor left.
    fn fail_accepts(&self, at: SocketAddr, times: usize);
}

impl<R> Failing for Watched<R> {
    fn fail_accepts(&self, at: SocketAddr, times: usize) {
        *self.alive.failing() = Some((at, times));
    }
}

impl<R> Counting for Watched<R> {
    fn count(&self) -> Count {
        self.alive.count()
    }

    async fn at_most(&self, allowed: Count) {
        loop {
            let less = self.alive.less.listen();
            let Count { tasks, sockets, listeners } = self.count();
            let fits = tasks <= allowed.tasks
                && sockets <= allowed.sockets
                && listeners <= allowed.listeners;
            if fits {
                return;
            }
            less.await;
        }
    }
}

impl<R: Runtime> Runtime for Watched<R> {
    type Sleep = R::Sleep;

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn sleep_until(&self, at: Instant) -> R::Sleep {
        self.inner.sleep_until(at)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let one = One::new(&self.alive, |alive| &alive.tasks);
        self.inner.spawn(async move {
            task.await;
            drop(one);
        });
    }
}

impl<R: Net> Net for Watched<R> {
    type Socket = Guarded<R::Socket>;
    type Listener = Guarded<R::Listener>;

    async fn connect(&self, to: &Addr) -> io::Result<Self::Socket> {
        let inner = self.inner.connect(to).await?;
        Ok(Guarded { inner, one: One::new(&self.alive, |alive| &alive.sockets) })
    }

    async fn bind(&self, addr: SocketAddr) -> io::Result<Self::Listener> {
        let inner = self.inner.bind(addr).await?;
        Ok(Guarded { inner, one: One::new(&self.alive, |alive| &alive.listeners) })
    }

    #[cfg(unix)]
    fn adopt_unix(&self, listener: std::os::unix::net::UnixListener) -> io::Result<Self::Listener> {
        let inner = self.inner.adopt_unix(listener)?;
        Ok(Guarded { inner, one: One::new(&self.alive, |alive| &alive.listeners) })
    }
}

/// A connection or a listener that is counted.
#[derive(Debug)]
pub struct Guarded<T> {
    inner: T,
    one: One,
}

impl<L: Listener> Listener for Guarded<L> {
    type Socket = Guarded<L::Socket>;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Self::Socket, Option<SocketAddr>)>> {
        if self.one.alive.fails(self.inner.local_addr().ok()) {
            return Poll::Ready(Err(io::Error::other("too many open files")));
        }
        let accepted = self.inner.poll_accept(cx);
        accepted.map_ok(|(inner, from)| {
            (Guarded { inner, one: One::new(&self.one.alive, |alive| &alive.sockets) }, from)
        })
    }
}

impl<S: Socket> Socket for Guarded<S> {
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
        self.inner.poll_write_vectored(cx, bufs)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_shutdown_write(cx)
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.inner.take_error()
    }

    fn abort(&mut self) {
        self.inner.abort();
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.inner.addresses()
    }
}

#[derive(Default)]
struct Alive {
    tasks: AtomicUsize,
    sockets: AtomicUsize,
    listeners: AtomicUsize,
    less: Event,
    /// Where accepts fail, and how many.
    failing: Mutex<Option<(SocketAddr, usize)>>,
}

impl Alive {
    fn failing(&self) -> MutexGuard<'_, Option<(SocketAddr, usize)>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fails(&self, at: Option<SocketAddr>) -> bool {
        match &mut *self.failing() {
            Some((failing, left @ 1..)) if Some(*failing) == at => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    fn count(&self) -> Count {
        let [tasks, sockets, listeners] = [&self.tasks, &self.sockets, &self.listeners]
            .map(|counter| counter.load(Ordering::SeqCst));
        Count { tasks, sockets, listeners }
    }
}

impl fmt::Debug for Alive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.count().fmt(f)
    }
}

/// Counts for as long as it lives.
struct One {
    alive: Arc<Alive>,
    counter: fn(&Alive) -> &AtomicUsize,
}

impl One {
    fn new(alive: &Arc<Alive>, counter: fn(&Alive) -> &AtomicUsize) -> Self {
        counter(alive).fetch_add(1, Ordering::SeqCst);
        Self { alive: Arc::clone(alive), counter }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        (self.counter)(&self.alive).fetch_sub(1, Ordering::SeqCst);
        self.alive.less.notify(usize::MAX);
    }
}

impl fmt::Debug for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("One").finish_non_exhaustive()
    }
}
