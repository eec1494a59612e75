use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::SEC_WEBSOCKET_PROTOCOL;

use super::field;

/// How an offered subprotocol begins that is a bearer token and no subprotocol.
const PREFIX: &[u8] = b"base64url.bearer.authorization.k8s.io.";

/// The bearer token that a browser, which cannot set `Authorization`, hides among the offered
/// subprotocols as `base64url.bearer.authorization.k8s.io.TOKEN`; for an authorizer in front of
/// [`Acceptor`](super::Acceptor).
///
/// The rules are Kubernetes' own (protocol.md A.3, Authentication): all lines of the header are
/// looked at, one token at most, base64url without padding, UTF-8, and another subprotocol beside it.
///
/// # Errors
///
/// The header has a token and breaks one of these rules; Kubernetes answers 401.
pub fn bearer_token(headers: &HeaderMap) -> Result<Option<String>, BearerError> {
    let mut token = None;
    let mut others = false;
    for entry in headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().flat_map(field::entries) {
        let Some(encoded) = entry.strip_prefix(PREFIX) else {
            others |= !entry.is_empty();
            continue;
        };
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| BearerError::NotBase64)?;
        let text = String::from_utf8(bytes).map_err(|_| BearerError::NotUtf8)?;
        if token.replace(text).is_some() {
            return Err(BearerError::Several);
        }
    }
    if token.is_some() && !others {
        return Err(BearerError::Alone);
    }
    Ok(token)
}

/// A token among the subprotocols that Kubernetes would not take either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BearerError {
    /// More than one.
    #[error("more than one bearer token among the subprotocols")]
    Several,
    /// Not base64url, or with padding.
    #[error("the bearer token among the subprotocols is not base64url without padding")]
    NotBase64,
    /// Not text.
    #[error("the bearer token among the subprotocols is not UTF-8")]
    NotUtf8,
    /// No subprotocol beside it, so that none could be chosen.
    #[error("missing additional subprotocol beside the bearer token")]
    Alone,
}
