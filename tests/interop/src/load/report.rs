use std::fmt;
use std::time::Duration;

/// One number of a [`Report`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Figure {
    /// What was measured.
    pub name: &'static str,
    /// How much it was ...
    pub value: f64,
    /// ... of this.
    pub unit: &'static str,
}

/// What a scenario that went well has to tell.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What could not be looked at, if anything.
    pub note: Option<String>,
}

impl Report {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn figure(mut self, name: &'static str, value: f64, unit: &'static str) -> Self {
        self.figures.push(Figure { name, value, unit });
        self
    }

    pub(super) fn time(self, name: &'static str, time: Duration) -> Self {
        self.figure(name, time.as_secs_f64() * 1e3, "ms")
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody moves petabytes")]
    pub(super) fn rate(self, name: &'static str, bytes: u64, time: Duration) -> Self {
        self.figure(name, bytes as f64 / f64::from(1 << 20) / time.as_secs_f64(), "MiB/s")
    }

    pub(super) fn latencies(
        self,
        median: &'static str,
        p99: &'static str,
        mut sorted: Vec<Duration>,
    ) -> Self {
        sorted.sort_unstable();
        let Some(last) = sorted.len().checked_sub(1) else { return self };
        self.time(median, sorted[last / 2]).time(p99, sorted[last * 99 / 100])
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.figures.iter().map(|figure| {
            let Figure { name, value, unit } = figure;
            let digits = if *value < 10.0 && value.fract() != 0.0 { 2 } else { 0 };
            format!("{name} {value:.digits$} {unit}").trim_end().to_owned()
        });
        let parts: Vec<_> = figures.chain(self.note.clone()).collect();
        f.write_str(&parts.join(", "))
    }
}
