//! What a client gets to read that is not let in: status, headers and body, to the byte, and how
//! little it can make the server hold.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use common::*;
use http::{Request, Response, StatusCode};
use portway_driver::{Net, Port, Runtime};
use portway_runtimes::on_every_runtime;
use portway_server::{
    Access, Limits, LocalPod, LocalPods, NoPod, Origins, PodError, Pods, Server, ServerEvent,
    Serving, Target, Verdict,
};
use portway_testkit::transcript::Transcript;

on_every_runtime!(
    a_web_page_is_refused_unless_allowed,
    a_stranger_is_refused_as_kubernetes_does,
    tokens_come_in_a_header_or_among_the_subprotocols,
    some_ports_can_be_allowed,
    an_unknown_pod_is_refused_as_its_path_wants_it,
    refusals_of_a_kubelet_are_those_of_the_transcripts,
    an_api_server_reads_the_ports_itself,
    a_v5_client_is_sent_away_with_nothing,
    other_methods_and_paths_are_refused,
    the_fallback_answers_everything_else,
    several_requests_fit_on_one_connection,
    a_request_that_takes_too_long_is_cut,
    oversized_heads_are_refused,
    a_full_server_says_when_to_come_back,
    handshakes_that_wait_are_bounded,
    a_decision_that_never_comes_is_a_timeout,
    a_pod_that_never_answers_is_told_in_words,
);

const TOKEN_JANE: &str = "Authorization: Bearer jane's";

async fn jane_only(access: Access) -> Verdict {
    match access.bearer_token() {
        Ok(Some(token)) if token == "jane's" => Verdict::Allow,
        Ok(Some(token)) => Verdict::Forbidden { user: token },
        _ => Verdict::Unauthorized,
    }
}

fn status(code: u16, reason: &str, message: &str, details: &str) -> String {
    format!(
        "{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{}},\"status\":\"Failure\",\
         \"message\":{message:?},\"reason\":{reason:?},{details}\"code\":{code}}}\n"
    )
}

const ABOUT_DEMO: &str = r#""details":{"name":"demo","kind":"pods"},"#;

#[track_caller]
fn refused(answer: &Answer, code: u16, body: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (code, body), "{answer:?}");
    let kind = if body.starts_with('{') { "application/json" } else { "text/plain; charset=utf-8" };
    assert_eq!(answer.header("Content-Type"), Some(kind), "{answer:?}");
}

async fn a_web_page_is_refused_unless_allowed<R: Runtime + Net>(rt: R) {
    let port = echo_pod();
    let (api, kubelet) = (format!("{API}?ports={port}"), format!("{KUBELET}?port={port}"));
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let page = ["Origin: https://evil.example"];
    let text = "requests of web pages (with an Origin header) are not accepted here";
    let json = status(403, "Forbidden", text, "");
    refused(&Raw::ask(addr, &v4_request(&api, &page)), 403, &json);
    refused(&Raw::ask(addr, &v4_request(&kubelet, &page)), 403, &format!("{text}\n"));
    assert_eq!(Raw::ask(addr, &v4_request("/other", &page)).status, 403);
    assert_eq!(Raw::ask(addr, &v4_request(&api, &[])).status, 101);

    let allowing = server(&rt).with_origins(Origins::only(["https://good.example"]));
    let serving = allowing.listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    assert_eq!(Raw::ask(addr, &v4_request(&api, &page)).status, 403);
    let good = ["Origin: https://good.example"];
    assert_eq!(Raw::ask(addr, &v4_request(&api, &good)).status, 101);
}

async fn a_stranger_is_refused_as_kubernetes_does<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).with_authorizer(jane_only).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    // Somebody with no right is not told what else is wrong with the request, nor which pods exist.
    for path in [
        format!("{API}?ports={}", echo_pod()),
        format!("{API}?ports=http"),
        API.to_owned(),
        API.replace("demo", "gone"),
    ] {
        let answer = Raw::ask(addr, &v4_request(&path, &[]));
        refused(&answer, 401, &status(401, "Unauthorized", "Unauthorized", ""));
    }
    refused(&Raw::ask(addr, &v4_request(KUBELET, &[])), 401, "Unauthorized\n");

    let joe = ["Authorization: Bearer joe"];
    let message = "pods \"demo\" is forbidden: User \"joe\" cannot get resource \
                   \"pods/portforward\" in API group \"\" in the namespace \"default\"";
    let answer = Raw::ask(addr, &v4_request(&format!("{API}?ports=80"), &joe));
    refused(&answer, 403, &status(403, "Forbidden", message, ABOUT_DEMO));
    let answer = Raw::ask(addr, &v4_request(KUBELET, &joe));
    let text = "Forbidden (user=joe, verb=get, resource=nodes, subresource(s)=[proxy])\n";
    refused(&answer, 403, text);

    let path = format!("{API}?ports={}", echo_pod());
    assert_eq!(Raw::ask(addr, &v4_request(&path, &[TOKEN_JANE])).status, 101);
}

async fn tokens_come_in_a_header_or_among_the_subprotocols<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).with_authorizer(jane_only).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let path = format!("{API}?ports={}", echo_pod());
    // "jane's" in base64url without padding.
    let token = "base64url.bearer.authorization.k8s.io.amFuZSdz";
    let answer =
        Raw::ask(addr, &upgrade_request(&path, &format!("{token}, v4.channel.k8s.io"), &[]));
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("Sec-WebSocket-Protocol"), Some("v4.channel.k8s.io"));
    assert_eq!(Raw::ask(addr, &upgrade_request(&path, token, &[])).status, 401, "alone");
    for header in
        ["Authorization: Basic amFuZSdz", "Authorization: Bearer", "Authorization: jane's"]
    {
        assert_eq!(Raw::ask(addr, &v4_request(&path, &[header])).status, 401, "{header}");
    }
    assert_eq!(Raw::ask(addr, &v4_request(&path, &["authorization: bearer  jane's "])).status, 101);
}

async fn some_ports_can_be_allowed<R: Runtime + Net>(rt: R) {
    let (one, two) = (echo_pod(), echo_pod());
    let only = move |access: Access| async move {
        assert_eq!(access.target, Target::new("default", "demo"));
        assert!(access.client.is_some());
        Verdict::AllowPorts(vec![one])
    };
    let serving = server(&rt).with_authorizer(only).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    assert_eq!(Raw::ask(addr, &v4_request(&format!("{API}?ports={one}"), &[])).status, 101);
    let answer = Raw::ask(addr, &v4_request(&format!("{API}?ports={one},{two}"), &[]));
    let message = format!("pods \"demo\" is forbidden: port {two} is not allowed");
    refused(&answer, 403, &status(403, "Forbidden", &message, ABOUT_DEMO));

    let deny = |_| async {
        Verdict::Deny { status: StatusCode::IM_A_TEAPOT, message: "short and stout".into() }
    };
    let serving = server(&rt).with_authorizer(deny).listen(LOCALHOST).await.unwrap();
    let answer = Raw::ask(serving.local_addr(), &v4_request(KUBELET, &[]));
    refused(&answer, 418, "short and stout\n");
}

/// Answers what its name says.
struct Moody;

impl Pods for Moody {
    type Pod = ();
    type Socket = portway_tokio::TokioSocket;

    async fn find(&self, target: &Target) -> Result<(), NoPod> {
        Err(match target.pod.as_str() {
            "pending" => NoPod::Unscheduled,
            "failed" => NoPod::Failed("no route to the node".into()),
            "busy" => NoPod::Answer {
                status: StatusCode::SERVICE_UNAVAILABLE,
                message: "come back tomorrow".into(),
            },
            "slow" => return std::future::pending().await,
            _ => NoPod::Unknown,
        })
    }

    async fn dial(&self, (): &(), _: Port) -> Result<Self::Socket, PodError> {
        Err(PodError::new("never found"))
    }
}

async fn an_unknown_pod_is_refused_as_its_path_wants_it<R: Runtime + Net>(rt: R) {
    let pods = LocalPods::new(rt.clone());
    pods.insert("default", "demo", LocalPod::localhost().with_uid("u-1"));
    let serving = Server::new(rt.clone(), pods.clone()).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let ask = |path: &str| Raw::ask(addr, &v4_request(path, &[]));
    let port = echo_pod();

    let details = r#""details":{"name":"gone","kind":"pods"},"#;
    let json = status(404, "NotFound", "pods \"gone\" not found", details);
    refused(&ask(&format!("{}?ports=80", API.replace("demo", "gone"))), 404, &json);
    let other = API.replace("default", "other");
    assert_eq!(ask(&format!("{other}?ports=80")).status, 404, "its namespace counts");
    refused(&ask("/portForward/default/gone?port=80"), 404, "pod does not exist\n");
    refused(&ask("/portForward/default/demo/u-2?port=80"), 404, "pod not found\n");
    assert_eq!(ask(&format!("/portForward/default/demo/u-1?port={port}")).status, 101);
    assert_eq!(ask(&format!("/portForward/default/demo?port={port}")).status, 101);
    assert!(pods.remove("default", "demo"));
    refused(&ask("/portForward/default/demo?port=80"), 404, "pod does not exist\n");

    let serving = Server::new(rt.clone(), Moody).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let ask = |pod: &str| {
        let api = format!("{}?ports=80", API.replace("demo", pod));
        let kubelet = format!("{}?port=80", KUBELET.replace("demo", pod));
        let ask = |path: &str| Raw::ask(addr, &v4_request(path, &[]));
        (ask(&api), ask(&kubelet))
    };
    let (api, kubelet) = ask("pending");
    let message = "pod pending does not have a host assigned";
    refused(&api, 400, &status(400, "BadRequest", message, ""));
    refused(&kubelet, 404, "pod does not exist\n");
    let (api, kubelet) = ask("failed");
    let json = status(500, "?", "error dialing backend: no route to the node", "");
    refused(&api, 500, &json.replace("\"reason\":\"?\",", ""));
    refused(&kubelet, 500, "no route to the node\n");
    let (api, kubelet) = ask("busy");
    refused(&api, 503, &status(503, "ServiceUnavailable", "come back tomorrow", ""));
    refused(&kubelet, 503, "come back tomorrow\n");
}

async fn refusals_of_a_kubelet_are_those_of_the_transcripts<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    for transcript in Transcript::load_all("refused-") {
        let name = &transcript.name;
        // What an old kubelet says to an offer that ours takes.
        if name == "refused-tunnel" {
            continue;
        }
        let path = transcript.request[0].split(' ').nth(1).unwrap();
        let query = path.split_once('?').unwrap().1.replace("ports=", "port=");
        let header = |name: &str, lines: &[String]| {
            let named =
                |line: &String| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned());
            lines.iter().find_map(named)
        };
        let protocols = header("Sec-WebSocket-Protocol", &transcript.request).unwrap();
        let request = upgrade_request(&format!("{KUBELET}?{query}"), &protocols, &[]);
        let answer = Raw::ask(serving.local_addr(), &request);
        let code = transcript.response[0].split(' ').nth(1).unwrap();
        assert_eq!(answer.status.to_string(), code, "{name}");
        for known in ["Content-Type", "X-Content-Type-Options", "Content-Length"] {
            let Some(value) = header(known, &transcript.response) else { continue };
            assert_eq!(answer.header(known), Some(value.as_str()), "{name}: {known}");
        }
        // The transcripts leave the line end of a body out.
        let body = answer.body.strip_suffix('\n').unwrap_or(&answer.body);
        assert_eq!(Some(body), transcript.body.as_deref(), "{name}");
    }
}

async fn an_api_server_reads_the_ports_itself<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let ask =
        |query: &str| Raw::ask(serving.local_addr(), &v4_request(&format!("{API}{query}"), &[]));
    for (query, problem) in [
        ("?ports=http", "parsing \"http\": invalid syntax"),
        ("?ports=80,", "parsing \"\": invalid syntax"),
        ("?ports=", "parsing \"\": invalid syntax"),
        ("?ports=65536", "parsing \"65536\": value out of range"),
    ] {
        let message = format!("cannot convert to []int32: strconv.ParseUint: {problem}");
        refused(&ask(query), 400, &status(400, "BadRequest", &message, ""));
    }
    // The rest is the kubelet's to say; and an API server does not know `port`.
    for (query, text) in [
        ("", "query parameter \"port\" is required"),
        ("?port=80", "query parameter \"port\" is required"),
        ("?ports=0", "port \"0\" must be > 0"),
    ] {
        refused(&ask(query), 400, &format!("{text}\n"));
    }
    let many: Vec<String> = (1..=129).map(|port| port.to_string()).collect();
    let text = "too many ports: at most 128 fit into one session\n";
    refused(&ask(&format!("?ports={}", many.join(","))), 400, text);
}

async fn a_v5_client_is_sent_away_with_nothing<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    for path in [format!("{API}?ports=80"), format!("{KUBELET}?port=80")] {
        for offer in ["v5.channel.k8s.io", "v5.channel.k8s.io, channel.k8s.io"] {
            let answer = Raw::ask(serving.local_addr(), &upgrade_request(&path, offer, &[]));
            assert_eq!((answer.status, answer.body.as_str()), (403, ""), "{offer}");
            assert_eq!(answer.header("Content-Length"), Some("0"));
        }
    }
}

async fn other_methods_and_paths_are_refused<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let ask = |request: &str| Raw::ask(serving.local_addr(), request);
    let message = "the server does not allow this method on the requested resource";
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let api = v4_request(API, &[]).replacen("GET", method, 1);
        let answer = ask(&api);
        refused(&answer, 405, &status(405, "MethodNotAllowed", message, ""));
        assert_eq!(answer.header("Allow"), Some("GET, POST"));
        refused(&ask(&api.replace(API, KUBELET)), 405, &format!("{message}\n"));
    }
    let post = v4_request(&format!("{API}?ports=80"), &[]).replacen("GET", "POST", 1);
    assert_eq!((ask(&post).status, ask(&post).body.as_str()), (405, "bad method"));

    let plain = format!("GET {API}?ports=80 HTTP/1.1\r\nHost: x\r\n\r\n");
    let json = status(400, "BadRequest", "Upgrade request required", "");
    refused(&ask(&plain), 400, &json);
    refused(&ask(&plain.replace(API, KUBELET)), 500, "Upgrade request required\n");

    for path in ["/", "/api", "/api/v1/namespaces/default/pods/demo/exec", "/portForward/default"] {
        refused(&ask(&v4_request(path, &[])), 404, "404 page not found\n");
    }
    // What is not HTTP gets an answer of hyper's.
    let answer = ask("this is not HTTP\r\n\r\n");
    assert_eq!((answer.status, answer.body.as_str()), (400, ""));
}

async fn the_fallback_answers_everything_else<R: Runtime + Net>(rt: R) {
    let fallback = |request: Request<Bytes>| async move {
        let mut response = Response::new(format!("you want {}", request.uri()).into());
        *response.status_mut() = StatusCode::ACCEPTED;
        response
    };
    let serving = server(&rt).with_fallback(fallback).listen(LOCALHOST).await.unwrap();
    let request = "DELETE /api/v1/pods?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = Raw::ask(serving.local_addr(), request);
    assert_eq!((answer.status, answer.body.as_str()), (202, "you want /api/v1/pods?watch=1"));
    let forward = v4_request(&format!("{API}?ports=0"), &[]);
    assert_eq!(Raw::ask(serving.local_addr(), &forward).status, 400, "not of the fallback");
}

async fn several_requests_fit_on_one_connection<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::connect(serving.local_addr());
    for _ in 0..3 {
        raw.send(v4_request(API, &[]).as_bytes());
        assert_eq!(raw.answer().status, 400);
    }
    // And the session's first bytes may come with the request.
    let port = echo_pod();
    raw.send(&[v4_request(&format!("{API}?ports={port}"), &[]).as_bytes(), &FRAME_HI].concat());
    assert_eq!(raw.answer().status, 101);
    let frames: Vec<_> = std::iter::from_fn(|| raw.frame()).take(3).collect();
    assert_eq!(frames[2], frame(2, b"\0hi"));
}

/// `hi` on channel 0, masked.
const FRAME_HI: [u8; 9] = [0x82, 0x83, 0x37, 0xfa, 0x21, 0x3d, 0x37, 0xfa ^ b'h', 0x21 ^ b'i'];

fn impatient<R: Runtime + Net>(rt: &R) -> Server<R, LocalPods<R>> {
    server(rt).with_limits(Limits::new().with_handshake(Duration::from_millis(300)))
}

async fn a_request_that_takes_too_long_is_cut<R: Runtime + Net>(rt: R) {
    let serving = impatient(&rt).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    // Nothing, half of it, an answered request and nothing more.
    Raw::connect(addr).expect_end();
    let mut half = Raw::connect(addr);
    half.send(b"GET / HTTP/1.1\r\nHost: x\r\n");
    half.expect_end();
    let mut done = Raw::connect(addr);
    done.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(done.answer().status, 404);
    done.expect_end();
    // Nor does a first request make the second one free.
    let mut second = Raw::connect(addr);
    second.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost");
    assert_eq!(second.answer().status, 404);
    second.expect_end();
    // A byte now and then does not buy time.
    let mut slow = Raw::connect(addr);
    let (_, took) = elapsed(|| {
        slow.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        for byte in v4_request(API, &[]).bytes().cycle() {
            let _ = std::io::Write::write(&mut slow.0, &[byte]);
            match slow.0.read(&mut [0]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                end => return assert!(!end.is_ok_and(|read| read > 0)),
            }
        }
    });
    assert!(took > Duration::from_millis(200) && took < PATIENCE / 2, "{took:?}");
    // The time of the handshake is not the time of the session.
    let mut session = Raw::v4(addr, &format!("{API}?ports={}", echo_pod()));
    std::thread::sleep(Duration::from_millis(400));
    session.send_data(0, b"still there");
    while session.frame().expect("a session").payload != b"\0still there" {}
}

async fn oversized_heads_are_refused<R: Runtime + Net>(rt: R) {
    let limits = Limits::new().with_head(8 * 1024);
    let serving = server(&rt).with_limits(limits).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let big = format!("X-Big: {}", "x".repeat(9 * 1024));
    let many: Vec<String> = (0..200).map(|i| format!("X-{i}: x")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for lines in [&[big.as_str()][..], &many] {
        let mut raw = Raw::connect(addr);
        raw.send(v4_request(API, lines).as_bytes());
        assert_eq!(raw.answer().status, 431);
    }
    let long = format!("{API}?ports={}", "1,".repeat(3000));
    assert_eq!(Raw::ask(addr, &v4_request(&long, &[])).status, 414);
    let port = echo_pod();
    let fits = format!("X-Big: {}", "x".repeat(6 * 1024));
    assert_eq!(Raw::ask(addr, &v4_request(&format!("{API}?ports={port}"), &[&fits])).status, 101);
}

async fn a_full_server_says_when_to_come_back<R: Runtime + Net>(rt: R) {
    let (server, events) = observed(server(&rt).with_limits(Limits::new().with_sessions(1)));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let port = echo_pod();
    let (api, kubelet) = (format!("{API}?ports={port}"), format!("{KUBELET}?port={port}"));
    let mut first = Raw::v4(addr, &api);
    let text = "Too many port-forward sessions, please try again later.";
    let answer = Raw::ask(addr, &v4_request(&kubelet, &[]));
    refused(&answer, 429, &format!("{text}\n"));
    assert_eq!(answer.header("Retry-After"), Some("1"));
    let answer = Raw::ask(addr, &v4_request(&api, &[]));
    let details = r#""details":{"retryAfterSeconds":1},"#;
    refused(&answer, 429, &status(429, "TooManyRequests", text, details));
    // A refused request holds no place.
    assert_eq!(Raw::ask(addr, &v4_request(API, &[])).status, 400);
    first.send_frame(8, true, &1000_u16.to_be_bytes());
    first.frames();
    while !matches!(events.recv_timeout(PATIENCE), Ok(ServerEvent::Ended { .. })) {}
    assert_eq!(Raw::ask(addr, &v4_request(&api, &[])).status, 101);
}

async fn handshakes_that_wait_are_bounded<R: Runtime + Net>(rt: R) {
    let limits = Limits::new().with_handshake(Duration::from_millis(300)).with_handshakes(1);
    let serving = server(&rt).with_limits(limits).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let _idle = Raw::connect(addr);
    // Make sure that it is the first.
    while serving.connections() == 0 {
        std::thread::yield_now();
    }
    let (answer, took) = elapsed(|| Raw::ask(addr, &v4_request(API, &[])));
    assert_eq!(answer.status, 400);
    assert!(took > Duration::from_millis(150), "{took:?}");
    // Sessions do not count among them.
    let path = format!("{API}?ports={}", echo_pod());
    let _sessions = [Raw::v4(addr, &path), Raw::v4(addr, &path), Raw::v4(addr, &path)];
    assert_eq!(Raw::ask(addr, &v4_request(API, &[])).status, 400);
}

fn limits() -> Limits {
    let soon = Duration::from_millis(100);
    Limits::new().with_handshake(soon).with_dial(soon)
}

async fn a_decision_that_never_comes_is_a_timeout<R: Runtime + Net>(rt: R) {
    let serving: Serving =
        Server::new(rt.clone(), Moody).with_limits(limits()).listen(LOCALHOST).await.unwrap();
    let text = "the request could not be decided in time";
    let path = "/portForward/default/slow?port=80";
    let answer = Raw::ask(serving.local_addr(), &v4_request(path, &[]));
    refused(&answer, 504, &format!("{text}\n"));

    let undecided = |_| std::future::pending();
    let serving = server(&rt)
        .with_authorizer(undecided)
        .with_limits(limits())
        .listen(LOCALHOST)
        .await
        .unwrap();
    let answer = Raw::ask(serving.local_addr(), &v4_request(API, &[]));
    refused(&answer, 504, &status(504, "Timeout", text, ""));
}

/// A pod behind a firewall.
struct Silent;

impl Pods for Silent {
    type Pod = ();
    type Socket = portway_tokio::TokioSocket;

    async fn find(&self, _: &Target) -> Result<(), NoPod> {
        Ok(())
    }

    async fn dial(&self, (): &(), _: Port) -> Result<Self::Socket, PodError> {
        std::future::pending().await
    }
}

async fn a_pod_that_never_answers_is_told_in_words<R: Runtime + Net>(rt: R) {
    let server = Server::new(rt.clone(), Silent).with_limits(limits());
    let serving = server.listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::v4(serving.local_addr(), &format!("{API}?ports=80"));
    let frames: Vec<_> = std::iter::from_fn(|| raw.frame()).take(4).collect();
    let text = "\u{1}error forwarding port 80 to pod demo, uid : failed to connect to \
                localhost:80 inside namespace: i/o timeout";
    assert_eq!(frames[2], frame(2, text.as_bytes()));
    assert_eq!(frames[3], frame(8, &1000_u16.to_be_bytes()));
}
