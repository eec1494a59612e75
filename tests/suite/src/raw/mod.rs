//! Peers written by hand: they share nothing with what they test but the specification.

mod http;
mod messages;
mod stream;
mod streams;

pub(crate) use http::request_of;
pub use http::{Answer, Asked};
pub use messages::{Message, Raw};
pub use stream::RawStream;
pub use streams::RawStreams;

/// What comes of reading an end of a forwarded connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Seen {
    /// Some bytes.
    Bytes(Vec<u8>),
    /// The clean end: nothing more comes.
    End,
    /// An end with an error text.
    Failed(String),
    /// Any other end.
    Reset,
}
