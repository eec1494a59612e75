//! What the applications must see.

use portway_proto::StreamError;

/// What one application did to one stream and saw of it: plain lists of bytes.
#[derive(Debug, Default)]
#[allow(clippy::exhaustive_structs)]
pub struct Account {
    /// Everything that `write` took.
    pub sent: Vec<u8>,
    /// It said its end.
    pub finished: bool,
    /// The text it failed the stream with.
    pub failed_with: Option<String>,
    /// It dropped what was not sent yet, or the stream was taken from it.
    pub gave_up: bool,
    /// Everything that `read` gave.
    pub received: Vec<u8>,
    /// How reading ended.
    pub ending: Option<Ending>,
}

/// How reading ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Ending {
    /// `Ok(None)`.
    Clean,
    /// `Err(Failed)` and what `failure()` said.
    Failed(StreamError),
    /// It did not want any more.
    Stopped,
}

/// What the reader of one direction must have seen, given what its writer did.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct Direction<'a> {
    /// The end that writes.
    pub writer: &'a Account,
    /// The end that reads.
    pub reader: &'a Account,
    /// The reader's session said its Close before it heard the other's: what was under way then
    /// is not for it any more.
    pub reader_closed_first: bool,
}

impl Direction<'_> {
    /// What is true at any time.
    pub fn check(&self) {
        let Direction { writer, reader, reader_closed_first } = *self;
        assert!(
            writer.sent.starts_with(&reader.received),
            "{} bytes were received that are not the first of the {} sent",
            reader.received.len(),
            writer.sent.len()
        );
        match &reader.ending {
            Some(Ending::Clean) if !writer.gave_up && !reader_closed_first => {
                assert_eq!(writer.failed_with, None, "a failure looks like a clean end");
                self.check_complete();
            }
            Some(Ending::Failed(StreamError::Remote(text))) => {
                let expected = writer.failed_with.as_deref();
                let expected = expected.expect("an error text that nobody wrote");
                let is_whole = expected.starts_with(text.as_str());
                assert!(is_whole, "{:?} instead of {expected:?}", text.as_str());
                self.check_complete();
            }
            _ => {}
        }
    }

    /// Nothing is under way any more and nothing was dropped.
    pub fn check_complete(&self) {
        let (sent, received) = (self.writer.sent.len(), self.reader.received.len());
        assert_eq!(sent, received, "bytes are missing: {:?}", self.reader.ending);
    }
}

/// The byte at a place of a stream's direction: no two directions look alike.
#[must_use]
pub fn byte(direction: usize, at: usize) -> u8 {
    let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (direction as u64 * 77);
    (mixed >> 24) as u8 ^ (mixed as u8)
}
