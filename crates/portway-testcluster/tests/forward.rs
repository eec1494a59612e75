//! Forwards into pods, and what tests can do to them meanwhile.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io;

use common::*;
use portway_testcluster::{Lie, Program, Rule, TestCluster, User, Version, WireForm};
use portway_tokio::{Forward, Options, Port, PortForward, PortStream, Protocol, Tokio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const ECHO: Port = Port::new(7).unwrap();

const FORMS: [Protocol; 3] = [Protocol::Tunnel, Protocol::V4, Protocol::Spdy];

async fn dial(cluster: &TestCluster, pod: &str, protocol: Protocol) -> Result<Forward, String> {
    let rt = Tokio::current();
    let connector = rt.http(&cluster.url(), "default", pod).unwrap();
    let options = Options::new().with_protocol(protocol);
    rt.forward(connector, &[ECHO], options).await.map_err(|error| {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    })
}

async fn open(cluster: &TestCluster, protocol: Protocol) -> PortStream {
    dial(cluster, "web-0", protocol).await.unwrap().open(ECHO).unwrap()
}

async fn echoes(stream: &mut PortStream, said: &[u8]) -> io::Result<()> {
    stream.write_all(said).await?;
    let mut back = vec![0; said.len()];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.unwrap()?;
    assert_eq!(back, said);
    Ok(())
}

/// What becomes of a connection whose pod breaks.
async fn end_of(mut stream: PortStream) -> io::Result<Vec<u8>> {
    let mut heard = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut heard)).await.unwrap()?;
    Ok(heard)
}

#[tokio::test]
async fn a_pod_is_reached_in_every_wire_form() {
    let cluster = cluster().await;
    let pod = echo_pod(&cluster, "web-0");
    for protocol in FORMS {
        echoes(&mut open(&cluster, protocol).await, b"hello").await.unwrap();
    }
    assert_eq!(pod.connections(), 3);
    let path = format!("{PODS}/web-0/portforward");
    assert_eq!((cluster.requests("get", &path), cluster.requests("create", &path)), (2, 1));
    let missing = dial(&cluster, "web-1", Protocol::Auto).await.unwrap_err();
    assert!(missing.contains("pods \"web-1\" not found"), "{missing}");
}

#[tokio::test]
async fn a_restart_and_a_deletion_break_connections() {
    let cluster = cluster().await;
    let pod = echo_pod(&cluster, "web-0");
    let before = pod.uid().unwrap();
    for protocol in FORMS {
        let mut stream = open(&cluster, protocol).await;
        echoes(&mut stream, b"hello").await.unwrap();
        pod.restart();
        let error = end_of(stream).await.unwrap_err().to_string();
        assert!(error.contains("connection reset by peer"), "{protocol}: {error}");
        echoes(&mut open(&cluster, protocol).await, b"again").await.unwrap();
    }
    assert_eq!(pod.uid().unwrap(), before);
    assert_eq!(pod.object().unwrap()["status"]["containerStatuses"][0]["restartCount"], 3);

    // A session of SPDY outlives the connection, and its pod.
    let mut forward = dial(&cluster, "web-0", Protocol::Tunnel).await.unwrap();
    let mut stream = forward.open(ECHO).unwrap();
    echoes(&mut stream, b"hello").await.unwrap();
    pod.moved();
    assert_ne!(pod.uid().unwrap(), before);
    end_of(stream).await.unwrap_err();
    let error = end_of(forward.open(ECHO).unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("network namespace for sandbox is closed"), "{error}");
    echoes(&mut open(&cluster, Protocol::Tunnel).await, b"there").await.unwrap();
    pod.delete();
    assert_eq!((pod.uid(), pod.object()), (None, None));
    assert!(dial(&cluster, "web-0", Protocol::V4).await.unwrap_err().contains("not found"));
}

#[tokio::test]
async fn a_pod_can_lie() {
    let cluster = cluster().await;
    let pod = echo_pod(&cluster, "web-0");
    pod.lie(Lie::Refuses);
    let error = end_of(open(&cluster, Protocol::Tunnel).await).await.unwrap_err().to_string();
    assert!(error.contains("connect: connection refused"), "{error}");
    pod.lie(Lie::Ends);
    assert_eq!(end_of(open(&cluster, Protocol::Tunnel).await).await.unwrap(), b"");
    pod.lie(Lie::ResetsAfter(100));
    for protocol in FORMS {
        let mut stream = open(&cluster, protocol).await;
        stream.write_all(&[b'x'; 1_000]).await.unwrap();
        let mut heard = Vec::new();
        let end = timeout(PATIENCE, stream.read_to_end(&mut heard)).await.unwrap();
        assert!(end.unwrap_err().to_string().contains("reset"), "{protocol}");
        assert_eq!(heard, [b'x'; 100], "{protocol}");
    }
    pod.lie(Lie::Gone);
    let error = dial(&cluster, "web-0", Protocol::Tunnel).await.unwrap_err();
    assert!(error.contains("404") && error.contains("pod does not exist"), "{error}");
    pod.lie(Lie::Answers(http::StatusCode::TOO_MANY_REQUESTS, "too many".to_owned()));
    let error = dial(&cluster, "web-0", Protocol::Tunnel).await.unwrap_err();
    assert!(error.contains("429") && error.contains("too many"), "{error}");
    pod.lie(Lie::Hangs);
    let mut hanging = open(&cluster, Protocol::V4).await;
    hanging.write_all(b"anybody?").await.unwrap();
    timeout(std::time::Duration::from_millis(100), hanging.read(&mut [0])).await.unwrap_err();
    pod.tell_the_truth();
    echoes(&mut open(&cluster, Protocol::V4).await, b"fine").await.unwrap();
    pod.restart();
    end_of(hanging).await.unwrap_err();
}

#[tokio::test]
async fn what_runs_nowhere_yet_cannot_be_reached() {
    let cluster = cluster().await;
    let pod = cluster.pod("web-0").port("echo", 7, Program::echo()).pending().create();
    let error = dial(&cluster, "web-0", Protocol::Tunnel).await.unwrap_err();
    assert!(error.contains("pod web-0 does not have a host assigned"), "{error}");
    pod.schedule();
    echoes(&mut open(&cluster, Protocol::Tunnel).await, b"hello").await.unwrap();
}

#[tokio::test]
async fn programs_may_be_anything_that_listens() {
    let cluster = cluster().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let pod = cluster
        .pod("web-0")
        .port("", 7, Program::dial(to))
        .port("", 80, Program::page("<p>hello"))
        .port("", 81, Program::source("all of it"))
        .create();
    let rt = Tokio::current();
    let connector = rt.http(&cluster.url(), "default", "web-0").unwrap();
    let port = |port| Port::new(port).unwrap();
    let mut forward = rt.forward(connector, &[ECHO], Options::new()).await.unwrap();
    let mut dialled = forward.open(ECHO).unwrap();
    dialled.write_all(b"hello").await.unwrap();
    let (mut accepted, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut heard = [0; 5];
    accepted.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    assert_eq!(end_of(forward.open(port(81)).unwrap()).await.unwrap(), b"all of it");
    let mut page = forward.open(port(80)).unwrap();
    page.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let page = String::from_utf8(end_of(page).await.unwrap()).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.ends_with("<p>hello"), "{page}");
    pod.delete();
    end_of(dialled).await.unwrap_err();
}

#[tokio::test]
async fn who_may_forward_is_a_matter_of_verbs_and_of_the_version() {
    let path = |verb| {
        format!(
            "User \"jane\" cannot {verb} resource \"pods/portforward\" in API group \"\" in the namespace \"default\""
        )
    };
    for (version, create) in [(34, false), (35, true)] {
        let builder = TestCluster::builder().version(Version::new(version)).rbac().no_anonymous();
        let cluster = builder.token("t", User::new("jane")).start(&Tokio::current()).await.unwrap();
        echo_pod(&cluster, "web-0");
        let ask = async |token: &str, method: &str| {
            let headers = format!("Authorization: Bearer {token}\r\nUpgrade: websocket\r\n");
            ask(cluster.addr(), method, &format!("{PODS}/web-0/portforward"), &headers, "").await
        };
        assert_eq!(ask("x", "GET").await.status, 401);
        let denied = ask("t", "GET").await;
        let text = format!("pods \"web-0\" is forbidden: {}", path("get"));
        assert_eq!(
            (denied.status, denied.json()["message"].as_str().unwrap()),
            (403, text.as_str())
        );
        cluster.grant(Rule::of("jane").verbs(["get"]).on("pods/portforward"));
        let got = ask("t", "GET").await;
        if create {
            let text = format!("pods \"web-0\" is forbidden: {}", path("create"));
            assert_eq!((got.status, got.json()["message"].as_str().unwrap()), (403, text.as_str()));
        } else {
            assert_eq!(got.status, 400, "let in, and then it is no upgrade");
        }
        assert_eq!(ask("t", "POST").await.status, 403);
        cluster.grant(Rule::of("jane").verbs(["create"]).on("pods/portforward"));
        assert_eq!((ask("t", "GET").await.status, ask("t", "POST").await.status), (400, 400));
        cluster.deny(Rule::of("jane").within("default"));
        assert_eq!(ask("t", "GET").await.status, 403);
        cluster.revoke_token("t");
        assert_eq!(ask("t", "GET").await.status, 401);
    }
}

#[tokio::test]
async fn an_old_cluster_knows_no_tunnel() {
    let old =
        TestCluster::builder().version(Version::new(30)).start(&Tokio::current()).await.unwrap();
    echo_pod(&old, "web-0");
    echoes(&mut open(&old, Protocol::Auto).await, b"v4").await.unwrap();
    assert!(dial(&old, "web-0", Protocol::Tunnel).await.is_err());
    let v4 = TestCluster::builder().forms(&[WireForm::V4]).start(&Tokio::current()).await.unwrap();
    echo_pod(&v4, "web-0");
    assert!(dial(&v4, "web-0", Protocol::Spdy).await.is_err());
    echoes(&mut open(&v4, Protocol::V4).await, b"v4").await.unwrap();
}

#[test]
fn it_runs_on_other_runtimes() {
    let smol = portway_smol::Smol::global();
    smol::block_on(async {
        let cluster = TestCluster::start(&smol).await.unwrap();
        echo_pod(&cluster, "web-0");
        let connector = smol.http(&cluster.url(), "default", "web-0").unwrap();
        let mut forward = smol.forward(connector, &[ECHO], Options::new()).await.unwrap();
        let mut stream = forward.open(ECHO).unwrap();
        smol::io::AsyncWriteExt::write_all(&mut stream, b"hello").await.unwrap();
        let mut back = [0; 5];
        smol::io::AsyncReadExt::read_exact(&mut stream, &mut back).await.unwrap();
        assert_eq!(&back, b"hello");
    });
}
