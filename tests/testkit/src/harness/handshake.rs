//! Fuzz bodies of the HTTP upgrade. Inputs are an HTTP head as text behind one byte of options, so that
//! seeds can be read and mutations hit the words that matter.
//!
//! The oracle beside the obvious one (no panic) is a second, naive implementation of the same tables
//! of protocol.md: whatever one takes the other must take, with the same form and ports.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use portway_proto::handshake::{
    Accepted, Acceptor, Action, Key, Offer, PortsParameter, Refusal, Rejection, bearer_token,
};
use portway_proto::{Port, WireForm};
use tungstenite::handshake::derive_accept_key;

use WireForm::{Spdy, Tunnel, V4, V4Base64};

/// The key of every offer made here: the example of RFC 6455 section 1.3.
pub const KEY: [u8; 16] = *b"the sample nonce";

/// More than any text that is meant for one line of a log.
const MAX_SHOWN: usize = 1024;

/// `handshake_request`: an option byte, `METHOD TARGET`, then header lines.
///
/// Bits 0 to 3 of the first byte: serve v4, base64, tunnel, SPDY. Bits 4 and 5: the parameter is
/// `ports` (0), `port` (1), either (2, 3).
pub fn request(data: &[u8]) {
    let Some((&options, head)) = data.split_first() else { return };
    let Some(request) = parse_request(head) else { return };
    let served: Vec<WireForm> = [V4, V4Base64, Tunnel, Spdy]
        .into_iter()
        .enumerate()
        .filter(|(bit, _)| options & (1 << bit) != 0)
        .map(|(_, form)| form)
        .collect();
    let (parameter, names): (_, &[&str]) = match (options >> 4) & 3 {
        0 => (PortsParameter::Ports, &["ports"]),
        1 => (PortsParameter::Port, &["port"]),
        _ => (PortsParameter::Either, &["ports", "port"]),
    };
    let server = Acceptor::new().forms(&served).parameter(parameter);
    let result = server.accept(&request);
    if let Some(expected) = expected_request(&request, &served, names) {
        let got = result.as_ref().ok().map(|accepted| (accepted.form(), numbers(accepted)));
        assert_eq!(got, expected, "{request:?} at {server:?}: {:?}", result.as_ref().err());
    }
    match result {
        Ok(accepted) => {
            assert!(served.contains(&accepted.form()));
            check_accepted(&accepted, &request);
            check_again(&accepted, &server, names[0]);
        }
        Err(rejection) => check_rejection(&rejection),
    }
    if let Err(error) = bearer_token(request.headers()) {
        check_shown(&error.to_string());
    }
}

/// `handshake_response`: an option byte, a status, header lines, an empty line, a body.
///
/// The first byte chooses what was offered.
pub fn response(data: &[u8]) {
    let Some((&options, rest)) = data.split_first() else { return };
    let end = rest.windows(2).position(|pair| pair == b"\n\n").unwrap_or(rest.len());
    let (head, body) = rest.split_at(end);
    let body = body.get(2..).unwrap_or_default();
    let Some(response) = parse_response(head) else { return };
    let forms: &[WireForm] = match options % 6 {
        0 => &[V4],
        1 => &[Tunnel],
        2 => &[Tunnel, V4],
        3 => &[V4Base64, V4],
        4 => &[V4, V4Base64, Tunnel],
        _ => &[Spdy],
    };
    let offer = Offer::new(forms, &[Port::new(80).unwrap()]).unwrap();
    let checked = offer.check(Key::new(KEY), &response);
    assert_eq!(checked.clone().ok(), expected_response(&response, forms), "{response:?}");
    if let Err(error) = checked {
        check_shown(&error.to_string());
    }
    check_refusal(&Refusal::new(response.status(), response.headers(), body), response.headers());
}

fn parse_request(head: &[u8]) -> Option<Request<()>> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = std::str::from_utf8(lines.next()?).ok()?;
    let (method, target) = line.split_once(' ')?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = target.parse::<Uri>().ok()?;
    *request.headers_mut() = parse_headers(lines);
    Some(request)
}

fn parse_response(head: &[u8]) -> Option<Response<()>> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_bytes(lines.next()?).ok()?;
    *response.headers_mut() = parse_headers(lines);
    Some(response)
}

/// Lines that are no headers are left out.
fn parse_headers<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.take(100) {
        let mut sides = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (sides.next(), sides.next()) else { continue };
        let Ok(name) = HeaderName::from_bytes(name) else { continue };
        let Ok(value) = HeaderValue::from_bytes(value.trim_ascii()) else { continue };
        headers.append(name, value);
    }
    headers
}

fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    lines.map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned()).collect()
}

fn words(line: &str) -> Vec<String> {
    line.split(',').map(|word| word.trim_matches([' ', '\t']).to_owned()).collect()
}

fn lists(headers: &HeaderMap, name: &str, token: &str) -> bool {
    let lines = lines(headers, name);
    lines.iter().flat_map(|line| words(line)).any(|word| word.eq_ignore_ascii_case(token))
}

fn numbers(accepted: &Accepted) -> Vec<u16> {
    accepted.ports().iter().map(|port| port.get()).collect()
}

/// What the tables say about a request; the outer `None` where this naive reading is not enough.
#[allow(clippy::option_option)]
fn expected_request(
    request: &Request<()>,
    served: &[WireForm],
    names: &[&str],
) -> Option<Option<(WireForm, Vec<u16>)>> {
    let headers = request.headers();
    let query = request.uri().query().unwrap_or_default();
    let offers = ["sec-websocket-protocol", "x-stream-protocol-version"];
    let long = offers.iter().flat_map(|name| lines(headers, name)).map(|line| line.len()).sum();
    if query.len() > 4096 || (4000..).contains::<usize>(&long) {
        return None;
    }
    if !lists(headers, "connection", "upgrade") {
        return Some(None);
    }
    if !lists(headers, "upgrade", "websocket") {
        let named = lines(headers, "x-stream-protocol-version");
        let named =
            named.iter().flat_map(|line| words(line)).any(|word| word == "portforward.k8s.io");
        let taken = named && lists(headers, "upgrade", "spdy/3.1") && served.contains(&Spdy);
        return Some(taken.then(|| (Spdy, Vec::new())));
    }
    let first = |name: &str| lines(headers, name).into_iter().next().unwrap_or_default();
    let sound = request.method() == Method::GET
        && !first("sec-websocket-key").is_empty()
        && first("sec-websocket-version") == "13";
    if !sound {
        return Some(None);
    }
    let mut offered = words(&first("sec-websocket-protocol"));
    offered.retain(|name| !name.is_empty());
    let any = !offered.is_empty();
    let tunnel = |name: &String| name.starts_with("SPDY/3.1+") && name.ends_with(".k8s.io");
    if served.contains(&Tunnel) && offered.iter().any(tunnel) {
        let known = offered.iter().any(|name| name == "SPDY/3.1+portforward.k8s.io");
        return Some(known.then(|| (Tunnel, Vec::new())));
    }
    let form = if any {
        let known = |name: &String| match name.as_str() {
            "v4.channel.k8s.io" => Some(V4),
            "v4.base64.channel.k8s.io" => Some(V4Base64),
            _ => None,
        };
        offered.iter().filter_map(known).find(|form| served.contains(form))
    } else {
        Some(V4).filter(|form| served.contains(form))
    };
    let Some(form) = form else { return Some(None) };
    if query.contains(['%', '+', ';']) {
        return None;
    }
    let mut ports = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !names.contains(&name) {
            continue;
        }
        for element in value.split(',') {
            // `u64` would take a plus sign, which is excluded above.
            match element.parse::<u128>() {
                Ok(port @ 1..=65535) => ports.push(u16::try_from(port).unwrap()),
                _ => return Some(None),
            }
        }
    }
    let limit = if form == V4Base64 { 40 } else { 128 };
    let fits = (1..=limit).contains(&ports.len());
    Some(fits.then_some((form, ports)))
}

fn expected_response(response: &Response<()>, forms: &[WireForm]) -> Option<WireForm> {
    let headers = response.headers();
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS
        && lists(headers, "connection", "upgrade");
    if !switched {
        return None;
    }
    if forms == [Spdy] {
        let taken = lists(headers, "upgrade", "spdy/3.1")
            && lines(headers, "x-stream-protocol-version") == ["portforward.k8s.io"];
        return taken.then_some(Spdy);
    }
    let accept = derive_accept_key(Key::new(KEY).header().as_bytes());
    let extensions = lines(headers, "sec-websocket-extensions");
    let taken = lists(headers, "upgrade", "websocket")
        && lines(headers, "sec-websocket-accept") == [accept]
        && (extensions.is_empty() || extensions == [""]);
    let named = lines(headers, "sec-websocket-protocol");
    let form = forms.iter().copied().find(|form| named == [form.subprotocol().unwrap()]);
    form.filter(|_| taken)
}

fn check_accepted(accepted: &Accepted, request: &Request<()>) {
    let count = accepted.ports().len();
    let fits = match accepted.form() {
        V4 => 1..=128,
        V4Base64 => 1..=40,
        Tunnel | Spdy | _ => 0..=0,
    };
    assert!(fits.contains(&count), "{count}");
    let response = accepted.response();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    if let Some(name) = accepted.form().subprotocol() {
        let key = request.headers()["sec-websocket-key"].as_bytes();
        assert_eq!(response.headers()["sec-websocket-accept"], derive_accept_key(key));
        let named = lines(response.headers(), "sec-websocket-protocol");
        assert!(named == [name] || (named.is_empty() && accepted.form() == V4), "{named:?}");
    }
}

/// The same ports and form, asked for once more by our own client.
fn check_again(accepted: &Accepted, server: &Acceptor, name: &str) {
    let form = accepted.form();
    let mut ports = accepted.ports().to_vec();
    let key = Key::new(KEY);
    // A client asks for no port twice; by hand it can be done.
    let uri = match Offer::new(&[form], &ports) {
        Ok(_) => "/p".to_owned(),
        Err(_) => {
            let list: Vec<_> = ports.drain(..).map(|port| port.to_string()).collect();
            format!("/p?{name}={}", list.join(","))
        }
    };
    let again = if uri == "/p" {
        let peers =
            [portway_proto::handshake::Peer::ApiServer, portway_proto::handshake::Peer::Kubelet];
        let peer = peers.into_iter().find(|peer| peer.parameter() == name).unwrap();
        let offer = Offer::new(&[form], &ports).unwrap().to(peer);
        let again = offer.request(&uri.parse().unwrap(), key, HeaderMap::new()).unwrap();
        let answer = server.accept(&again).unwrap().response();
        assert_eq!(offer.check(key, &answer), Ok(form));
        again
    } else {
        Request::get(uri)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", key.header())
            .header("sec-websocket-protocol", form.subprotocol().unwrap())
            .body(())
            .unwrap()
    };
    let again = server.accept(&again).unwrap();
    assert_eq!((again.form(), again.ports()), (form, accepted.ports()));
}

fn check_rejection(rejection: &Rejection) {
    check_shown(&rejection.to_string());
    let response = rejection.response();
    assert!(response.status().is_client_error());
    // Twice the query at its longest, every byte escaped.
    assert!(response.body().len() < 48 * 1024, "{}", response.body().len());
    let body = response.body().trim_end_matches('\n');
    assert!(!body.chars().any(char::is_control), "{body:?}");
}

fn check_refusal(refusal: &Refusal, headers: &HeaderMap) {
    check_shown(&refusal.to_string());
    assert!(refusal.message().chars().count() <= 4096);
    let status = refusal.status().as_u16();
    let action = refusal.action();
    if status == 401 {
        assert_eq!(action, Action::Authenticate);
    }
    if status == 403 && refusal.reason().is_some() {
        assert_eq!(action, Action::GiveUp, "authorization is never worked around");
    }
    let asked =
        headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let (429, Some(seconds)) = (status, asked) {
        let Action::Retry { after: Some(after) } = action else { panic!("{action:?}") };
        assert_eq!(after.as_secs(), seconds.min(86_400));
    }
}

/// One line, of bounded length, with nothing that a terminal acts on.
fn check_shown(shown: &str) {
    assert!(shown.chars().count() <= MAX_SHOWN, "{} characters", shown.chars().count());
    let hostile = |char: char| {
        char.is_control()
            || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!shown.contains(hostile), "{shown:?}");
}
