//! Which requests become a session of which form, and what the others are answered, to the byte
//! (protocol.md A.3, A.5, A.6).
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Mutex};

use common::*;
use portway_driver::{Net, Runtime, WireForm};
use portway_runtimes::on_every_runtime;
use portway_server::{Access, Action, Verdict, WantedPorts};

on_every_runtime!(
    a_tunnel_wins_wherever_it_stands,
    a_tunnel_needs_no_ports,
    a_tunnel_that_nobody_knows_is_told_what_is_known,
    without_the_tunnel_the_server_is_an_old_one,
    spdy_comes_with_get_and_with_post,
    spdy_is_refused_in_words,
    websockets_are_refused_in_words,
    an_authorizer_sees_that_ports_are_not_said_yet,
);

const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const V4: &str = "v4.channel.k8s.io";
const BASE64: &str = "v4.base64.channel.k8s.io";

/// Upgraded to a form of SPDY, with these headers.
#[track_caller]
fn upgraded(answer: &Answer, headers: &[(&str, Option<&str>)]) {
    assert_eq!(answer.status, 101, "{answer:?}");
    for (name, value) in headers {
        assert_eq!(answer.header(name), *value, "{answer:?}");
    }
}

const WEBSOCKET: (&str, Option<&str>) = ("Upgrade", Some("websocket"));
/// Of the key in RFC 6455.
const ACCEPT: (&str, Option<&str>) = ("Sec-WebSocket-Accept", Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
const CONNECTION: (&str, Option<&str>) = ("Connection", Some("Upgrade"));

#[track_caller]
fn tunnelled(answer: &Answer) {
    let tunnel = ("Sec-WebSocket-Protocol", Some(TUNNEL));
    upgraded(answer, &[WEBSOCKET, ACCEPT, CONNECTION, tunnel, ("X-Stream-Protocol-Version", None)]);
}

async fn a_tunnel_wins_wherever_it_stands<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let port = echo_pod();
    for path in [format!("{API}?ports={port}"), format!("{KUBELET}?port={port}")] {
        for offer in [
            TUNNEL.to_owned(),
            format!("{TUNNEL}, {V4}"),
            format!("{V4}, {TUNNEL}"),
            format!("{V4},{BASE64},v5.channel.k8s.io,{TUNNEL}"),
            format!("SPDY/3.1+other.k8s.io, {TUNNEL}"),
        ] {
            tunnelled(&Raw::ask(addr, &upgrade_request(&path, &offer, &[])));
        }
        // The first that is known wins among the others.
        for (offer, chosen) in [
            (V4.to_owned(), V4),
            (BASE64.to_owned(), BASE64),
            (format!("v5.channel.k8s.io, {V4}"), V4),
            (format!("{BASE64}, {V4}"), BASE64),
        ] {
            let answer = Raw::ask(addr, &upgrade_request(&path, &offer, &[]));
            assert_eq!(answer.status, 101, "{offer}");
            assert_eq!(answer.header("Sec-WebSocket-Protocol"), Some(chosen), "{offer}");
        }
        // Nothing means v4, and the answer names nothing.
        let nothing = upgrade_request(&path, V4, &[])
            .replace(&format!("Sec-WebSocket-Protocol: {V4}\r\n"), "");
        let answer = Raw::ask(addr, &nothing);
        assert_eq!((answer.status, answer.header("Sec-WebSocket-Protocol")), (101, None));
        // A second line is not seen.
        let second = format!("Sec-WebSocket-Protocol: {TUNNEL}");
        let answer = Raw::ask(addr, &upgrade_request(&path, V4, &[&second]));
        assert_eq!(answer.header("Sec-WebSocket-Protocol"), Some(V4));
    }
}

async fn a_tunnel_needs_no_ports<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    // Nor does it look at them.
    for path in [
        API.to_owned(),
        format!("{API}?ports=80"),
        format!("{API}?ports=http&port=x"),
        KUBELET.to_owned(),
        format!("{KUBELET}?port=0"),
    ] {
        tunnelled(&Raw::ask(serving.local_addr(), &upgrade_request(&path, TUNNEL, &[])));
    }
}

async fn a_tunnel_that_nobody_knows_is_told_what_is_known<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    for path in [API, KUBELET] {
        for offer in ["SPDY/3.1+v2.k8s.io".to_owned(), format!("{V4}, SPDY/3.1+v2.k8s.io")] {
            let answer = Raw::ask(serving.local_addr(), &upgrade_request(path, &offer, &[]));
            refuses_the_version(&answer);
        }
        // The name that the KEP has is not one.
        let answer =
            Raw::ask(serving.local_addr(), &upgrade_request(path, "v2.portforward.k8s.io", &[]));
        assert_eq!(answer.status, 400, "no ports");
    }
}

#[track_caller]
fn refuses_the_version(answer: &Answer) {
    let text =
        "unable to upgrade: unable to negotiate protocol: server accepts [portforward.k8s.io]\n";
    assert_eq!((answer.status, answer.body.as_str()), (403, text));
    let accepted = answer.header("X-Accepted-Stream-Protocol-Versions");
    assert_eq!(accepted, Some("portforward.k8s.io"));
    assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
}

async fn without_the_tunnel_the_server_is_an_old_one<R: Runtime + Net>(rt: R) {
    let serving =
        server(&rt).with_forms(&[WireForm::V4, WireForm::Spdy]).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let port = echo_pod();
    let (with, required) =
        (format!("{API}?ports={port}"), "query parameter \"port\" is required\n");
    let answer = Raw::ask(addr, &upgrade_request(API, TUNNEL, &[]));
    assert_eq!((answer.status, answer.body.as_str()), (400, required));
    let answer = Raw::ask(addr, &upgrade_request(&with, TUNNEL, &[]));
    assert_eq!((answer.status, answer.body.as_str()), (403, ""));
    let answer = Raw::ask(addr, &upgrade_request(&with, &format!("{TUNNEL}, {V4}"), &[]));
    assert_eq!((answer.status, answer.header("Sec-WebSocket-Protocol")), (101, Some(V4)));

    let serving = server(&rt).with_forms(&[WireForm::V4]).listen(LOCALHOST).await.unwrap();
    let answer = Raw::ask(serving.local_addr(), &spdy_request("POST", API, VERSION));
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("Upgrade request required"), "{answer:?}");
}

const VERSION: &str = "X-Stream-Protocol-Version: portforward.k8s.io\r\n";

fn spdy_request(method: &str, path: &str, more: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
         Content-Length: 0\r\n{more}\r\n"
    )
}

async fn spdy_comes_with_get_and_with_post<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let spdy = [
        CONNECTION,
        ("Upgrade", Some("SPDY/3.1")),
        ("X-Stream-Protocol-Version", Some("portforward.k8s.io")),
        ("Sec-WebSocket-Protocol", None),
    ];
    for method in ["GET", "POST"] {
        for path in [API.to_owned(), KUBELET.to_owned(), format!("{KUBELET}?port=x")] {
            upgraded(&Raw::ask(addr, &spdy_request(method, &path, VERSION)), &spdy);
        }
    }
    for version in [
        "X-Stream-Protocol-Version: v2.k8s.io\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n",
        "X-Stream-Protocol-Version: v2.k8s.io, portforward.k8s.io\r\n",
    ] {
        upgraded(&Raw::ask(addr, &spdy_request("POST", API, version)), &spdy);
    }
    let shouting = spdy_request("POST", API, VERSION).replace("Upgrade: SPDY", "Upgrade: spdy");
    upgraded(&Raw::ask(addr, &shouting), &spdy);
    let answer = Raw::ask(addr, &spdy_request("PUT", API, VERSION));
    assert_eq!((answer.status, answer.header("Allow")), (405, Some("GET, POST")));
}

async fn spdy_is_refused_in_words<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let ask = |request: &str| Raw::ask(serving.local_addr(), request);
    for path in [API, KUBELET] {
        refuses_the_version(&ask(&spdy_request("POST", path, "X-Stream-Protocol-Version: v2\r\n")));
        for (more, why) in [
            (
                "",
                "unable to upgrade: header X-Stream-Protocol-Version does not exist in request with 4 headers\n",
            ),
            (
                "X-Stream-Protocol-Version: \r\n",
                "unable to upgrade: header X-Stream-Protocol-Version contains no valid protocols\n",
            ),
        ] {
            let answer = ask(&spdy_request("POST", path, more));
            assert_eq!((answer.status, answer.body.as_str()), (400, why));
        }
        let other =
            spdy_request("POST", path, VERSION).replace("Upgrade: SPDY/3.1", "Upgrade: h2c");
        let why = "unable to upgrade: missing upgrade headers in request: Upgrade\n";
        let answer = ask(&other);
        assert_eq!((answer.status, answer.body.as_str()), (400, why));
    }
    let plain = |path: &str| {
        ask(&spdy_request("POST", path, VERSION)
            .replace("Connection: Upgrade", "X-Nothing: at all"))
    };
    assert_eq!((plain(KUBELET).status, plain(API).status), (500, 400));
    assert_eq!(plain(KUBELET).body, "Upgrade request required\n");
    let message = "\"message\":\"Upgrade request required\",\"reason\":\"BadRequest\"";
    assert!(plain(API).body.contains(message));
    let gone = ask(&spdy_request("POST", &API.replace("demo", "gone"), VERSION));
    assert_eq!(gone.status, 404);
    assert!(gone.body.contains("pods \\\"gone\\\" not found"), "{gone:?}");
}

async fn websockets_are_refused_in_words<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let path = format!("{API}?ports={}", echo_pod());
    for offer in [TUNNEL, V4] {
        let good = upgrade_request(&path, offer, &[]);
        let ask = |request: &str| Raw::ask(serving.local_addr(), request);
        let answer = ask(&good.replacen("GET", "POST", 1));
        assert_eq!((answer.status, answer.body.as_str()), (405, "bad method"));
        let answer = ask(&good.replace("Version: 13", "Version: 8"));
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("Sec-WebSocket-Version"), Some("13"));
        assert_eq!(answer.body, "missing or bad WebSocket Version");
        let answer = ask(&good.replace("Sec-WebSocket-Key", "X-Key"));
        assert_eq!((answer.status, answer.body.as_str()), (400, "mismatch challenge/response"));
    }
}

async fn an_authorizer_sees_that_ports_are_not_said_yet<R: Runtime + Net>(rt: R) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let port = echo_pod();
    // Who asks about all ports is never told yes where none is named.
    let careful = move |access: Access| {
        let what = format!("{} {}", access.verb(), access.resource());
        let Action::Forward(wanted) = access.action else { panic!("{what}") };
        notes.lock().unwrap().push((what, wanted.clone()));
        let allowed = wanted.all(|wanted| wanted == port);
        async move { if allowed { Verdict::Allow } else { Verdict::Forbidden { user: "joe".into() } } }
    };
    let serving = server(&rt).with_authorizer(careful).listen(LOCALHOST).await.unwrap();
    let addr = serving.local_addr();
    let path = format!("{API}?ports={port}");
    assert_eq!(Raw::ask(addr, &upgrade_request(&path, V4, &[])).status, 101);
    assert_eq!(Raw::ask(addr, &upgrade_request(&path, TUNNEL, &[])).status, 403);
    let answer = Raw::ask(addr, &spdy_request("POST", &path, VERSION));
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("cannot create resource \\\"pods/portforward\\\""), "{answer:?}");
    let seen = seen.lock().unwrap();
    let get = || "get pods/portforward".to_owned();
    assert_eq!(
        *seen,
        [
            (get(), WantedPorts::These(vec![port])),
            (get(), WantedPorts::Any),
            ("create pods/portforward".to_owned(), WantedPorts::Any),
        ]
    );
}
