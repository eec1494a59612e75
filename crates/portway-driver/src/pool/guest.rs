use async_lock::SemaphoreGuardArc;

use crate::relay::Local;
use crate::{Bound, Presence};

/// A program that has connected, wherever it is on its way to a session.
#[derive(Debug)]
pub(crate) struct Guest<S> {
    pub(crate) ticket: Ticket,
    pub(crate) local: Local<S>,
}

/// What there is to know of a program's connection, and its places among those that are allowed.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) number: u64,
    pub(crate) bound: Bound,
    /// A session failed it once: the next is a new one, and the last.
    pub(crate) second_try: bool,
    pub(crate) span: tracing::Span,
    pub(crate) _slot: SemaphoreGuardArc,
    pub(crate) _presence: Presence,
}
