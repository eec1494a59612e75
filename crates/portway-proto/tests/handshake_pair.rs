//! Our client against our server, and each of them against tungstenite.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use portway_proto::handshake::{
    Acceptor, Key, Offer, Peer, PortsParameter, Refusal, bearer_token, pod_path,
};
use portway_proto::{Port, WireForm};
use proptest::prelude::*;
use tungstenite::handshake::server::create_response;

use WireForm::{Spdy, Tunnel, V4, V4Base64};

const WEBSOCKET: [WireForm; 3] = [V4, V4Base64, Tunnel];

fn an_offer() -> impl Strategy<Value = Offer> {
    let websocket = proptest::sample::subsequence(WEBSOCKET.to_vec(), 1..=3).prop_shuffle();
    let forms = prop_oneof![4 => websocket, 1 => Just(vec![Spdy])];
    let ports = prop_oneof![
        4 => proptest::collection::btree_set(1_u16.., 1..10),
        1 => proptest::collection::btree_set(1_u16.., 35..=40),
        1 => proptest::collection::btree_set(1_u16.., 100..=127),
    ];
    (forms, ports, any::<bool>(), any::<bool>()).prop_filter_map(
        "more ports than fit",
        |(forms, ports, none, kubelet): (Vec<_>, BTreeSet<u16>, _, _)| {
            let free = !forms.contains(&V4) && !forms.contains(&V4Base64);
            let mut ports: Vec<_> = ports.into_iter().filter_map(Port::new).collect();
            // As the set gives them in order, turn them round: order must survive.
            ports.reverse();
            let ports = if free && none { Vec::new() } else { ports };
            let peer = if kubelet { Peer::Kubelet } else { Peer::ApiServer };
            Some(Offer::new(&forms, &ports).ok()?.to(peer))
        },
    )
}

fn forms() -> impl Strategy<Value = Vec<WireForm>> {
    proptest::sample::subsequence(vec![V4, V4Base64, Tunnel, Spdy], 0..=4)
}

fn some_headers() -> impl Strategy<Value = HeaderMap> {
    let name = proptest::sample::select(vec![
        "connection",
        "upgrade",
        "sec-websocket-protocol",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "x-stream-protocol-version",
        "x-accepted-stream-protocol-versions",
        "retry-after",
    ]);
    let known = proptest::sample::select(vec![
        "Upgrade",
        "websocket",
        "SPDY/3.1",
        "13",
        "v4.channel.k8s.io",
        "v4.base64.channel.k8s.io",
        "SPDY/3.1+portforward.k8s.io",
        "portforward.k8s.io",
        "base64url.bearer.authorization.k8s.io.dA",
        ",",
        "",
    ]);
    let value = prop_oneof![
        3 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec((name, value), 0..12).prop_map(|pairs| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        headers
    })
}

proptest! {
    #[test]
    fn what_we_offer_our_server_takes(offer in an_offer(), key: [u8; 16], served in forms()) {
        let key = Key::new(key);
        let uri = pod_path("ns", "pod").parse().unwrap();
        let request = offer.request(&uri, key, HeaderMap::new()).unwrap();
        let kubelet = offer.peer() == Peer::Kubelet;
        let parameter = if kubelet { PortsParameter::Port } else { PortsParameter::Ports };
        let server = Acceptor::new().forms(&served).parameter(parameter);
        let common: Vec<_> = offer.forms().iter().filter(|form| served.contains(form)).collect();
        match server.accept(&request) {
            Ok(accepted) => {
                let form = accepted.form();
                // The tunnel wins, else the client's first.
                let expected = if common.contains(&&Tunnel) { Tunnel } else { *common[0] };
                prop_assert_eq!(form, expected);
                let fixed = matches!(form, V4 | V4Base64);
                let ports = if fixed { offer.ports() } else { &[] };
                prop_assert_eq!(accepted.ports(), ports);
                prop_assert_eq!(offer.check(key, &accepted.response()), Ok(form));
                let other = offer.check(Key::new([0x5a; 16]), &accepted.response());
                prop_assert!(form == Spdy || other.is_err());
            }
            Err(rejection) => {
                prop_assert!(common.is_empty(), "{}", rejection);
                let response = rejection.response();
                prop_assert!(offer.check(key, &response).is_err());
                let (parts, body) = response.into_parts();
                let refusal = Refusal::new(parts.status, &parts.headers, body.as_bytes());
                // Our own refusals of a form we do not serve send a client to another form.
                prop_assert_eq!(refusal.action(), portway_proto::handshake::Action::FallBack);
            }
        }
    }

    #[test]
    fn nothing_in_a_request_panics(
        headers in some_headers(),
        method in proptest::sample::select(vec![Method::GET, Method::POST]),
        query in "(ports?=[0-9,%a-f+&=;]{0,12}&?){0,3}",
        served in forms(),
    ) {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        if let Ok(uri) = format!("/p?{query}").parse() {
            *request.uri_mut() = uri;
        }
        let _token = bearer_token(request.headers());
        match Acceptor::new().forms(&served).accept(&request) {
            Ok(accepted) => prop_assert!(served.contains(&accepted.form())),
            Err(rejection) => prop_assert!(rejection.response().status().is_client_error()),
        }
    }

    #[test]
    fn nothing_in_an_answer_panics(
        headers in some_headers(),
        status in 100_u16..1000,
        body: Vec<u8>,
        offer in an_offer(),
    ) {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = headers;
        // Nobody guesses the hash of the key.
        let checked = offer.check(Key::new([1; 16]), &response);
        prop_assert!(matches!(checked, Ok(Spdy) | Err(_)));
        let refusal = Refusal::new(response.status(), response.headers(), &body);
        prop_assert!(!refusal.to_string().chars().any(char::is_control));
    }

    #[test]
    fn tungstenite_takes_our_websocket_requests_and_we_its_answer(offer in an_offer(), key: [u8; 16]) {
        prop_assume!(!offer.forms().contains(&Spdy));
        let key = Key::new(key);
        let request = offer.request(&"http://h/p".parse().unwrap(), key, HeaderMap::new()).unwrap();
        let mut theirs = create_response(&request).unwrap();
        for form in offer.forms() {
            let name = HeaderValue::from_static(form.subprotocol().unwrap());
            theirs.headers_mut().insert("sec-websocket-protocol", name);
            prop_assert_eq!(offer.check(key, &theirs), Ok(*form));
        }
    }
}
