use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, StatusCode};

use super::{Action, Key, field};
use crate::{WireForm, printable};

/// What is kept of a name that the other side chose.
const MAX_NAME: usize = 128;

/// The form that a WebSocket answer has switched to, one of those `offered`.
pub(super) fn check_websocket(
    offered: &[WireForm],
    key: Key,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<WireForm, UpgradeError> {
    switched(status, headers, "websocket")?;
    let mut accepts = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
    let accept = accepts.next().map(|value| value.as_bytes().trim_ascii());
    if accept != Some(key.accept().as_bytes()) || accepts.next().is_some() {
        return Err(UpgradeError::WrongAccept);
    }
    if let Some(name) = named(headers, SEC_WEBSOCKET_EXTENSIONS.as_str()) {
        return Err(UpgradeError::Extension { name });
    }
    let Some(name) = named(headers, SEC_WEBSOCKET_PROTOCOL.as_str()) else {
        return Err(UpgradeError::NoSubprotocol);
    };
    let mut offered = offered.iter().copied();
    offered
        .find(|form| form.subprotocol() == Some(&name))
        .ok_or(UpgradeError::WrongSubprotocol { name })
}

pub(super) fn check_spdy(
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<WireForm, UpgradeError> {
    switched(status, headers, field::SPDY)?;
    match named(headers, field::STREAM_PROTOCOL) {
        None => Err(UpgradeError::NoSubprotocol),
        Some(name) if name == field::PORT_FORWARD => Ok(WireForm::Spdy),
        Some(name) => Err(UpgradeError::WrongSubprotocol { name }),
    }
}

fn switched(status: StatusCode, headers: &HeaderMap, to: &str) -> Result<(), UpgradeError> {
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(UpgradeError::NotSwitched { status });
    }
    if !field::lists(headers, "upgrade", to) {
        return Err(UpgradeError::WrongUpgrade);
    }
    if !field::lists(headers, "connection", "upgrade") {
        return Err(UpgradeError::WrongConnection);
    }
    Ok(())
}

/// The value of a header that names one thing, `None` when it is absent or empty. All lines count, so
/// that a second one makes a name that nobody offered.
fn named(headers: &HeaderMap, header: &str) -> Option<String> {
    let name = field::joined(headers, header)?;
    let name = name.trim_matches([' ', '\t']);
    (!name.is_empty()).then(|| name.chars().take(MAX_NAME).collect())
}

/// An answer to an upgrade request that is not the switch it ought to be (protocol.md A.4, A.5).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// Not 101: the server refused. Its [`Refusal`](super::Refusal) says why.
    #[error("the server did not switch protocols but answered {status}")]
    NotSwitched {
        /// The status of the answer.
        status: StatusCode,
    },
    /// 101 without the right `Upgrade` header.
    #[error(
        "the answer 101 does not name the protocol asked for in its Upgrade header: something between may have changed it"
    )]
    WrongUpgrade,
    /// 101 whose `Connection` header does not list `upgrade`.
    #[error("the answer 101 has no \"Connection: Upgrade\": something between may have changed it")]
    WrongConnection,
    /// The hash of the key is missing or wrong, so the answer was not made for this request.
    #[error(
        "the answer 101 has a wrong Sec-WebSocket-Accept: it was not made for this request, something between may have made it"
    )]
    WrongAccept,
    /// An extension was switched on that nobody offered.
    #[error("the server switched on an extension that was not offered: {}", printable(.name))]
    Extension {
        /// What the server named.
        name: String,
    },
    /// No subprotocol was chosen. With v4 a server that was offered nothing says that too, so a
    /// middlebox may have taken the offer or the answer away (protocol.md A.3, A.6).
    #[error("the server chose no subprotocol: something between may have stripped the header")]
    NoSubprotocol,
    /// A subprotocol was chosen that was not offered.
    #[error(
        "the server chose the subprotocol {}, which was not offered: something between may have changed the header",
        printable(.name)
    )]
    WrongSubprotocol {
        /// What the server named; text of its choosing.
        name: String,
    },
}

impl UpgradeError {
    /// What to do next: ask for another form, since all of these smell of a middlebox (protocol.md A.6, last row).
    /// For [`NotSwitched`](Self::NotSwitched) the [`Refusal`](super::Refusal) knows better.
    pub const fn action(&self) -> Action {
        Action::FallBack
    }
}
