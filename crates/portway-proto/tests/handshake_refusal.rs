//! What a refusal means and what is to be done: every row of protocol.md A.6.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use portway_proto::handshake::{Action, MAX_BODY, Refusal, RefusalKind as Kind, Verb};

const SOON: Action = Action::Retry { after: None };

fn refusal(status: u16, body: &[u8]) -> Refusal {
    Refusal::new(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body)
}

fn with_header(status: u16, name: &'static str, value: &str, body: &str) -> Refusal {
    let mut headers = HeaderMap::new();
    headers.insert(name, value.parse().unwrap());
    Refusal::new(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes())
}

/// A body as an API server makes it.
fn status_json(status: u16, reason: &str, message: &str) -> String {
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": status,
    })
    .to_string()
}

#[test]
fn every_row_of_the_table_for_bodies_of_an_api_server() {
    let rbac = "pods \"demo\" is forbidden: User \"jane\" cannot create resource \"pods/portforward\" in API group \"\" in the namespace \"default\"";
    let rows = [
        (400, "pod demo does not have a host assigned", Kind::PodNotScheduled, SOON),
        (400, "cannot convert to []int32: strconv", Kind::BadPorts, Action::GiveUp),
        (400, "Upgrade request required", Kind::UpgradeStripped, Action::FallBack),
        (400, "something else", Kind::Other, Action::GiveUp),
        (401, "Unauthorized", Kind::NotAuthenticated, Action::Authenticate),
        (403, rbac, Kind::Forbidden { missing: Some(Verb::Create) }, Action::GiveUp),
        (403, "pods \"d\" is forbidden: no", Kind::Forbidden { missing: None }, Action::GiveUp),
        (403, "", Kind::Forbidden { missing: None }, Action::GiveUp),
        (
            403,
            "admission webhook \"x\" denied the request: no",
            Kind::DeniedByAdmission,
            Action::GiveUp,
        ),
        (404, "pods \"demo\" not found", Kind::PodNotFound, Action::Reresolve),
        (429, "slow down", Kind::TooManyRequests { retry_after: None }, SOON),
        (500, "error dialing backend: dial tcp: refused", Kind::NodeUnreachable, SOON),
        (
            500,
            "invalid upgrade response: status code 200",
            Kind::BackendUpgradeFailed,
            Action::FallBack,
        ),
        (500, "anything", Kind::ServerError { retry_after: None }, SOON),
        (503, "anything", Kind::ServerError { retry_after: None }, SOON),
    ];
    for (status, message, kind, action) in rows {
        let refusal = refusal(status, status_json(status, "Why", message).as_bytes());
        assert_eq!(refusal.kind(), &kind, "{status} {message}");
        assert_eq!(refusal.action(), action, "{status} {message}");
        assert_eq!(refusal.reason(), Some("Why"));
        assert_eq!(refusal.status().as_u16(), status);
        if !message.is_empty() {
            assert_eq!(refusal.message(), message);
            assert!(refusal.to_string().contains(message), "{refusal}");
        }
    }
}

#[test]
fn every_row_of_the_table_for_plain_text() {
    let rows = [
        (400, "query parameter \"port\" is required\n", Kind::PortsRequired, Action::FallBack),
        (400, "query parameter \"port\" cannot be empty", Kind::BadPorts, Action::GiveUp),
        (
            400,
            "unable to parse \"http\" as a port: strconv.ParseUint: parsing \"http\": invalid syntax",
            Kind::BadPorts,
            Action::GiveUp,
        ),
        (400, "port \"0\" must be > 0", Kind::BadPorts, Action::GiveUp),
        (
            400,
            "unable to upgrade: no tunneling spdy protocols provided",
            Kind::BadTunnelOffer,
            Action::GiveUp,
        ),
        (
            400,
            "unable to upgrade: missing upgrade headers in request: http.Header{}",
            Kind::UpgradeStripped,
            Action::FallBack,
        ),
        (500, "Upgrade request required", Kind::UpgradeStripped, Action::FallBack),
        (400, "<html>no</html>", Kind::NotKubernetes, Action::FallBack),
        (401, "Unauthorized", Kind::NotAuthenticated, Action::Authenticate),
        (403, "", Kind::SubprotocolRefused, Action::FallBack),
        (403, "\n", Kind::SubprotocolRefused, Action::FallBack),
        (
            403,
            "Forbidden (user=jane, verb=create, resource=nodes, subresource(s)=[proxy])",
            Kind::Forbidden { missing: Some(Verb::Create) },
            Action::GiveUp,
        ),
        (403, "blocked by policy", Kind::NotKubernetes, Action::FallBack),
        (404, "pod does not exist", Kind::PodUnknownToNode, Action::Reresolve),
        (404, "pod not found", Kind::PodUnknownToNode, Action::Reresolve),
        (404, "404 page not found\n", Kind::TokenInvalid, SOON),
        (404, "", Kind::TokenInvalid, SOON),
        (404, "<!doctype html>", Kind::Other, Action::GiveUp),
        (405, "Debug endpoints are disabled.", Kind::PortForwardDisabled, Action::GiveUp),
        (405, "bad method", Kind::Other, Action::GiveUp),
        (426, "", Kind::NotKubernetes, Action::FallBack),
        (429, "", Kind::TooManyRequests { retry_after: None }, SOON),
        (500, "pod not found (\"demo_default\")", Kind::SandboxNotReady, Action::Reresolve),
        (500, "rpc error: code = Unknown", Kind::SandboxNotReady, Action::Reresolve),
        (500, "", Kind::ServerError { retry_after: None }, SOON),
        (502, "<html>Bad Gateway</html>", Kind::ServerError { retry_after: None }, SOON),
        (504, "", Kind::ServerError { retry_after: None }, SOON),
        (599, "", Kind::ServerError { retry_after: None }, SOON),
        (
            400,
            "Client sent an HTTP request to an HTTPS server.\n",
            Kind::TlsExpected,
            Action::GiveUp,
        ),
        (200, "hello", Kind::NotUpgraded, Action::FallBack),
        (101, "", Kind::NotUpgraded, Action::FallBack),
        (302, "", Kind::Other, Action::GiveUp),
        (418, "", Kind::Other, Action::GiveUp),
    ];
    for (status, body, kind, action) in rows {
        let refusal = refusal(status, body.as_bytes());
        assert_eq!(refusal.kind(), &kind, "{status} {body}");
        assert_eq!(refusal.action(), action, "{status} {body}");
        assert_eq!(refusal.reason(), None);
        if !body.trim().is_empty() {
            assert_eq!(refusal.message(), body.trim());
        }
    }
}

#[test]
fn spdy_of_another_version_names_what_the_server_speaks() {
    let body = "unable to upgrade: unable to negotiate protocol";
    let name = "x-accepted-stream-protocol-versions";
    let refusal = with_header(403, name, "v2.portforward.k8s.io", body);
    let accepted = "v2.portforward.k8s.io".to_owned();
    assert_eq!(refusal.kind(), &Kind::SubprotocolMismatch { accepted });
    assert_eq!(refusal.action(), Action::GiveUp);
    assert_eq!(
        refusal.to_string(),
        "the server speaks another version of port-forward (403 Forbidden): unable to upgrade: unable to negotiate protocol; it speaks v2.portforward.k8s.io and not portforward.k8s.io"
    );
}

#[test]
fn retry_after_is_honoured_from_header_and_body() {
    let after = |refusal: Refusal| {
        let Action::Retry { after } = refusal.action() else { panic!("{refusal}") };
        after.map(|after| after.as_secs())
    };
    assert_eq!(after(with_header(429, "retry-after", "60", "")), Some(60));
    assert_eq!(after(with_header(503, "retry-after", " 7 ", "")), Some(7));
    assert_eq!(after(with_header(429, "retry-after", "99999999999", "")), Some(86_400));
    assert_eq!(after(with_header(429, "retry-after", "-1", "")), None);
    let date = "Wed, 21 Oct 2026 07:28:00 GMT";
    assert_eq!(after(with_header(429, "retry-after", date, "")), None);
    let body = br#"{"kind":"Status","message":"m","details":{"retryAfterSeconds":3}}"#;
    assert_eq!(after(refusal(429, body)), Some(3));
    assert_eq!(
        with_header(429, "retry-after", "60", "").kind(),
        &Kind::TooManyRequests { retry_after: Some(Duration::from_secs(60)) }
    );
    let shown = with_header(429, "retry-after", "60", "").to_string();
    assert_eq!(shown, "the server has too much to do (429 Too Many Requests); try again in 60 s");
}

#[test]
fn a_403_of_authorization_names_both_verbs() {
    let both = "the role needs both verbs get and create on pods/portforward";
    for (body, verb) in [
        (
            status_json(403, "Forbidden", "User \"j\" cannot get resource \"pods/portforward\""),
            "get",
        ),
        (status_json(403, "Forbidden", "User \"j\" cannot create resource \"x\""), "create"),
        ("Forbidden (user=j, verb=get, resource=nodes)".to_owned(), "get"),
    ] {
        let shown = refusal(403, body.as_bytes()).to_string();
        assert!(shown.ends_with(&format!("; {verb} is missing, {both}")), "{shown}");
    }
    let synthetic = status_json(403, "Forbidden", "pods \"demo\" is forbidden: no");
    assert_eq!(
        refusal(403, synthetic.as_bytes()).to_string(),
        format!(
            "forwarding to this pod is not allowed (403 Forbidden): pods \"demo\" is forbidden: no; {both}"
        )
    );
    // Nothing of the kind where it would mislead.
    let webhook = status_json(403, "Forbidden", "admission webhook \"w\" denied the request: no");
    assert!(!refusal(403, webhook.as_bytes()).to_string().contains("verbs"));
    assert!(!refusal(403, b"").to_string().contains("verbs"));
}

#[test]
fn an_empty_body_is_described() {
    let refusal = refusal(403, b"");
    assert_eq!(refusal.message(), "the server knows none of the subprotocols offered");
    assert_eq!(
        refusal.to_string(),
        "the server knows none of the subprotocols offered (403 Forbidden)"
    );
}

#[test]
fn remote_text_is_shown_as_one_bounded_line_without_controls() {
    let hostile = "a\r\nb\u{1b}[2J\u{9b}\u{202e}".to_owned() + &"x".repeat(10_000);
    for body in [hostile.clone(), status_json(500, &hostile, &hostile)] {
        let refusal = refusal(500, body.as_bytes());
        let shown = refusal.to_string();
        assert!(!shown.chars().any(char::is_control), "{shown}");
        assert!(!shown.contains('\u{202e}'));
        assert!(shown.contains("a b\u{fffd}[2J"), "{shown}");
        assert!(shown.chars().count() < 800, "{}", shown.len());
        assert!(refusal.message().chars().count() <= 4096);
    }
    let name = "x-accepted-stream-protocol-versions";
    let mut headers = HeaderMap::new();
    let long = "y\u{9b}".repeat(4000);
    headers.insert(name, http::HeaderValue::from_bytes(long.as_bytes()).unwrap());
    let shown = Refusal::new(StatusCode::FORBIDDEN, &headers, b"").to_string();
    assert!(!shown.chars().any(char::is_control) && shown.chars().count() < 800, "{shown}");
}

#[test]
fn json_that_is_no_status_is_plain_text() {
    for body in [
        r#"{"kind":"Pod","message":"m"}"#,
        r#"{"message":"m"}"#,
        r#"{"kind":"Status","message":5}"#,
        r#"{"kind":"Status""#,
        "[]",
    ] {
        let refusal = refusal(404, body.as_bytes());
        assert_eq!((refusal.message(), refusal.reason()), (body, None));
        assert_eq!(refusal.kind(), &Kind::TokenInvalid);
    }
    let null = br#"{"kind":"Status","message":null,"reason":null,"details":null}"#;
    assert_eq!(refusal(404, null).kind(), &Kind::PodNotFound);
}

#[test]
fn no_more_than_the_limit_of_a_body_is_looked_at() {
    let mut body = status_json(404, "NotFound", "m").into_bytes();
    assert_eq!(refusal(404, &body).reason(), Some("NotFound"));
    body.resize(MAX_BODY, b' ');
    assert_eq!(refusal(404, &body).reason(), Some("NotFound"));
    body.insert(0, b' ');
    body.push(b'x'); // would spoil the JSON if it were read
    assert_eq!(refusal(404, &body).reason(), Some("NotFound"));
    let invalid = refusal(500, b"bad \xff\xfe bytes");
    assert_eq!(invalid.message(), "bad \u{fffd}\u{fffd} bytes");
}

#[test]
fn a_refusal_can_be_passed_around() {
    fn check<T: Clone + Send + Sync + std::error::Error + 'static>() {}
    check::<Refusal>();
    check::<portway_proto::handshake::UpgradeError>();
    check::<portway_proto::handshake::Rejection>();
    check::<portway_proto::handshake::OfferError>();
}
