use std::fmt;
use std::string::FromUtf8Error;
use std::sync::Arc;

use serde_saphyr::{Error, Location, MessageFormatter, UserMessageFormatter};

use crate::near::{did_you_mean, near};

/// Where something stands in a file: `forwards.yaml:3:5`, as editors and terminals know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: Arc<str>,
    line: u64,
    column: u64,
}

/// What is wrong there, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub(crate) struct Problem {
    place: Place,
    what: String,
}

impl Place {
    pub(super) fn new(file: &Arc<str>, location: Location) -> Self {
        // What has no place is about the file, and begins where it begins.
        let (line, column) = (location.line().max(1), location.column().max(1));
        Self { file: Arc::clone(file), line, column }
    }

    pub(super) fn problem(self, what: impl fmt::Display) -> Problem {
        Problem { place: self, what: what.to_string() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Problem {
    /// Where a text stops being one.
    pub(super) fn of_encoding(file: &Arc<str>, error: &FromUtf8Error) -> Self {
        let read = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let read = String::from_utf8_lossy(read);
        let (before, line) = read
            .rsplit_once('\n')
            .map_or((0, &*read), |(before, line)| (before.split('\n').count(), line));
        let place = Place {
            file: Arc::clone(file),
            line: before as u64 + 1,
            column: line.chars().count() as u64 + 1,
        };
        place.problem("this is not UTF-8; save the file in that encoding")
    }

    /// What keeps a text from being YAML, or from having the shape of a file of forwards.
    pub(super) fn of_yaml(file: &Arc<str>, text: &str, error: &Error) -> Self {
        let error = error.without_snippet();
        let location = error.location().unwrap_or(Location::UNKNOWN);
        let mut place = Place::new(file, location);
        if let Error::ExternalMessage { msg, .. } = error {
            if let Some(line) = tab(text, place.line) {
                (place.line, place.column) = (line, 1);
                return place.problem("a tab begins this line; YAML takes only spaces there");
            }
            return place.problem(format_args!(
                "this is not YAML: {msg}; look at the quotes and at how far lines are indented, from here upwards"
            ));
        }
        place.problem(words(error))
    }
}

/// The line that begins with a tab, among the one where YAML went wrong and the next, which may have been
/// taken for a part of it.
fn tab(text: &str, line: u64) -> Option<u64> {
    let lines = text.lines().zip(1..).filter(|(_, number)| (line..=line + 1).contains(number));
    let indented = |text: &str| text[..text.len() - text.trim_start().len()].contains('\t');
    lines.into_iter().find(|(text, _)| indented(text)).map(|(_, number)| number)
}

/// The library's words are for who writes programs with it; these are for who writes the file.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most of them are other features of the library's"
)]
fn words(error: &Error) -> String {
    match error {
        Error::AliasError { error, .. } => words(error),
        Error::Eof { .. } => {
            "there is nothing in it; a file of forwards has a list 'forwards:'".to_owned()
        }
        Error::MultipleDocuments { .. } => {
            "another document begins here; write all forwards into one list, or give several files"
                .to_owned()
        }
        Error::SerdeUnknownField { field, expected, .. } => {
            let hint = did_you_mean(&near(field, expected.iter().copied()));
            let hint = hint.unwrap_or_else(|| format!("there are {}", expected.join(", ")));
            format!("there is no key '{field}' here; {hint}")
        }
        Error::SerdeMissingField { field, .. } => {
            format!("the key '{field}' is missing; add '{field}:'")
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key '{key}' is here twice; leave one of them out")
        }
        Error::Unexpected { expected: "sequence start", .. } => {
            "a list is expected here; write [a, b], or one item a line with '- ' before it"
                .to_owned()
        }
        Error::Unexpected { expected: "mapping start", .. } => {
            "keys are expected here; write 'forwards:' above the list, and 'target: svc/web' and 'ports: [8080:80]' in an item of it"
                .to_owned()
        }
        Error::Unexpected { expected: "string scalar" | "scalar", .. } => {
            "a single value is expected here; no list, and no keys either, which a colon makes with a space or nothing behind it"
                .to_owned()
        }
        Error::NullIntoString { .. } => {
            "there is nothing here; write a value, or leave the line out".to_owned()
        }
        Error::UnknownAnchor { .. } => {
            "no value has been given this name with & above; write the value itself, or quotes around a * that is meant as one"
                .to_owned()
        }
        other => UserMessageFormatter.format_message(other).into_owned(),
    }
}
