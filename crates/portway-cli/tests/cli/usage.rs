use std::net::TcpListener;

use crate::fake_server::FakeServer;
use crate::process::{Portway, command, run};
use crate::v4_server::V4Server;

const SERVER: &str = "--server http://127.0.0.1:1";

/// The command line, and what is wrong with it.
const NONSENSE: &[(&str, &str)] = &[
    (
        "web 0",
        "invalid value '0' for '<[LOCAL:]REMOTE>...': remote port must be > 0; only a local port can be 0, for a free one",
    ),
    (
        "web 8888:0",
        "invalid value '8888:0' for '<[LOCAL:]REMOTE>...': remote port must be > 0; only a local port can be 0, for a free one",
    ),
    (
        "web 8888:",
        "invalid value '8888:' for '<[LOCAL:]REMOTE>...': remote port cannot be empty; give the pod's port behind the colon",
    ),
    (
        "web a:b:c",
        "invalid value 'a:b:c' for '<[LOCAL:]REMOTE>...': there is more than one colon; give LOCAL:REMOTE (local addresses go to --address)",
    ),
    (
        "web 80 http",
        "invalid value 'http' for '<[LOCAL:]REMOTE>...': 'http' is the name of a port, and named ports are not supported yet; give its number",
    ),
    (
        "web 70000",
        "invalid value '70000' for '<[LOCAL:]REMOTE>...': remote port '70000' is neither a whole number from 1 to 65535 nor a name (lower-case letters, digits and hyphens)",
    ),
    (
        "web x!",
        "invalid value 'x!' for '<[LOCAL:]REMOTE>...': remote port 'x!' is neither a whole number from 1 to 65535 nor a name (lower-case letters, digits and hyphens)",
    ),
    (
        "web 5000 5000",
        "local port 5000 is asked for twice, by 5000 and by 5000; give one of them another local port, or :5000 for a free one",
    ),
    (
        "web 5000 5000:80",
        "local port 5000 is asked for twice, by 5000 and by 5000:80; give one of them another local port, or :80 for a free one",
    ),
    (
        "svc/web 80",
        "invalid value 'svc/web' for '<[TYPE/]POD>': 'svc' is not a pod, and targets other than pods come with a later version; give POD or pod/POD",
    ),
    ("pod/ 80", "invalid value 'pod/' for '<[TYPE/]POD>': it names no pod; give POD or pod/POD"),
    (
        "web 80 --address example.org",
        "invalid value 'example.org' for '--address <ADDRESS>': example.org is not a valid IP; give IP addresses or localhost",
    ),
    (
        "web 80 --address localhost,::1,127.0.0.1:80",
        "invalid value '127.0.0.1:80' for '--address <ADDRESS>': 127.0.0.1:80 is not a valid IP; give IP addresses or localhost",
    ),
    (
        "web 80 --half-close soon",
        "invalid value 'soon' for '--half-close <immediate|never|SECONDS>': it is neither immediate, never, nor a number of seconds",
    ),
    (
        "web 80 --protocol websocket",
        "invalid value 'websocket' for '--protocol <auto|tunnel|v4|spdy>': it is none of auto, tunnel, v4, v4-base64 and spdy",
    ),
    (
        "web 80 --timeout 0",
        "invalid value '0' for '--timeout <SECONDS>': it is not a number of seconds above 0",
    ),
    (
        "web 80 --header secret",
        "invalid value '(not shown)' for '--header <NAME: VALUE>': a header has no colon; give it as 'Name: value'",
    ),
    (
        "web 80 --header upgrade:h2c",
        "invalid value '(not shown)' for '--header <NAME: VALUE>': header upgrade is set by portway itself; leave it out",
    ),
    (
        "web 80 --addres x",
        "unexpected argument '--addres' found; tip: a similar argument exists: '--address'",
    ),
    ("web", "the following required arguments were not provided: <[LOCAL:]REMOTE>..."),
];

#[test]
fn a_command_line_that_makes_no_sense_is_one_line_of_error_and_exit_code_2() {
    for (args, error) in NONSENSE {
        let ended = run(&format!("{args} {SERVER}"));
        ended.expect_error(2, &format!("error: {error} (see portway --help)"));
    }
    let ended = run("web 80");
    ended.expect_error(2, "error: the following required arguments were not provided: --server <URL> (see portway --help)");
}

#[test]
fn a_server_that_cannot_be_used_is_a_mistake_in_the_command_line() {
    for (server, error) in [
        (
            "https://127.0.0.1:6443",
            "https is not supported yet; run `kubectl proxy` and give its address, such as http://127.0.0.1:8001",
        ),
        (
            "HTTPS://a",
            "https is not supported yet; run `kubectl proxy` and give its address, such as http://127.0.0.1:8001",
        ),
        (
            "ftp://a",
            "cannot use the server \"ftp://a\": it does not start with http://; give one like http://127.0.0.1:8001",
        ),
        (
            "127.0.0.1:8001",
            "cannot use the server \"127.0.0.1:8001\": it does not start with http://; give one like http://127.0.0.1:8001",
        ),
        (
            "http://a/?b",
            "cannot use the server \"http://a/?b\": it has a query; give one like http://127.0.0.1:8001",
        ),
    ] {
        run(&format!("web :80 --server {server}"))
            .expect_error(2, &format!("error: --server: {error}"));
    }
}

#[test]
fn a_command_line_never_reaches_the_terminal_as_it_came() {
    let mut command = command(SERVER);
    command.args(["web", "\u{1b}[2J\u{7}"]);
    let ended = Portway::spawn(&mut command).end();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.iter().all(|line| !line.contains(['\u{1b}', '\u{7}'])), "{ended:?}");
}

#[test]
fn help_and_version_go_to_stdout() {
    for args in ["--help", "-h", "--version", "demo --help"] {
        let ended = run(args);
        assert_eq!((ended.code, ended.stderr.len()), (Some(0), 0), "{ended:?}");
        assert!(ended.stdout.iter().any(|line| line.contains("portway")), "{ended:?}");
    }
}

#[test]
fn a_local_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let in_use = TcpListener::bind(("127.0.0.1", port)).unwrap_err();
    let server = V4Server::echo(80);
    let ended =
        run(&format!("web {port}:80 --address 127.0.0.1 --server http://{}", server.address()));
    ended.expect_error(1, &format!("error: cannot listen on 127.0.0.1:{port} for port 80 of the pod: {in_use}; give another local port, or :80 for a free one"));
}

#[test]
fn a_hundred_and_twenty_eight_ports_are_no_problem() {
    let server = V4Server::echo(1);
    let ports: Vec<_> = (1..=128).map(|port| format!(":{port}")).collect();
    let portway = Portway::start(&format!(
        "web {} --address 127.0.0.1 --server http://{}",
        ports.join(" "),
        server.address()
    ));
    for remote in 1..=128 {
        assert_ne!(portway.forwarding(remote).port(), 0);
    }
}

#[test]
fn the_request_is_what_the_command_line_says() {
    let server = FakeServer::status(404, "NotFound", "no");
    let mut command = command(&format!(
        "po/web-0 :8080 -n prod --server http://{}/clusters/one",
        server.address()
    ));
    command.args(["--header", "Impersonate-User: jane", "--header", "X-A: 1"]);
    assert_eq!(Portway::spawn(&mut command).end().code, Some(1));
    let request = server.request_for_v4_too();
    let first =
        "GET /clusters/one/api/v1/namespaces/prod/pods/web-0/portforward?ports=8080 HTTP/1.1";
    assert_eq!(request.lines().next(), Some(first));
    let request = request.to_ascii_lowercase();
    for header in [
        "impersonate-user: jane",
        "x-a: 1",
        "sec-websocket-protocol: spdy/3.1+portforward.k8s.io, v4.channel.k8s.io",
    ] {
        assert!(request.lines().any(|line| line == header), "{request}");
    }
}

#[test]
fn a_protocol_is_asked_for_by_its_name() {
    let websocket =
        |offered| ("GET", "upgrade: websocket", format!("sec-websocket-protocol: {offered}"));
    let plain =
        ("POST", "upgrade: SPDY/3.1", "x-stream-protocol-version: portforward.k8s.io".to_owned());
    for (protocol, (method, upgrade, offered)) in [
        ("auto", websocket("SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io")),
        ("tunnel", websocket("SPDY/3.1+portforward.k8s.io")),
        ("v4", websocket("v4.channel.k8s.io")),
        ("v4-base64", websocket("v4.base64.channel.k8s.io")),
        ("spdy", plain),
    ] {
        let server = FakeServer::status(404, "NotFound", "no");
        let ended =
            run(&format!("web :80 --protocol {protocol} --server http://{}", server.address()));
        assert_eq!(ended.code, Some(1));
        let ahead = protocol == "auto";
        let request = if ahead { server.request_for_v4_too() } else { server.request() };
        assert!(request.starts_with(&format!("{method} ")), "{request}");
        for header in [upgrade, &offered] {
            assert!(request.lines().any(|line| line.eq_ignore_ascii_case(header)), "{request}");
        }
    }
}
