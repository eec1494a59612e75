use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::rng::Rng;

/// A task, as it is run.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is known of the tasks. They themselves belong to the executor, since nothing of ours may be
/// locked while they run.
#[derive(Default)]
pub(crate) struct Tasks {
    made: u64,
    known: BTreeMap<u64, Known>,
    /// Not taken over by the executor yet.
    spawned: Vec<(u64, Job)>,
    current: u64,
}

/// What is known of one.
#[derive(Debug)]
struct Known {
    name: String,
    spawned: Duration,
    polled: Option<Duration>,
    polls: u64,
    waits: Vec<Wait>,
}

/// What a task waits for, as far as the simulator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Timer(u64),
    Readable { conn: u64 },
    Writable { conn: u64 },
    Accept { port: u16 },
}

impl Tasks {
    /// The body of the test.
    pub(crate) const ROOT: u64 = 0;

    pub(crate) fn add_root(&mut self) {
        self.known.insert(Self::ROOT, Known::new("root".to_owned(), Duration::ZERO));
    }

    pub(crate) fn add(&mut self, name: String, job: Job, now: Duration) -> u64 {
        self.made += 1;
        self.known.insert(self.made, Known::new(name, now));
        self.spawned.push((self.made, job));
        self.made
    }

    pub(crate) fn take_spawned(&mut self) -> Vec<(u64, Job)> {
        std::mem::take(&mut self.spawned)
    }

    pub(crate) fn begin_poll(&mut self, id: u64, now: Duration) {
        self.current = id;
        if let Some(known) = self.known.get_mut(&id) {
            known.polled = Some(now);
            known.polls += 1;
            known.waits.clear();
        }
    }

    pub(crate) fn waits(&mut self, wait: Wait) {
        let current = self.current;
        if let Some(known) = self.known.get_mut(&current) {
            // A combinator may ask for the same thing a thousand times.
            const KEPT: usize = 16;
            if known.waits.len() < KEPT && !known.waits.contains(&wait) {
                known.waits.push(wait);
            }
        }
    }

    pub(crate) fn remove(&mut self, id: u64) {
        self.known.remove(&id);
    }

    /// Those that are not over, without the body of the test.
    pub(crate) fn left(&self) -> usize {
        self.known.len() - usize::from(self.known.contains_key(&Self::ROOT))
    }

    pub(crate) fn name(&self, id: u64) -> &str {
        self.known.get(&id).map_or("", |known| &known.name)
    }
}

impl Known {
    const fn new(name: String, spawned: Duration) -> Self {
        Self { name, spawned, polled: None, polls: 0, waits: Vec::new() }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, task) in &self.known {
            let Known { name, spawned, polled, polls, waits } = task;
            write!(f, "  task {id} {name}: spawned at {spawned:?}, ")?;
            match polled {
                Some(at) => write!(f, "polled {polls} times, last at {at:?}")?,
                None => write!(f, "never polled")?,
            }
            writeln!(f, ", waits for {waits:?}")?;
        }
        Ok(())
    }
}

/// The name of a task from the type of its future: what it is, without what it is made of.
pub(crate) fn name_of<F>() -> String {
    let mut depth = 0_usize;
    let mut plain = String::new();
    for letter in std::any::type_name::<F>().chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(letter),
            _ => {}
        }
    }
    plain.replace("::{{closure}}", "")
}

/// The tasks that can run.
#[derive(Debug, Default)]
pub(crate) struct Ready(Mutex<ReadyTasks>);

#[derive(Debug, Default)]
struct ReadyTasks {
    queue: Vec<u64>,
    known: BTreeSet<u64>,
}

impl Ready {
    pub(crate) fn push(&self, id: u64) {
        self.with(|ready| {
            if ready.known.insert(id) {
                ready.queue.push(id);
            }
        });
    }

    /// Any of them.
    pub(crate) fn pop(&self, rng: &mut Rng) -> Option<u64> {
        self.with(|ready| {
            if ready.queue.is_empty() {
                return None;
            }
            let id = ready.queue.swap_remove(rng.below(ready.queue.len()));
            ready.known.remove(&id);
            Some(id)
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.with(|ready| ready.queue.is_empty())
    }

    fn with<T>(&self, act: impl FnOnce(&mut ReadyTasks) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Wakes a task.
struct TaskWaker {
    id: u64,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.push(self.id);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.push(self.id);
    }
}

pub(crate) fn waker(id: u64, ready: &Arc<Ready>) -> Waker {
    Waker::from(Arc::new(TaskWaker { id, ready: Arc::clone(ready) }))
}

/// The output of a task, and a future of it.
pub(crate) fn outcome<T>() -> (Outcome<T>, Running<T>) {
    let slot = Arc::new(Mutex::new((None, None)));
    (Outcome(Arc::clone(&slot)), Running(slot))
}

/// An output, and who waits for it.
type Slot<T> = Arc<Mutex<(Option<T>, Option<Waker>)>>;

pub(crate) struct Outcome<T>(Slot<T>);

/// A future of the output of a task, which runs whether or not anybody waits for it.
pub struct Running<T>(Slot<T>);

impl<T> Outcome<T> {
    pub(crate) fn set(self, output: T) {
        let waker = {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slot.0 = Some(output);
            slot.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> Future for Running<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.0.take() {
            Some(output) => Poll::Ready(output),
            None => {
                slot.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for Running<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_task_is_and_not_what_it_is_made_of() {
        async fn work<T>(_: T) {
            std::future::ready(()).await;
        }
        fn name<F>(_: &F) -> String {
            name_of::<F>()
        }
        let named = name(&work(vec![1]));
        assert!(named.ends_with("::work"), "{named}");
    }
}
