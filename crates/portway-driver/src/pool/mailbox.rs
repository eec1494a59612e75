use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::Guest;

/// How a session's task is reached. Used between two connections and never for their bytes.
#[derive(Debug)]
pub(super) struct Mailbox<S> {
    inner: Mutex<Inner<S>>,
}

#[derive(Debug)]
struct Inner<S> {
    guests: VecDeque<Guest<S>>,
    retired: bool,
    waker: Option<Waker>,
}

impl<S> Mailbox<S> {
    pub(super) const fn new() -> Self {
        let inner = Inner { guests: VecDeque::new(), retired: false, waker: None };
        Self { inner: Mutex::new(inner) }
    }

    /// A guest for the session. Wake the task once nothing is locked.
    #[must_use]
    pub(super) fn push(&self, guest: Guest<S>) -> Option<Waker> {
        let mut inner = self.lock();
        inner.guests.push_back(guest);
        inner.waker.take()
    }

    /// The session is to take no more guests. Wake the task once nothing is locked.
    #[must_use]
    pub(super) fn retire(&self) -> Option<Waker> {
        let mut inner = self.lock();
        inner.retired = true;
        inner.waker.take()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.lock().retired
    }

    /// The next guest; if there is none, `waker` is told of one.
    pub(super) fn pop(&self, waker: &Waker) -> Option<Guest<S>> {
        let mut inner = self.lock();
        let guest = inner.guests.pop_front();
        if guest.is_none() && !inner.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            inner.waker = Some(waker.clone());
        }
        guest
    }

    /// Everybody who was not welcomed yet.
    pub(super) fn drain(&self) -> VecDeque<Guest<S>> {
        std::mem::take(&mut self.lock().guests)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        // Nothing in here panics halfway.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
