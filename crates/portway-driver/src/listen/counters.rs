use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::Poll;

use super::IdleFn;
use super::door::{ListenStats, Shared};

/// The counters of a [`Listening`](crate::Listening), for whoever shows them: a handle that can be kept
/// anywhere, keeps nothing of the listener running, and goes on to tell what it came to once it is gone.
///
/// ```no_run
/// # use portway_driver::{Counters, Runtime};
/// # use std::time::Duration;
/// # async fn show<R: Runtime>(rt: R, counters: Counters) {
/// let mut stats = counters.stats();
/// loop {
///     println!("{} open, {} bytes down", stats.open, stats.bytes_down);
///     rt.sleep_until(rt.now() + Duration::from_millis(250)).await;
///     // Nobody is woken while nothing happens.
///     stats = counters.changed(&stats).await;
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Counters {
    shared: Arc<Shared>,
    /// The pool knows, for as long as it is there.
    idle: Weak<IdleFn>,
}

impl Counters {
    pub(super) const fn new(shared: Arc<Shared>, idle: Weak<IdleFn>) -> Self {
        Self { shared, idle }
    }

    /// Counters as of now.
    pub fn stats(&self) -> ListenStats {
        let idle = self.idle.upgrade().map_or(0, |idle| idle());
        ListenStats { idle, ..self.shared.stats() }
    }

    /// Waits until they are not `since` any more: bytes have moved, or a connection came, got its
    /// session or ended. Sessions that wait ([`ListenStats::idle`]) are no news. Cancellation-safe.
    pub async fn changed(&self, since: &ListenStats) -> ListenStats {
        loop {
            // Listen first: what happens between the two must not be missed.
            let mut listeners = [self.shared.counted(), self.shared.life.ended()];
            let stats = self.stats();
            if (ListenStats { idle: since.idle, ..stats }) != *since {
                return stats;
            }
            std::future::poll_fn(|cx| {
                let mut heard = listeners.iter_mut().map(|it| Pin::new(it).poll(cx));
                if heard.any(|poll| poll.is_ready()) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
