use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::tally::Tally;

/// Runs something, and counts what the driver says to its logs meanwhile: paths that nothing else tells
/// of.
pub(super) fn heard<T>(run: impl FnOnce() -> T) -> (T, Tally) {
    let tally = Arc::<Mutex<Tally>>::default();
    let output = tracing::subscriber::with_default(Ear(Arc::clone(&tally)), run);
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (output, tally)
}

struct Ear(Arc<Mutex<Tally>>);

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("portway_")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words::default();
        event.record(&mut words);
        let what = format!("log: {}{}", words.message, words.no);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count(what);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What is said, and why a session is not used again.
#[derive(Default)]
struct Words {
    message: String,
    no: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "no" => self.no = format!(": {value:?}"),
            _ => {}
        }
    }
}
