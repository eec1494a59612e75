use super::{Report, Words};
use crate::event::{Event, What};

/// One JSON object a line: the [`Event`] as it is.
#[derive(Debug)]
pub(super) struct Json {
    words: Words,
}

impl Json {
    pub(super) const fn new(words: Words) -> Self {
        Self { words }
    }
}

impl Report for Json {
    fn tell(&mut self, event: &Event) {
        if matches!(event.what, What::Reached { .. } | What::Progress { .. }) {
            return;
        }
        if let Ok(text) = serde_json::to_string(event) {
            self.words.say(text);
        }
    }
}
