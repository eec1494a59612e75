//! The way to an API server, on every runtime: what gets through, and one line for each thing that does not.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::smol::io::{AsyncReadExt, AsyncWriteExt};
use bytes::Bytes;
use common::{Authority, Certificate, LOCALHOST, read, write_all};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use portway_cluster::{Api, TargetConnector};
use portway_driver::proto::WireForm::{Tunnel, V4};
use portway_driver::proto::handshake::Offer;
use portway_driver::{Endpoint, Listener, Net, Options, Port, PortForward, Protocol, Runtime};
use portway_resolve::Target;
use portway_runtimes::on_every_runtime;
use portway_rustls::{ApiServer, ClientTls, Proxy, ServerTls, TlsListener, TlsSocket, Token};
use portway_server::{Access, LocalPod, LocalPods, Server, Serving, Verdict};
use rustls::ServerConfig;

/// A server of the pod `demo`, which has all ports of this machine, for who has the token `jane's`.
async fn serve<R: Runtime + Net>(rt: &R, tls: Arc<ServerConfig>) -> Serving {
    let listener = TlsListener::new(rt.bind(LOCALHOST).await.unwrap(), tls);
    server(rt).serve(listener).unwrap()
}

fn server<R: Runtime + Net>(rt: &R) -> Server<R, LocalPods<R>> {
    let pods = LocalPods::new(rt.clone()).with("default", "demo", LocalPod::localhost());
    Server::new(rt.clone(), pods).with_api().with_authorizer(jane_only)
}

async fn jane_only(access: Access) -> Verdict {
    match access.bearer_token() {
        Ok(Some(token)) if token == "jane's" => Verdict::Allow,
        Ok(Some(user)) if user == "joe" => Verdict::Forbidden { user },
        _ => Verdict::Unauthorized,
    }
}

fn trusting(authority: &Authority) -> ClientTls {
    ClientTls::new().with_authorities(authority.pem().as_bytes()).unwrap()
}

fn jane() -> Token {
    Token::new("jane's").unwrap()
}

fn echo_port() -> Port {
    let listener = TcpListener::bind(LOCALHOST).unwrap();
    let port = Port::new(listener.local_addr().unwrap().port()).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut from = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut from, &mut stream);
            });
        }
    });
    port
}

/// Through lookup, upgrade and session to the pod's echo and back.
async fn echoes<R: Runtime + Net>(rt: &R, server: ApiServer<R>, protocol: Protocol) {
    let target: Target = "pod/demo".parse().unwrap();
    let target = TargetConnector::new(server, rt.clone(), "default", target);
    let port = echo_port();
    let options = Options::new().with_protocol(protocol);
    let mut forward = rt.forward(target, &[port], options).await.unwrap();
    let mut stream = forward.open(port).unwrap();
    let sent = common::pattern(300_000);
    let mut got = vec![0; sent.len()];
    let (mut reader, mut writer) = ::smol::io::split(&mut stream);
    let ((), ()) = common::join(async { writer.write_all(&sent).await.unwrap() }, async {
        reader.read_exact(&mut got).await.unwrap()
    })
    .await;
    assert!(got == sent, "{protocol}");
}

/// What an upgrade request says that goes wrong; `SERVER` is its address.
async fn told<R: Runtime + Net>(server: &ApiServer<R>) -> String {
    let port = Port::new(80).unwrap();
    let offer = Offer::new(&[Tunnel, V4], &[port]).unwrap();
    let to = Endpoint::new("default", "demo", &[port]);
    let error = server.upgrade(&to, &offer).await.map(|_| ()).unwrap_err();
    error.to_string().replace(&server.url().addr().to_string(), "SERVER")
}

/// And what a lookup says.
async fn told_by_lookup<R: Runtime + Net>(server: &ApiServer<R>) -> String {
    let result = server.request(get(POD)).await.map(|_| ());
    let error = result.unwrap_err().to_string();
    error.replace(&server.url().addr().to_string(), "SERVER")
}

const POD: &str = "/api/v1/namespaces/default/pods/demo";

fn get(path: &str) -> Request<Bytes> {
    Request::get(path).body(Bytes::new()).unwrap()
}

fn https(addr: SocketAddr) -> String {
    format!("https://{addr}")
}

async fn a_forward_gets_through_in_every_wire_form<R: Runtime + Net>(rt: R) {
    let authority = Authority::new();
    let serving = serve(&rt, authority.server(&["127.0.0.1"])).await;
    let server = ApiServer::new(rt.clone(), &https(serving.local_addr()), trusting(&authority));
    let server = server.unwrap().with_token(jane());
    for protocol in [Protocol::Tunnel, Protocol::V4, Protocol::V4Base64, Protocol::Spdy] {
        echoes(&rt, server.clone(), protocol).await;
    }
}

async fn plain_http_goes_the_same_way<R: Runtime + Net>(rt: R) {
    let serving = server(&rt).listen(LOCALHOST).await.unwrap();
    let url = format!("http://{}", serving.local_addr());
    let server = ApiServer::new(rt.clone(), &url, ClientTls::new()).unwrap().with_token(jane());
    echoes(&rt, server, Protocol::Auto).await;
}

async fn a_lookup_has_a_body_and_the_status_of_the_server<R: Runtime + Net>(rt: R) {
    let authority = Authority::new();
    let serving = serve(&rt, authority.server(&["127.0.0.1"])).await;
    let server = ApiServer::new(rt.clone(), &https(serving.local_addr()), trusting(&authority));
    let server = server.unwrap().with_token(jane());
    let answer = server.request(get(POD)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("\"name\":\"demo\""), "{body:?}");
    let gone = server.request(get("/api/v1/namespaces/default/pods/gone")).await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
}

async fn certificates_that_do_not_prove_the_server<R: Runtime + Net>(rt: R) {
    let (authority, other) = (Authority::new(), Authority::new());
    let case = async |certificate: Certificate, authority: &Authority| {
        let serving = serve(&rt, certificate.server()).await;
        let server = ApiServer::new(rt.clone(), &https(serving.local_addr()), trusting(authority));
        let server = server.unwrap().with_token(jane());
        let told = told(&server).await;
        assert_eq!(told_by_lookup(&server).await, told);
        told
    };
    assert_eq!(
        case(authority.issue(&["127.0.0.1"]), &other).await,
        "cannot use SERVER: its certificate was issued by nobody who is trusted here; is it the right \
         CA?"
    );
    assert_eq!(
        case(authority.issue(&["kubernetes", "10.0.0.1"]), &authority).await,
        "cannot use SERVER: its certificate is for kubernetes, 10.0.0.1, and not for 127.0.0.1"
    );
    let expired = case(authority.expired(&["127.0.0.1"]), &authority).await;
    assert!(
        expired.starts_with("cannot use SERVER: its certificate has expired ")
            && expired.ends_with(" days ago"),
        "{expired}"
    );
}

async fn another_name_can_be_expected<R: Runtime + Net>(rt: R) {
    let authority = Authority::new();
    let serving = serve(&rt, authority.server(&["kubernetes"])).await;
    let tls = trusting(&authority).with_server_name("kubernetes").unwrap();
    let server = ApiServer::new(rt.clone(), &https(serving.local_addr()), tls).unwrap();
    echoes(&rt, server.with_token(jane()), Protocol::Auto).await;
}

/// Behind one address there may be several servers, which the name in the greeting tells apart.
async fn the_server_hears_by_which_name_it_is_asked<R: Runtime + Net>(rt: R) {
    let authority = Authority::new();
    let serving = serve(&rt, authority.issue(&["kubernetes"]).server_of_name("kubernetes")).await;
    let tls = trusting(&authority).with_server_name("kubernetes").unwrap();
    let server = ApiServer::new(rt.clone(), &https(serving.local_addr()), tls).unwrap();
    echoes(&rt, server.with_token(jane()), Protocol::Auto).await;
}

async fn who_is_not_let_in_hears_why<R: Runtime + Net>(rt: R) {
    let authority = Authority::new();
    let serving = serve(&rt, authority.server(&["127.0.0.1"])).await;
    let server = ApiServer::new(rt.clone(), &https(serving.local_addr()), trusting(&authority));
    let server = server.unwrap();
    assert_eq!(
        told(&server.clone().with_token(Token::new("expired").unwrap())).await,
        "SERVER refused to forward to pod demo in namespace default: the server does not know who is \
         asking (401 Unauthorized): Unauthorized; get fresh credentials"
    );
    assert_eq!(
        told(&server.with_token(Token::new("joe").unwrap())).await,
        "SERVER refused to forward to pod demo in namespace default: forwarding to this pod is not \
         allowed (403 Forbidden): pods \"demo\" is forbidden: User \"joe\" cannot get resource \
         \"pods/portforward\" in API group \"\" in the namespace \"default\"; get is missing, the role \
         needs both verbs get and create on pods/portforward"
    );
}

async fn a_token_is_asked_for_again_when_it_is_refused<R: Runtime + Net>(rt: R) {
    let authority = Authority::new();
    let serving = serve(&rt, authority.server(&["127.0.0.1"])).await;
    let server = ApiServer::new(rt.clone(), &https(serving.local_addr()), trusting(&authority));
    let server = server.unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let token = Token::from_fn(move |refused| {
        noted.lock().unwrap().push(refused);
        std::future::ready(Ok::<_, std::io::Error>(
            if refused { "jane's" } else { "old" }.to_owned(),
        ))
    });
    let renewing = server.clone().with_token(token);
    assert_eq!(renewing.request(get(POD)).await.unwrap().status(), StatusCode::OK);
    assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), [false, true]);
    echoes(&rt, renewing, Protocol::V4).await;
    assert_eq!(*asked.lock().unwrap(), [false, true, false, true]);

    // One that says the same again is not sent again.
    let stubborn =
        Token::from_fn(|_| std::future::ready(Ok::<_, std::io::Error>("old".to_owned())));
    let stubborn = server.clone().with_token(stubborn);
    assert_eq!(stubborn.request(get(POD)).await.unwrap().status(), StatusCode::UNAUTHORIZED);

    let broken = Token::from_fn(|_| std::future::ready(Err("the agent is locked")));
    let broken = server.with_token(broken);
    let text = "cannot use SERVER: no bearer token could be had: the agent is locked";
    assert_eq!(told(&broken).await, text);
    assert_eq!(told_by_lookup(&broken).await, text);
}

async fn a_token_file_is_read_again_when_it_is_refused<R: Runtime + Net>(rt: R) {
    let authority = Authority::new();
    let serving = serve(&rt, authority.server(&["127.0.0.1"])).await;
    let server = ApiServer::new(rt.clone(), &https(serving.local_addr()), trusting(&authority));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let server = server.unwrap().with_token(Token::from_file(&path));
    let shown = path.display();
    assert_eq!(
        told(&server).await,
        format!(
            "cannot use SERVER: cannot read the bearer token from {shown}: No such file or directory \
             (os error 2)"
        )
    );
    std::fs::write(&path, "\n").unwrap();
    assert_eq!(
        told(&server).await,
        format!(
            "cannot use SERVER: there is no bearer token in {shown}: it is empty, or has line ends in it"
        )
    );
    std::fs::write(&path, "old\n").unwrap();
    assert_eq!(server.request(get(POD)).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    std::fs::write(&path, "jane's\n").unwrap();
    assert_eq!(server.request(get(POD)).await.unwrap().status(), StatusCode::OK);
}

async fn a_server_that_cannot_be_reached<R: Runtime + Net>(rt: R) {
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound.bind(&LOCALHOST.into()).unwrap();
    let nobody = bound.local_addr().unwrap().as_socket().unwrap();
    let server = ApiServer::new(rt.clone(), &https(nobody), trusting(&Authority::new())).unwrap();
    assert_eq!(told(&server).await, "cannot connect to SERVER: Connection refused (os error 111)");
    assert_eq!(
        told_by_lookup(&server).await,
        "cannot reach SERVER: Connection refused (os error 111)"
    );
}

async fn a_server_that_says_nothing<R: Runtime + Net>(rt: R) {
    let authority = Authority::new();
    let silent = TcpListener::bind(LOCALHOST).unwrap();
    let url = https(silent.local_addr().unwrap());
    let (soon, later) = (Duration::from_millis(200), Duration::from_secs(60));
    let server = ApiServer::new(rt.clone(), &url, trusting(&authority)).unwrap();
    assert_eq!(
        told(&server.with_timeouts(soon, later)).await,
        "cannot connect to SERVER: it took the connection and did not speak TLS within 0.2 s"
    );

    // It shakes hands and says nothing then.
    let mut listener = rt.bind(LOCALHOST).await.unwrap();
    let url = https(listener.local_addr().unwrap());
    let server = ApiServer::new(rt.clone(), &url, trusting(&authority)).unwrap();
    let server = server.with_timeouts(later, soon);
    let config = authority.server(&["127.0.0.1"]);
    let serving = async {
        let (socket, _) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        let mut socket = TlsSocket::accept(socket, config).await.unwrap();
        common::read_to_end(&mut socket).await
    };
    let (told, (request, _)) = common::join(told(&server), serving).await;
    assert_eq!(
        told,
        "SERVER did not answer the upgrade request within 0.2 s; is it an API server?"
    );
    let request = String::from_utf8(request).unwrap();
    assert!(request.contains("User-Agent: portway/"), "{request}");
}

async fn the_wrong_scheme<R: Runtime + Net>(rt: R) {
    let authority = Authority::new();
    let serving = serve(&rt, authority.server(&["127.0.0.1"])).await;
    let url = format!("http://{}", serving.local_addr());
    let server = ApiServer::new(rt.clone(), &url, ClientTls::new()).unwrap();
    assert_eq!(
        told(&server).await,
        "SERVER did not answer in HTTP: invalid HTTP version parsed; is it an API server?"
    );

    // As servers in Go answer.
    let go = TcpListener::bind(LOCALHOST).unwrap();
    let addr = go.local_addr().unwrap();
    let answer = |wrong: &'static str| {
        let go = go.try_clone().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = go.accept().unwrap();
            let _ = stream.read(&mut [0; 1_000]).unwrap();
            write!(stream, "HTTP/1.0 400 Bad Request\r\n\r\n{wrong}").unwrap();
        });
    };
    answer("Client sent an HTTP request to an HTTPS server.\n");
    let server = ApiServer::new(rt.clone(), &format!("http://{addr}"), ClientTls::new()).unwrap();
    assert_eq!(
        told(&server).await,
        "SERVER refused to forward to pod demo in namespace default: the server speaks TLS, its address \
         begins with https:// (400 Bad Request): Client sent an HTTP request to an HTTPS server.; trying \
         again will not help"
    );
    answer("");
    let server = ApiServer::new(rt.clone(), &https(addr), trusting(&authority)).unwrap();
    assert_eq!(told(&server).await, "cannot use SERVER: it does not speak TLS; is it plain HTTP?");
}

async fn a_client_certificate_says_who_we_are<R: Runtime + Net>(rt: R) {
    let (authority, clients) = (Authority::new(), Authority::new());
    let of_server = authority.issue(&["127.0.0.1"]);
    let tls = ServerTls::new(of_server.chain.as_bytes(), of_server.key.as_bytes()).unwrap();
    let tls = tls.with_client_authorities(clients.pem().as_bytes()).unwrap().config().unwrap();
    let of_client = clients.issue(&["somebody"]);
    let mut listener = rt.bind(LOCALHOST).await.unwrap();
    let url = https(listener.local_addr().unwrap());
    let ours = trusting(&authority)
        .with_certificate(of_client.chain.as_bytes(), of_client.key.as_bytes())
        .unwrap();
    let server = ApiServer::new(rt.clone(), &url, ours).unwrap();
    let serving = async {
        let (socket, _) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        let mut socket = TlsSocket::accept(socket, tls).await.unwrap();
        let request = read(&mut socket, 10_000).await.unwrap();
        write_all(&mut socket, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
        (socket.peer_certificates().len(), request)
    };
    let asking = async {
        let answer = server.request(get("/version?a=b")).await.unwrap();
        answer.into_body().collect().await.unwrap().to_bytes()
    };
    let (body, (certificates, request)) = common::join(asking, serving).await;
    assert_eq!((&body[..], certificates), (&b"hi"[..], 1));
    assert!(request.starts_with(b"GET /version?a=b HTTP/1.1\r\n"), "{request:?}");
}

async fn somebody_else_is_acted_as<R: Runtime + Net>(rt: R) {
    let mut listener = rt.bind(LOCALHOST).await.unwrap();
    let url = format!("http://{}/clusters/one", listener.local_addr().unwrap());
    let server = ApiServer::new(rt.clone(), &url, ClientTls::new()).unwrap();
    let server = server.with_impersonation("jane", ["devs", "ops"]).unwrap();
    let serving = async {
        let (mut socket, _) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        let request = read(&mut socket, 10_000).await.unwrap();
        write_all(&mut socket, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(request.to_vec()).unwrap().to_lowercase()
    };
    let (_, request) = common::join(server.request(get("/version")), serving).await;
    assert!(request.starts_with("get /clusters/one/version http/1.1\r\n"), "{request}");
    for line in ["user: jane", "group: devs", "group: ops"] {
        assert!(request.contains(&format!("\r\nimpersonate-{line}\r\n")), "{request}");
    }
}

/// A proxy that knows CONNECT: what it was asked, and for how many connections.
struct TestProxy {
    addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    opened: Arc<AtomicUsize>,
}

impl TestProxy {
    /// `answer` is sent instead, if there is one.
    fn start(answer: Option<&'static str>) -> Self {
        let listener = TcpListener::bind(LOCALHOST).unwrap();
        let addr = listener.local_addr().unwrap();
        let (heads, opened) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let (noted, counted) = (Arc::clone(&heads), Arc::clone(&opened));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (noted, counted) = (Arc::clone(&noted), Arc::clone(&counted));
                std::thread::spawn(move || proxy(client.unwrap(), answer, &noted, &counted));
            }
        });
        Self { addr, heads, opened }
    }
}

fn proxy(
    mut client: TcpStream,
    answer: Option<&str>,
    noted: &Mutex<Vec<String>>,
    counted: &AtomicUsize,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let to = head.split(' ').nth(1).unwrap().to_owned();
    noted.lock().unwrap().push(head);
    if let Some(answer) = answer {
        client.write_all(answer.as_bytes()).unwrap();
        return;
    }
    let mut server = TcpStream::connect(to).unwrap();
    counted.fetch_add(1, Ordering::Relaxed);
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Write);
}

async fn everything_goes_through_the_proxy<R: Runtime + Net>(rt: R) {
    let authority = Authority::new();
    let serving = serve(&rt, authority.server(&["127.0.0.1"])).await;
    let proxy = TestProxy::start(None);
    let server = ApiServer::new(rt.clone(), &https(serving.local_addr()), trusting(&authority));
    let url = format!("http://me:secret@{}", proxy.addr);
    let server = server.unwrap().with_token(jane()).with_proxy(Some(url.parse().unwrap()));
    echoes(&rt, server, Protocol::V4).await;
    // One to look the pod up, one to forward.
    assert_eq!(proxy.opened.load(Ordering::Relaxed), 2);
    for head in proxy.heads.lock().unwrap().iter() {
        let first = format!("CONNECT {} HTTP/1.1\r\n", serving.local_addr());
        assert!(head.starts_with(&first), "{head}");
        assert!(head.contains("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{head}");
        assert!(!head.contains("jane"), "the proxy was told the server's token: {head}");
    }
}

async fn a_proxy_that_does_not_do_it<R: Runtime + Net>(rt: R) {
    let authority = Authority::new();
    let url = "https://cluster.test:6443";
    let server = ApiServer::new(rt.clone(), url, trusting(&authority)).unwrap();
    let told = async |proxy: SocketAddr| {
        let proxy: Proxy = format!("http://{proxy}").parse().unwrap();
        let name = proxy.to_string();
        told(&server.clone().with_proxy(Some(proxy))).await.replace(&name, "PROXY")
    };
    let with = |answer| TestProxy::start(Some(answer)).addr;
    assert_eq!(
        told(with("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")).await,
        "cannot use SERVER: the proxy PROXY does not connect to SERVER: 407 Proxy Authentication \
         Required; put a user and a password into the proxy's address"
    );
    assert_eq!(
        told(with("HTTP/1.1 403 Forbidden\r\n\r\nnot on my \x1bwatch\n")).await,
        "cannot use SERVER: the proxy PROXY does not connect to SERVER: 403 Forbidden: not on my \
         \u{fffd}watch"
    );
    assert_eq!(
        told(with("HTTP/1.1 502 Bad Gateway\r\n\r\n<html>")).await,
        "cannot connect to SERVER: the proxy PROXY does not connect to SERVER: 502 Bad Gateway"
    );
    assert_eq!(
        told(with("SSH-2.0-x\r\n")).await,
        "cannot use SERVER: the proxy PROXY did not answer in HTTP: invalid HTTP version parsed; is it a \
         proxy?"
    );
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound.bind(&LOCALHOST.into()).unwrap();
    assert_eq!(
        told(bound.local_addr().unwrap().as_socket().unwrap()).await,
        "cannot connect to SERVER: the proxy PROXY cannot be reached: Connection refused (os error 111)"
    );
}

on_every_runtime!(
    a_forward_gets_through_in_every_wire_form,
    plain_http_goes_the_same_way,
    a_lookup_has_a_body_and_the_status_of_the_server,
    certificates_that_do_not_prove_the_server,
    another_name_can_be_expected,
    the_server_hears_by_which_name_it_is_asked,
    who_is_not_let_in_hears_why,
    a_token_is_asked_for_again_when_it_is_refused,
    a_token_file_is_read_again_when_it_is_refused,
    a_server_that_cannot_be_reached,
    a_server_that_says_nothing,
    the_wrong_scheme,
    a_client_certificate_says_who_we_are,
    somebody_else_is_acted_as,
    everything_goes_through_the_proxy,
    a_proxy_that_does_not_do_it,
);
