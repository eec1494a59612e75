use std::io::{Read, Write};
use std::net::TcpStream;

use portway_interop::Kubectl;

use crate::cluster::expect_echo;
use crate::process::{PATIENCE, Portway, run};

#[test]
fn the_demo_shows_a_page_and_a_transfer() {
    let ended = run("demo --mib 4");
    assert_eq!((ended.code, ended.stderr.len()), (Some(0), 0), "{ended:?}");
    let mut lines = ended.stdout.iter().filter(|line| !line.contains("[::1]"));
    for expected in [
        "Serving pod web-0 (a web page on port 80, an echo on port 7) at http://127.0.0.1:",
        "Forwarding from 127.0.0.1:",
        "Forwarding from 127.0.0.1:",
        "Handling connection for ",
        "GET http://127.0.0.1:",
        "Handling connection for ",
        "Echo: 4 MiB up and 4 MiB down at once in ",
        "Every byte came through.",
    ] {
        let line = lines.next().expect(expected);
        assert!(line.starts_with(expected), "{line}");
    }
    assert_eq!(lines.next(), None);
    let page = ended.stdout.iter().find(|line| line.starts_with("GET ")).unwrap();
    let (_, form) = page.split_once(" ms over ").expect("what is spoken");
    assert!(form.ends_with(".k8s.io, the page that the pod serves"), "{page}");
}

#[test]
fn the_demo_speaks_what_it_is_told_to() {
    for (protocol, spoken) in [
        ("auto", "SPDY/3.1+portforward.k8s.io"),
        ("tunnel", "SPDY/3.1+portforward.k8s.io"),
        ("v4", "v4.channel.k8s.io"),
        ("spdy", "SPDY/3.1"),
    ] {
        let ended = run(&format!("demo --mib 1 --protocol {protocol}"));
        assert_eq!((ended.code, ended.stderr.len()), (Some(0), 0), "{ended:?}");
        let said = format!(" over {spoken}, ");
        assert!(ended.stdout.iter().any(|line| line.contains(&said)), "{ended:?}");
    }
}

#[test]
#[cfg(unix)]
fn a_demo_that_serves_can_be_tried_with_anything() {
    let demo = Portway::start("demo --serve --mib 1");
    let mut command = None;
    let mut page = None;
    while command.is_none() {
        let line = demo.stdout.next();
        if let Some(rest) = line.strip_prefix("Open http://") {
            page = rest.split('/').next().map(str::to_owned);
        }
        command = line.strip_prefix("In another terminal: portway ").map(str::to_owned);
    }
    let got = get(&page.unwrap());
    assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got}");
    assert!(got.contains("This page came through a port-forward."), "{got}");

    let other = Portway::start(&format!("{} --address 127.0.0.1", command.unwrap()));
    let page = other.forwarding(80);
    assert!(get(&page.to_string()).contains("This page came through a port-forward."));
    expect_echo(other.forwarding(7), 100_000);

    for portway in [other, demo] {
        portway.signal(rustix::process::Signal::INT);
        assert_eq!(portway.end().code, Some(0));
    }
}

#[test]
#[cfg(unix)]
fn a_demo_that_serves_can_be_tried_with_kubectl() {
    let demo = Portway::start("demo --serve --mib 1");
    let command = loop {
        if let Some(command) = demo.stdout.next().strip_prefix("Or: kubectl ") {
            break command.to_owned();
        }
    };
    let (server, rest) = command.split_once(' ').unwrap();
    assert_eq!(rest, "port-forward pod/web-0 :80 :7");
    let url = server.strip_prefix("--server=").unwrap();
    for kubectl in Kubectl::all() {
        let forward = kubectl.port_forward("pod/web-0", &[80, 7]).server(url).start().unwrap();
        let page = get(&forward.addr(80).to_string());
        assert!(page.contains("This page came through a port-forward."), "{kubectl}: {page}");
        expect_echo(forward.addr(7), 100_000);
        assert_eq!(forward.interrupt().code, Some(0));
    }
    demo.signal(rustix::process::Signal::INT);
    assert_eq!(demo.end().code, Some(0));
}

/// A request as simple as can be.
fn get(host: &str) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
#[cfg(unix)]
fn a_demo_that_serves_comes_with_a_kubeconfig() {
    let demo = Portway::start("demo --serve --mib 1");
    let commands: Vec<String> = std::iter::repeat_with(|| demo.stdout.next())
        .take_while(|line| line != "Ctrl-C ends it.")
        .filter_map(|line| Some(line.strip_prefix("With a kubeconfig: kubectl ")?.to_owned()))
        .collect();
    let (kubeconfig, get_all) = commands[0].split_once(' ').unwrap();
    let path = kubeconfig.strip_prefix("--kubeconfig=").unwrap().to_owned();
    assert!(std::fs::read_to_string(&path).unwrap().contains("\"server\": \"http://127.0.0.1:"));
    for kubectl in Kubectl::all() {
        let output = std::process::Command::new(kubectl.path())
            .args(["--cache-dir", "/dev/null/none", kubeconfig])
            .args(get_all.split(' '))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        for name in ["pod/web-0", "service/web", "deployment.apps/shop"] {
            assert!(said.contains(name), "{kubectl}: {said}");
        }
        for command in &commands[1..] {
            let target = command.split(' ').nth(2).unwrap();
            let forward = kubectl.port_forward(target, &[80]).kubeconfig(&path).start().unwrap();
            let page = get(&forward.addr(80).to_string());
            assert!(page.contains("This page came through a port-forward."), "{kubectl}: {page}");
        }
    }
    demo.signal(rustix::process::Signal::INT);
    assert_eq!(demo.end().code, Some(0));
    assert!(!std::path::Path::new(&path).exists(), "it is gone with the demo");
}
