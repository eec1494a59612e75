//! The HTTP part of every transcript, replayed in both roles.
#![allow(missing_docs, clippy::unwrap_used)]

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use portway_proto::WireForm::{self, Spdy, Tunnel, V4, V4Base64};
use portway_proto::handshake::{Acceptor, Action, Key, Offer, Refusal, RefusalKind, UpgradeError};
use portway_proto::{Port, handshake::Peer};
use portway_testkit::transcript::Transcript;

fn headers(lines: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value.trim()).unwrap(),
        );
    }
    headers
}

fn key() -> Key {
    Key::new(*b"the sample nonce")
}

/// There is no WebSocket, and so no key.
fn is_plain_spdy(transcript: &Transcript) -> bool {
    transcript.name.starts_with("spdy-")
}

/// The request as recorded, and the key that recordings leave out.
fn request(transcript: &Transcript) -> Request<()> {
    let mut line = transcript.request[0].split(' ');
    let mut request =
        Request::builder().method(line.next().unwrap()).uri(line.next().unwrap()).body(()).unwrap();
    *request.headers_mut() = headers(&transcript.request[1..]);
    if !is_plain_spdy(transcript) {
        let key = HeaderValue::from_str(&key().header()).unwrap();
        request.headers_mut().insert("sec-websocket-key", key);
    }
    request
}

/// The answer as recorded, and the hash of the key that recordings leave out.
fn response(transcript: &Transcript) -> Response<String> {
    let status = transcript.response[0].split(' ').nth(1).unwrap();
    let mut response = Response::new(transcript.body.clone().unwrap_or_default());
    *response.status_mut() = status.parse().unwrap();
    *response.headers_mut() = headers(&transcript.response[1..]);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS && !is_plain_spdy(transcript) {
        let accept = HeaderValue::from_str(&key().accept()).unwrap();
        response.headers_mut().insert("sec-websocket-accept", accept);
    }
    response
}

/// The offer that makes the recorded request; `None` where ours cannot be made to offer that.
fn offer(transcript: &Transcript) -> Option<Offer> {
    let request = request(transcript);
    if is_plain_spdy(transcript) {
        return Some(Offer::new(&[Spdy], &[]).ok()?.to(Peer::ApiServer));
    }
    let names = request.headers().get("sec-websocket-protocol")?.to_str().unwrap().to_owned();
    let form = |name: &str| {
        [V4, V4Base64, Tunnel].into_iter().find(|form| form.subprotocol() == Some(name))
    };
    let forms: Vec<_> = names.split(", ").map(form).collect::<Option<_>>()?;
    let query = request.uri().query().unwrap_or_default();
    let ports: Vec<Port> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.strip_prefix("ports=").unwrap().parse().ok())
        .collect::<Option<_>>()?;
    Some(Offer::new(&forms, &ports).ok()?.to(Peer::ApiServer))
}

/// The runtime that was recorded serves no tunnel; what stood in for the API server does.
fn server(transcript: &Transcript) -> Acceptor {
    let runtime: &[WireForm] = &[V4, V4Base64, Spdy];
    match transcript.name.starts_with("tunnel-") {
        true => Acceptor::new(),
        false => Acceptor::new().forms(runtime),
    }
}

#[test]
fn our_server_answers_the_recorded_request_with_the_recorded_answer() {
    let mut refused = 0;
    for transcript in Transcript::load_all("") {
        let name = &transcript.name;
        let recorded = response(&transcript);
        let (ours, body) = match server(&transcript).accept(&request(&transcript)) {
            Ok(accepted) => (accepted.response(), None),
            Err(rejection) => {
                refused += 1;
                let (parts, body) = rejection.response().into_parts();
                (Response::from_parts(parts, ()), Some(body))
            }
        };
        assert_eq!(ours.status(), recorded.status(), "{name}");
        // Of what a kubelet answers by itself only the words are recorded: the head is a stand-in's.
        if name == "refused-tunnel" {
            assert_eq!(body.unwrap().trim_end(), transcript.body.unwrap(), "{name}");
            continue;
        }
        let mut expected = recorded.headers().clone();
        // The length is for whoever sends the body; it counts the line end that a recording drops.
        if let Some(length) = expected.remove("content-length") {
            let length: usize = length.to_str().unwrap().parse().unwrap();
            assert_eq!(body.as_ref().map(String::len), Some(length), "{name}");
        }
        // Ruling: a client that offered nothing gets no header, not an empty one.
        if name == "v4-nothing-offered" {
            assert_eq!(expected.remove("sec-websocket-protocol").unwrap(), "");
        }
        assert_eq!(ours.headers(), &expected, "{name}");
        let body = body.map(|body| body.strip_suffix('\n').map(str::to_owned).unwrap_or(body));
        assert_eq!(body, transcript.body, "{name}");
    }
    assert_eq!(refused, Transcript::load_all("refused-").len());
}

#[test]
fn our_request_has_the_recorded_headers() {
    let mut compared = 0;
    for transcript in Transcript::load_all("") {
        let Some(offer) = offer(&transcript) else { continue };
        let recorded = request(&transcript);
        let mut extra = HeaderMap::new();
        if let Some(command) = recorded.headers().get("kubectl-command") {
            extra.insert("kubectl-command", command.clone());
        }
        let uri = Uri::try_from(recorded.uri().path()).unwrap();
        let ours = offer.request(&uri, key(), extra).unwrap();
        let name = &transcript.name;
        let mut headers = recorded.headers().clone();
        // The length of a body that is none is for whoever sends the request.
        assert!(headers.remove("content-length").is_none_or(|length| length == "0"), "{name}");
        assert_eq!(ours.method(), recorded.method(), "{name}");
        assert_eq!(ours.headers(), &headers, "{name}");
        if offer.ports().len() < 2 {
            assert_eq!(ours.uri(), recorded.uri(), "{name}");
        } else {
            // Recorded as two parameters, sent as one.
            let query = recorded.uri().query().unwrap().replace("&ports=", ",");
            assert_eq!(ours.uri().query(), Some(&*query), "{name}");
        }
        compared += 1;
    }
    assert!(compared >= 15, "{compared}");
}

#[test]
fn our_client_takes_the_recorded_answers() {
    let mut taken = 0;
    for transcript in Transcript::load_all("") {
        let recorded = response(&transcript);
        if recorded.status() != StatusCode::SWITCHING_PROTOCOLS {
            continue;
        }
        let name = &transcript.name;
        if name == "v4-nothing-offered" {
            let asked = Offer::new(&[V4], &[Port::new(8080).unwrap()]).unwrap();
            assert_eq!(asked.check(key(), &recorded), Err(UpgradeError::NoSubprotocol));
            continue;
        }
        let expected = match name {
            name if name.starts_with("tunnel-") => Tunnel,
            name if name.starts_with("spdy-") => {
                let asked = Offer::new(&[Spdy], &[]).unwrap();
                assert_eq!(asked.check(key(), &recorded), Ok(Spdy), "{name}");
                continue;
            }
            name if name.contains("base64") => V4Base64,
            _ => V4,
        };
        let asked = Offer::new(&[Tunnel, V4, V4Base64], &[Port::new(8080).unwrap()]).unwrap();
        assert_eq!(asked.check(key(), &recorded), Ok(expected), "{name}");
        // Whoever did not offer that form does not take it.
        let others: Vec<_> =
            [Tunnel, V4, V4Base64].into_iter().filter(|form| *form != expected).collect();
        let asked = Offer::new(&others, &[Port::new(8080).unwrap()]).unwrap();
        let error = asked.check(key(), &recorded).unwrap_err();
        assert!(matches!(error, UpgradeError::WrongSubprotocol { .. }), "{name}: {error}");
        taken += 1;
    }
    assert!(taken >= 15, "{taken}");
}

#[test]
fn our_client_understands_the_recorded_refusals() {
    let understood = |name: &str| {
        let recorded = response(&Transcript::load(name));
        let offer = Offer::new(&[V4], &[Port::new(80).unwrap()]).unwrap();
        let status = recorded.status();
        assert_eq!(offer.check(key(), &recorded), Err(UpgradeError::NotSwitched { status }));
        let refusal = Refusal::new(status, recorded.headers(), recorded.body().as_bytes());
        if !recorded.body().is_empty() {
            assert_eq!(refusal.message(), recorded.body());
        }
        (refusal.kind().clone(), refusal.action())
    };
    let bad = (RefusalKind::BadPorts, Action::GiveUp);
    assert_eq!(understood("refused-port-0"), bad);
    assert_eq!(understood("refused-port-text"), bad);
    let missing = (RefusalKind::PortsRequired, Action::FallBack);
    assert_eq!(understood("refused-no-ports"), missing);
    let subprotocol = (RefusalKind::SubprotocolRefused, Action::FallBack);
    assert_eq!(understood("refused-v5-only"), subprotocol);
    assert_eq!(understood("refused-tunnel"), missing);
    assert_eq!(Transcript::load_all("refused-").len(), 5, "another one wants a line here");
}
