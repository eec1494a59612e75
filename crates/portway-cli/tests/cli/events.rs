//! `--output json` and `--quiet`

use std::io::{Read, Write};
use std::net::TcpStream;

use portway_testcluster::Lie;
use serde_json::{Value, json};

use crate::cluster::{Cluster, expect_echo};
use crate::process::{PATIENCE, Portway, run};

/// The next event, its time checked and taken off.
fn next(portway: &Portway) -> Value {
    event(&portway.stdout.next())
}

fn event(line: &str) -> Value {
    let mut event: Value = serde_json::from_str(line).expect("JSON");
    let time = event["time"].as_str().expect("a time").to_owned();
    assert!(time.len() == "2026-01-01T00:00:00.000Z".len() && time.ends_with('Z'), "{time}");
    event.as_object_mut().unwrap().remove("time");
    event
}

#[test]
#[cfg(unix)]
fn events_are_json_one_a_line_in_their_order() {
    let cluster = Cluster::start();
    cluster.service("front").selector("app", "web").port("www", 8080, "http").create();
    let portway = Portway::start(&format!(
        "svc/front :www --output json --address 127.0.0.1 --server {}",
        cluster.url()
    ));
    let listening = next(&portway);
    let local = listening["local"].as_str().unwrap().to_owned();
    assert_eq!(
        listening,
        json!({"event": "listening", "forward": "svc/front", "namespace": "default",
               "target": "service/front", "local": local, "remote": 80})
    );
    assert_eq!(next(&portway), json!({"event": "ready"}));

    let mut program = TcpStream::connect(&local).unwrap();
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    program.write_all(b"ping").unwrap();
    program.read_exact(&mut [0; 4]).unwrap();
    let from = program.local_addr().unwrap().to_string();
    assert_eq!(
        next(&portway),
        json!({"event": "accepted", "forward": "svc/front", "connection": 1, "local": local,
               "from": from, "remote": 80})
    );
    let connected = next(&portway);
    let origin = connected["origin"].as_str().unwrap();
    assert!(["spare", "dialled"].contains(&origin), "{connected}");
    assert!(connected["took_ms"].is_u64(), "{connected}");
    assert_eq!(
        connected,
        json!({"event": "connected", "forward": "svc/front", "connection": 1,
               "namespace": "default", "pod": "web", "form": "SPDY/3.1+portforward.k8s.io",
               "origin": origin, "took_ms": connected["took_ms"]})
    );
    // A reset is an end that the program chose.
    socket2::SockRef::from(&program).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(program);
    let ended = next(&portway);
    assert!(ended["ms"].is_u64(), "{ended}");
    assert_eq!(
        ended,
        json!({"event": "ended", "forward": "svc/front", "connection": 1, "local": local,
               "remote": 80, "bytes_up": 4, "bytes_down": 4, "ms": ended["ms"], "end": "program",
               "error": ended["error"]})
    );

    cluster.find_pod("default", "web").lie(Lie::Refuses);
    let mut program = TcpStream::connect(&local).unwrap();
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(program.read(&mut [0]).is_err(), "it is reset");
    let ended = loop {
        let event = next(&portway);
        if event["event"] == "ended" {
            break event;
        }
    };
    assert_eq!((&ended["end"], &ended["connection"]), (&json!("failed"), &json!(2)), "{ended}");
    assert!(ended["error"].as_str().unwrap().ends_with("connection refused"), "{ended}");

    portway.signal(rustix::process::Signal::TERM);
    let ended = portway.end();
    assert_eq!((ended.code, ended.stderr.len()), (Some(0), 0), "{ended:?}");
    assert_eq!(event(ended.stdout.last().unwrap()), json!({"event": "stopped", "cut": 0}));
}

#[test]
fn why_it_ends_is_an_event_and_a_line_of_error() {
    let cluster = Cluster::start();
    let ended = run(&format!("nobody :80 -o json --server {}", cluster.url()));
    let error = r#"cannot get pod 'nobody' in namespace default: pods "nobody" not found (404 Not Found); in namespace default there is web"#;
    let [line] = ended.stdout.as_slice() else { panic!("{ended:?}") };
    assert_eq!(event(line), json!({"event": "error", "error": error}));
    assert_eq!(ended.stderr, [format!("error: {error}")]);
    assert_eq!(ended.code, Some(1));
}

#[test]
#[cfg(unix)]
fn quiet_is_nothing_on_stdout_and_errors_on_stderr() {
    // Free, because it was ours a moment ago, and on an address of its own.
    let local = std::net::TcpListener::bind("127.0.0.79:0").unwrap().local_addr().unwrap();
    let cluster = Cluster::start();
    let portway = Portway::start(&format!(
        "web {}:80 --quiet --address 127.0.0.79 --server {}",
        local.port(),
        cluster.url()
    ));
    let late = std::time::Instant::now() + PATIENCE;
    while TcpStream::connect(local).is_err() {
        assert!(std::time::Instant::now() < late, "it does not listen");
        std::thread::yield_now();
    }
    expect_echo(local, 100);
    cluster.find_pod("default", "web").lie(Lie::Refuses);
    let mut program = TcpStream::connect(local).unwrap();
    program.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(program.read(&mut [0]).is_err(), "it is reset");
    let said = portway.stderr.next();
    assert!(said.ends_with("connection refused"), "{said}");
    portway.signal(rustix::process::Signal::INT);
    let ended = portway.end();
    assert_eq!((ended.code, ended.stdout.len()), (Some(0), 0), "{ended:?}");
}
