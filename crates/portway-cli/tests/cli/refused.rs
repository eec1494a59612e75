use std::io::Read;
use std::net::{TcpListener, TcpStream};

use crate::fake_server::{FakeServer, Then};
use crate::process::{PATIENCE, Portway, run};
use crate::v4_server::V4Server;

/// The error of a server that refuses everything: `{}` is its address.
#[track_caller]
fn expect(server: &FakeServer, error: &str) {
    expect_with("", server, error);
}

/// The same with more on the command line.
#[track_caller]
fn expect_with(args: &str, server: &FakeServer, error: &str) {
    let at = server.address().to_string();
    let ended = run(&format!("web :80 {args} --server http://{at}"));
    ended.expect_error(1, &format!("error: {}", error.replace("{}", &format!("http://{at}"))));
}

#[test]
fn forbidden_names_both_verbs() {
    let message = r#"pods "web" is forbidden: User "jane" cannot create resource "pods/portforward" in API group "" in the namespace "default""#;
    let server = FakeServer::status(403, "Forbidden", message);
    expect(
        &server,
        &format!(
            "{{}} refused to forward to pod web in namespace default: forwarding to this pod is not allowed (403 Forbidden): {message}; create is missing, the role needs both verbs get and create on pods/portforward; `portway check pod/web` shows the Role to apply"
        ),
    );
}

#[test]
fn a_missing_pod_is_said_to_be_missing() {
    let server = FakeServer::status(404, "NotFound", r#"pods "web" not found"#);
    expect(
        &server,
        r#"{} refused to forward to pod web in namespace default: there is no such pod (404 Not Found): pods "web" not found; look the target up again"#,
    );
}

#[test]
fn a_server_in_trouble_is_quoted() {
    let server = FakeServer::refusing("500 Internal Server Error", "text/plain", "oh no\n");
    expect(
        &server,
        "{} refused to forward to pod web in namespace default: the server or something on the way failed (500 Internal Server Error): oh no; try again later",
    );
    let server = FakeServer::status(500, "InternalError", "error dialing backend: no route");
    expect(
        &server,
        "{} refused to forward to pod web in namespace default: the API server cannot reach the pod's node (500 Internal Server Error): error dialing backend: no route; try again later",
    );
}

#[test]
fn something_that_is_no_api_server_is_said_to_be_none() {
    for answer in ["SSH-2.0-OpenSSH_9.9\r\n", "\0\0\0\0", "HTTP/9.9 101 Yes\r\n\r\n"] {
        expect(
            &FakeServer::start(answer, Then::Hold),
            "cannot reach {}: invalid HTTP version parsed",
        );
    }
}

#[test]
fn silence_is_not_waited_for_forever() {
    expect_with(
        "--request-timeout 300ms",
        &FakeServer::start("", Then::Hold),
        "cannot get pod 'web' in namespace default: the API server did not answer within 0.3 s",
    );
}

#[test]
fn a_server_that_hangs_up_is_named() {
    let server = FakeServer::start("", Then::Close);
    expect(&server, "cannot reach {}: connection closed before message completed");
}

#[test]
fn a_web_server_is_not_believed() {
    let server = FakeServer::refusing("200 OK", "text/html", "<html>hello</html>");
    expect_with(
        "--protocol v4",
        &server,
        "{} refused to forward to pod web in namespace default: something on the way does not pass upgrades on (200 OK): <html>hello</html>; nothing but v4 was tried, as asked: another protocol may get through",
    );
    let server = FakeServer::forwards(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        Then::Hold,
    );
    expect_with(
        "--protocol v4",
        &server,
        "{}: the answer 101 has a wrong Sec-WebSocket-Accept: it was not made for this request, something between may have made it; nothing but v4 was tried, as asked: another protocol may get through",
    );
}

#[test]
fn where_nothing_gets_through_everything_that_was_tried_is_told() {
    let said = "something on the way refuses the request (403 Forbidden): blocked by policy";
    expect(
        &FakeServer::refusing("403 Forbidden", "text/plain", "blocked by policy"),
        &format!(
            "{{}} lets no forward to pod web in namespace default through; asked for SPDY/3.1+portforward.k8s.io or v4.channel.k8s.io: {said}; asked for SPDY/3.1: {said}"
        ),
    );
    expect_with(
        "--protocol spdy",
        &FakeServer::refusing("403 Forbidden", "text/plain", "blocked by policy"),
        &format!(
            "{{}} refused to forward to pod web in namespace default: {said}; nothing but spdy was tried, as asked: another protocol may get through"
        ),
    );
}

#[test]
fn an_unreachable_server_is_named() {
    // Free, because it was ours a moment ago.
    let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = TcpStream::connect(at).unwrap_err();
    let ended = run(&format!("web :80 --server http://{at}"));
    ended.expect_error(1, &format!("error: cannot reach http://{at}: {refused}; nothing listens there: is the cluster up, and is this its address?"));
}

#[test]
fn a_huge_error_with_terminal_escapes_is_one_harmless_line() {
    let hostile = "\u{1b}]0;owned\u{7}\u{9b}31m\r\n\u{202e}".repeat(50_000);
    let server = FakeServer::refusing("500 Internal Server Error", "text/plain", &hostile);
    let ended = run(&format!("web :80 --server http://{}", server.address()));
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr.len(), 1);
    harmless(&ended.stderr[0]);
}

#[track_caller]
fn harmless(line: &str) {
    assert!(line.chars().count() < 1_000, "{} characters", line.chars().count());
    assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
}

/// A forward whose session ended in an error: what was said on stderr, with `{}` for the local address.
fn broken(server: &V4Server) -> String {
    let portway = Portway::start(&format!(
        "web :80 --address 127.0.0.1 --server http://{}",
        server.address()
    ));
    let local = portway.forwarding(80);
    let mut said = String::new();
    // Twice: the command goes on.
    for connection in 1..=2 {
        let mut program = TcpStream::connect(local).unwrap();
        program.set_read_timeout(Some(PATIENCE)).unwrap();
        let end = program.read(&mut [0; 64]);
        assert!(end.is_err(), "an error is a reset: {end:?}");
        assert_eq!(portway.stdout.next(), format!("Handling connection for {}", local.port()));
        said = portway.stderr.next();
        let name = format!("connection {connection} ({local} -> 80): ");
        said = said.strip_prefix(&name).expect("the connection, by its name").to_owned();
    }
    said
}

#[test]
fn a_refused_port_is_quoted_and_the_command_goes_on() {
    let text = "error forwarding port 80 to pod 1f, uid : failed to connect to localhost:80: connection refused";
    let server = V4Server::start(move |session| {
        session.announce(80);
        session.fail(text.as_bytes());
    });
    assert_eq!(broken(&server), text);
}

#[test]
fn a_hostile_error_text_is_one_harmless_line() {
    let server = V4Server::start(|session| {
        session.announce(80);
        session.fail("\u{1b}[2J\u{1b}]0;owned\u{7}\r\n".repeat(5_000).as_bytes());
    });
    let said = broken(&server);
    assert!(said.contains("[2J"), "{said:?}");
    harmless(&said);
}

#[test]
fn a_wrong_port_prefix_is_named() {
    let server = V4Server::start(|session| session.announce(81));
    assert_eq!(
        broken(&server),
        "the server broke the protocol: channel 0 announces port 81, expected 80"
    );
}
