//! The one place that writes to the standard streams.
//!
//! A reader that has gone away (`portway ... | head -1`) is no reason to end a forward, and neither is
//! a full disk behind it: what cannot be written is dropped.
//!
//! While a screen has [taken the lines over](divert) they go through it, above those of its own.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use portway_tokio::proto::printable;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// The most characters of one line on stderr. Texts of the other side are cut earlier.
const LIMIT: usize = 4_096;

/// Who has taken the lines over.
static DIVERTED: Mutex<Option<mpsc::Sender<String>>> = Mutex::new(None);

/// Lines that found no room there.
static LOST: AtomicUsize = AtomicUsize::new(0);

/// Lines go here from now on, until this is dropped. Nobody waits for it: if there is no more room, they
/// are [lost].
pub(crate) fn divert() -> mpsc::Receiver<String> {
    const ROOM: usize = 1_024;
    let (to, lines) = mpsc::channel(ROOM);
    *DIVERTED.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
    lines
}

/// How many lines were lost since this was asked.
pub(crate) fn lost() -> usize {
    LOST.swap(0, Ordering::Relaxed)
}

/// Gives a line to whoever has taken them over; `None` if it went there.
fn diverted(line: String) -> Option<String> {
    let diverted = DIVERTED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(to) = diverted.as_ref() else { return Some(line) };
    match to.try_send(line) {
        Ok(()) => None,
        Err(TrySendError::Full(_)) => {
            LOST.fetch_add(1, Ordering::Relaxed);
            None
        }
        Err(TrySendError::Closed(line)) => Some(line),
    }
}

/// One line on stdout. It must be ours alone: what others chose goes through [`note`].
pub(crate) fn line(text: impl Display) {
    if let Some(text) = diverted(text.to_string()) {
        let _ = writeln!(io::stdout().lock(), "{text}");
    }
}

/// Text as it is on stdout, several lines maybe.
pub(crate) fn block(text: impl Display) {
    let mut stdout = io::stdout().lock();
    let _ = write!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Text that was asked for as it is: whoever writes it to a file wants all of it, or to know.
pub(crate) fn whole(text: impl Display) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            self::error(format_args!("cannot write to standard output: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// One line on stderr, with nothing in it that a terminal would act on.
pub(crate) fn note(text: impl Display) {
    let text = text.to_string();
    if let Some(text) = diverted(printable(&text).limit(LIMIT).to_string()) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Lines on stderr that keep their indentation, with nothing in them that a terminal would act on.
pub(crate) fn advice(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.lines() {
        let said = line.trim_start_matches(' ');
        let indent = line.len() - said.len();
        let _ = writeln!(stderr, "{:indent$}{}", "", printable(said).limit(LIMIT));
    }
}

/// The line on stderr that says why the command ends.
pub(crate) fn error(text: impl Display) {
    note(format_args!("error: {text}"));
}

/// Where diagnostics go: stderr, as they come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(text).trim_end().to_owned();
        if diverted(line).is_some() {
            io::stderr().lock().write_all(text)?;
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
