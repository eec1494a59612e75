//! What is asked for, in which order, and what is said when nothing gets through (protocol.md A.3, A.6).

use std::collections::VecDeque;
use std::future::Future;

use futures_lite::future::or;
use portway_driver::proto::handshake::{Offer, Peer};
use portway_driver::{
    ConnectError, Connector, DialError, Endpoint, HttpConnector, ListenEvent, Listening, Mapping,
    Net, Port, PortForward, Probe, Protocol, ResolveError, Runtime, Upgraded, WireForm,
};

use crate::env::{Env, LOCALHOST, PORT, local_addr};
use crate::line::End;
use crate::pipe::Pipe;
use crate::raw::{Asked, RawStream};

const WEBSOCKET: &str = "GET websocket [SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io] ports=8080";
const SPDY: &str = "POST SPDY/3.1 [portforward.k8s.io] ports=8080";

/// A server that has only this form is asked for it, and then it carries bytes.
pub async fn takes_what_is_granted<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options().with_protocol(Protocol::Auto)).await;
    let program = env.connect(site.listening.local_addr()).await;
    let expected: &[_] =
        if env.form() == WireForm::Spdy { &[WEBSOCKET, SPDY] } else { &[WEBSOCKET] };
    assert_eq!(carried(env, &mut site.server, program).await.0, expected);
}

/// The next connection asks first for what the one before got.
pub async fn remembers_what_worked<R: Runtime + Net>(env: &Env<R>) {
    let mut site = env.site(env.options().with_protocol(Protocol::Auto)).await;
    let program = env.connect(site.listening.local_addr()).await;
    // It lives on, so that the next one needs a session of its own.
    let _first = carried(env, &mut site.server, program).await;
    let program = env.connect(site.listening.local_addr()).await;
    let expected = if env.form() == WireForm::Spdy { SPDY } else { WEBSOCKET };
    assert_eq!(carried(env, &mut site.server, program).await.0, [expected]);
}

/// Grants the form to whoever asks for it and refuses others, sees bytes through, and says what it was
/// asked for.
async fn carried<R: Runtime + Net>(
    env: &Env<R>,
    server: &mut R::Listener,
    program: Pipe<R::Socket>,
) -> (Vec<String>, End<R::Socket>, RawStream<R::Socket>) {
    let mut asked = Vec::new();
    let mut session = loop {
        let mut pipe = env.accept(server).await;
        let request = Asked::read(&mut pipe).await.expect("a request");
        asked.push(shown(&request));
        if request.wants(env.form()) {
            break RawStream::granted(pipe, &request, env.form());
        }
        Asked::refuse(&mut pipe, "403 Forbidden", "").await;
    };
    let mut program = End::Socket(program);
    program.write(b"request").await;
    session.open_as_server(PORT.get()).await;
    session.expect(b"request").await;
    session.push_data(b"answer");
    session.pipe.flush().await.unwrap();
    program.expect(b"answer").await;
    (asked, program, session)
}

const NO: &str = "SERVER lets no forward to pod demo in namespace default through";
const ASKED_WEBSOCKET: &str = "asked for SPDY/3.1+portforward.k8s.io or v4.channel.k8s.io";
const ASKED_SPDY: &str = "asked for SPDY/3.1";

/// The rows of protocol.md A.6 that say "fall back".
pub async fn falls_back_to_plain_spdy<R: Runtime + Net>(env: &Env<R>) {
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
        let answers = [answer.clone(), Yes(WireForm::Spdy)];
        let (asked, result) = once(env, Protocol::Auto, answers).await;
        assert_eq!((asked, result), (vec![WEBSOCKET.into(), SPDY.into()], Ok(WireForm::Spdy)));
        // It does not.
        let (asked, result) = once(env, Protocol::Auto, [answer]).await;
        assert_eq!(asked, [WEBSOCKET, SPDY]);
        let both = format!("{NO}; {ASKED_WEBSOCKET}: {said}; {ASKED_SPDY}: {said}");
        assert_eq!(result, Err(both));
    }
}

/// The other rows of protocol.md A.6, about who may do what, about the pod and about load: each is asked
/// once, and what it says is the error.
pub async fn is_over_after_any_other_answer<R: Runtime + Net>(env: &Env<R>) {
    let rbac = "pods \"demo\" is forbidden: User \"jane\" cannot get resource \"pods/portforward\"";
    let rows = [
        json("400 Bad Request", "pod demo does not have a host assigned"),
        json("400 Bad Request", "cannot convert to []int32: x"),
        text("400 Bad Request", "port \"0\" must be > 0"),
        text("400 Bad Request", "unable to upgrade: no tunneling spdy protocols provided"),
        json("401 Unauthorized", "Unauthorized"),
        text("401 Unauthorized", "Unauthorized"),
        json("403 Forbidden", rbac),
        json("403 Forbidden", ""),
        json("403 Forbidden", "admission webhook \"w\" denied the request: no"),
        text("403 Forbidden", "Forbidden (user=jane, verb=get, resource=nodes)"),
        json("404 Not Found", "pods \"demo\" not found"),
        text("404 Not Found", "pod does not exist"),
        text("404 Not Found", "404 page not found"),
        text("404 Not Found", "<html>nothing here</html>"),
        text("405 Method Not Allowed", "Debug endpoints are disabled."),
        text("429 Too Many Requests", ""),
        json("500 Internal Server Error", "error dialing backend: no route"),
        text("500 Internal Server Error", "pod not found (\"demo_default\")"),
        text("502 Bad Gateway", "<html>Bad Gateway</html>"),
        text("503 Service Unavailable", ""),
    ];
    for answer in rows {
        let No(status, _, body) = &answer else { unreachable!() };
        let name = format!("{status} {body}");
        // Plain SPDY would get through: a fall back would be seen.
        let (asked, result) =
            once(env, Protocol::Auto, [answer.clone(), Yes(WireForm::Spdy)]).await;
        assert_eq!(asked, [WEBSOCKET], "{name}");
        let error = result.unwrap_err();
        let refused = "SERVER refused to forward to pod demo in namespace default: ";
        assert!(error.starts_with(refused) && error.contains(status), "{name}: {error}");
    }
    let (asked, result) = once(env, Protocol::Auto, [HangsUp, Yes(WireForm::Spdy)]).await;
    assert_eq!(asked, [WEBSOCKET]);
    let error = "SERVER did not answer in HTTP: connection closed before message completed; is it an API server?";
    assert_eq!(result, Err(error.to_owned()));
}

/// An answer that something on the way has touched is no yes.
pub async fn trusts_no_switch_that_was_changed<R: Runtime + Net>(env: &Env<R>) {
    let subprotocol = "Sec-WebSocket-Protocol";
    for (answer, said) in [
        (
            Changed(WireForm::V4, subprotocol, None),
            "the server chose no subprotocol: something between may have stripped the header",
        ),
        (
            Changed(WireForm::V4, subprotocol, Some("v5.channel.k8s.io")),
            "the server chose the subprotocol v5.channel.k8s.io, which was not offered: something between may have changed the header",
        ),
        (
            Changed(WireForm::V4, "Sec-WebSocket-Accept", Some("AAAA")),
            "the answer 101 has a wrong Sec-WebSocket-Accept: it was not made for this request, something between may have made it",
        ),
    ] {
        let answers = [answer.clone(), Yes(WireForm::Spdy)];
        let (asked, result) = once(env, Protocol::Auto, answers).await;
        assert_eq!((asked, result), (vec![WEBSOCKET.into(), SPDY.into()], Ok(WireForm::Spdy)));
        let bad_spdy = Changed(WireForm::Spdy, "X-Stream-Protocol-Version", None);
        let (asked, result) = once(env, Protocol::Auto, [answer, bad_spdy]).await;
        assert_eq!(asked, [WEBSOCKET, SPDY]);
        let stripped =
            "the server chose no subprotocol: something between may have stripped the header";
        let both = format!("{NO}; {ASKED_WEBSOCKET}: {said}; {ASKED_SPDY}: {stripped}");
        assert_eq!(result, Err(both));
    }
}

/// Where both requests fail, both errors are told, the first first.
pub async fn tells_both_errors<R: Runtime + Net>(env: &Env<R>) {
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
        let (asked, result) = once(env, Protocol::Auto, [text("403 Forbidden", ""), answer]).await;
        assert_eq!(asked, [WEBSOCKET, SPDY]);
        let both = format!("{NO}; {ASKED_WEBSOCKET}: {websocket}; {ASKED_SPDY}: {said}");
        assert_eq!(result, Err(both));
    }
}

/// A protocol that was chosen by name is the only one that is asked for, and the error says so.
pub async fn asks_for_what_was_chosen_alone<R: Runtime + Net>(env: &Env<R>) {
    let request = match env.form().subprotocol() {
        Some(name) => format!("GET websocket [{name}] ports=8080"),
        None => SPDY.to_owned(),
    };
    let protocol = env.protocol();
    let (asked, result) = once(env, protocol, [Yes(env.form())]).await;
    assert_eq!((asked, result), (vec![request.clone()], Ok(env.form())));
    let (asked, result) = once(env, protocol, [text("403 Forbidden", "")]).await;
    assert_eq!(asked, [request]);
    let error = format!(
        "SERVER refused to forward to pod demo in namespace default: the server knows none of the subprotocols offered (403 Forbidden); nothing but {protocol} was tried, as asked: another protocol may get through"
    );
    assert_eq!(result, Err(error));
}

/// What worked and is refused now is forgotten, at once; a server in trouble changes nothing.
pub async fn forgets_what_works_no_more<R: Runtime + Net>(env: &Env<R>) {
    let no = || text("403 Forbidden", "");
    let busy = text("503 Service Unavailable", "");
    let answers = [
        no(),
        Yes(WireForm::Spdy),
        busy,
        no(),
        Yes(WireForm::V4),
        Yes(WireForm::V4),
        no(),
        no(),
        no(),
        Yes(WireForm::Spdy),
    ];
    let mut server = Script::new(env, answers).await;
    let listening = listen(env, server.connector(), Protocol::Auto).await;
    assert_eq!(form(server.during(listening.probe()).await), WireForm::Spdy);
    assert_eq!(server.asked(), [WEBSOCKET, SPDY]);
    // A server in trouble has not forgotten its SPDY, nor have we.
    let refused = server.during(listening.probe()).await;
    assert!(matches!(refused, Err(ConnectError::Dial(DialError::Refused { .. }))), "{refused:?}");
    assert_eq!(server.asked(), [SPDY]);
    // A refusal is: the WebSocket is asked again, at once and from then on.
    assert_eq!(form(server.during(listening.probe()).await), WireForm::V4);
    assert_eq!(server.asked(), [SPDY, WEBSOCKET]);
    assert_eq!(form(server.during(listening.probe()).await), WireForm::V4);
    assert_eq!(server.asked(), [WEBSOCKET]);
    // Nothing works, nothing is remembered.
    let failed = server.during(listening.probe()).await;
    let Err(ConnectError::Negotiation(error)) = failed else { panic!("{failed:?}") };
    let asked: Vec<_> = error.attempts().iter().map(|attempt| attempt.asked.clone()).collect();
    assert_eq!(asked, [vec![WireForm::Tunnel, WireForm::V4], vec![WireForm::Spdy]]);
    assert_eq!(form(server.during(listening.probe()).await), WireForm::Spdy);
    assert_eq!(server.asked(), [WEBSOCKET, SPDY, WEBSOCKET, SPDY]);
}

/// What one clone of a connector has learnt they all know, in listeners and in forwards.
pub async fn is_shared_by_clones_of_a_connector<R: Runtime + Net>(env: &Env<R>) {
    let mut server = Script::new(env, [text("403 Forbidden", ""), Yes(WireForm::Spdy)]).await;
    let connector = server.connector();
    let options = env.options().with_protocol(Protocol::Auto);
    for expected in [&[WEBSOCKET, SPDY][..], &[SPDY], &[SPDY]] {
        let forward = env.runtime().forward(connector.clone(), &[PORT], options.clone());
        let _ = server.during(forward).await;
        assert_eq!(server.asked(), expected);
    }
    let listening = listen(env, connector, Protocol::Auto).await;
    assert_eq!(form(server.during(listening.probe()).await), WireForm::Spdy);
    assert_eq!(server.asked(), [SPDY]);
}

/// A listener remembers for itself where its connector does not, and another learns anew.
pub async fn is_remembered_by_a_listener<R: Runtime + Net>(env: &Env<R>) {
    let answers =
        [text("403 Forbidden", ""), Yes(WireForm::Spdy), Yes(WireForm::Spdy), Yes(WireForm::V4)];
    let mut server = Script::new(env, answers).await;
    let connector = Forgetful(server.connector());
    let listening = listen(env, connector.clone(), Protocol::Auto).await;
    assert_eq!(form(server.during(listening.probe()).await), WireForm::Spdy);
    assert_eq!(server.asked(), [WEBSOCKET, SPDY]);
    // Its connections know what its probe has learnt.
    let mut events = listening.events();
    let mut program = env.connect(listening.local_addr()).await;
    program.push(b"hello");
    let _ = program.flush().await;
    let ended = async {
        while let Some(event) = events.next().await {
            if matches!(event, ListenEvent::Ended { .. } | ListenEvent::Failed { .. }) {
                return;
            }
        }
    };
    server.during(ended).await;
    assert_eq!(server.asked(), [SPDY]);
    let another = listen(env, connector, Protocol::Auto).await;
    assert_eq!(form(server.during(another.probe()).await), WireForm::V4);
    assert_eq!(server.asked(), [WEBSOCKET]);
}

/// A kubelet is asked for ports under the name that it knows, in both requests.
pub async fn names_ports_as_a_kubelet_wants_them<R: Runtime + Net>(env: &Env<R>) {
    let mut server = Script::new(env, [text("403 Forbidden", ""), Yes(WireForm::Spdy)]).await;
    let connector = server.connector().with_peer(Peer::Kubelet);
    let listening = listen(env, connector, Protocol::Auto).await;
    assert_eq!(form(server.during(listening.probe()).await), WireForm::Spdy);
    let expected = [WEBSOCKET, SPDY].map(|request| request.replace("ports=", "port="));
    assert_eq!(server.asked(), expected);
}

/// An answer to an upgrade request.
#[derive(Debug, Clone)]
enum Says {
    /// Status, one header, and body.
    No(&'static str, &'static str, String),
    /// 101 to this form.
    Yes(WireForm),
    /// The same with another value of a header, or without it.
    Changed(WireForm, &'static str, Option<&'static str>),
    /// Nothing.
    HangsUp,
}

use Says::{Changed, HangsUp, No, Yes};

fn text(status: &'static str, body: &str) -> Says {
    No(status, "Content-Type: text/plain", body.to_owned())
}

/// As an API server answers.
fn json(status: &'static str, message: &str) -> Says {
    let code = &status[..3];
    let message = message.replace('"', "\\\"");
    let body = format!(
        r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","reason":"Why","code":{code}}}"#
    );
    No(status, "Content-Type: application/json", body)
}

/// A server by hand that gives these answers in turn, and then the last one for ever.
struct Script<'a, R: Runtime + Net> {
    env: &'a Env<R>,
    listener: R::Listener,
    answers: VecDeque<Says>,
    asked: Vec<String>,
}

impl<'a, R: Runtime + Net> Script<'a, R> {
    async fn new(env: &'a Env<R>, answers: impl IntoIterator<Item = Says>) -> Self {
        let (listener, answers) = (env.bind().await, answers.into_iter().collect());
        Self { env, listener, answers, asked: Vec::new() }
    }

    fn connector(&self) -> HttpConnector<R> {
        self.env.connector(local_addr(&self.listener))
    }

    /// Answers for as long as that takes.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        or(work, async {
            loop {
                self.answer().await
            }
        })
        .await
    }

    /// What it was asked for since the last time.
    fn asked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.asked)
    }

    async fn answer(&mut self) {
        let mut pipe = self.env.accept(&mut self.listener).await;
        let Some(request) = Asked::read(&mut pipe).await else { return };
        self.asked.push(shown(&request));
        let last = self.answers.len() == 1;
        let next = if last { self.answers.front().cloned() } else { self.answers.pop_front() };
        match next.expect("an answer") {
            HangsUp => return,
            No(status, header, body) => {
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\n{header}\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                pipe.push(answer.as_bytes());
            }
            Yes(form) => request.grant(&mut pipe, form),
            Changed(form, header, value) => {
                let granting = request.granting(form);
                let edited = granting.split("\r\n").filter_map(|line| {
                    if !line.starts_with(header) {
                        return Some(line.to_owned());
                    }
                    value.map(|value| format!("{header}: {value}"))
                });
                pipe.push(edited.collect::<Vec<_>>().join("\r\n").as_bytes());
            }
        }
        // The session is not what this is about: its first message ends it.
        self.env.runtime().spawn(async move {
            let _ = pipe.flush().await;
            let _ = pipe.fill().await;
        });
    }
}

/// Method, `Upgrade`, the protocols asked for, and the query.
fn shown(request: &Asked) -> String {
    let header = |name| request.header(name).unwrap_or_default();
    let mut line = request.line.split(' ');
    let method = line.next().unwrap_or_default();
    let query =
        line.next().and_then(|target| target.split_once('?')).map_or("", |(_, query)| query);
    let protocols =
        [header("sec-websocket-protocol"), header("x-stream-protocol-version")].concat();
    format!("{method} {} [{protocols}] {query}", header("upgrade"))
}

async fn listen<R: Runtime + Net, C: Connector>(
    env: &Env<R>,
    connector: C,
    protocol: Protocol,
) -> Listening {
    let mapping = Mapping::new(0, PORT).on([LOCALHOST.ip()]);
    let options = env.options().with_protocol(protocol);
    env.runtime().listen(connector, [mapping], options).await.expect("a local port")
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
    env: &Env<R>,
    protocol: Protocol,
    answers: impl IntoIterator<Item = Says>,
) -> (Vec<String>, Result<WireForm, String>) {
    let mut server = Script::new(env, answers).await;
    let listening = listen(env, server.connector(), protocol).await;
    let address = local_addr(&server.listener).to_string();
    let result = match server.during(listening.probe()).await {
        Err(error) => Err(error.to_string().replace(&address, "SERVER")),
        Ok(probe) => Ok(probe.form),
    };
    (server.asked(), result)
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
