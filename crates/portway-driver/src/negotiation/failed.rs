use std::fmt;

use portway_proto::WireForm;

use super::Protocol;
use crate::{DialError, Endpoint};

/// No request got through, although the server can be reached.
///
/// `Display` tells each of them in their order: what was asked for, and what came back.
#[derive(Debug, Clone)]
pub struct NegotiationError {
    protocol: Protocol,
    to: Endpoint,
    attempts: Vec<Attempt>,
}

/// One request of a negotiation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// The wire forms asked for.
    pub asked: Vec<WireForm>,
    /// What came of it.
    pub error: DialError,
}

impl NegotiationError {
    pub(crate) fn new(protocol: Protocol, to: &Endpoint, attempts: Vec<Attempt>) -> Self {
        Self { protocol, to: to.clone(), attempts }
    }

    /// What was tried, the first first.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }
}

impl Attempt {
    pub(crate) fn new(asked: &[WireForm], error: DialError) -> Self {
        Self { asked: asked.to_vec(), error }
    }
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = &self.attempts[..] {
            let Self { protocol, .. } = self;
            return write!(
                f,
                "{}; nothing but {protocol} was tried, as asked: another protocol may get through",
                only.error
            );
        }
        let at = self.attempts.iter().find_map(|attempt| attempt.error.refused_by());
        let Endpoint { namespace, pod, .. } = &self.to;
        write!(
            f,
            "{} lets no forward to pod {pod} in namespace {namespace} through",
            at.unwrap_or("the server")
        )?;
        self.attempts.iter().try_for_each(|attempt| write!(f, "; {attempt}"))
    }
}

impl std::error::Error for NegotiationError {}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked: Vec<_> = self.asked.iter().map(ToString::to_string).collect();
        write!(f, "asked for {}: ", asked.join(" or "))?;
        self.error.write_answer(f)
    }
}
