use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// What the driver needs of an async runtime: time and tasks. All time and all chance that decides
/// anything enter the driver here, so that a test can bring its own.
pub trait Runtime: Clone + Send + Sync + Unpin + 'static {
    /// A timer.
    type Sleep: Sleep;

    /// Now.
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// A timer that is ready from `at` on.
    fn sleep_until(&self, at: Instant) -> Self::Sleep;

    /// Any number, to spread out by: what many do after the same wait must not come all at once. From
    /// the system's random source, and 0 where that has none.
    fn random(&self) -> u64 {
        getrandom::u64().unwrap_or(0)
    }

    /// Runs a task in the background, detached: ending it is the driver's job.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// A timer that can be set anew without being made anew.
pub trait Sleep: Future<Output = ()> + Send + Unpin + 'static {
    /// Makes it ready from `at` on instead.
    fn reset(&mut self, at: Instant);
}

/// One deadline of a task, which moves. No timer exists while there is none.
#[derive(Debug)]
pub(crate) struct Deadline<R: Runtime> {
    sleep: Option<R::Sleep>,
    armed: Option<Instant>,
}

impl<R: Runtime> Deadline<R> {
    pub(crate) const fn new() -> Self {
        Self { sleep: None, armed: None }
    }

    /// Makes sure that the task is woken at `at`. Ready: that moment is here.
    pub(crate) fn poll(
        &mut self,
        runtime: &R,
        at: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(at) = at else {
            // The timer may still fire once for nothing, which is cheaper than to take it down.
            return Poll::Pending;
        };
        if self.armed != Some(at) || self.sleep.is_none() {
            self.armed = Some(at);
            match &mut self.sleep {
                Some(sleep) => sleep.reset(at),
                None => self.sleep = Some(runtime.sleep_until(at)),
            }
        }
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        if Pin::new(sleep).poll(cx).is_ready() {
            self.armed = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// The time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time was up")]
#[non_exhaustive]
pub struct Elapsed;

/// The end of a wait. One that goes beyond what an `Instant` can name is as good as for ever.
pub fn after(now: Instant, wait: Duration) -> Instant {
    const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    now.checked_add(wait).unwrap_or_else(|| now + FOR_EVER)
}

/// Runs `future` until `at` at the latest, and drops it then.
///
/// # Errors
/// It was not ready by then.
pub async fn until<R: Runtime, F: Future>(
    runtime: &R,
    at: Instant,
    future: F,
) -> Result<F::Output, Elapsed> {
    let mut future = std::pin::pin!(future);
    let mut sleep = runtime.sleep_until(at);
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed))
    })
    .await
}
