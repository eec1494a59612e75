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
    /// Local ports and unix sockets, each once.
    local: Vec<String>,
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
                let port = local.socket_addr().map(|addr| addr.port().to_string());
                let local = port.unwrap_or_else(|| local.to_string());
                let shown = &mut self.row(forward).local;
                if !shown.contains(&local) {
                    shown.push(local);
                }
            }
            What::Progress { forward, open, accepted, bytes_up, bytes_down } => {
                let row = self.row(forward);
                (row.open, row.total) = (*open, *accepted);
                row.up.note(*bytes_up, now);
                row.down.note(*bytes_down, now);
            }
            What::Reached { forward, pod, form } | What::Connected { forward, pod, form, .. } => {
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
        Cells {
            forward: shown(&self.forward),
            local: self.local.join(","),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::net::SocketAddr;

    use super::*;

    fn listening(forward: &str, local: &str) -> What {
        What::Listening {
            forward: forward.into(),
            namespace: "default".to_owned(),
            target: forward.to_owned(),
            local: local.parse::<SocketAddr>().unwrap().into(),
            remote: 80,
        }
    }

    fn connected(pod: &str, form: WireForm) -> What {
        What::Connected {
            forward: "svc/web".into(),
            connection: 1,
            namespace: "default".to_owned(),
            pod: pod.to_owned(),
            form: form.to_string(),
            origin: crate::event::Origin::Dialled,
            took: Duration::ZERO,
        }
    }

    fn progress(open: usize, accepted: u64, bytes_up: u64, bytes_down: u64) -> What {
        What::Progress { forward: "svc/web".into(), open, accepted, bytes_up, bytes_down }
    }

    /// The cells of `svc/web`.
    fn cells(model: &mut Model, now: Instant) -> Vec<String> {
        let lines = model.lines(200, 24, now);
        let line = lines.iter().find(|line| line.starts_with("svc/web")).unwrap();
        line.split("  ").map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn a_line_tells_what_its_forward_does() {
        let (mut model, now) = (Model::default(), Instant::now());
        assert_eq!(model.lines(80, 24, now), [""; 0]);
        for local in ["127.0.0.1:8080", "[::1]:8080", "127.0.0.1:8443"] {
            model.tell(&listening("svc/web", local), now);
        }
        model.tell(&listening("svc/other", "127.0.0.1:1"), now);
        let calm = ["svc/web", "8080,8443", "0", "0", "0", "0", "0", "0", "-", "-"];
        assert_eq!(cells(&mut model, now), calm);
        assert!(model.is_calm());

        model.tell(&connected("web-0", WireForm::Tunnel), now);
        model.tell(&progress(2, 17, 2_048, 5 << 20), now);
        let busy = ["svc/web", "8080,8443", "2", "17", "2.0Ki", "2.0Ki", "5.0Mi", "5.0Mi"];
        assert_eq!(cells(&mut model, now)[..8], busy);
        assert_eq!(cells(&mut model, now)[8..], ["web-0", "tunnel"]);
        assert!(!model.is_calm());

        let later = now + Duration::from_secs(3);
        assert_eq!(cells(&mut model, later)[4..8], ["2.0Ki", "0", "5.0Mi", "0"]);
        assert!(model.is_calm());
        assert_eq!(model.lines(200, 24, later).len(), 3);
    }

    #[test]
    fn every_wire_form_has_the_word_that_the_command_line_has() {
        let (mut model, now) = (Model::default(), Instant::now());
        model.tell(&listening("svc/web", "127.0.0.1:1"), now);
        for (form, said) in [
            (WireForm::Tunnel, "tunnel"),
            (WireForm::V4, "v4"),
            (WireForm::V4Base64, "v4-base64"),
            (WireForm::Spdy, "spdy"),
        ] {
            model.tell(&connected("web-0", form), now);
            assert_eq!(cells(&mut model, now)[9], said);
        }
    }

    #[test]
    fn a_pod_that_is_lost_is_not_shown_until_there_is_another() {
        let (mut model, now) = (Model::default(), Instant::now());
        model.tell(&connected("web-0", WireForm::V4), now);
        let lost = |pod: &str| What::Lost {
            forward: "svc/web".into(),
            namespace: "default".to_owned(),
            pod: pod.to_owned(),
            reason: "it was deleted".to_owned(),
        };
        model.tell(&lost("web-of-yesterday"), now);
        assert_eq!(cells(&mut model, now)[8], "web-0");
        model.tell(&lost("web-0"), now);
        assert_eq!(cells(&mut model, now)[8], "-");
        assert_eq!(cells(&mut model, now)[10], "lost pod web-0: it was deleted");
        let restored = What::Restored {
            forward: "svc/web".into(),
            namespace: "default".to_owned(),
            pod: "web-1".to_owned(),
            after: Duration::from_secs(1),
        };
        model.tell(&restored, now);
        assert_eq!(cells(&mut model, now)[8], "web-1");
    }

    #[test]
    fn what_a_server_says_does_nothing_to_a_terminal() {
        let (mut model, now) = (Model::default(), Instant::now());
        model.tell(&listening("svc/web", "127.0.0.1:1"), now);
        model.tell(&connected("web\u{1b}[2J", WireForm::V4), now);
        let error = "\u{1b}]0;title\u{7}no\r\n\u{9b}31mred\u{202e}".to_owned();
        let remote = 80;
        let local = "127.0.0.1:1".parse::<SocketAddr>().unwrap().into();
        let forward = "svc/web".into();
        model.tell(&What::Failed { forward, connection: 1, local, remote, error }, now);
        for width in 0..200 {
            for line in model.lines(width, 24, now) {
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
        assert_eq!(cells(&mut model, now)[10], "\u{fffd}]0;title\u{fffd}no \u{fffd}31mred\u{fffd}");
    }

    #[test]
    fn more_forwards_than_half_the_screen_are_counted() {
        let (mut model, now) = (Model::default(), Instant::now());
        for number in 0..20 {
            model.tell(&listening(&format!("pod/{number}"), "127.0.0.1:1"), now);
        }
        let lines = model.lines(80, 24, now);
        assert_eq!((lines.len(), lines[11].as_str()), (12, "and 10 more"));
        assert_eq!(model.lines(80, 60, now).len(), 21);
        // Always a line left for what scrolls.
        assert_eq!(model.lines(80, 3, now).len(), 2);
        assert_eq!(model.lines(80, 2, now).len(), 0);
        assert_eq!(model.lines(80, 0, now).len(), 0);
    }
}
