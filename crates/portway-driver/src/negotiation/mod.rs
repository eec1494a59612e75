//! Which wire form to ask for: what the user wants, what was learnt, and what to say when nothing worked.

mod failed;
mod protocol;
mod remembered;

pub use failed::{Attempt, NegotiationError};
pub use protocol::{InvalidProtocol, Protocol};
pub use remembered::Remembered;
