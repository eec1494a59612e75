//! A gateway with an HTTP server of its own that lends us its upgraded connections.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use common::*;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use portway_driver::{HyperIo, HyperSocket, Listener, Mapping, Net, Options, PortForward, Runtime};
use portway_runtimes::on_every_runtime;
use portway_server::{Limits, LocalPods, Peer, Server, Target};

on_every_runtime!(
    a_prefix_of_the_gateway_is_stripped,
    paths_of_the_gateways_own_lead_to_a_pod,
    the_limit_of_sessions_holds_for_embedded_ones,
);

/// The service of the gateway: its own paths, and ours behind a prefix.
async fn gateway<R: Runtime + Net>(
    rt: R,
    server: Server<R, LocalPods<R>>,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (mut head, _) = request.into_parts();
    let decided = match head.uri.path() {
        "/shell" => {
            let target = Target::new("default", "demo");
            server.decide_for(target, Peer::Kubelet, &head).await
        }
        path => match path.strip_prefix("/clusters/one") {
            Some(ours) => {
                let query = head.uri.query().unwrap_or_default();
                head.uri = format!("{ours}?{query}").parse().unwrap();
                server.decide(&head).await
            }
            None => return Ok(Response::new(Full::from("the gateway's own"))),
        },
    };
    Ok(match decided {
        Ok(admission) => {
            let answer = admission.response().map(|()| Full::default());
            rt.spawn(async move {
                if let Ok(upgraded) = upgrade.await {
                    admission.run(HyperSocket::new(upgraded), Bytes::new()).await;
                }
            });
            answer
        }
        Err(refusal) => refusal.map(Full::new),
    })
}

async fn start<R: Runtime + Net>(rt: &R, server: Server<R, LocalPods<R>>) -> SocketAddr {
    let mut listener = rt.bind(LOCALHOST).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let runtime = rt.clone();
    rt.spawn(async move {
        while let Ok((socket, _)) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await {
            let (server, rt) = (server.clone(), runtime.clone());
            let service = service_fn(move |request| gateway(rt.clone(), server.clone(), request));
            let connection = http1::Builder::new()
                .serve_connection(HyperIo::new(socket), service)
                .with_upgrades();
            runtime.spawn(async move { drop(connection.await) });
        }
    });
    addr
}

async fn a_prefix_of_the_gateway_is_stripped<R: Runtime + Net>(rt: R) {
    let addr = start(&rt, server(&rt)).await;
    let pod = rt.http(&format!("http://{addr}/clusters/one"), "default", "demo").unwrap();
    let port = echo_pod();
    let listening = rt.listen(pod, [Mapping::new(0, port)], Options::new()).await.unwrap();
    let mut program = std::net::TcpStream::connect(listening.local_addr()).unwrap();
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    let data: Vec<u8> = (0..300_000).map(|i| (i % 253) as u8).collect();
    let mut back = vec![0; data.len()];
    std::thread::scope(|scope| {
        let mut writer = program.try_clone().unwrap();
        let data = &data;
        scope.spawn(move || std::io::Write::write_all(&mut writer, data).unwrap());
        std::io::Read::read_exact(&mut program, &mut back).unwrap();
    });
    assert!(back == data);
    let answer = Raw::ask(addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answer.body, "the gateway's own");
    let elsewhere = v4_request("/clusters/one/elsewhere", &[]);
    assert_eq!(Raw::ask(addr, &elsewhere).status, 404);
}

async fn paths_of_the_gateways_own_lead_to_a_pod<R: Runtime + Net>(rt: R) {
    let addr = start(&rt, server(&rt)).await;
    // The first bytes of the session come with the request.
    let mut raw = Raw::connect(addr);
    let request = v4_request(&format!("/shell?port={}", echo_pod()), &[]);
    let hi = [0x82, 0x83, 0x37, 0xfa, 0x21, 0x3d, 0x37, 0xfa ^ b'h', 0x21 ^ b'i'];
    raw.send(&[request.as_bytes(), &hi].concat());
    assert_eq!(raw.answer().status, 101);
    let frames: Vec<_> = std::iter::from_fn(|| raw.frame()).take(3).collect();
    assert_eq!(frames[2], frame(2, b"\0hi"));
    let answer = Raw::ask(addr, &v4_request("/shell", &[]));
    assert_eq!(answer.body, "query parameter \"port\" is required\n");
}

async fn the_limit_of_sessions_holds_for_embedded_ones<R: Runtime + Net>(rt: R) {
    let server = server(&rt).with_limits(Limits::new().with_sessions(1));
    let serving = server.listen(LOCALHOST).await.unwrap();
    let addr = start(&rt, server).await;
    let path = format!("/clusters/one{API}?ports={}", echo_pod());
    let _session = Raw::v4(addr, &path);
    assert_eq!(Raw::ask(addr, &v4_request(&path, &[])).status, 429);
    let direct = format!("{API}?ports={}", echo_pod());
    assert_eq!(Raw::ask(serving.local_addr(), &v4_request(&direct, &[])).status, 429);
}
