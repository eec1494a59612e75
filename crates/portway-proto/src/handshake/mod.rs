//! The HTTP upgrade in front of every session: both roles, all four wire forms.
//!
//! Nothing here does I/O. The client builds a request from an [`Offer`], sends it by whatever HTTP/1.1
//! client it has, and has the answer checked; the server hands a request to an [`Acceptor`] and
//! sends what comes back.
//!
//! ```text
//!   client                                                     server
//!   Offer::request(uri, key, headers) ── GET … Upgrade ──▶  Acceptor::accept(&request)
//!   Offer::check(key, &response)     ◀── 101 ─────────────    Ok(Accepted)  form, ports, response
//!   Refusal::new(status, headers, body) ◀── anything else ──  Err(Rejection) response
//! ```
//!
//! ```
//! use http::{HeaderMap, Uri};
//! use portway_proto::handshake::{Acceptor, Key, Offer, pod_path};
//! use portway_proto::{Port, WireForm};
//!
//! // One request asks for both WebSocket forms; an API server that knows the tunnel takes it.
//! let offer = Offer::new(&[WireForm::Tunnel, WireForm::V4], &["8080".parse::<Port>()?])?;
//! let uri: Uri = format!("https://cluster:6443{}", pod_path("default", "web-0")).parse()?;
//! let key = Key::new([7; 16]); // 16 fresh random bytes in earnest
//! let request = offer.request(&uri, key, HeaderMap::new())?;
//!
//! // A server that knows v4 only, such as the kubelet of a cluster before 1.30.
//! let accepted = Acceptor::new().forms(&[WireForm::V4]).accept(&request)?;
//! assert_eq!(accepted.ports(), offer.ports());
//!
//! assert_eq!(offer.check(key, &accepted.response())?, WireForm::V4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accept;
mod bearer;
mod field;
mod key;
mod offer;
mod path;
mod query;
mod refusal;
mod rejection;
mod upgrade;

pub use accept::{Accepted, Acceptor, PortsParameter};
pub use bearer::{BearerError, bearer_token};
pub use key::Key;
pub use offer::{Offer, OfferError, Peer, RequestError};
pub use path::{kubelet_path, pod_path};
pub use query::PortsError;
pub use refusal::{Action, MAX_BODY, Refusal, RefusalKind, Verb};
pub use rejection::Rejection;
pub use upgrade::UpgradeError;
