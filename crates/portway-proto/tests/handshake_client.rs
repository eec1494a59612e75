//! The client's end of the upgrade: what goes out, and which answers are believed.
#![allow(missing_docs, clippy::unwrap_used)]

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, Version};
use portway_proto::handshake::{
    Action, Key, Offer, OfferError, Peer, RequestError, UpgradeError, pod_path,
};
use portway_proto::{Port, WireForm};
use tungstenite::handshake::derive_accept_key;

use WireForm::{Spdy, Tunnel, V4, V4Base64};

/// The key of RFC 6455 section 1.3.
fn key() -> Key {
    Key::new(*b"the sample nonce")
}

fn ports(numbers: impl IntoIterator<Item = u16>) -> Vec<Port> {
    numbers.into_iter().map(|number| Port::new(number).unwrap()).collect()
}

fn offer(forms: &[WireForm], numbers: &[u16]) -> Offer {
    Offer::new(forms, &ports(numbers.iter().copied())).unwrap()
}

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

fn answer(status: u16, pairs: &[(&str, &str)]) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.headers_mut() = headers(pairs);
    response
}

/// The 101 of A.4, with one line replaced (`Some`) or left out (`None`), or added.
fn changed(name: &str, value: Option<&str>) -> Response<()> {
    let accept = key().accept();
    let mut all: Vec<(&str, &str)> = vec![
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", &accept),
        ("sec-websocket-protocol", "v4.channel.k8s.io"),
    ];
    all.retain(|(known, _)| *known != name);
    all.extend(value.map(|value| (name, value)));
    answer(101, &all)
}

#[test]
fn the_accept_key_is_that_of_rfc_6455_and_of_tungstenite() {
    assert_eq!(key().accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for byte in 0..=255 {
        let key = Key::new([byte; 16]);
        assert_eq!(key.accept(), derive_accept_key(key.header().as_bytes()));
    }
}

#[test]
fn a_websocket_request_has_the_headers_of_a3_and_no_other() {
    let uri = uri(&format!("https://cluster:6443{}", pod_path("ns", "pod")));
    let request =
        offer(&[Tunnel, V4], &[8080, 443]).request(&uri, key(), HeaderMap::new()).unwrap();
    assert_eq!(request.method(), Method::GET);
    assert_eq!(request.version(), Version::HTTP_11);
    assert_eq!(request.uri(), "/api/v1/namespaces/ns/pods/pod/portforward?ports=8080,443");
    let expected = headers(&[
        ("host", "cluster:6443"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io"),
    ]);
    assert_eq!(request.headers(), &expected);
}

#[test]
fn a_spdy_request_has_the_headers_of_a5_and_no_other() {
    let request =
        offer(&[Spdy], &[]).request(&uri("https://c/p"), key(), HeaderMap::new()).unwrap();
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri(), "/p");
    let expected = headers(&[
        ("host", "c"),
        ("upgrade", "SPDY/3.1"),
        ("connection", "Upgrade"),
        ("x-stream-protocol-version", "portforward.k8s.io"),
    ]);
    assert_eq!(request.headers(), &expected);
}

#[test]
fn a_kubelet_is_asked_for_port_and_an_api_server_for_ports() {
    let offer = offer(&[V4], &[80, 81]);
    let target = |offer: &Offer, text: &str| {
        offer.request(&uri(text), key(), HeaderMap::new()).unwrap().uri().to_string()
    };
    assert_eq!(target(&offer, "/p"), "/p?ports=80,81");
    assert_eq!(target(&offer.clone().to(Peer::Kubelet), "/p"), "/p?port=80,81");
    assert_eq!(target(&offer, "/p?"), "/p?ports=80,81");
    assert_eq!(target(&offer, "/p?trace=1"), "/p?trace=1&ports=80,81");
    assert_eq!(target(&offer, "http://h"), "/?ports=80,81");
    let tunnel = Offer::new(&[Tunnel], &[]).unwrap();
    assert_eq!(target(&tunnel, "/p?trace=1"), "/p?trace=1");
    assert_eq!(target(&tunnel, "/p"), "/p");
}

#[test]
fn ports_in_the_uri_are_refused_because_they_would_shift_the_channels() {
    for text in ["/p?ports=80", "/p?a=1&port=80", "/p?p%6frts=80", "/p?ports"] {
        let result = offer(&[V4], &[80]).request(&uri(text), key(), HeaderMap::new());
        assert_eq!(result.unwrap_err(), RequestError::PortsInQuery, "{text}");
    }
    for text in ["/p?portsx=80", "/p?x=ports", "/ports=1"] {
        assert!(offer(&[V4], &[80]).request(&uri(text), key(), HeaderMap::new()).is_ok());
    }
}

#[test]
fn a_uri_too_long_for_ports_is_an_error() {
    let long = uri(&format!("/{}", "a".repeat(65_520)));
    let many = Offer::new(&[V4], &ports(1..=127)).unwrap();
    assert_eq!(many.request(&long, key(), HeaderMap::new()).unwrap_err(), RequestError::TooLong);
}

#[test]
fn extra_headers_are_kept_but_cannot_spoil_the_upgrade() {
    let extra = headers(&[
        ("authorization", "Bearer t"),
        ("connection", "keep-alive"),
        ("connection", "close"),
        ("upgrade", "h2c"),
        ("sec-websocket-protocol", "v5.channel.k8s.io"),
        ("sec-websocket-protocol", "v4.channel.k8s.io"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("sec-websocket-version", "8"),
        ("sec-websocket-key", "x"),
        ("x-stream-protocol-version", "v4.channel.k8s.io"),
    ]);
    let request = offer(&[V4], &[80]).request(&uri("http://u:p@h:1/p"), key(), extra.clone());
    let expected = headers(&[
        ("authorization", "Bearer t"),
        ("host", "h:1"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "v4.channel.k8s.io"),
    ]);
    assert_eq!(request.unwrap().headers(), &expected);
    let request = offer(&[Spdy], &[]).request(&uri("/p"), key(), extra);
    let expected = headers(&[
        ("authorization", "Bearer t"),
        ("upgrade", "SPDY/3.1"),
        ("connection", "Upgrade"),
        ("x-stream-protocol-version", "portforward.k8s.io"),
    ]);
    assert_eq!(request.unwrap().headers(), &expected);
}

#[test]
fn a_host_header_of_the_caller_stays() {
    let extra = headers(&[("host", "virtual")]);
    let request = offer(&[V4], &[80]).request(&uri("http://h:1/p"), key(), extra).unwrap();
    assert_eq!(request.headers()["host"], "virtual");
}

#[test]
fn what_no_server_could_serve_is_refused_before_dialling() {
    let port = Port::new(80).unwrap();
    let new = |forms: &[WireForm], numbers: std::ops::RangeInclusive<u16>| {
        Offer::new(forms, &ports(numbers)).map(|offer| offer.forms().to_vec())
    };
    assert_eq!(new(&[], 1..=1), Err(OfferError::NoForm));
    assert_eq!(new(&[V4, Tunnel, V4], 1..=1), Err(OfferError::DuplicateForm { form: V4 }));
    for mixed in [[Spdy, V4], [Tunnel, Spdy], [V4Base64, Spdy]] {
        assert_eq!(new(&mixed, 1..=1), Err(OfferError::MixedForms));
    }
    #[allow(clippy::reversed_empty_ranges)]
    let none = 1..=0;
    for needs in [&[V4][..], &[V4Base64], &[Tunnel, V4], &[Tunnel, V4Base64]] {
        assert_eq!(new(needs, none.clone()), Err(OfferError::NoPorts));
    }
    assert_eq!(new(&[Tunnel], none.clone()), Ok(vec![Tunnel]));
    assert_eq!(new(&[Spdy], none), Ok(vec![Spdy]));
    assert_eq!(
        Offer::new(&[V4], &[port, Port::new(81).unwrap(), port]),
        Err(OfferError::DuplicatePort { port })
    );
    assert!(new(&[Tunnel, V4], 1..=127).is_ok());
    assert_eq!(new(&[V4], 1..=128), Err(OfferError::TooManyPorts { given: 128, limit: 127 }));
    assert!(new(&[V4Base64], 1..=40).is_ok());
    for base64 in [&[V4Base64][..], &[V4, V4Base64]] {
        let error = OfferError::TooManyPorts { given: 41, limit: 40 };
        assert_eq!(new(base64, 1..=41), Err(error));
    }
}

#[test]
fn an_answer_with_the_headers_of_a4_is_believed() {
    let asked = offer(&[Tunnel, V4], &[80]);
    for response in [
        changed("", None),
        changed("connection", Some("keep-alive, upgrade")),
        changed("upgrade", Some("WebSocket")),
    ] {
        assert_eq!(asked.check(key(), &response), Ok(V4), "{response:?}");
    }
    let tunnel = changed("sec-websocket-protocol", Some("SPDY/3.1+portforward.k8s.io"));
    assert_eq!(asked.check(key(), &tunnel), Ok(Tunnel));
}

#[test]
fn an_answer_that_fails_a_check_of_a4_is_not_believed() {
    use UpgradeError as E;
    let asked = offer(&[Tunnel, V4], &[80]);
    let accept = key().accept();
    let wrong = |name: &str| E::WrongSubprotocol { name: name.to_owned() };
    for (header, value, error) in [
        ("upgrade", None, E::WrongUpgrade),
        ("upgrade", Some("SPDY/3.1"), E::WrongUpgrade),
        ("connection", None, E::WrongConnection),
        ("connection", Some("close"), E::WrongConnection),
        ("sec-websocket-accept", None, E::WrongAccept),
        ("sec-websocket-accept", Some(""), E::WrongAccept),
        ("sec-websocket-accept", Some("S3pPLMBiTxaQ9kYGzzhZRbK+xOo="), E::WrongAccept),
        ("sec-websocket-accept", Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo"), E::WrongAccept),
        ("sec-websocket-protocol", None, E::NoSubprotocol),
        ("sec-websocket-protocol", Some(""), E::NoSubprotocol),
        (
            "sec-websocket-protocol",
            Some("v4.base64.channel.k8s.io"),
            wrong("v4.base64.channel.k8s.io"),
        ),
        ("sec-websocket-protocol", Some("V4.channel.k8s.io"), wrong("V4.channel.k8s.io")),
        (
            "sec-websocket-protocol",
            Some("v4.channel.k8s.io, v4.channel.k8s.io"),
            wrong("v4.channel.k8s.io, v4.channel.k8s.io"),
        ),
        (
            "sec-websocket-extensions",
            Some("permessage-deflate"),
            E::Extension { name: "permessage-deflate".to_owned() },
        ),
    ] {
        let result = asked.check(key(), &changed(header, value));
        assert_eq!(result, Err(error), "{header}: {value:?}");
        assert_eq!(result.unwrap_err().action(), Action::FallBack);
    }
    let mut twice = changed("", None);
    twice.headers_mut().append("sec-websocket-accept", HeaderValue::from_str(&accept).unwrap());
    assert_eq!(asked.check(key(), &twice), Err(E::WrongAccept));
    let mut twice = changed("", None);
    twice.headers_mut().append("sec-websocket-protocol", HeaderValue::from_static("x"));
    assert_eq!(asked.check(key(), &twice), Err(wrong("v4.channel.k8s.io, x")));
    let other_key = asked.check(Key::new([0; 16]), &changed("", None));
    assert_eq!(other_key, Err(E::WrongAccept));
}

#[test]
fn a_missing_subprotocol_tells_of_the_middlebox() {
    let stripped = changed("sec-websocket-protocol", None);
    let error = offer(&[V4], &[80]).check(key(), &stripped).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server chose no subprotocol: something between may have stripped the header"
    );
}

#[test]
fn names_that_the_server_chose_are_shown_without_what_a_terminal_acts_on() {
    let hostile = HeaderValue::from_bytes("v4\u{9b}31m".as_bytes()).unwrap();
    let mut response = changed("sec-websocket-protocol", None);
    response.headers_mut().insert("sec-websocket-protocol", hostile);
    let error = offer(&[V4], &[80]).check(key(), &response).unwrap_err();
    assert!(error.to_string().contains("v4\u{fffd}31m"), "{error}");
}

#[test]
fn any_other_status_is_a_refusal() {
    for status in [100, 200, 302, 400, 403, 500] {
        let mut response = changed("", None);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        let status = response.status();
        for form in [V4, Spdy] {
            let error = offer(&[form], &[80]).check(key(), &response).unwrap_err();
            assert_eq!(error, UpgradeError::NotSwitched { status });
        }
    }
}

#[test]
fn the_answer_to_plain_spdy_is_checked_as_a5_says() {
    use UpgradeError as E;
    let asked = offer(&[Spdy], &[]);
    let good = [
        ("connection", "Upgrade"),
        ("upgrade", "SPDY/3.1"),
        ("x-stream-protocol-version", "portforward.k8s.io"),
    ];
    assert_eq!(asked.check(key(), &answer(101, &good)), Ok(Spdy));
    let wrong = |name: &str| E::WrongSubprotocol { name: name.to_owned() };
    for (at, value, error) in [
        (0, "close", E::WrongConnection),
        (1, "websocket", E::WrongUpgrade),
        (1, "SPDY/3", E::WrongUpgrade),
        (2, "", E::NoSubprotocol),
        (2, "v4.channel.k8s.io", wrong("v4.channel.k8s.io")),
    ] {
        let mut bad = good;
        bad[at].1 = value;
        assert_eq!(asked.check(key(), &answer(101, &bad)), Err(error), "{bad:?}");
    }
    assert_eq!(asked.check(key(), &answer(101, &good[..2])), Err(E::NoSubprotocol));
}
