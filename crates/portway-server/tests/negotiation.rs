//! What our clients ask a server for, in which order, and what they say when nothing gets through.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use common::*;
use http::{Request, Response};
use portway_driver::proto::handshake::{Acceptor, Offer, Peer};
use portway_driver::{
    ConnectError, Connector, DialError, Endpoint, HttpConnector, Listening, Mapping, Net, Options,
    Port, PortForward, Probe, Protocol, ResolveError, Runtime, Upgraded, WireForm,
};

on_every_runtime!(
    one_request_asks_for_the_tunnel_and_for_v4,
    what_does_not_get_through_as_a_websocket_is_asked_for_in_plain_spdy,
    an_answer_about_anything_else_is_final,
    a_switch_that_cannot_be_trusted_is_not_used,
    what_plain_spdy_was_refused_for_is_told_after_the_websockets_error,
    a_chosen_protocol_is_the_only_one_asked_for,
    what_worked_is_asked_for_first,
    what_worked_is_forgotten_when_it_works_no_more,
    clones_of_a_connector_share_what_was_learnt,
    a_listener_remembers_where_its_connector_does_not,
    a_kubelet_is_asked_under_its_own_name_for_the_ports,
);

const WEBSOCKET: &str = "GET websocket [SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io] ports=8080";
const SPDY: &str = "POST SPDY/3.1 [portforward.k8s.io] ports=8080";

/// An answer to an upgrade request.
#[derive(Clone)]
enum Says {
    /// Status, one header, and body.
    No(&'static str, &'static str, String),
    /// 101, if one of these forms is asked for.
    Yes(&'static [WireForm]),
    /// The same without a header.
    Stripped(&'static [WireForm], &'static str),
    /// 101 and a header with this value instead.
    Changed(&'static [WireForm], &'static str, &'static str),
    /// Nothing.
    HangsUp,
}

use Says::{Changed, HangsUp, No, Stripped, Yes};

fn text(status: &'static str, body: &str) -> Says {
    No(status, "content-type: text/plain", body.to_owned())
}

/// As an API server answers.
fn json(status: &'static str, message: &str) -> Says {
    let code = &status[..3];
    let message = message.replace('"', "\\\"");
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","reason":"Why","code":{code}}}"#
    );
    No(status, "content-type: application/json", body)
}

/// A server that gives these answers in turn, and then the last one for ever.
struct Scripted {
    address: SocketAddr,
    requests: Receiver<String>,
}

impl Scripted {
    fn start(answers: impl IntoIterator<Item = Says>) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let answer = answers.last().unwrap().clone();
                answers.truncate(answers.len().saturating_sub(1).max(1));
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let request = head(&mut stream);
                if sender.send(shown(&request)).is_err() {
                    return;
                }
                std::thread::spawn(move || reply(&answer, &request, stream));
            }
        });
        Self { address, requests }
    }

    /// What it was asked for since the last time.
    fn asked(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }

    fn connector<R: Runtime + Net>(&self, rt: &R) -> HttpConnector<R> {
        rt.http(&format!("http://{}", self.address), "default", "web").unwrap()
    }
}

fn reply(answer: &Says, request: &Request<()>, mut stream: TcpStream) {
    let accepted = |forms: &[WireForm]| {
        let accepted = Acceptor::new().forms(forms).accept(request).expect("what is asked for");
        accepted.response()
    };
    let switch = match answer {
        HangsUp => return,
        No(status, header, body) => {
            let answer = format!(
                "HTTP/1.1 {status}\r\n{header}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.read(&mut [0]);
            return;
        }
        Yes(forms) => accepted(forms),
        Stripped(forms, header) => {
            let mut response = accepted(forms);
            response.headers_mut().remove(*header).expect("it was there");
            response
        }
        Changed(forms, header, value) => {
            let mut response = accepted(forms);
            response.headers_mut().insert(*header, value.parse().unwrap());
            response
        }
    };
    let _ = stream.write_all(switched(&switch).as_bytes());
    // The session is not what this is about: its first message ends it.
    let _ = stream.read(&mut [0; 1024]);
}

fn switched(response: &Response<()>) -> String {
    let mut head = format!("HTTP/1.1 {}\r\n", response.status());
    for (name, value) in response.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    head + "\r\n"
}

fn head(stream: &mut TcpStream) -> Request<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, uri) = (first.next().unwrap(), first.next().unwrap());
    let mut request = Request::builder().method(method).uri(uri);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(()).unwrap()
}

/// Method, `Upgrade`, the protocols asked for, and the query.
fn shown(request: &Request<()>) -> String {
    let lines = |name: &str| {
        let lines = request.headers().get_all(name).iter();
        lines.map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(" | ")
    };
    let protocols = lines("sec-websocket-protocol") + &lines("x-stream-protocol-version");
    let query = request.uri().query().unwrap_or_default();
    format!("{} {} [{protocols}] {query}", request.method(), lines("upgrade"))
}

async fn listen<R: Runtime + Net, C: Connector>(
    rt: &R,
    connector: C,
    protocol: Protocol,
) -> Listening {
    let mapping = Mapping::new(0, Port::new(8080).unwrap());
    rt.listen(connector, [mapping], Options::new().with_protocol(protocol).with_spare(false))
        .await
        .unwrap()
}

/// The form agreed on.
fn form(result: Result<Probe, ConnectError>) -> WireForm {
    match result {
        Ok(probe) => probe.form,
        Err(error) => panic!("{error}"),
    }
}

/// One connection to a server with these answers: what it was asked for, and what came of it.
async fn once<R: Runtime + Net>(
    rt: &R,
    protocol: Protocol,
    answers: impl IntoIterator<Item = Says>,
) -> (Vec<String>, Result<WireForm, String>) {
    let server = Scripted::start(answers);
    let listening = listen(rt, server.connector(rt), protocol).await;
    let result = match listening.probe().await {
        Err(error) => Err(error.to_string().replace(&server.address.to_string(), "SERVER")),
        Ok(probe) => Ok(probe.form),
    };
    (server.asked(), result)
}

async fn one_request_asks_for_the_tunnel_and_for_v4<R: Runtime + Net>(rt: R) {
    for (has, picks) in [
        (&[WireForm::V4][..], WireForm::V4),
        (&[WireForm::V4, WireForm::V4Base64, WireForm::Tunnel], WireForm::Tunnel),
        (&[WireForm::Tunnel], WireForm::Tunnel),
    ] {
        let (asked, result) = once(&rt, Protocol::Auto, [Yes(has)]).await;
        assert_eq!((asked, result), (vec![WEBSOCKET.to_owned()], Ok(picks)));
    }
}

const NO: &str = "SERVER lets no forward to pod web in namespace default through";
const ASKED_WEBSOCKET: &str = "asked for SPDY/3.1+portforward.k8s.io or v4.channel.k8s.io";
const ASKED_SPDY: &str = "asked for SPDY/3.1";

/// The rows of protocol.md A.6 that say "fall back".
async fn what_does_not_get_through_as_a_websocket_is_asked_for_in_plain_spdy<R: Runtime + Net>(
    rt: R,
) {
    let rows = [
        (
            text("403 Forbidden", ""),
            "the server knows none of the subprotocols offered (403 Forbidden)",
        ),
        (
            text("403 Forbidden", "<html>no WebSockets here</html>"),
            "something on the way refuses the request (403 Forbidden): <html>no WebSockets here</html>",
        ),
        (
            text("400 Bad Request", "query parameter \"port\" is required\n"),
            "the server found no ports in the request (400 Bad Request): query parameter \"port\" is required",
        ),
        (
            text("400 Bad Request", "what is this?"),
            "something on the way refuses the request (400 Bad Request): what is this?",
        ),
        (
            json("400 Bad Request", "Upgrade request required"),
            "the upgrade headers got lost on the way (400 Bad Request): Upgrade request required",
        ),
        (
            json("500 Internal Server Error", "invalid upgrade response: status code 200"),
            "the API server could not upgrade towards the node (500 Internal Server Error): invalid upgrade response: status code 200",
        ),
        (
            text("426 Upgrade Required", ""),
            "something on the way refuses the request (426 Upgrade Required)",
        ),
        (
            text("200 OK", "<html>hello</html>"),
            "something on the way does not pass upgrades on (200 OK): <html>hello</html>",
        ),
    ];
    for (answer, said) in rows {
        // Plain SPDY gets through.
        let answers = [answer.clone(), Yes(&[WireForm::Spdy])];
        let (asked, result) = once(&rt, Protocol::Auto, answers).await;
        assert_eq!((asked, result), (vec![WEBSOCKET.into(), SPDY.into()], Ok(WireForm::Spdy)));
        // It does not.
        let (asked, result) = once(&rt, Protocol::Auto, [answer]).await;
        assert_eq!(asked, [WEBSOCKET, SPDY]);
        let both = format!("{NO}; {ASKED_WEBSOCKET}: {said}; {ASKED_SPDY}: {said}");
        assert_eq!(result, Err(both));
    }
}

/// The other rows of protocol.md A.6: each is asked once.
async fn an_answer_about_anything_else_is_final<R: Runtime + Net>(rt: R) {
    let rbac = "pods \"web\" is forbidden: User \"jane\" cannot get resource \"pods/portforward\"";
    let rows = [
        json("400 Bad Request", "pod web does not have a host assigned"),
        json("400 Bad Request", "cannot convert to []int32: x"),
        text("400 Bad Request", "port \"0\" must be > 0"),
        text("400 Bad Request", "unable to upgrade: no tunneling spdy protocols provided"),
        json("401 Unauthorized", "Unauthorized"),
        text("401 Unauthorized", "Unauthorized"),
        json("403 Forbidden", rbac),
        json("403 Forbidden", ""),
        json("403 Forbidden", "admission webhook \"w\" denied the request: no"),
        text("403 Forbidden", "Forbidden (user=jane, verb=get, resource=nodes)"),
        json("404 Not Found", "pods \"web\" not found"),
        text("404 Not Found", "pod does not exist"),
        text("404 Not Found", "404 page not found"),
        text("404 Not Found", "<html>nothing here</html>"),
        text("405 Method Not Allowed", "Debug endpoints are disabled."),
        text("429 Too Many Requests", ""),
        json("500 Internal Server Error", "error dialing backend: no route"),
        text("500 Internal Server Error", "pod not found (\"web_default\")"),
        text("502 Bad Gateway", "<html>Bad Gateway</html>"),
        text("503 Service Unavailable", ""),
    ];
    for answer in rows {
        let No(status, _, body) = &answer else { unreachable!() };
        let name = format!("{status} {body}");
        // Plain SPDY would get through: a fall back would be seen.
        let (asked, result) =
            once(&rt, Protocol::Auto, [answer.clone(), Yes(&[WireForm::Spdy])]).await;
        assert_eq!(asked, [WEBSOCKET], "{name}");
        let error = result.unwrap_err();
        let refused = "SERVER refused to forward to pod web in namespace default: ";
        assert!(error.starts_with(refused) && error.contains(status), "{name}: {error}");
    }
    let (asked, result) = once(&rt, Protocol::Auto, [HangsUp, Yes(&[WireForm::Spdy])]).await;
    assert_eq!(asked, [WEBSOCKET]);
    let error = "SERVER did not answer in HTTP: connection closed before message completed; is it an API server?";
    assert_eq!(result, Err(error.to_owned()));
}

async fn a_switch_that_cannot_be_trusted_is_not_used<R: Runtime + Net>(rt: R) {
    const V4: &[WireForm] = &[WireForm::V4];
    let subprotocol = "sec-websocket-protocol";
    for (answer, said) in [
        (
            Stripped(V4, subprotocol),
            "the server chose no subprotocol: something between may have stripped the header",
        ),
        (
            Changed(V4, subprotocol, "v5.channel.k8s.io"),
            "the server chose the subprotocol v5.channel.k8s.io, which was not offered: something between may have changed the header",
        ),
        (
            Changed(V4, "sec-websocket-accept", "AAAA"),
            "the answer 101 has a wrong Sec-WebSocket-Accept: it was not made for this request, something between may have made it",
        ),
    ] {
        let answers = [answer.clone(), Yes(&[WireForm::Spdy])];
        let (asked, result) = once(&rt, Protocol::Auto, answers).await;
        assert_eq!((asked, result), (vec![WEBSOCKET.into(), SPDY.into()], Ok(WireForm::Spdy)));
        let bad_spdy = Stripped(&[WireForm::Spdy], "x-stream-protocol-version");
        let (asked, result) = once(&rt, Protocol::Auto, [answer, bad_spdy]).await;
        assert_eq!(asked, [WEBSOCKET, SPDY]);
        let stripped =
            "the server chose no subprotocol: something between may have stripped the header";
        let both = format!("{NO}; {ASKED_WEBSOCKET}: {said}; {ASKED_SPDY}: {stripped}");
        assert_eq!(result, Err(both));
    }
}

async fn what_plain_spdy_was_refused_for_is_told_after_the_websockets_error<R: Runtime + Net>(
    rt: R,
) {
    let websocket = "the server knows none of the subprotocols offered (403 Forbidden)";
    let accepted = "x-accepted-stream-protocol-versions: v2.portforward.k8s.io";
    for (answer, said) in [
        (
            json("403 Forbidden", "User \"jane\" cannot create resource \"pods/portforward\""),
            "forwarding to this pod is not allowed (403 Forbidden): User \"jane\" cannot create resource \"pods/portforward\"; create is missing, the role needs both verbs get and create on pods/portforward",
        ),
        (
            No("403 Forbidden", accepted, "unable to upgrade".to_owned()),
            "the server speaks another version of port-forward (403 Forbidden): unable to upgrade; it speaks v2.portforward.k8s.io and not portforward.k8s.io",
        ),
        (
            text("503 Service Unavailable", "later"),
            "the server or something on the way failed (503 Service Unavailable): later; try again later",
        ),
        (
            HangsUp,
            "SERVER did not answer in HTTP: connection closed before message completed; is it an API server?",
        ),
    ] {
        let (asked, result) = once(&rt, Protocol::Auto, [text("403 Forbidden", ""), answer]).await;
        assert_eq!(asked, [WEBSOCKET, SPDY]);
        let both = format!("{NO}; {ASKED_WEBSOCKET}: {websocket}; {ASKED_SPDY}: {said}");
        assert_eq!(result, Err(both));
    }
}

async fn a_chosen_protocol_is_the_only_one_asked_for<R: Runtime + Net>(rt: R) {
    for (protocol, form, request) in [
        (
            Protocol::Tunnel,
            WireForm::Tunnel,
            "GET websocket [SPDY/3.1+portforward.k8s.io] ports=8080",
        ),
        (Protocol::V4, WireForm::V4, "GET websocket [v4.channel.k8s.io] ports=8080"),
        (
            Protocol::V4Base64,
            WireForm::V4Base64,
            "GET websocket [v4.base64.channel.k8s.io] ports=8080",
        ),
        (Protocol::Spdy, WireForm::Spdy, SPDY),
    ] {
        const ALL: &[WireForm] =
            &[WireForm::Tunnel, WireForm::V4, WireForm::V4Base64, WireForm::Spdy];
        let (asked, result) = once(&rt, protocol, [Yes(ALL)]).await;
        assert_eq!((asked, result), (vec![request.to_owned()], Ok(form)));
        let (asked, result) = once(&rt, protocol, [text("403 Forbidden", ""), Yes(ALL)]).await;
        assert_eq!(asked, [request]);
        let error = format!(
            "SERVER refused to forward to pod web in namespace default: the server knows none of the subprotocols offered (403 Forbidden); nothing but {protocol} was tried, as asked: another protocol may get through"
        );
        assert_eq!(result, Err(error));
    }
}

async fn what_worked_is_asked_for_first<R: Runtime + Net>(rt: R) {
    let server = Scripted::start([text("403 Forbidden", ""), Yes(&[WireForm::Spdy])]);
    let listening = listen(&rt, server.connector(&rt), Protocol::Auto).await;
    assert_eq!(form(listening.probe().await), WireForm::Spdy);
    assert_eq!(server.asked(), [WEBSOCKET, SPDY]);
    for _ in 0..2 {
        assert_eq!(form(listening.probe().await), WireForm::Spdy);
        assert_eq!(server.asked(), [SPDY]);
    }
    // The WebSocket is asked in one request as well, every time.
    let server = Scripted::start([Yes(&[WireForm::V4])]);
    let listening = listen(&rt, server.connector(&rt), Protocol::Auto).await;
    for _ in 0..2 {
        assert_eq!(form(listening.probe().await), WireForm::V4);
        assert_eq!(server.asked(), [WEBSOCKET]);
    }
}

async fn what_worked_is_forgotten_when_it_works_no_more<R: Runtime + Net>(rt: R) {
    let no = || text("403 Forbidden", "");
    let busy = text("503 Service Unavailable", "");
    let spdy = || Yes(&[WireForm::Spdy]);
    let server = Scripted::start([
        no(),
        spdy(),
        busy,
        no(),
        Yes(&[WireForm::V4]),
        Yes(&[WireForm::V4]),
        no(),
        no(),
        no(),
        spdy(),
    ]);
    let listening = listen(&rt, server.connector(&rt), Protocol::Auto).await;
    assert_eq!(form(listening.probe().await), WireForm::Spdy);
    assert_eq!(server.asked(), [WEBSOCKET, SPDY]);
    // A server in trouble has not forgotten its SPDY, nor have we.
    assert!(matches!(listening.probe().await, Err(ConnectError::Dial(DialError::Refused { .. }))));
    assert_eq!(server.asked(), [SPDY]);
    // A refusal is: the WebSocket is asked again, at once and from then on.
    assert_eq!(form(listening.probe().await), WireForm::V4);
    assert_eq!(server.asked(), [SPDY, WEBSOCKET]);
    assert_eq!(form(listening.probe().await), WireForm::V4);
    assert_eq!(server.asked(), [WEBSOCKET]);
    // Nothing works, nothing is remembered.
    let Err(ConnectError::Negotiation(error)) = listening.probe().await else { panic!() };
    let asked: Vec<_> = error.attempts().iter().map(|attempt| attempt.asked.clone()).collect();
    assert_eq!(asked, [vec![WireForm::Tunnel, WireForm::V4], vec![WireForm::Spdy]]);
    assert_eq!(form(listening.probe().await), WireForm::Spdy);
    assert_eq!(server.asked(), [WEBSOCKET, SPDY, WEBSOCKET, SPDY]);
}

async fn clones_of_a_connector_share_what_was_learnt<R: Runtime + Net>(rt: R) {
    let server = Scripted::start([text("403 Forbidden", ""), Yes(&[WireForm::Spdy])]);
    let connector = server.connector(&rt);
    let port = Port::new(8080).unwrap();
    for expected in [&[WEBSOCKET, SPDY][..], &[SPDY], &[SPDY]] {
        let _ = rt.forward(connector.clone(), &[port], Options::new()).await;
        assert_eq!(server.asked(), expected);
    }
    let listening = listen(&rt, connector, Protocol::Auto).await;
    assert_eq!(form(listening.probe().await), WireForm::Spdy);
    assert_eq!(server.asked(), [SPDY]);
}

/// A connector of somebody else's, who has not thought about it.
#[derive(Clone)]
struct Forgetful<C>(C);

impl<C: Connector> Connector for Forgetful<C> {
    type Io = C::Io;

    async fn resolve(&self, ports: &[Port]) -> Result<Endpoint, ResolveError> {
        self.0.resolve(ports).await
    }

    async fn dial(&self, to: &Endpoint, offer: &Offer) -> Result<Upgraded<C::Io>, DialError> {
        self.0.dial(to, offer).await
    }
}

async fn a_listener_remembers_where_its_connector_does_not<R: Runtime + Net>(rt: R) {
    let server = Scripted::start([text("403 Forbidden", ""), Yes(&[WireForm::Spdy, WireForm::V4])]);
    let connector = Forgetful(server.connector(&rt));
    let listening = listen(&rt, connector.clone(), Protocol::Auto).await;
    assert_eq!(form(listening.probe().await), WireForm::Spdy);
    assert_eq!(server.asked(), [WEBSOCKET, SPDY]);
    // Its connections know what its probe has learnt.
    let mut events = listening.events();
    let mut program = TcpStream::connect(listening.local_addr()).unwrap();
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = program.write_all(b"hello");
    let ended = async {
        while let Some(event) = events.next().await {
            use portway_driver::ListenEvent::{Ended, Failed};
            if matches!(event, Ended { .. } | Failed { .. }) {
                return;
            }
        }
    };
    ended.await;
    assert_eq!(server.asked(), [SPDY]);
    let another = listen(&rt, connector, Protocol::Auto).await;
    assert_eq!(form(another.probe().await), WireForm::V4);
    assert_eq!(server.asked(), [WEBSOCKET]);
}

async fn a_kubelet_is_asked_under_its_own_name_for_the_ports<R: Runtime + Net>(rt: R) {
    let server = Scripted::start([text("403 Forbidden", ""), Yes(&[WireForm::Spdy])]);
    let connector = server.connector(&rt).with_peer(Peer::Kubelet);
    let listening = listen(&rt, connector, Protocol::Auto).await;
    assert_eq!(form(listening.probe().await), WireForm::Spdy);
    let expected = [WEBSOCKET, SPDY].map(|request| request.replace("ports=", "port="));
    assert_eq!(server.asked(), expected);
}
