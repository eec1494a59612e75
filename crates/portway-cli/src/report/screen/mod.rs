//! Live lines on a terminal: what each forward is doing, below what scrolls.

mod amount;
mod model;
mod rate;
mod signals;
mod table;
mod terminal;

use std::io::{IsTerminal, Stderr};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use self::model::Model;
use self::signals::Change;
use self::terminal::{Terminal, Tty};
use super::{Queue, Report, Text, Words};
use crate::event::{Event, What};
use crate::output;

/// Whether there is a terminal that can show live lines, and whose user wants them.
pub(super) fn is_wanted() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let term = std::env::var_os("TERM");
    let dumb = term.map_or(cfg!(unix), |term| term.is_empty() || term == "dumb");
    !no_color && !dumb && is_one_terminal()
}

/// Whether stdout and stderr are a terminal, and the same one: what goes to one would tear what is on
/// the other.
fn is_one_terminal() -> bool {
    let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
    if !stdout.is_terminal() || !stderr.is_terminal() {
        return false;
    }
    #[cfg(unix)]
    {
        let device = |stat: rustix::fs::Stat| stat.st_rdev;
        let stdout = rustix::fs::fstat(&stdout).map(device);
        stdout.is_ok() && stdout == rustix::fs::fstat(&stderr).map(device)
    }
    #[cfg(not(unix))]
    true
}

/// kubectl's words and notes, and a live line for each forward below them.
///
/// It draws at once when something happens after a while of nothing, then four times a second at most,
/// and not at all when what it would draw stands there already.
#[derive(Debug)]
pub(super) struct Screen<T> {
    text: Text,
    model: Model,
    terminal: Terminal<T>,
    /// What scrolls with the next frame.
    notes: Vec<String>,
    drawn: Option<Instant>,
    /// Something has happened since.
    stale: bool,
    /// Somebody else has the terminal.
    away: bool,
}

impl<T: Tty> Screen<T> {
    /// The shortest time from one frame to the next.
    const PAUSE: Duration = Duration::from_millis(250);
    /// Notes that wait for the next frame. With more of them it is drawn at once.
    const NOTES: usize = 256;

    pub(super) fn new(tty: T) -> Self {
        Self {
            text: Text::new(Words::Stdout),
            model: Model::default(),
            terminal: Terminal::new(tty),
            notes: Vec::new(),
            drawn: None,
            stale: false,
            away: false,
        }
    }

    /// Takes an event in. Words for it come back as [notes](Self::note).
    fn see(&mut self, event: &Event, now: Instant) {
        self.model.tell(&event.what, now);
        self.stale = true;
        // The live line counts them.
        if !matches!(event.what, What::Accepted { .. }) {
            self.text.tell(event);
        }
    }

    /// A line that scrolls.
    fn note(&mut self, line: String) {
        self.notes.push(line);
        self.stale = true;
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Resized => self.terminal.forget(),
            Change::Leaving(left) => {
                self.away = true;
                // Nobody can be told of a terminal that is broken.
                let _ = self.terminal.leave_with(&self.notes);
                self.notes.clear();
                let _ = left.send(());
            }
            Change::Back => {
                self.away = false;
                self.terminal.forget();
            }
        }
        self.stale = true;
    }

    /// When the next frame is due; `None` as long as nothing happens.
    fn due(&self, now: Instant) -> Option<Instant> {
        let moves = self.stale || !self.model.is_calm();
        if self.away || !moves {
            return None;
        }
        let next = self.drawn.map_or(now, |drawn| drawn + Self::PAUSE);
        Some(if self.notes.len() >= Self::NOTES { now } else { next })
    }

    /// Draws a frame, if it would be another one.
    fn refresh(&mut self, now: Instant) {
        let lines = self.lines(now);
        (self.drawn, self.stale) = (Some(now), false);
        if self.notes.is_empty() && self.terminal.shows(&lines) {
            return;
        }
        let _ = self.terminal.draw(&self.notes, lines);
        self.notes.clear();
    }

    /// Leaves the lines as they are in the end, and the terminal to others.
    fn finish(&mut self, now: Instant) {
        let mut last = std::mem::take(&mut self.notes);
        last.append(&mut self.lines(now));
        let _ = self.terminal.leave_with(&last);
    }

    fn lines(&mut self, now: Instant) -> Vec<String> {
        if !self.terminal.is_ours() {
            return Vec::new();
        }
        let (columns, rows) = self.terminal.size();
        self.model.lines(columns, rows, now)
    }

    /// Until there are no more events.
    async fn keep(
        &mut self,
        mut queue: Queue,
        mut lines: mpsc::Receiver<String>,
        mut changes: mpsc::Receiver<Change>,
    ) {
        loop {
            let now = Instant::now();
            let due = self.due(now);
            if due.is_some_and(|due| due <= now) {
                self.refresh(now);
                continue;
            }
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = queue.next() => match event {
                    Some(event) => self.see(&event, Instant::now()),
                    None => break,
                },
                Some(line) = lines.recv() => self.note(line),
                Some(change) = changes.recv() => self.change(change),
                () = due => {}
            }
            // What has happened together is drawn together.
            while let Some(event) = queue.try_next() {
                self.see(&event, Instant::now());
                while let Ok(line) = lines.try_recv() {
                    self.note(line);
                }
            }
            while let Ok(line) = lines.try_recv() {
                self.note(line);
            }
        }
        while let Ok(line) = lines.try_recv() {
            self.note(line);
        }
        self.finish(Instant::now());
    }
}

impl Report for Screen<Stderr> {
    fn tell(&mut self, event: &Event) {
        self.see(event, Instant::now());
    }

    fn progress(&self) -> Option<Duration> {
        Some(Self::PAUSE)
    }

    fn run(mut self: Box<Self>, queue: Queue, runtime: &Handle) {
        let (sender, changes) = mpsc::channel(1);
        let lines = output::divert();
        let signals = runtime.spawn(signals::watch(sender));
        runtime.block_on(self.keep(queue, lines, changes));
        signals.abort();
    }
}
