use std::error::Error;
use std::io;
use std::sync::Arc;

use http::StatusCode;
use portway_cluster::ApiError;
use portway_driver::{DialError, TunnelError};

use super::{CutShort, TokenError};
use crate::TlsError;

/// Why there is no connection to the server, or no answer from it.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may work the next time.
    Passing(io::Error),
    /// Somebody has to change something first.
    Lasting(Arc<dyn Error + Send + Sync>),
}

impl Failure {
    pub(super) fn lasting(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Lasting(Arc::new(error))
    }

    /// As the dial to a pod tells it.
    pub(super) fn dial(self, at: String) -> DialError {
        match self {
            Self::Passing(source) => DialError::Connect { at, source: Arc::new(source) },
            Self::Lasting(source) => DialError::Unusable { at, source },
        }
    }

    /// As a request tells it.
    pub(super) fn api(self, at: String) -> ApiError {
        let at = at.into();
        match self {
            Self::Passing(error) => ApiError::Unreachable { at, problem: error.to_string().into() },
            Self::Lasting(error) => ApiError::Unusable { at, problem: error.to_string().into() },
        }
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Io(_) | TlsError::HungUp | TlsError::Truncated => Self::Passing(error.into()),
            TlsError::NotTls
            | TlsError::UnknownIssuer
            | TlsError::Expired { .. }
            | TlsError::NotYetValid { .. }
            | TlsError::WrongName { .. }
            | TlsError::Certificate(_)
            | TlsError::Refused(_)
            | TlsError::Other(_) => Self::lasting(error),
        }
    }
}

impl From<TunnelError> for Failure {
    fn from(error: TunnelError) -> Self {
        // A proxy that does not get through may get through the next time.
        let passes = |status: StatusCode| status.is_server_error();
        match &error {
            TunnelError::Refused { status, .. } if passes(*status) => {
                Self::Passing(io::Error::other(error))
            }
            TunnelError::Refused { .. } | TunnelError::Http { .. } | _ => Self::lasting(error),
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::lasting(error)
    }
}

impl From<CutShort> for Failure {
    fn from(error: CutShort) -> Self {
        Self::Passing(io::Error::other(error))
    }
}
