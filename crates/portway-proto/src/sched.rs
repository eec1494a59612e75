use std::collections::VecDeque;

use crate::StreamId;

/// Whose turn it is to send: round robin, one message a turn, so that a bulk transfer cannot keep an
/// interactive stream waiting for more than one message of each neighbour.
#[derive(Debug, Default)]
pub(crate) struct Sched {
    turns: VecDeque<StreamId>,
}

impl Sched {
    /// The caller makes sure that a stream waits at most once (`Stream::scheduled`).
    pub(crate) fn push(&mut self, id: StreamId) {
        self.turns.push_back(id);
    }

    /// Before all others. The caller makes sure that a stream does so at most twice in its life.
    pub(crate) fn push_front(&mut self, id: StreamId) {
        self.turns.push_front(id);
    }

    pub(crate) fn pop(&mut self) -> Option<StreamId> {
        self.turns.pop_front()
    }
}
