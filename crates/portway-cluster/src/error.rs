use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use portway_driver::ResolveError;
use portway_driver::proto::handshake::{Action, Refusal};
use portway_driver::proto::printable;
use portway_resolve::object::Phase;
use portway_resolve::{NoSelector, PortError};

use crate::ApiError;

/// Why a target leads to no pod. Each is one line that says what, where and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The API server gave no answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The answer did not come whole.
    #[error("cannot {action}: the answer was cut short: {problem}")]
    Cut {
        /// What was tried.
        action: Arc<str>,
        /// What ended it.
        problem: Arc<str>,
    },
    /// The answer did not come in time.
    #[error("cannot {action}: the API server did not answer within {} s", after.as_secs_f32())]
    Silent {
        /// What was tried: `get service web in namespace default`.
        action: Arc<str>,
        /// How long it had.
        after: Duration,
    },
    /// The API server said no.
    #[error("cannot {action}: {} ({}){}", printable(refusal.message()), refusal.status(), advice(refusal))]
    Refused {
        /// What was tried.
        action: Arc<str>,
        /// What it said.
        refusal: Arc<Refusal>,
    },
    /// What the API server said makes no sense.
    #[error("cannot {action}: the answer makes no sense: {problem}; is it an API server?")]
    Unreadable {
        /// What was tried.
        action: Arc<str>,
        /// What is wrong with it.
        problem: Arc<str>,
    },
    /// The target does not say which pods are its own.
    #[error(transparent)]
    Selector(#[from] NoSelector),
    /// A port means nothing for the target.
    #[error(transparent)]
    Port(#[from] PortError),
    /// There is no pod.
    #[error("there is no pod of {target} in namespace {namespace}")]
    NoPod {
        /// The target.
        target: Arc<str>,
        /// Where it was looked for.
        namespace: Arc<str>,
    },
    /// No pod runs; this is the one that has come the furthest.
    #[error("pod '{pod}' is not running: it is {phase}")]
    NotRunning {
        /// The pod.
        pod: Arc<str>,
        /// How far it has come.
        phase: Phase,
    },
    /// Pods run that are on their way out.
    #[error("pod '{pod}' is being deleted")]
    Leaving {
        /// The pod.
        pod: Arc<str>,
    },
    /// Pods run, but none is ready, and others were before.
    #[error("pod '{pod}' is not ready")]
    NotReady {
        /// The pod.
        pod: Arc<str>,
    },
}

impl LookupError {
    /// Somebody has to change something before it can work: rights, credentials, the ports asked for.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Api(error) => matches!(error, ApiError::Unusable { .. }),
            Self::Refused { refusal, .. } => {
                let passes = matches!(refusal.action(), Action::Retry { .. } | Action::Reresolve);
                !passes
            }
            Self::Unreadable { .. } | Self::Selector(_) | Self::Port(_) => true,
            Self::Silent { .. }
            | Self::Cut { .. }
            | Self::NoPod { .. }
            | Self::NotRunning { .. }
            | Self::Leaving { .. }
            | Self::NotReady { .. } => false,
        }
    }

    /// About the server or the target, and not about pods, which come and go: whoever has never got
    /// anywhere has mistyped something, or has no server.
    pub(crate) fn is_final_at_first(&self) -> bool {
        match self {
            Self::Api(_) | Self::Silent { .. } | Self::Cut { .. } => true,
            Self::Refused { .. } => self.is_final() || self.is_not_found(),
            Self::NotRunning { phase, .. } => matches!(phase, Phase::Succeeded | Phase::Failed),
            Self::Unreadable { .. }
            | Self::Selector(_)
            | Self::Port(_)
            | Self::NoPod { .. }
            | Self::Leaving { .. }
            | Self::NotReady { .. } => self.is_final(),
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.status() == StatusCode::NOT_FOUND)
    }

    /// The right is missing, now and the next time.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.status() == StatusCode::FORBIDDEN)
    }

    /// How long the server wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let Self::Refused { refusal, .. } = self else { return None };
        let Action::Retry { after } = refusal.action() else { return None };
        after
    }
}

/// What is to be done, where the server's own words do not say it.
fn advice(refusal: &Refusal) -> &'static str {
    match refusal.status() {
        StatusCode::UNAUTHORIZED => "; get fresh credentials",
        StatusCode::FORBIDDEN => "; the role lacks this right",
        _ => "",
    }
}

impl From<LookupError> for ResolveError {
    fn from(error: LookupError) -> Self {
        Self::new(error.to_string())
    }
}
