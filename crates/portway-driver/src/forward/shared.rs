use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use portway_proto::{CloseReason, Event, Session, StreamError, StreamEvent, StreamId};

use crate::connection::{Connection, Moved};
use crate::runtime::Deadline;
use crate::{Runtime, Transport};

/// A session with several owners: one task moves its messages, and streams are handles to it.
///
/// One lock around all of it, held to move bytes in memory; wakers are called outside of it.
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

/// A handle to a session that keeps it going. The last one that is dropped ends it.
#[derive(Debug)]
pub(crate) struct Owner(Arc<Shared>);

/// What the lock guards.
pub(crate) struct Inner {
    pub(crate) session: Session,
    owners: usize,
    wakers: BTreeMap<StreamId, Wakers>,
    /// Who waits for everything that was written to a stream to be on its way.
    flushing: BTreeMap<StreamId, Waker>,
    task: Option<Waker>,
    closed: Option<CloseReason>,
    /// The task is over, and with it the transport.
    gone: bool,
    /// Who waits for either of the two.
    end_wakers: Vec<Waker>,
    /// Who waits for the answer to a ping, and how many answers had come by when anybody was last told.
    pong_wakers: Vec<Waker>,
    pongs: u64,
}

/// Who waits for a stream.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    pub(crate) read: Option<Waker>,
    pub(crate) write: Option<Waker>,
}

impl Shared {
    pub(crate) fn new<R: Runtime>(runtime: R, session: Session) -> Self {
        let inner = Inner {
            session,
            owners: 0,
            wakers: BTreeMap::new(),
            flushing: BTreeMap::new(),
            task: None,
            closed: None,
            gone: false,
            end_wakers: Vec::new(),
            pong_wakers: Vec::new(),
            pongs: 0,
        };
        Self { inner: Mutex::new(inner), clock: Box::new(move || runtime.now()) }
    }

    /// To look, or to wait for something.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics halfway; if it did, the session would say so itself.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To change the session: the task has to look at it afterwards.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Inner, Instant) -> T) -> T {
        let now = (self.clock)();
        let mut inner = self.lock();
        let result = change(&mut inner, now);
        let task = inner.task.take();
        drop(inner);
        if let Some(task) = task {
            task.wake();
        }
        result
    }

    /// To give bytes back that were read: the task matters only if it had stopped reading for them.
    pub(crate) fn consumed(&self, id: StreamId, bytes: usize) {
        let now = (self.clock)();
        let mut inner = self.lock();
        let paused = !inner.session.wants_read();
        if let Ok(mut half) = inner.session.recv(id) {
            half.consumed(bytes, now);
        }
        let task = if paused && inner.session.wants_read() { inner.task.take() } else { None };
        drop(inner);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// Waits for the end of the session.
    pub(crate) async fn closed(&self) -> CloseReason {
        self.end(|_| true).await
    }

    /// Waits until the session's task is over too: its last messages are written, or given up.
    pub(crate) async fn gone(&self) -> CloseReason {
        self.end(|inner| inner.gone).await
    }

    /// Sends a ping and waits for its answer.
    pub(crate) async fn round_trip(&self) -> Result<Duration, CloseReason> {
        let before = self.change(|inner, now| {
            let before = inner.session.stats().pongs;
            inner.session.ping(now);
            before
        });
        std::future::poll_fn(|cx| {
            let mut inner = self.lock();
            if let Some(reason) = &inner.closed {
                return Poll::Ready(Err(reason.clone()));
            }
            let stats = inner.session.stats();
            match stats.round_trip.filter(|_| stats.pongs > before) {
                Some(took) => Poll::Ready(Ok(took)),
                None => {
                    inner.pong_wakers.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    async fn end(&self, enough: impl Fn(&Inner) -> bool) -> CloseReason {
        std::future::poll_fn(|cx| {
            let mut inner = self.lock();
            match &inner.closed {
                Some(reason) if enough(&inner) => Poll::Ready(reason.clone()),
                _ => {
                    inner.end_wakers.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Owner {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.lock().owners += 1;
        Self(Arc::clone(shared))
    }
}

impl Clone for Owner {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Deref for Owner {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.change(|inner, now| {
            inner.owners -= 1;
            if inner.owners == 0 {
                inner.session.close(CloseReason::Local, now);
            }
        });
    }
}

impl Inner {
    /// Who waits for the stream.
    pub(crate) fn wakers(&mut self, id: StreamId) -> &mut Wakers {
        self.wakers.entry(id).or_default()
    }

    /// `waker` waits for everything that was written to be on its way.
    pub(crate) fn wait_for_flush(&mut self, id: StreamId, waker: Waker) {
        self.flushing.insert(id, waker);
    }

    /// Nobody waits for the stream any more.
    pub(crate) fn forget(&mut self, id: StreamId) {
        self.flushing.remove(&id);
        self.wakers.remove(&id);
    }

    /// The stream's failure in the form in which I/O traits want it, typed inside.
    pub(crate) fn io_error(&self, id: StreamId) -> io::Error {
        let Some(error) = self.session.failure(id) else {
            return io::ErrorKind::BrokenPipe.into();
        };
        let kind = match error {
            StreamError::Remote(_) | StreamError::Reset | StreamError::RemoteReset => {
                io::ErrorKind::ConnectionReset
            }
            StreamError::Refused => io::ErrorKind::ConnectionRefused,
            StreamError::OpenTimeout => io::ErrorKind::TimedOut,
            StreamError::Overflow | StreamError::Session(_) | _ => io::ErrorKind::ConnectionAborted,
        };
        io::Error::new(kind, error.clone())
    }

    /// Takes everybody whose wait is over.
    fn take_ready(&mut self, ready: &mut Vec<Waker>) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Stream { id, event } => self.take_for(id, event, ready),
                Event::Closed(reason) => {
                    self.closed = Some(reason);
                    ready.append(&mut self.end_wakers);
                    ready.append(&mut self.pong_wakers);
                    for wakers in self.wakers.values_mut() {
                        ready.extend(wakers.read.take());
                        ready.extend(wakers.write.take());
                    }
                }
                Event::Ready | _ => {}
            }
        }
        // Its counters look at every stream, so not for nothing.
        if !self.pong_wakers.is_empty() {
            let pongs = self.session.stats().pongs;
            if pongs != self.pongs {
                self.pongs = pongs;
                ready.append(&mut self.pong_wakers);
            }
        }
        let (closed, session) = (self.closed.is_some(), &mut self.session);
        self.flushing.retain(|id, waker| {
            let waits = !closed && session.send(*id).is_ok_and(|half| !half.is_flushed());
            if !waits {
                ready.push(waker.clone());
            }
            waits
        });
    }

    fn take_for(&mut self, id: StreamId, event: StreamEvent, ready: &mut Vec<Waker>) {
        let Some(wakers) = self.wakers.get_mut(&id) else { return };
        let all = matches!(event, StreamEvent::Failed | StreamEvent::Done);
        if all || event == StreamEvent::Readable {
            ready.extend(wakers.read.take());
        }
        if all || event == StreamEvent::Writable {
            ready.extend(wakers.write.take());
        }
    }
}

/// The task that moves the messages of a shared session. Ends with the session.
pub(crate) struct Mover<R: Runtime, T> {
    runtime: R,
    shared: Arc<Shared>,
    connection: Connection<T>,
    deadline: Deadline<R>,
}

impl<R: Runtime, T: Transport> Mover<R, T> {
    /// Turns of the loop before other tasks of the runtime get theirs.
    const TURNS: usize = 32;

    pub(crate) fn new(runtime: R, shared: Arc<Shared>, transport: T) -> Self {
        let connection = Connection::new(transport);
        Self { runtime, shared, connection, deadline: Deadline::new() }
    }
}

impl<R: Runtime, T: Transport> Future for Mover<R, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut ready = Vec::new();
        let mut result = Poll::Pending;
        let mut inner = this.shared.lock();
        let mut turns = 0;
        loop {
            let now = this.runtime.now();
            let session = &mut inner.session;
            this.connection.handle_timeout(session, now);
            let mut moved = this.connection.poll_inbound(cx, session, now);
            moved |= this.connection.poll_outbound(cx, session, now);
            let timeouts = [session.poll_timeout(), this.connection.deadline()];
            let timeout = timeouts.into_iter().flatten().min();
            inner.take_ready(&mut ready);
            if this.connection.is_gone() {
                result = Poll::Ready(());
                break;
            }
            turns += 1;
            if moved == Moved::Something && turns >= Self::TURNS {
                cx.waker().wake_by_ref();
                break;
            }
            if moved == Moved::Nothing
                && this.deadline.poll(&this.runtime, timeout, cx).is_pending()
            {
                inner.task = Some(cx.waker().clone());
                this.connection.release_memory();
                break;
            }
        }
        drop(inner);
        ready.into_iter().for_each(Waker::wake);
        result
    }
}

impl<R: Runtime, T> Drop for Mover<R, T> {
    /// At its end, or because the runtime drops its tasks: nobody must wait for a session that nobody
    /// moves.
    fn drop(&mut self) {
        let now = self.runtime.now();
        let mut ready = Vec::new();
        let mut inner = self.shared.lock();
        inner.session.abort(now);
        inner.take_ready(&mut ready);
        inner.gone = true;
        ready.append(&mut inner.end_wakers);
        drop(inner);
        ready.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
