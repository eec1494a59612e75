use std::net::TcpListener;

use crate::fake_server::FakeServer;
use crate::process::{Portway, command, run};
use crate::v4_server::V4Server;

const SERVER: &str = "--server http://127.0.0.1:1";

/// The command line, and what is wrong with it.
const NONSENSE: &[(&str, &str)] = &[
    (
        "web 0",
        "cannot forward port '0': remote port must be > 0; only a local port can be 0, for a free one",
    ),
    (
        "web 8888:0",
        "cannot forward port '8888:0': remote port must be > 0; only a local port can be 0, for a free one",
    ),
    (
        "web a:b:c",
        "cannot forward port 'a:b:c': there is more than one colon; give LOCAL:REMOTE (local addresses go to --address)",
    ),
    (
        "web 70000",
        "cannot forward port '70000': remote port '70000' is neither a whole number from 1 to 65535 nor a name (lower-case letters, digits and hyphens)",
    ),
    (
        "web x!",
        "cannot forward port 'x!': remote port 'x!' is neither a whole number from 1 to 65535 nor a name (lower-case letters, digits and hyphens)",
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
        "node/web 80",
        "cannot forward to 'node/web': nothing can be forwarded to a 'node'; give a pod, service, deployment, replicaset, statefulset, daemonset, job or replicationcontroller",
    ),
    (
        "pod/ 80",
        "cannot forward to 'pod/': '' is no object's name: lower-case letters, digits, hyphens and dots, 253 at most, none of the latter at an end",
    ),
    ("web svc/web 80", "no port of web is given; give [LOCAL:]REMOTE behind it"),
    ("web", "no port of web is given; give [LOCAL:]REMOTE behind it"),
    ("-l app=web", "no port of app=web is given; give [LOCAL:]REMOTE behind it"),
    (
        "-l app=web!x 80",
        "cannot forward to pods with 'app=web!x': 'app=web!x' selects nothing; give labels such as app=web,tier in (front,back)",
    ),
    ("web 53/udp", "UDP protocol is not supported for 53/udp: port-forward carries TCP only"),
    (
        "web 8053:53/UDP",
        "UDP protocol is not supported for 8053:53/UDP: port-forward carries TCP only",
    ),
    (
        "web -R 8080:80",
        "invalid value '8080:80' for '--reverse <PORTS>': port-forward opens connections into a pod, and its protocol has none out of it; run what dials out in the pod, such as an SSH server, and `ssh -R` through `portway ... --stdio`",
    ),
    ("web 53/sctp", "SCTP protocol is not supported for 53/sctp: port-forward carries TCP only"),
    (
        "web 5000 svc/db 5000:5432",
        "local port 5000 is asked for twice, by 5000 and by 5000:5432; give one of them another local port, or :5432 for a free one",
    ),
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
        "web 80 --request-timeout soon",
        "invalid value 'soon' for '--request-timeout <DURATION>': it is no length of time above 0 such as 30s or 1m30s",
    ),
    (
        "web 80 --pod-running-timeout 0",
        "invalid value '0' for '--pod-running-timeout <DURATION>': it is no length of time above 0 such as 30s or 1m30s",
    ),
    (
        "web 80 --sessions shared:0",
        "invalid value 'shared:0' for '--sessions <exclusive|shared:N>': a session is shared by 1 to 1024 connections",
    ),
    (
        "web 80 --buffer 1",
        "invalid value '1' for '--buffer <SIZE>': it is no number of bytes from 4Ki to 1Gi, such as 65536, 512Ki or 1Mi",
    ),
    (
        "web 80 --reconnect never",
        "invalid value 'never' for '--reconnect <sticky|per-connection|round-robin|off>': it is none of sticky, per-connection, round-robin and off",
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
    ("web 80 --nonsense", "unexpected argument '--nonsense' found"),
    ("", "the following required arguments were not provided: <TARGET [LOCAL:]REMOTE>..."),
];

#[test]
fn a_command_line_that_makes_no_sense_is_one_line_of_error_and_exit_code_2() {
    for (args, error) in NONSENSE {
        let ended = run(&format!("{args} {SERVER}"));
        ended.expect_error(2, &format!("error: {error} (see portway --help)"));
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
    let server = V4Server::echo(80);
    let unable = format!(
        "Unable to listen on port {port}: Listeners failed to create with the following errors: [unable to create listener: Error listen tcp4 127.0.0.1:{port}: bind: address already in use]"
    );
    let args = format!("--address 127.0.0.1 --server http://{}", server.address());
    let ended = run(&format!("web {port}:80 {args}"));
    let nothing = format!("error: unable to listen on any of the requested ports: [{{{port} 80}}]");
    assert_eq!(ended.stderr, [unable.as_str(), &nothing]);
    assert_eq!((ended.code, ended.stdout.len()), (Some(1), 0));
    // The others are opened all the same, as kubectl does.
    let portway = Portway::start(&format!("web {port}:80 :81 {args}"));
    assert_eq!(portway.stderr.next(), unable);
    assert_ne!(portway.forwarding(81).port(), port);
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
