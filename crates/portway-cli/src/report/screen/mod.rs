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

    /// The lines that are there, and how many there was no room for.
    fn note_all(&mut self, lines: &mut mpsc::Receiver<String>) {
        while let Ok(line) = lines.try_recv() {
            self.note(line);
        }
        match output::lost() {
            0 => {}
            1 => self.note("a line came too fast to be shown".to_owned()),
            more => self.note(format!("{more} lines came too fast to be shown")),
        }
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
                self.note_all(&mut lines);
            }
            self.note_all(&mut lines);
        }
        self.note_all(&mut lines);
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

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;

    const CLEAR: &str = "\u{1b}[2G\u{1b}[J\u{1b}[1G\u{1b}[2K";

    /// Keeps what is drawn.
    #[derive(Debug, Default)]
    struct Paper {
        drawn: Vec<u8>,
        background: bool,
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.drawn.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Tty for Paper {
        fn size(&self) -> (usize, usize) {
            (80, 24)
        }

        fn is_ours(&self) -> bool {
            !self.background
        }
    }

    fn progress(accepted: u64, bytes_up: u64) -> Event {
        let forward = "svc/web".into();
        Event::now(What::Progress { forward, open: 1, accepted, bytes_up, bytes_down: 0 })
    }

    /// What was drawn since this was asked.
    fn drawn(screen: &mut Screen<Paper>) -> String {
        String::from_utf8(std::mem::take(&mut screen.terminal.tty().drawn)).unwrap()
    }

    #[test]
    fn it_draws_at_once_then_four_times_a_second_and_then_not_at_all() {
        let (mut screen, start) = (Screen::new(Paper::default()), Instant::now());
        assert_eq!(screen.due(start), None);
        let (mut now, mut frames) = (start, 0);
        for step in 0..1_000 {
            now = start + Duration::from_millis(step * 2);
            screen.see(&progress(step, step * 1_000), now);
            if screen.due(now).is_some_and(|due| due <= now) {
                screen.refresh(now);
                frames += usize::from(!drawn(&mut screen).is_empty());
            }
        }
        assert_eq!(frames, 8, "in two seconds");
        // What moved fades, and then there is nothing more to do.
        while let Some(due) = screen.due(now) {
            now = due.max(now);
            screen.refresh(now);
            frames += usize::from(!drawn(&mut screen).is_empty());
            assert!(frames < 30);
        }
        assert!(now >= start + Duration::from_secs(4), "{:?}", now - start);
        // An event that changes nothing draws nothing.
        screen.see(&progress(999, 999_000), now);
        screen.refresh(screen.due(now).unwrap());
        assert_eq!(drawn(&mut screen), "");
    }

    #[test]
    fn notes_go_above_the_lines_and_the_cursor_stays_at_the_first_of_them() {
        let (mut screen, now) = (Screen::new(Paper::default()), Instant::now());
        screen.see(&progress(1, 0), now);
        screen.refresh(now);
        assert!(drawn(&mut screen).contains("\u{1b}[?25l"));
        screen.note("a note".to_owned());
        screen.refresh(now);
        let frame = drawn(&mut screen);
        let (before, after) = frame.split_once("a note\r\n").unwrap();
        assert!(before.ends_with(CLEAR), "{before:?}");
        assert!(after.contains("FORWARD") && after.contains("svc/web"), "{after:?}");
        assert!(after.contains("\u{1b}[1G\u{1b}[1A"), "{after:?}");
    }

    #[test]
    fn in_the_end_the_lines_stay_and_the_cursor_is_back_below_them() {
        let (mut screen, now) = (Screen::new(Paper::default()), Instant::now());
        screen.finish(now);
        assert_eq!(drawn(&mut screen), "", "nothing was drawn, so nothing is put right");
        screen.see(&progress(1, 0), now);
        screen.refresh(now);
        drawn(&mut screen);
        screen.note("cut off".to_owned());
        screen.finish(now);
        let last = drawn(&mut screen);
        assert!(last.starts_with(&format!("{CLEAR}cut off\r\nFORWARD")), "{last:?}");
        assert!(last.ends_with("\r\n\u{1b}[?25h"), "{last:?}");
    }

    #[test]
    fn in_the_background_notes_scroll_and_nothing_else_is_drawn() {
        let background = Paper { background: true, ..Paper::default() };
        let (mut screen, now) = (Screen::new(background), Instant::now());
        screen.see(&progress(1, 0), now);
        screen.refresh(now);
        assert_eq!(drawn(&mut screen), "");
        screen.note("a note".to_owned());
        screen.refresh(now);
        let frame = drawn(&mut screen);
        assert!(frame.contains("a note\r\n") && !frame.contains("FORWARD"), "{frame:?}");
        assert!(!frame.contains(CLEAR), "it takes nothing away: {frame:?}");
    }

    #[test]
    fn who_stops_leaves_an_ordinary_terminal_and_comes_back_with_a_frame() {
        let (mut screen, now) = (Screen::new(Paper::default()), Instant::now());
        screen.see(&progress(1, 0), now);
        screen.refresh(now);
        drawn(&mut screen);
        let (sender, mut left) = tokio::sync::oneshot::channel();
        screen.change(Change::Leaving(sender));
        assert_eq!(drawn(&mut screen), format!("{CLEAR}\u{1b}[?25h"));
        assert_eq!(left.try_recv(), Ok(()));
        screen.see(&progress(2, 0), now);
        assert_eq!(screen.due(now), None, "it is somebody else's");
        screen.change(Change::Back);
        screen.refresh(screen.due(now).unwrap());
        assert!(drawn(&mut screen).contains("svc/web"));
    }
}
