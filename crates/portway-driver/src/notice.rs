use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use event_listener::EventListener;

/// Something that a task is told once.
#[derive(Debug, Default)]
pub(crate) enum Notice {
    Awaited(EventListener),
    Due,
    /// It was, or never will be.
    #[default]
    Heeded,
}

impl Notice {
    /// `None`: it has happened already.
    pub(crate) fn new(listener: Option<EventListener>) -> Self {
        listener.map_or(Self::Due, Self::Awaited)
    }

    /// True once, when it has happened.
    pub(crate) fn take(&mut self, cx: &mut Context<'_>) -> bool {
        let due = match self {
            Self::Awaited(listener) => Pin::new(listener).poll(cx).is_ready(),
            Self::Due => true,
            Self::Heeded => false,
        };
        if due {
            *self = Self::Heeded;
        }
        due
    }
}
