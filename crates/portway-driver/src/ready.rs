use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use portway_proto::StreamId;

/// Which streams of a task have something to do, so that a wake-up looks at nobody else.
#[derive(Debug, Default)]
pub(crate) struct ReadyList {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    streams: Vec<StreamId>,
    task: Option<Waker>,
}

/// What puts one stream on the list: by its task, or as the waker of what it waits for.
#[derive(Debug)]
pub(crate) struct Bell {
    id: StreamId,
    /// It is on the list.
    rung: AtomicBool,
    list: Arc<ReadyList>,
}

impl ReadyList {
    /// The task to be woken by a bell.
    pub(crate) fn listen(&self, cx: &Context<'_>) {
        let mut inner = self.lock();
        if !inner.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            inner.task = Some(cx.waker().clone());
        }
    }

    /// Takes all that are on it, into a list that is empty.
    pub(crate) fn take(&self, streams: &mut Vec<StreamId>) {
        std::mem::swap(&mut self.lock().streams, streams);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics halfway.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    pub(crate) fn new(id: StreamId, list: &Arc<ReadyList>) -> Arc<Self> {
        Arc::new(Self { id, rung: AtomicBool::new(false), list: Arc::clone(list) })
    }

    /// Rung by the task itself, which looks at the list before it sleeps.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.list.lock().streams.push(self.id);
        }
    }

    /// The stream is looked at: what happens from here on rings again.
    pub(crate) fn answer(&self) {
        self.rung.store(false, Ordering::Release);
    }

    #[cfg(debug_assertions)]
    pub(crate) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut inner = self.list.lock();
        inner.streams.push(self.id);
        let task = inner.task.take();
        drop(inner);
        if let Some(task) = task {
            task.wake();
        }
    }
}
