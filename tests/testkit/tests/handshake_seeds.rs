//! Makes the seeds of `handshake_request` and `handshake_response` again:
//! `cargo test -p portway-testkit --test handshake_seeds -- --ignored`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

use portway_proto::handshake::Key;
use portway_testkit::harness::handshake::KEY;
use portway_testkit::transcript::Transcript;

/// All forms, either parameter; the same without the tunnel; base64 only, as an API server.
const ALL: &str = "?";
const NO_TUNNEL: &str = ";";
const BASE64_AT_API_SERVER: &str = "\u{2}";

fn write(target: &str, name: &str, seed: &str) {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus")).join(target);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), seed).unwrap();
}

#[test]
#[ignore = "writes the corpus"]
fn requests() {
    let key = format!("sec-websocket-key: {}", Key::new(KEY).header());
    let write = |name: &str, seed: String| write("handshake_request", name, &seed);
    for transcript in Transcript::load_all("") {
        let line = transcript.request[0].trim_end_matches(" HTTP/1.1");
        let headers = transcript.request[1..].join("\n");
        let server = if transcript.name.starts_with("tunnel-") { ALL } else { NO_TUNNEL };
        // Recordings of one kind share their request.
        let name = [
            "v4-base64",
            "v4-node",
            "v4-n",
            "v4-o",
            "v4-t",
            "v4-",
            "tunnel-node",
            "tunnel-",
            "spdy-kubectl",
            "spdy-node",
            "refused-",
        ]
        .into_iter()
        .find(|prefix| transcript.name.starts_with(prefix))
        .map(|prefix| if prefix == "refused-" { &*transcript.name } else { prefix })
        .unwrap();
        write(name.trim_end_matches('-'), format!("{server}{line}\n{headers}\n{key}"));
    }
    let websocket = format!(
        "Connection: keep-alive, Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n{key}\nSec-WebSocket-Protocol: "
    );
    let tunnel_and_v4 = "SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io";
    for (name, server, query, offered) in [
        ("combined", ALL, "ports=80,443", tunnel_and_v4),
        ("combined-without-tunnel", NO_TUNNEL, "ports=80,443", tunnel_and_v4),
        ("other-tunnel", ALL, "", "SPDY/3.1+v4.channel.k8s.io"),
        ("escapes", ALL, "p%6Frts=%38%30%2C81&x=1;2&port=65535&+", "v4.channel.k8s.io"),
        ("limits", ALL, "ports=65535,65536", "v4.channel.k8s.io"),
        ("base64", BASE64_AT_API_SERVER, "port=1&ports=2", "v4.base64.channel.k8s.io"),
        (
            "bearer",
            ALL,
            "ports=80",
            "base64url.bearer.authorization.k8s.io.dG9rZW4, v4.channel.k8s.io",
        ),
    ] {
        write(name, format!("{server}GET /p?{query}\n{websocket}{offered}"));
    }
    for (name, offered) in [
        ("spdy", "portforward.k8s.io"),
        ("spdy-other", "v4.channel.k8s.io"),
        ("spdy-list", "v4.channel.k8s.io, portforward.k8s.io"),
    ] {
        let headers = "Connection: Upgrade\nUpgrade: SPDY/3.1\nX-Stream-Protocol-Version: ";
        write(name, format!("{ALL}POST /p\n{headers}{offered}"));
    }
    for count in [40, 41, 128, 129] {
        let list = vec!["1"; count].join(",");
        let form = if count < 100 { "v4.base64.channel.k8s.io" } else { "v4.channel.k8s.io" };
        write(&format!("ports-{count}"), format!("{ALL}GET /p?ports={list}\n{websocket}{form}"));
    }
}

#[test]
#[ignore = "writes the corpus"]
fn responses() {
    let write = |name: &str, seed: String| write("handshake_response", name, &seed);
    let accept = format!("Sec-WebSocket-Accept: {}", Key::new(KEY).accept());
    for (name, offer, transcript) in [
        ("v4", '0', "v4-echo"),
        ("base64", '3', "v4-base64-echo"),
        ("tunnel", '1', "tunnel-kubectl-echo"),
        ("not-offered", '0', "tunnel-kubectl-echo"),
        ("nothing-chosen", '0', "v4-nothing-offered"),
        ("refused-no-ports", '1', "refused-no-ports"),
        ("refused-port-0", '0', "refused-port-0"),
        ("refused-port-text", '0', "refused-port-text"),
        ("refused-v5-only", '0', "refused-v5-only"),
    ] {
        let transcript = Transcript::load(transcript);
        let status = transcript.response[0].split(' ').nth(1).unwrap();
        let headers = transcript.response[1..].join("\n");
        let body = transcript.body.unwrap_or_default();
        write(name, format!("{offer}{status}\n{headers}\n{accept}\n\n{body}"));
    }
    // Letters in another case are another accept, and no mutation is likely to change just that.
    let wrong = format!("Sec-WebSocket-Accept: {}", Key::new(KEY).accept().to_lowercase());
    let headers =
        "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Protocol: v4.channel.k8s.io";
    write("accept-in-lower-case", format!("0101\n{headers}\n{wrong}\n\n"));
    let spdy =
        "Connection: Upgrade\nUpgrade: SPDY/3.1\nX-Stream-Protocol-Version: portforward.k8s.io";
    write("spdy", format!("5101\n{spdy}\n\n"));
    let mismatch = "X-Accepted-Stream-Protocol-Versions: v2.portforward.k8s.io";
    write("spdy-mismatch", format!("5403\n{mismatch}\n\nunable to upgrade: \u{1b}[31m"));
    for (name, status, headers, body) in [
        (
            "forbidden",
            403,
            "Content-Type: application/json",
            r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods \"demo\" is forbidden: User \"j\" cannot create resource \"pods/portforward\"","reason":"Forbidden","code":403}"#,
        ),
        (
            "not-found",
            404,
            "X: y",
            r#"{"kind":"Status","message":"pods \"d\" not found\u001b","reason":"NotFound"}"#,
        ),
        (
            "overload",
            429,
            "Retry-After: 60",
            r#"{"kind":"Status","details":{"retryAfterSeconds":3}}"#,
        ),
        ("kubelet-forbidden", 403, "X: y", "Forbidden (user=j, verb=get, resource=nodes)"),
        ("backend", 500, "X: y", "error dialing backend: dial tcp 10.0.0.1:10250: refused"),
        ("sandbox", 500, "X: y", "pod not found (\"demo_default\")"),
        ("gateway", 502, "Retry-After: x", "<html>\u{202e}\u{9b}</html>"),
        ("disabled", 405, "X: y", "Debug endpoints are disabled.\r\n"),
        ("unauthorized", 401, "X: y", "Unauthorized"),
    ] {
        write(name, format!("2{status}\n{headers}\n\n{body}"));
    }
}
