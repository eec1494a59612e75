use std::fmt;
use std::io;

/// A connection into a pod, for the server's side of a stream.
#[derive(Debug)]
#[non_exhaustive]
pub struct PodSocket<S> {
    /// The connection.
    pub socket: S,
    /// How the client is told if it breaks.
    pub wording: Wording,
}

impl<S> PodSocket<S> {
    /// Bundles the parts.
    pub const fn new(socket: S, wording: Wording) -> Self {
        Self { socket, wording }
    }
}

/// Puts the failure of a pod's socket into the words that its client reads.
pub struct Wording(Box<Words>);

type Words = dyn Fn(SocketUse, &io::Error) -> String + Send;

/// What a socket was used for when it broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // There is no third.
pub enum SocketUse {
    /// Reading from it.
    Read,
    /// Writing to it, or ending our direction.
    Write,
}

impl Wording {
    /// What `words` says.
    pub fn new(words: impl Fn(SocketUse, &io::Error) -> String + Send + 'static) -> Self {
        Self(Box::new(words))
    }

    pub(super) fn say(&self, during: SocketUse, error: &io::Error) -> String {
        (self.0)(during, error)
    }
}

impl fmt::Debug for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wording").finish_non_exhaustive()
    }
}
