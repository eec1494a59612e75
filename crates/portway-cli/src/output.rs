//! The one place that writes to the standard streams.
//!
//! A reader that has gone away (`portway ... | head -1`) is no reason to end a forward, and neither is
//! a full disk behind it: what cannot be written is dropped.

use std::fmt::Display;
use std::io::Write;

use portway_tokio::proto::printable;

/// The most characters of one line on stderr. Texts of the other side are cut earlier.
const LIMIT: usize = 4_096;

/// One line on stdout. It must be ours alone: what others chose goes through [`note`].
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Text as it is on stdout, several lines maybe.
pub(crate) fn block(text: impl Display) {
    let mut stdout = std::io::stdout().lock();
    let _ = write!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// One line on stderr, with nothing in it that a terminal would act on.
pub(crate) fn note(text: impl Display) {
    let text = text.to_string();
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(&text).limit(LIMIT));
}

/// Lines on stderr that keep their indentation, with nothing in them that a terminal would act on.
pub(crate) fn advice(text: &str) {
    let mut stderr = std::io::stderr().lock();
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
