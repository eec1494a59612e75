//! The server's end of the upgrade: every row of protocol.md A.2, A.3 and A.5.
#![allow(missing_docs, clippy::unwrap_used)]

use http::{HeaderMap, Method, Request, StatusCode};
use portway_proto::WireForm;
use portway_proto::handshake::{
    Accepted, Acceptor, BearerError, PortsError, PortsParameter, Rejection, bearer_token,
};

use WireForm::{Spdy, Tunnel, V4, V4Base64};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// As a cluster whose API server has no tunnel.
fn v4_only() -> Acceptor {
    Acceptor::new().forms(&[V4, V4Base64, Spdy])
}

/// A WebSocket request with these offered subprotocols, one line each.
fn websocket(target: &str, lines: &[&str]) -> Request<()> {
    let mut request = Request::get(target)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY);
    for line in lines {
        request = request.header("Sec-WebSocket-Protocol", *line);
    }
    request.body(()).unwrap()
}

fn spdy(lines: &[&str]) -> Request<()> {
    let mut request =
        Request::post("/p").header("Connection", "Upgrade").header("Upgrade", "SPDY/3.1");
    for line in lines {
        request = request.header("X-Stream-Protocol-Version", *line);
    }
    request.body(()).unwrap()
}

fn numbers(accepted: &Accepted) -> Vec<u16> {
    accepted.ports().iter().map(|port| port.get()).collect()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    assert!(headers.get_all(name).iter().count() <= 1, "{name}");
    headers.get(name).map(|value| value.to_str().unwrap())
}

/// The status and body of a refusal.
fn refused(server: &Acceptor, request: &Request<()>) -> (u16, String) {
    let rejection = server.accept(request).unwrap_err();
    let response = rejection.response();
    assert_eq!(response.status(), rejection.status());
    (response.status().as_u16(), response.into_body())
}

#[test]
fn the_ports_parameter_is_read_as_in_a2() {
    for (query, expected) in [
        ("ports=80", vec![80]),
        ("ports=80,443", vec![80, 443]),
        ("ports=80&ports=443", vec![80, 443]),
        ("ports=2,1&ports=4,3&x=9&ports=5", vec![2, 1, 4, 3, 5]),
        ("ports=80,80&ports=80", vec![80, 80, 80]),
        ("ports=80%2C443", vec![80, 443]),
        ("p%6Frts=%38%30", vec![80]),
        ("ports=1,65535", vec![1, 65535]),
        ("ports=0080", vec![80]),
        ("port=80&ports=81&port=82", vec![80, 81, 82]),
    ] {
        let request = websocket(&format!("/p?{query}"), &["v4.channel.k8s.io"]);
        let accepted = v4_only().accept(&request).unwrap_or_else(|e| panic!("{query}: {e}"));
        assert_eq!(numbers(&accepted), expected, "{query}");
    }
}

#[test]
fn a_server_of_one_name_ignores_the_other() {
    let both = websocket("/p?port=80&ports=81", &["v4.channel.k8s.io"]);
    let as_kubelet = v4_only().parameter(PortsParameter::Port);
    assert_eq!(numbers(&as_kubelet.accept(&both).unwrap()), [80]);
    let as_api_server = v4_only().parameter(PortsParameter::Ports);
    assert_eq!(numbers(&as_api_server.accept(&both).unwrap()), [81]);
    let other = websocket("/p?ports=81", &["v4.channel.k8s.io"]);
    assert_eq!(as_kubelet.accept(&other).unwrap_err(), Rejection::Ports(PortsError::Missing));
}

#[test]
fn bad_ports_get_the_texts_of_a_kubelet() {
    let parsing = |value: &str, element: &str, why: &str| {
        format!("unable to parse {value} as a port: strconv.ParseUint: parsing {element}: {why}\n")
    };
    let syntax = |value, element| parsing(value, element, "invalid syntax");
    let range = |value, element| parsing(value, element, "value out of range");
    let required = "query parameter \"port\" is required\n".to_owned();
    let empty = "query parameter \"port\" cannot be empty\n".to_owned();
    for (query, body) in [
        ("", required.clone()),
        ("x=80", required.clone()),
        ("Ports=80", required.clone()),
        ("ports=%zz", required),
        ("ports=", empty.clone()),
        ("ports", empty.clone()),
        ("ports=80&ports=", empty),
        ("ports=http", syntax("\"http\"", "\"http\"")),
        ("ports=80,http", syntax("\"80,http\"", "\"http\"")),
        ("ports=80,", syntax("\"80,\"", "\"\"")),
        ("ports=,", syntax("\",\"", "\"\"")),
        ("ports=-1", syntax("\"-1\"", "\"-1\"")),
        ("ports=%2B80", syntax("\"+80\"", "\"+80\"")),
        ("ports=+80", syntax("\" 80\"", "\" 80\"")),
        ("ports=0x50", syntax("\"0x50\"", "\"0x50\"")),
        ("ports=8_0", syntax("\"8_0\"", "\"8_0\"")),
        ("ports=%22%1b%ff", syntax("\"\\\"\\x1b\\xff\"", "\"\\\"\\x1b\\xff\"")),
        ("ports=65536", range("\"65536\"", "\"65536\"")),
        (
            "ports=99999999999999999999",
            range("\"99999999999999999999\"", "\"99999999999999999999\""),
        ),
        ("ports=99999x", range("\"99999x\"", "\"99999x\"")),
        ("ports=9x99999", syntax("\"9x99999\"", "\"9x99999\"")),
        ("ports=0", "port \"0\" must be > 0\n".to_owned()),
        ("ports=80,00", "port \"80,00\" must be > 0\n".to_owned()),
    ] {
        let request = websocket(&format!("/p?{query}"), &["v4.channel.k8s.io"]);
        assert_eq!(refused(&v4_only(), &request), (400, body), "{query}");
        let response = v4_only().accept(&request).unwrap_err().response();
        let headers = response.headers();
        assert_eq!(header(headers, "content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(header(headers, "x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn as_many_ports_are_taken_as_a_channel_can_number() {
    let many = |count: usize, name: &str| {
        websocket(&format!("/p?ports={}", vec!["80"; count].join(",")), &[name])
    };
    let taken = |count, name| v4_only().accept(&many(count, name)).map(|a| a.ports().len());
    let too_many = |limit| Err(Rejection::Ports(PortsError::TooMany { limit }));
    assert_eq!(taken(128, "v4.channel.k8s.io"), Ok(128));
    assert_eq!(taken(129, "v4.channel.k8s.io"), too_many(128));
    assert_eq!(taken(40, "v4.base64.channel.k8s.io"), Ok(40));
    assert_eq!(taken(41, "v4.base64.channel.k8s.io"), too_many(40));
    let (status, body) = refused(&v4_only(), &many(129, "v4.channel.k8s.io"));
    assert_eq!((status, &*body), (400, "too many ports: at most 128 fit into one session\n"));
}

#[test]
fn subprotocols_are_negotiated_as_in_a3() {
    let both = format!("{TUNNEL}, v4.channel.k8s.io");
    let behind = format!("v4.channel.k8s.io,{TUNNEL}");
    // offered, without ports?, with the tunnel, without it; `Err` is status and body.
    type Row<'a> = (&'a [&'a str], Result<WireForm, ()>, Result<WireForm, ()>);
    let rows: &[Row<'_>] = &[
        (&["v4.channel.k8s.io"], Ok(V4), Ok(V4)),
        (&["v4.base64.channel.k8s.io"], Ok(V4Base64), Ok(V4Base64)),
        (&[], Ok(V4), Ok(V4)),
        (&[""], Ok(V4), Ok(V4)),
        (&["v5.channel.k8s.io"], Err(()), Err(())),
        (&["channel.k8s.io"], Err(()), Err(())),
        (&["V4.channel.k8s.io"], Err(()), Err(())),
        (&["v5.channel.k8s.io, v4.channel.k8s.io"], Ok(V4), Ok(V4)),
        (&["v4.base64.channel.k8s.io,v4.channel.k8s.io"], Ok(V4Base64), Ok(V4Base64)),
        (&["v4.channel.k8s.io,v4.base64.channel.k8s.io"], Ok(V4), Ok(V4)),
        (&[TUNNEL], Ok(Tunnel), Err(())),
        (&[&both], Ok(Tunnel), Ok(V4)),
        (&[&behind], Ok(Tunnel), Ok(V4)),
        // Only the first line is seen.
        (&["v5.channel.k8s.io", "v4.channel.k8s.io"], Err(()), Err(())),
        (&["v4.channel.k8s.io", TUNNEL], Ok(V4), Ok(V4)),
        // A bearer token is no subprotocol.
        (&["base64url.bearer.authorization.k8s.io.dA, v4.channel.k8s.io"], Ok(V4), Ok(V4)),
        (&["base64url.bearer.authorization.k8s.io.dA"], Err(()), Err(())),
    ];
    for (lines, with_tunnel, without) in rows {
        let request = websocket("/p?ports=80", lines);
        for (server, expected) in [(Acceptor::new(), with_tunnel), (v4_only(), without)] {
            match (server.accept(&request), expected) {
                (Ok(accepted), Ok(form)) => {
                    assert_eq!(accepted.form(), *form, "{lines:?}");
                    let response = accepted.response();
                    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
                    let headers = response.headers();
                    assert_eq!(header(headers, "connection"), Some("Upgrade"));
                    assert_eq!(header(headers, "upgrade"), Some("websocket"));
                    assert_eq!(header(headers, "sec-websocket-accept"), Some(ACCEPT));
                    let named = !matches!(lines, [] | [""]);
                    let name = form.subprotocol().filter(|_| named);
                    assert_eq!(header(headers, "sec-websocket-protocol"), name, "{lines:?}");
                    assert_eq!(headers.len(), 3 + usize::from(named));
                    let ports = if *form == Tunnel { vec![] } else { vec![80] };
                    assert_eq!(numbers(&accepted), ports);
                }
                (Err(rejection), Err(())) => {
                    let response = rejection.response();
                    assert_eq!(response.status(), StatusCode::FORBIDDEN);
                    assert_eq!(response.body(), "");
                    assert!(response.headers().is_empty(), "{response:?}");
                }
                (got, expected) => panic!("{lines:?}: {got:?} and not {expected:?}"),
            }
        }
    }
}

#[test]
fn a_tunnel_needs_no_ports_and_ignores_bad_ones() {
    for target in ["/p", "/p?ports=", "/p?ports=http"] {
        let accepted = Acceptor::new().accept(&websocket(target, &[TUNNEL])).unwrap();
        assert_eq!((accepted.form(), accepted.ports()), (Tunnel, &[][..]));
    }
}

#[test]
fn a_server_without_the_tunnel_asks_for_ports_first() {
    let (status, body) = refused(&v4_only(), &websocket("/p", &[TUNNEL]));
    assert_eq!((status, &*body), (400, "query parameter \"port\" is required\n"));
    assert_eq!(refused(&v4_only(), &websocket("/p?ports=80", &[TUNNEL])), (403, String::new()));
}

#[test]
fn a_tunnel_of_another_kind_is_refused_as_spdy_is() {
    let request = websocket("/p?ports=80", &["SPDY/3.1+v4.channel.k8s.io, v4.channel.k8s.io"]);
    let response = Acceptor::new().accept(&request).unwrap_err().response();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let accepted = header(response.headers(), "x-accepted-stream-protocol-versions");
    assert_eq!(accepted, Some("portforward.k8s.io"));
    // The runtime chooses among all tunnels offered.
    let several = format!("SPDY/3.1+v4.channel.k8s.io, {TUNNEL}");
    assert_eq!(Acceptor::new().accept(&websocket("/p", &[&several])).unwrap().form(), Tunnel);
}

#[test]
fn a_server_without_v4_does_not_take_a_client_that_offers_nothing() {
    let server = Acceptor::new().forms(&[V4Base64]);
    let request = websocket("/p?ports=80", &[]);
    assert_eq!(server.accept(&request).unwrap_err(), Rejection::NoCommonSubprotocol);
}

#[test]
fn a_websocket_handshake_is_checked_as_in_a1() {
    let good = || websocket("/p?ports=80", &["v4.channel.k8s.io"]);
    for method in [Method::POST, Method::HEAD, Method::PUT] {
        let mut request = good();
        *request.method_mut() = method;
        for server in [Acceptor::new(), v4_only()] {
            assert_eq!(refused(&server, &request), (405, "bad method".to_owned()));
            let response = server.accept(&request).unwrap_err().response();
            assert_eq!(header(response.headers(), "allow"), Some("GET")); // RFC 9110 wants it
        }
        *request.headers_mut().get_mut("sec-websocket-protocol").unwrap() = TUNNEL.parse().unwrap();
        assert_eq!(refused(&Acceptor::new(), &request), (405, "bad method".to_owned()));
    }
    for version in [None, Some("8"), Some(""), Some("13, 8")] {
        let mut request = good();
        request.headers_mut().remove("sec-websocket-version");
        if let Some(version) = version {
            request.headers_mut().insert("sec-websocket-version", version.parse().unwrap());
        }
        let response = v4_only().accept(&request).unwrap_err().response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(header(response.headers(), "sec-websocket-version"), Some("13"));
        assert_eq!(response.body(), "missing or bad WebSocket Version");
    }
    for key in [None, Some(""), Some(" ")] {
        let mut request = good();
        request.headers_mut().remove("sec-websocket-key");
        if let Some(key) = key {
            request.headers_mut().insert("sec-websocket-key", key.parse().unwrap());
        }
        let expected = (400, "mismatch challenge/response".to_owned());
        assert_eq!(refused(&v4_only(), &request), expected);
    }
}

#[test]
fn a_request_that_is_no_upgrade_is_told_so() {
    let required = (400, "Upgrade request required\n".to_owned());
    let mut request = websocket("/p?ports=80", &["v4.channel.k8s.io"]);
    request.headers_mut().insert("connection", "keep-alive".parse().unwrap());
    assert_eq!(refused(&Acceptor::new(), &request), required);
    request.headers_mut().remove("connection");
    assert_eq!(refused(&Acceptor::new(), &request), required);
    request.headers_mut().insert("connection", "keep-alive, UPGRADE".parse().unwrap());
    request.headers_mut().insert("upgrade", "WebSocket".parse().unwrap());
    assert_eq!(Acceptor::new().accept(&request).unwrap().form(), V4);
}

#[test]
fn plain_spdy_is_negotiated_as_in_a5() {
    for lines in [
        &["portforward.k8s.io"][..],
        &["v2.portforward.k8s.io, portforward.k8s.io"],
        &["x", "portforward.k8s.io"],
    ] {
        for method in [Method::POST, Method::GET] {
            let mut request = spdy(lines);
            *request.method_mut() = method;
            let accepted = Acceptor::new().accept(&request).unwrap();
            assert_eq!((accepted.form(), accepted.ports()), (Spdy, &[][..]));
            let response = accepted.response();
            assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
            let headers = response.headers();
            assert_eq!(header(headers, "connection"), Some("Upgrade"));
            assert_eq!(header(headers, "upgrade"), Some("SPDY/3.1"));
            assert_eq!(header(headers, "x-stream-protocol-version"), Some("portforward.k8s.io"));
            assert_eq!(headers.len(), 3);
        }
    }
    let missing = "unable to upgrade: header X-Stream-Protocol-Version does not exist in request with 2 headers\n";
    assert_eq!(refused(&Acceptor::new(), &spdy(&[])), (400, missing.to_owned()));
    for empty in [&[""][..], &[","], &["", " , "]] {
        let (status, body) = refused(&Acceptor::new(), &spdy(empty));
        assert_eq!(status, 400);
        assert!(body.starts_with("unable to upgrade: header X-Stream-Protocol-Version "), "{body}");
    }
    let response =
        Acceptor::new().accept(&spdy(&["v2.portforward.k8s.io"])).unwrap_err().response();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let accepted = header(response.headers(), "x-accepted-stream-protocol-versions");
    assert_eq!(accepted, Some("portforward.k8s.io"));
    assert!(response.body().starts_with("unable to upgrade: unable to negotiate protocol: "));
    let mut request = spdy(&["portforward.k8s.io"]);
    request.headers_mut().insert("upgrade", "h2c".parse().unwrap());
    let (status, body) = refused(&Acceptor::new(), &request);
    assert_eq!(status, 400);
    assert!(body.starts_with("unable to upgrade: missing upgrade headers in request: "), "{body}");
    let server = Acceptor::new().forms(&[V4]);
    assert_eq!(server.accept(&spdy(&["portforward.k8s.io"])).unwrap_err(), Rejection::NotAnUpgrade);
}

#[test]
fn long_queries_and_offers_are_not_looked_into() {
    let long = websocket(&format!("/p?ports=80&x={}", "a".repeat(5000)), &["v4.channel.k8s.io"]);
    assert_eq!(refused(&Acceptor::new(), &long).0, 414);
    assert!(Acceptor::new().max_query(6000).accept(&long).is_ok());
    let token = format!("v4.channel.k8s.io, {}", "a".repeat(5000));
    let long = websocket("/p?ports=80", &[&token]);
    assert_eq!(refused(&Acceptor::new(), &long).0, 431);
    assert!(Acceptor::new().max_offer(6000).accept(&long).is_ok());
    let lines = vec!["portforward.k8s.io"; 300];
    assert_eq!(refused(&Acceptor::new(), &spdy(&lines)).0, 431);
}

#[test]
fn parts_are_taken_as_requests_are() {
    let (parts, ()) = websocket("/p?ports=80", &["v4.channel.k8s.io"]).into_parts();
    assert_eq!(Acceptor::new().accept_parts(&parts).unwrap().form(), V4);
}

#[test]
fn a_bearer_token_among_the_subprotocols_is_found_by_the_rules_of_kubernetes() {
    const PREFIX: &str = "base64url.bearer.authorization.k8s.io.";
    let token = |lines: &[String]| {
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        bearer_token(websocket("/p", &lines).headers())
    };
    let with = |encoded: &str| format!("v4.channel.k8s.io, {PREFIX}{encoded}");
    assert_eq!(token(&[]), Ok(None));
    assert_eq!(token(&["v4.channel.k8s.io".to_owned()]), Ok(None));
    assert_eq!(token(&[with("dG9rZW4_Pz8")]), Ok(Some("token???".to_owned())));
    // All lines count here.
    let apart = ["v4.channel.k8s.io".to_owned(), format!("{PREFIX}dA")];
    assert_eq!(token(&apart), Ok(Some("t".to_owned())));
    assert_eq!(token(&[with("dA==")]), Err(BearerError::NotBase64));
    assert_eq!(token(&[with("d/+")]), Err(BearerError::NotBase64));
    assert_eq!(token(&[with("_w")]), Err(BearerError::NotUtf8));
    assert_eq!(token(&[with("dA"), with("dA")]), Err(BearerError::Several));
    assert_eq!(token(&[format!("{PREFIX}dA")]), Err(BearerError::Alone));
}
