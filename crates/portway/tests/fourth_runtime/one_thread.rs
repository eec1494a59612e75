//! portway on the thread that calls it, with mio and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::thread;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Registry, Token};
use portway::{Addr, Listener, Net, ReadBuf, Runtime, Sleep, Socket, listening_socket};
use socket2::SockRef;

/// A handle to the loop of [`OneThread::run`].
#[derive(Clone)]
pub struct OneThread(Arc<Shared>);

struct Shared {
    registry: Registry,
    /// Ends the wait in the system.
    alarm: mio::Waker,
    todo: Mutex<Todo>,
}

#[derive(Default)]
struct Todo {
    spawned: Vec<(usize, Task)>,
    woken: BTreeSet<usize>,
    timers: BTreeMap<(Instant, usize), Waker>,
    sockets: BTreeMap<Token, Arc<Readiness>>,
    last_id: usize,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The numbers of what is there from the start.
const MAIN: usize = 0;
const ALARM: Token = Token(0);

impl OneThread {
    /// Runs `body` and what it spawns. What is left when it returns is dropped.
    ///
    /// # Errors
    /// The system does not let us wait.
    pub fn run<T>(body: impl AsyncFnOnce(Self) -> T) -> io::Result<T> {
        let mut poll = mio::Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let alarm = mio::Waker::new(&registry, ALARM)?;
        let rt = Self(Arc::new(Shared { registry, alarm, todo: Mutex::default() }));
        let mut main = pin!(body(rt.clone()));
        let mut tasks: BTreeMap<usize, Task> = BTreeMap::new();
        let mut events = Events::with_capacity(256);
        rt.waker(MAIN).wake();
        loop {
            // In this order: a task that another thread spawns is listed first and woken then.
            let woken = rt.take(|todo| &mut todo.woken);
            tasks.extend(rt.take(|todo| &mut todo.spawned));
            for id in woken {
                let waker = rt.waker(id);
                let mut cx = Context::from_waker(&waker);
                if id == MAIN {
                    if let Poll::Ready(result) = main.as_mut().poll(&mut cx) {
                        // It holds handles to the loop that holds it.
                        drop(rt.take(|todo| &mut todo.spawned));
                        return Ok(result);
                    }
                } else if tasks
                    .get_mut(&id)
                    .is_some_and(|task| task.as_mut().poll(&mut cx).is_ready())
                {
                    tasks.remove(&id);
                }
            }
            match poll.poll(&mut events, rt.next_timer()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                let socket = lock(&rt.0.todo).sockets.get(&event.token()).cloned();
                let Some(socket) = socket else { continue };
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    socket.read.set();
                }
                if event.is_writable() || event.is_write_closed() || event.is_error() {
                    socket.write.set();
                }
            }
            rt.fire_timers();
        }
    }

    /// Takes a list out, so that it can be gone through while it fills again.
    fn take<T: Default>(&self, list: impl FnOnce(&mut Todo) -> &mut T) -> T {
        std::mem::take(list(&mut lock(&self.0.todo)))
    }

    fn new_id(&self) -> usize {
        let mut todo = lock(&self.0.todo);
        todo.last_id += 1;
        todo.last_id
    }

    fn waker(&self, id: usize) -> Waker {
        Arc::new(TaskWaker { id, rt: self.clone() }).into()
    }

    fn next_timer(&self) -> Option<Duration> {
        let todo = lock(&self.0.todo);
        todo.timers.keys().next().map(|(at, _)| at.saturating_duration_since(Instant::now()))
    }

    fn fire_timers(&self) {
        let later = (Instant::now(), usize::MAX);
        let due = {
            let mut todo = lock(&self.0.todo);
            let rest = todo.timers.split_off(&later);
            std::mem::replace(&mut todo.timers, rest)
        };
        due.into_values().for_each(Waker::wake);
    }
}

struct TaskWaker {
    id: usize,
    rt: OneThread,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let woken = &mut lock(&self.rt.0.todo).woken;
        if woken.insert(self.id) && woken.len() == 1 {
            // It fails only where the loop is gone.
            let _ = self.rt.0.alarm.wake();
        }
    }
}

/// Nobody panics with the lock held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runtime for OneThread {
    type Sleep = OneThreadSleep;

    fn sleep_until(&self, at: Instant) -> OneThreadSleep {
        OneThreadSleep { rt: self.clone(), at, id: self.new_id() }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.new_id();
        lock(&self.0.todo).spawned.push((id, Box::pin(task)));
        self.waker(id).wake();
    }
}

/// A timer of the loop's.
pub struct OneThreadSleep {
    rt: OneThread,
    at: Instant,
    id: usize,
}

impl Future for OneThreadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at <= Instant::now() {
            return Poll::Ready(());
        }
        lock(&self.rt.0.todo).timers.insert((self.at, self.id), cx.waker().clone());
        Poll::Pending
    }
}

impl Sleep for OneThreadSleep {
    fn reset(&mut self, at: Instant) {
        lock(&self.rt.0.todo).timers.remove(&(self.at, self.id));
        self.at = at;
    }
}

impl Drop for OneThreadSleep {
    fn drop(&mut self) {
        lock(&self.rt.0.todo).timers.remove(&(self.at, self.id));
    }
}

impl Net for OneThread {
    type Socket = OneThreadSocket;
    type Listener = OneThreadListener;

    async fn connect(&self, to: &Addr) -> io::Result<OneThreadSocket> {
        let addrs = match to {
            Addr::Ip(addr) => vec![*addr],
            Addr::Host(host, port) => look_up(host.clone(), *port).await?,
            Addr::Unix(_) | _ => Vec::new(),
        };
        let mut result = Err(io::ErrorKind::AddrNotAvailable.into());
        for addr in addrs {
            result = OneThreadSocket::connect(self, addr).await;
            if result.is_ok() {
                break;
            }
        }
        result
    }

    async fn bind(&self, addr: SocketAddr) -> io::Result<OneThreadListener> {
        let listener = TcpListener::from_std(listening_socket(addr)?);
        Ok(OneThreadListener(Watched::new(self, listener)?))
    }
}

/// The system looks names up only while it holds the thread, so that is another one.
async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut lookup = None;
    poll_fn(|cx| {
        let thread = lookup.get_or_insert_with(|| {
            let (host, waker) = (host.clone(), cx.waker().clone());
            let answer = Arc::new(Mutex::new(None));
            let ours = Arc::clone(&answer);
            thread::spawn(move || {
                let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
                *lock(&answer) = Some(found);
                waker.wake();
            });
            ours
        });
        lock(thread).take().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// A socket that the loop watches.
struct Watched<S: Source> {
    rt: OneThread,
    io: S,
    token: Token,
    readiness: Arc<Readiness>,
}

#[derive(Default)]
struct Readiness {
    read: Direction,
    write: Direction,
}

/// Ready until the system has said that it would block, and again once it has told of a change: it
/// tells each only once.
#[derive(Default)]
struct Direction(Mutex<(bool, Option<Waker>)>);

impl Direction {
    fn set(&self) {
        let (blocked, waker) = &mut *lock(&self.0);
        *blocked = false;
        waker.take().into_iter().for_each(Waker::wake);
    }

    /// Tries `work` for as long as it is ready.
    fn poll<T>(
        &self,
        cx: &Context<'_>,
        mut work: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let (blocked, waker) = &mut *lock(&self.0);
        if !*blocked {
            match work() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => *blocked = true,
                result => return Poll::Ready(result),
            }
        }
        *waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<S: Source> Watched<S> {
    fn new(rt: &OneThread, mut io: S) -> io::Result<Self> {
        let token = Token(rt.new_id());
        let readiness = Arc::<Readiness>::default();
        rt.0.registry.register(&mut io, token, Interest::READABLE | Interest::WRITABLE)?;
        lock(&rt.0.todo).sockets.insert(token, Arc::clone(&readiness));
        Ok(Self { rt: rt.clone(), io, token, readiness })
    }
}

impl<S: Source> Drop for Watched<S> {
    fn drop(&mut self) {
        let _ = self.rt.0.registry.deregister(&mut self.io);
        lock(&self.rt.0.todo).sockets.remove(&self.token);
    }
}

/// A TCP connection that the loop watches.
pub struct OneThreadSocket(Watched<TcpStream>);

impl OneThreadSocket {
    fn new(rt: &OneThread, stream: TcpStream) -> io::Result<Self> {
        Ok(Self(Watched::new(rt, stream)?))
    }

    async fn connect(rt: &OneThread, to: SocketAddr) -> io::Result<Self> {
        let socket = Self::new(rt, TcpStream::connect(to)?)?;
        let stream = &socket.0.io;
        let connected = || match (stream.take_error()?, stream.peer_addr()) {
            (Some(error), _) => Err(error),
            (None, Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            (None, peer) => peer.map(drop),
        };
        poll_fn(|cx| socket.0.readiness.write.poll(cx, connected)).await?;
        stream.set_nodelay(true)?;
        Ok(socket)
    }
}

impl Socket for OneThreadSocket {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let Watched { io, readiness, .. } = &self.0;
        let mut io = io;
        readiness.read.poll(cx, || buf.fill(|space| io.read(space)))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Watched { io, readiness, .. } = &self.0;
        let mut io = io;
        readiness.write.poll(cx, || io.write_vectored(bufs))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.io.shutdown(Shutdown::Write))
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.0.io.take_error().unwrap_or_else(Some)
    }

    fn abort(&mut self) {
        // Refused only where the connection is gone already.
        let _ = SockRef::from(&self.0.io).set_linger(Some(Duration::ZERO));
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some((self.0.io.local_addr().ok()?, self.0.io.peer_addr().ok()?))
    }
}

/// A listening TCP socket that the loop watches.
pub struct OneThreadListener(Watched<TcpListener>);

impl Listener for OneThreadListener {
    type Socket = OneThreadSocket;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.io.local_addr()
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(OneThreadSocket, Option<SocketAddr>)>> {
        let Watched { rt, io, readiness, .. } = &self.0;
        let (stream, from) = ready!(readiness.read.poll(cx, || io.accept()))?;
        let socket = stream.set_nodelay(true).and_then(|()| OneThreadSocket::new(rt, stream));
        Poll::Ready(socket.map(|socket| (socket, Some(from))))
    }
}
