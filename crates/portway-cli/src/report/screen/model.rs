use std::sync::Arc;
use std::time::Instant;

use portway_tokio::WireForm;
use portway_tokio::proto::printable;

use super::amount::amount;
use super::rate::Rate;
use super::table::{Cells, fit, table};
use crate::event::{End, What};

/// What is known of the forwards, from events alone.
#[derive(Debug, Default)]
pub(super) struct Model {
    rows: Vec<Row>,
}

/// One forward.
#[derive(Debug)]
struct Row {
    forward: Arc<str>,
    /// Local ports, each once.
    local: Vec<u16>,
    open: usize,
    total: u64,
    up: Rate,
    down: Rate,
    pod: String,
    wire: String,
    error: String,
}

impl Model {
    /// Something has happened.
    pub(super) fn tell(&mut self, what: &What, now: Instant) {
        match what {
            What::Listening { forward, local, .. } => {
                let ports = &mut self.row(forward).local;
                if !ports.contains(&local.port()) {
                    ports.push(local.port());
                }
            }
            What::Progress { forward, open, accepted, bytes_up, bytes_down } => {
                let row = self.row(forward);
                (row.open, row.total) = (*open, *accepted);
                row.up.note(*bytes_up, now);
                row.down.note(*bytes_down, now);
            }
            What::Connected { forward, pod, form, .. } => {
                let row = self.row(forward);
                row.pod = shown(pod);
                row.wire = word(form);
            }
            What::Lost { forward, pod, reason, .. } => {
                let row = self.row(forward);
                if row.pod == shown(pod) {
                    row.pod.clear();
                }
                row.error = format!("lost pod {}: {}", shown(pod), shown(reason));
            }
            What::Restored { forward, pod, .. } => self.row(forward).pod = shown(pod),
            What::Resolving { forward, error } => {
                let row = self.row(forward);
                row.pod.clear();
                row.error = shown(error);
            }
            What::Failed { forward, error, .. }
            | What::Unwatched { forward, error }
            | What::Unopened { forward, error, .. } => self.row(forward).error = shown(error),
            What::Ended { forward, end: End::Failed, error: Some(error), .. } => {
                self.row(forward).error = shown(error);
            }
            What::Ended { .. }
            | What::Ready
            | What::Accepted { .. }
            | What::Retried { .. }
            | What::Full { .. }
            | What::Missed { .. }
            | What::Error { .. }
            | What::Stopped { .. } => {}
        }
    }

    /// The live lines for a terminal of this size; none where there is nothing to show or no room.
    pub(super) fn lines(&mut self, columns: usize, rows: usize, now: Instant) -> Vec<String> {
        // What scrolls needs room too.
        let room = (rows / 2).max(2).min(rows.saturating_sub(1));
        if self.rows.is_empty() || room < 2 {
            return Vec::new();
        }
        let cells: Vec<Cells> = self.rows.iter_mut().map(|row| row.cells(now)).collect();
        let mut lines = table(&cells, columns);
        if lines.len() > room {
            let more = lines.len() - room + 1;
            lines.truncate(room - 1);
            lines.push(fit(&format!("and {more} more"), columns));
        }
        lines
    }

    /// Whether the lines stay as they are until something happens.
    pub(super) fn is_calm(&self) -> bool {
        self.rows.iter().all(|row| row.up.is_calm() && row.down.is_calm())
    }

    fn row(&mut self, forward: &Arc<str>) -> &mut Row {
        let place = self.rows.iter().position(|row| row.forward == *forward);
        let place = place.unwrap_or_else(|| {
            self.rows.push(Row::new(Arc::clone(forward)));
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }
}

impl Row {
    fn new(forward: Arc<str>) -> Self {
        Self {
            forward,
            local: Vec::new(),
            open: 0,
            total: 0,
            up: Rate::default(),
            down: Rate::default(),
            pod: String::new(),
            wire: String::new(),
            error: String::new(),
        }
    }

    fn cells(&mut self, now: Instant) -> Cells {
        let local: Vec<String> = self.local.iter().map(u16::to_string).collect();
        Cells {
            forward: shown(&self.forward),
            local: local.join(","),
            open: self.open.to_string(),
            total: self.total.to_string(),
            up: amount(self.up.total()),
            up_rate: amount(self.up.per_second(now)),
            down: amount(self.down.total()),
            down_rate: amount(self.down.per_second(now)),
            pod: self.pod.clone(),
            wire: self.wire.clone(),
            error: self.error.clone(),
        }
    }
}

/// A text of somebody else's choosing.
fn shown(text: &str) -> String {
    printable(text).to_string()
}

/// The wire form in the word that `--protocol` has for it.
fn word(form: &str) -> String {
    let words = [
        (WireForm::Tunnel, "tunnel"),
        (WireForm::V4, "v4"),
        (WireForm::V4Base64, "v4-base64"),
        (WireForm::Spdy, "spdy"),
    ];
    let known = words.iter().find(|(known, _)| known.to_string() == form);
    known.map_or_else(|| shown(form), |(_, word)| (*word).to_owned())
}
