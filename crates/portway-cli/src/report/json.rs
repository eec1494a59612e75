use super::Report;
use crate::event::{Event, What};
use crate::output;

/// One JSON object a line on stdout: the [`Event`] as it is.
#[derive(Debug)]
pub(crate) struct Json;

impl Report for Json {
    fn tell(&mut self, event: &Event) {
        if matches!(event.what, What::Progress { .. }) {
            return;
        }
        if let Ok(text) = serde_json::to_string(event) {
            output::line(text);
        }
    }
}
