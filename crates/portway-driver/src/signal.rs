use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use event_listener::{Event, EventListener};

/// Something that happens once, and that anybody can wait for.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    set: AtomicBool,
    event: Event,
}

impl Signal {
    /// Makes it happen.
    pub(crate) fn set(&self) {
        self.set.store(true, Ordering::SeqCst);
        self.event.notify(usize::MAX);
    }

    /// It has happened.
    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    /// Told when it is set; `None` if it is.
    pub(crate) fn listen(&self) -> Option<EventListener> {
        // Listen first: what is set between the two calls must not be missed.
        let listener = self.event.listen();
        (!self.is_set()).then_some(listener)
    }

    /// Runs `future` until this is set: then `None`.
    pub(crate) async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut listener = self.listen()?;
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if Pin::new(&mut listener).poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}
