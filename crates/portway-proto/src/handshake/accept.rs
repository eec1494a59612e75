use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, request,
};

use super::rejection::Rejection;
use super::{PortsError, field, key, query};
use crate::{Port, WireForm};

/// Which name of the ports parameter a server listens to (protocol.md A.2, trap 1). The other name is
/// ignored, as real servers ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PortsParameter {
    /// `ports`, as an API server.
    Ports,
    /// `port`, as a kubelet.
    Port,
    /// Either, in the order of the query: for a server that stands in for both.
    #[default]
    Either,
}

impl PortsParameter {
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Ports => &[query::AT_API_SERVER],
            Self::Port => &[query::AT_KUBELET],
            Self::Either => &[query::AT_API_SERVER, query::AT_KUBELET],
        }
    }
}

/// The server's end of the upgrade: which requests it takes, and what it answers.
///
/// It looks at method, query and headers; path, authentication and `Origin` are the business of
/// whoever routes the request here.
///
/// ```
/// use http::Request;
/// use portway_proto::WireForm;
/// use portway_proto::handshake::Acceptor;
///
/// let request = Request::get("/portForward/default/web-0?port=http")
///     .header("Connection", "Upgrade")
///     .header("Upgrade", "websocket")
///     .header("Sec-WebSocket-Version", "13")
///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
///     .body(())?;
/// let rejection = Acceptor::new().forms(&[WireForm::V4]).accept(&request).unwrap_err();
/// assert_eq!(
///     rejection.response().body(),
///     "unable to parse \"http\" as a port: strconv.ParseUint: parsing \"http\": invalid syntax\n"
/// );
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Acceptor {
    forms: Vec<WireForm>,
    parameter: PortsParameter,
    max_query: usize,
    max_offer: usize,
}

impl Acceptor {
    /// The most ports of one session: what the channel byte can number (protocol.md B.4).
    pub const MAX_PORTS: usize = 128;
    /// The most ports of a session in base64 (protocol.md B.4, trap 14).
    pub const MAX_PORTS_BASE64: usize = 40;

    /// A server of all four forms that listens to both names of the ports parameter.
    pub fn new() -> Self {
        Self {
            forms: vec![WireForm::V4, WireForm::V4Base64, WireForm::Tunnel, WireForm::Spdy],
            parameter: PortsParameter::default(),
            max_query: 4 * 1024,
            max_offer: 4 * 1024,
        }
    }

    /// Serves these forms only. Without [`WireForm::Tunnel`] it answers as a cluster before 1.30.
    #[must_use]
    pub fn forms(mut self, forms: &[WireForm]) -> Self {
        self.forms = forms.to_vec();
        self
    }

    /// Which name of the ports parameter counts.
    #[must_use]
    pub const fn parameter(mut self, parameter: PortsParameter) -> Self {
        self.parameter = parameter;
        self
    }

    /// The longest query, in bytes, that is looked into: 4 KiB unless told, room for 128 ports in
    /// any spelling. It bounds what an error text quotes back, too.
    #[must_use]
    pub const fn max_query(mut self, bytes: usize) -> Self {
        self.max_query = bytes;
        self
    }

    /// The longest header line with offered protocols, in bytes, that is looked into: 4 KiB unless
    /// told. A bearer token among them counts.
    #[must_use]
    pub const fn max_offer(mut self, bytes: usize) -> Self {
        self.max_offer = bytes;
        self
    }

    /// Decides a request (protocol.md A.2, A.3, A.5).
    ///
    /// # Errors
    ///
    /// What is wrong with the request; [`Rejection::response`] is the answer to send.
    pub fn accept<B>(&self, request: &Request<B>) -> Result<Accepted, Rejection> {
        self.decide(request.method(), request.uri(), request.headers())
    }

    /// The same for a request that has been taken apart.
    ///
    /// # Errors
    ///
    /// As [`Self::accept`].
    pub fn accept_parts(&self, request: &request::Parts) -> Result<Accepted, Rejection> {
        self.decide(&request.method, &request.uri, &request.headers)
    }

    fn decide(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Accepted, Rejection> {
        if !field::lists(headers, "connection", "upgrade") {
            return Err(Rejection::NotAnUpgrade);
        }
        let query = uri.query().unwrap_or_default();
        if query.len() > self.max_query {
            return Err(Rejection::QueryTooLong { limit: self.max_query });
        }
        if !field::lists(headers, "upgrade", "websocket") {
            return self.decide_spdy(headers);
        }

        // Only the first line counts, for whatever reads this header (protocol.md trap 3).
        let line = headers.get(SEC_WEBSOCKET_PROTOCOL);
        let offered = self.offered(line.into_iter())?;
        let any = line.into_iter().flat_map(field::entries).any(|name| !name.is_empty());
        if self.serves(WireForm::Tunnel) && offered.iter().copied().any(is_tunnel) {
            let accept = check_websocket(method, headers)?;
            if !offered.iter().any(|entry| names(WireForm::Tunnel, entry)) {
                return Err(Rejection::NoCommonStreamProtocol);
            }
            return Ok(Accepted::new(WireForm::Tunnel, Vec::new(), Some(accept), true));
        }

        // The reference reads the ports before anything else.
        let ports = query::ports(query, self.parameter.names(), Self::MAX_PORTS)?;
        let accept = check_websocket(method, headers)?;
        let form = self.negotiate_v4(&offered, any)?;
        if form == WireForm::V4Base64 && ports.len() > Self::MAX_PORTS_BASE64 {
            return Err(PortsError::TooMany { limit: Self::MAX_PORTS_BASE64 }.into());
        }
        Ok(Accepted::new(form, ports, Some(accept), any))
    }

    /// The first of the client's entries that is served. A client that offers nothing means v4.
    fn negotiate_v4(&self, offered: &[&[u8]], any: bool) -> Result<WireForm, Rejection> {
        let mut served = [WireForm::V4, WireForm::V4Base64].into_iter().filter(|f| self.serves(*f));
        if !any {
            return served.find(|f| *f == WireForm::V4).ok_or(Rejection::NoCommonSubprotocol);
        }
        let served: Vec<_> = served.collect();
        let chosen = |entry: &&[u8]| served.iter().copied().find(|form| names(*form, entry));
        offered.iter().find_map(chosen).ok_or(Rejection::NoCommonSubprotocol)
    }

    fn decide_spdy(&self, headers: &HeaderMap) -> Result<Accepted, Rejection> {
        if !self.serves(WireForm::Spdy) {
            return Err(Rejection::NotAnUpgrade);
        }
        if !headers.contains_key(field::STREAM_PROTOCOL) {
            return Err(Rejection::NoStreamProtocol { headers: headers.len() });
        }
        let offered = self.offered(headers.get_all(field::STREAM_PROTOCOL).iter())?;
        if offered.is_empty() {
            return Err(Rejection::EmptyStreamProtocol);
        }
        if !offered.contains(&field::PORT_FORWARD.as_bytes()) {
            return Err(Rejection::NoCommonStreamProtocol);
        }
        if !field::lists(headers, "upgrade", field::SPDY) {
            return Err(Rejection::NoUpgradeHeader);
        }
        Ok(Accepted::new(WireForm::Spdy, Vec::new(), None, true))
    }

    /// The names in these lines. A bearer token among them is no form's name, so it is never chosen.
    fn offered<'a>(
        &self,
        lines: impl Iterator<Item = &'a HeaderValue>,
    ) -> Result<Vec<&'a [u8]>, Rejection> {
        let mut offered = Vec::new();
        let mut left = self.max_offer;
        for line in lines {
            let too_long = Rejection::OfferTooLong { limit: self.max_offer };
            left = left.checked_sub(line.len()).ok_or(too_long)?;
            offered.extend(field::entries(line).filter(|name| !name.is_empty()));
        }
        Ok(offered)
    }

    fn serves(&self, form: WireForm) -> bool {
        self.forms.contains(&form)
    }
}

impl Default for Acceptor {
    fn default() -> Self {
        Self::new()
    }
}

/// The order of the checks is that of golang.org/x/net, whose texts are the answers. Returns what
/// goes into `Sec-WebSocket-Accept`.
fn check_websocket(method: &Method, headers: &HeaderMap) -> Result<HeaderValue, Rejection> {
    if method != Method::GET {
        return Err(Rejection::BadMethod);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(trimmed).filter(|key| !key.is_empty());
    let key = key.ok_or(Rejection::NoKey)?;
    if headers.get(SEC_WEBSOCKET_VERSION).map(trimmed) != Some(b"13") {
        return Err(Rejection::BadVersion);
    }
    Ok(field::value(&key::accept(key)))
}

fn trimmed(line: &HeaderValue) -> &[u8] {
    line.as_bytes().trim_ascii()
}

fn names(form: WireForm, entry: &[u8]) -> bool {
    form.subprotocol().is_some_and(|name| name.as_bytes() == entry)
}

/// The test by which Kubernetes sends a request to its tunnel (protocol.md A.3). It takes more names
/// than the one there is.
fn is_tunnel(entry: &[u8]) -> bool {
    entry.starts_with(b"SPDY/3.1+") && entry.ends_with(b".k8s.io")
}

/// A request that was taken.
#[derive(Debug, Clone)]
pub struct Accepted {
    form: WireForm,
    ports: Vec<Port>,
    accept: Option<HeaderValue>,
    answer_name: bool,
}

impl Accepted {
    const fn new(
        form: WireForm,
        ports: Vec<Port>,
        accept: Option<HeaderValue>,
        answer_name: bool,
    ) -> Self {
        Self { form, ports, accept, answer_name }
    }

    /// The form that the session has.
    pub const fn form(&self) -> WireForm {
        self.form
    }

    /// The ports of a v4 session in the order of their channels, duplicates included. Empty where each
    /// stream names its port (tunnel, SPDY): there the parameter is not looked at, as no Kubernetes
    /// server does, so it says nothing about which ports will be opened.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The answer: 101, after which the session's bytes follow.
    ///
    /// A client that offered no subprotocol gets no such header. (Kubernetes sends it empty, which
    /// strict clients refuse: protocol.md trap 2.)
    pub fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        match (&self.accept, self.form.subprotocol()) {
            (Some(accept), name) => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(SEC_WEBSOCKET_ACCEPT, accept.clone());
                if let Some(name) = name.filter(|_| self.answer_name) {
                    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
                }
            }
            (None, _) => {
                headers.insert(UPGRADE, HeaderValue::from_static(field::SPDY));
                headers.insert(
                    HeaderName::from_static(field::STREAM_PROTOCOL),
                    HeaderValue::from_static(field::PORT_FORWARD),
                );
            }
        }
        response
    }
}
