//! What is not for a forward, answered by whoever brings the server.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use common::*;
use futures_lite::stream;
use http::{Extensions, Request, Response};
use portway_driver::{Net, Runtime};
use portway_runtimes::on_every_runtime;
use portway_server::{Access, Body, ClientAddr, Limits, Verdict};

on_every_runtime!(
    a_fallback_reads_bodies_of_a_limited_length,
    a_stream_may_take_longer_than_any_answer,
    a_stream_that_breaks_does_not_look_whole,
    a_fallback_has_its_time,
    what_is_known_of_a_connection_is_in_its_requests,
    who_is_not_secured_in_time_is_let_go,
);

async fn a_fallback_reads_bodies_of_a_limited_length<R: Runtime + Net>(rt: R) {
    let echo = |request: Request<Bytes>| async move { Response::new(request.into_body().into()) };
    let server = server(&rt).with_fallback(echo).with_limits(Limits::new().with_body(10));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let post = |body: &str| {
        format!("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let answer = Raw::ask(serving.local_addr(), &post("0123456789"));
    assert_eq!((answer.status, answer.body.as_str()), (200, "0123456789"));
    let answer = Raw::ask(serving.local_addr(), &post("0123456789x"));
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (413, "the body of the request is too long\n")
    );
}

async fn a_stream_may_take_longer_than_any_answer<R: Runtime + Net>(rt: R) {
    const PATIENCE: Duration = Duration::from_millis(300);
    let clock = rt.clone();
    let slow = move |_: Request<Bytes>| {
        let clock = clock.clone();
        async move {
            let pieces = stream::unfold((clock, 0), |(clock, said)| async move {
                if said == 4 {
                    return None;
                }
                clock.sleep_until(clock.now() + PATIENCE / 2).await;
                Some((Ok(Bytes::from("piece,")), (clock, said + 1)))
            });
            Response::new(Body::stream(pieces))
        }
    };
    let limits = Limits::new().with_handshake(PATIENCE);
    let serving =
        server(&rt).with_fallback(slow).with_limits(limits).listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::connect(serving.local_addr());
    raw.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut heard = String::new();
    // And when it is over it is the client's turn, who says nothing more and is let go.
    raw.0.read_to_string(&mut heard).unwrap();
    assert_eq!(heard.matches("piece,").count(), 4, "{heard}");
    assert!(heard.ends_with("\r\n0\r\n\r\n"), "{heard}");
}

async fn a_stream_that_breaks_does_not_look_whole<R: Runtime + Net>(rt: R) {
    let broken = |_: Request<Bytes>| async {
        let pieces = [Ok(Bytes::from("half")), Err(io::Error::other("no more"))];
        Response::new(Body::stream(stream::iter(pieces)))
    };
    let serving = server(&rt).with_fallback(broken).listen(LOCALHOST).await.unwrap();
    let mut raw = Raw::connect(serving.local_addr());
    raw.send(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut heard = String::new();
    let _ = raw.0.read_to_string(&mut heard);
    assert!(!heard.contains("\r\n0\r\n"), "{heard}");
}

async fn a_fallback_has_its_time<R: Runtime + Net>(rt: R) {
    let never = |_: Request<Bytes>| std::future::pending::<Response<Body>>();
    let limits = Limits::new().with_handshake(Duration::from_millis(50));
    let serving =
        server(&rt).with_fallback(never).with_limits(limits).listen(LOCALHOST).await.unwrap();
    let answer = Raw::ask(serving.local_addr(), "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answer.status, 504);
}

/// What is known of who is at the other end.
#[derive(Debug, Clone, PartialEq)]
struct Badge(&'static str);

async fn what_is_known_of_a_connection_is_in_its_requests<R: Runtime + Net>(rt: R) {
    let fallback = |request: Request<Bytes>| async move {
        assert!(request.extensions().get::<ClientAddr>().is_some());
        Response::new(request.extensions().get::<Badge>().unwrap().0.into())
    };
    let authorizer = |access: Access| async move {
        assert_eq!(access.extensions.get(), Some(&Badge("blue")));
        Verdict::Forbidden { user: "blue".into() }
    };
    let server = server(&rt).with_fallback(fallback).with_authorizer(authorizer);
    let listener = rt.bind(LOCALHOST).await.unwrap();
    let secure = |socket, _| async {
        let mut known = Extensions::new();
        known.insert(Badge("blue"));
        Ok((socket, known))
    };
    let serving = server.serve_with(listener, secure).unwrap();
    let addr = serving.local_addr();
    assert_eq!(Raw::ask(addr, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n").body, "blue");
    assert_eq!(Raw::ask(addr, &v4_request(&format!("{API}?ports=80"), &[])).status, 403);
}

async fn who_is_not_secured_in_time_is_let_go<R: Runtime + Net>(rt: R) {
    let limits = Limits::new().with_handshake(Duration::from_millis(50));
    let listener = rt.bind(LOCALHOST).await.unwrap();
    let never = |socket: R::Socket, _| async move {
        std::future::pending::<()>().await;
        Ok((socket, Extensions::new()))
    };
    let serving = server(&rt).with_limits(limits).serve_with(listener, never).unwrap();
    let mut raw = Raw::connect(serving.local_addr());
    assert_eq!(raw.0.read(&mut [0]).unwrap(), 0);
}
