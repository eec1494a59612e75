use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};

use super::{Key, UpgradeError, field, query, upgrade};
use crate::{Port, WireForm};

/// Which server is asked; they name the ports parameter differently (protocol.md A.2, trap 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Peer {
    /// An API server: `ports`.
    #[default]
    ApiServer,
    /// A kubelet: `port`.
    Kubelet,
}

impl Peer {
    /// The name of the parameter with the ports.
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::ApiServer => query::AT_API_SERVER,
            Self::Kubelet => query::AT_KUBELET,
        }
    }
}

/// What one upgrade request asks for: wire forms in order of preference, and ports.
///
/// One request can offer all WebSocket forms at once. A server takes the first that it knows, except
/// that a tunnel wins wherever it stands (protocol.md A.3); plain SPDY is a request of its own.
///
/// ```
/// use portway_proto::WireForm::{Spdy, Tunnel, V4};
/// use portway_proto::handshake::{Offer, OfferError};
///
/// assert!(Offer::new(&[Tunnel], &[]).is_ok()); // a tunnel names its ports later
/// assert_eq!(Offer::new(&[Tunnel, V4], &[]), Err(OfferError::NoPorts));
/// assert_eq!(Offer::new(&[V4, Spdy], &[]), Err(OfferError::MixedForms));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    forms: Vec<WireForm>,
    ports: Vec<Port>,
    peer: Peer,
}

impl Offer {
    /// The most ports of one session: channel 255 is reserved (protocol.md B.4).
    pub const MAX_PORTS: usize = 127;
    /// The most ports where the base64 form is offered: beyond channel 79 its channel character takes
    /// two bytes (protocol.md B.4, trap 14).
    pub const MAX_PORTS_BASE64: usize = 40;

    /// An offer of these forms, the preferred one first, to an API server.
    ///
    /// The order of `ports` is the order of the channels of v4. A tunnel or plain SPDY needs no ports,
    /// since each of its streams names its own, but takes them.
    ///
    /// # Errors
    ///
    /// Whatever no server could serve is told here, before anything is dialled.
    pub fn new(forms: &[WireForm], ports: &[Port]) -> Result<Self, OfferError> {
        let offers = |form| forms.contains(&form);
        if forms.is_empty() {
            return Err(OfferError::NoForm);
        }
        if let Some(form) = first_duplicate(forms) {
            return Err(OfferError::DuplicateForm { form });
        }
        if offers(WireForm::Spdy) && forms.len() > 1 {
            return Err(OfferError::MixedForms);
        }
        if ports.is_empty() && (offers(WireForm::V4) || offers(WireForm::V4Base64)) {
            return Err(OfferError::NoPorts);
        }
        let limit =
            if offers(WireForm::V4Base64) { Self::MAX_PORTS_BASE64 } else { Self::MAX_PORTS };
        if ports.len() > limit {
            return Err(OfferError::TooManyPorts { given: ports.len(), limit });
        }
        if let Some(port) = first_duplicate(ports) {
            return Err(OfferError::DuplicatePort { port });
        }
        Ok(Self { forms: forms.to_vec(), ports: ports.to_vec(), peer: Peer::default() })
    }

    /// The same offer to another kind of server.
    #[must_use]
    pub fn to(self, peer: Peer) -> Self {
        Self { peer, ..self }
    }

    /// The forms offered, the preferred one first.
    pub fn forms(&self) -> &[WireForm] {
        &self.forms
    }

    /// The ports asked for, in the order of their channels.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Which kind of server the offer is for.
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// The request to send: over HTTP/1.1, never over h2 (protocol.md A.1), with no body.
    ///
    /// `uri` is the resource ([`pod_path`](super::pod_path)), with or without scheme and authority, with or without a
    /// query; the ports are added as one parameter. The request's own URI has path and query only, as
    /// it goes on the wire; the authority becomes the `Host` header unless `headers` has one. A request
    /// made from a bare path has no `Host`: whoever sends it knows better.
    ///
    /// `headers` are what else there is to say, such as `Authorization`. What the upgrade itself needs
    /// is set over them, and WebSocket extensions are removed: no server here has any (protocol.md A.3).
    /// `key` must be new for every request; plain SPDY has no use for it.
    ///
    /// # Errors
    ///
    /// A URI that ports cannot be added to.
    pub fn request(
        &self,
        uri: &Uri,
        key: Key,
        headers: HeaderMap,
    ) -> Result<Request<()>, RequestError> {
        let mut request = Request::new(());
        *request.uri_mut() = self.target(uri)?.into();
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        if let Some(authority) = uri.authority() {
            let text = authority.as_str();
            let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
            let host = HeaderValue::from_str(host).map_err(|_| RequestError::Host)?;
            headers.entry(HOST).or_insert(host);
        }
        for name in [SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION] {
            headers.remove(name);
        }
        headers.remove(SEC_WEBSOCKET_PROTOCOL);
        headers.remove(field::STREAM_PROTOCOL);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if self.is_spdy() {
            headers.insert(UPGRADE, HeaderValue::from_static(field::SPDY));
            headers.insert(
                HeaderName::from_static(field::STREAM_PROTOCOL),
                HeaderValue::from_static(field::PORT_FORWARD),
            );
            *request.method_mut() = Method::POST;
        } else {
            let names: Vec<_> = self.forms.iter().filter_map(|form| form.subprotocol()).collect();
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            headers.insert(SEC_WEBSOCKET_KEY, field::value(&key.header()));
            headers.insert(SEC_WEBSOCKET_PROTOCOL, field::value(&names.join(", ")));
        }
        Ok(request)
    }

    /// The form that an answer of status 101 to this offer has switched to (protocol.md A.4, A.5).
    ///
    /// Bytes behind the header block belong to the session: v4 usually has some in the same segment.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::NotSwitched`] for any other status: read the body and make a
    /// [`Refusal`](super::Refusal) of it. The rest are answers of status 101 that cannot be trusted.
    pub fn check<B>(&self, key: Key, response: &Response<B>) -> Result<WireForm, UpgradeError> {
        let (status, headers) = (response.status(), response.headers());
        if self.is_spdy() {
            upgrade::check_spdy(status, headers)
        } else {
            upgrade::check_websocket(&self.forms, key, status, headers)
        }
    }

    fn is_spdy(&self) -> bool {
        self.forms.contains(&WireForm::Spdy)
    }

    fn target(&self, uri: &Uri) -> Result<PathAndQuery, RequestError> {
        if uri.query().is_some_and(query::has_ports) {
            return Err(RequestError::PortsInQuery);
        }
        let mut target = String::from(if uri.path().is_empty() { "/" } else { uri.path() });
        let ports: Vec<_> = self.ports.iter().map(ToString::to_string).collect();
        let ports = format!("{}={}", self.peer.parameter(), ports.join(","));
        let given = uri.query().filter(|query| !query.is_empty());
        let ports = Some(ports.as_str()).filter(|_| !self.ports.is_empty());
        for (part, mark) in given.into_iter().chain(ports).zip(['?', '&']) {
            target.push(mark);
            target.push_str(part);
        }
        PathAndQuery::try_from(target).map_err(|_| RequestError::TooLong)
    }
}

fn first_duplicate<T: PartialEq + Copy>(items: &[T]) -> Option<T> {
    let mut seen = Vec::with_capacity(items.len());
    items.iter().copied().find(|item| {
        let again = seen.contains(item);
        seen.push(*item);
        again
    })
}

/// Something asked for that no server could serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// No wire form at all.
    #[error("no wire form is offered")]
    NoForm,
    /// The same wire form twice; RFC 6455 wants subprotocols to differ.
    #[error("{form} is offered twice")]
    DuplicateForm {
        /// The form.
        form: WireForm,
    },
    /// Plain SPDY beside a WebSocket form.
    #[error("plain SPDY is offered together with a WebSocket form: each needs its own request")]
    MixedForms,
    /// A v4 form and no ports.
    #[error("no port is asked for: v4 fixes the ports in the request")]
    NoPorts,
    /// The same port twice.
    #[error("port {port} is asked for twice")]
    DuplicatePort {
        /// The port.
        port: Port,
    },
    /// More ports than there are channels for.
    #[error("{given} ports are asked for: at most {limit} fit into one session")]
    TooManyPorts {
        /// How many were asked for.
        given: usize,
        /// How many fit: [`Offer::MAX_PORTS`] or [`Offer::MAX_PORTS_BASE64`].
        limit: usize,
    },
}

/// A URI that no request can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The query names ports already; together with the offer's they would shift every channel.
    #[error("the URI has a ports parameter already: ports belong into the offer")]
    PortsInQuery,
    /// Path, query and ports are longer than a URI can be.
    #[error("path and query with the ports in it are too long for a URI")]
    TooLong,
    /// The authority cannot stand in a header.
    #[error("the URI's authority cannot be sent as a Host header")]
    Host,
}
