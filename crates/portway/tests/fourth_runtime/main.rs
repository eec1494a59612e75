//! docs/ADAPTERS.md: its code is what is compiled and run here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "a program's own")]

mod one_thread;
#[macro_use]
#[path = "../promises/mod.rs"]
mod promises;

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::Pin;
use std::thread;

use one_thread::OneThread;
use portway::proto::HalfClose;
use portway::{Config, ListenEvent, Mapping, Options, Port, PortForward, Protocol, Runtime, until};
use portway_server::{LocalPod, LocalPods, Server, Serving};
use promises::PATIENCE;
use tokio::io::AsyncWrite;

promises!(run);

#[test]
fn the_document_shows_all_of_the_code() {
    let document = include_str!("../../../../docs/ADAPTERS.md");
    let blocks = document.split("```rust\n").skip(1);
    let blocks: Vec<&str> = blocks.map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.join("\n"), include_str!("one_thread.rs"));
}

#[test]
fn a_local_port_leads_into_a_pod_in_every_form() {
    for protocol in [Protocol::Tunnel, Protocol::V4, Protocol::V4Base64, Protocol::Spdy] {
        run(async |rt| {
            let server = serve(&rt).await;
            let pod = rt.http(&format!("http://{}", server.local_addr()), "default", "demo");
            let options = Options::new().with_protocol(protocol).with_session(
                // The program's end is the end: nothing is waited for.
                Config::client().with_half_close(HalfClose::Immediate),
            );
            let mapping = Mapping::new(0, echo_port());
            let listening = rt.listen(pod.unwrap(), [mapping], options).await.unwrap();
            let mut events = listening.events();
            let addr = listening.local_addr();
            let program = thread::spawn(move || two_megabytes_there_and_back(addr));
            while let Some(event) = events.next().await {
                if let ListenEvent::Ended { report, .. } = event {
                    assert!(report.failure.is_none(), "{protocol}: {report:?}");
                    break;
                }
            }
            program.join().unwrap();
            assert_eq!(listening.shutdown(PATIENCE).await.connections, 0);
            server.shutdown(PATIENCE).await;
        });
    }
}

#[test]
fn a_stream_in_process_carries_bytes_and_the_servers_words() {
    run(async |rt| {
        let server = serve(&rt).await;
        // By name, so that one is looked up.
        let url = format!("http://localhost:{}", server.local_addr().port());
        let pod = rt.http(&url, "default", "demo").unwrap();
        let mut forward = rt.forward(pod, &[echo_port()], Options::new()).await.unwrap();
        let mut stream = forward.open(echo_port()).unwrap();
        poll_fn(|cx| Pin::new(&mut stream).poll_write(cx, b"hello")).await.unwrap();
        let mut back = Vec::new();
        while back.len() < 5 {
            back.extend(stream.bytes().await.unwrap().expect("no end yet"));
        }
        assert_eq!(back, b"hello");
        let mut refused = forward.open(Port::new(9).unwrap()).unwrap();
        let error = refused.bytes().await.unwrap_err().to_string();
        assert!(error.contains("connection refused"), "{error}");
    });
}

const LOCALHOST: &str = "127.0.0.1:0";

fn run(body: impl AsyncFnOnce(OneThread)) {
    let in_time = async |rt: OneThread| {
        let deadline = rt.now() + PATIENCE;
        until(&rt.clone(), deadline, body(rt)).await.expect("the test takes too long");
    };
    OneThread::run(in_time).unwrap();
}

fn echo_port() -> Port {
    Port::new(7).unwrap()
}

/// Serves the pod `demo`, which echoes on its port 7 and refuses every other.
async fn serve(rt: &OneThread) -> Serving {
    let program = TcpListener::bind(LOCALHOST).unwrap();
    let pod = LocalPod::closed().with_port(echo_port(), program.local_addr().unwrap());
    thread::spawn(move || {
        for stream in program.incoming().flatten() {
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    let pods = LocalPods::new(rt.clone()).with("default", "demo", pod);
    Server::new(rt.clone(), pods).listen(LOCALHOST.parse().unwrap()).await.unwrap()
}

/// More than any buffer on the way holds, so that everybody has to wait for everybody.
fn two_megabytes_there_and_back(addr: std::net::SocketAddr) {
    let sent: Vec<u8> = (0..2_000_000_u32).flat_map(|i| [i as u8 ^ (i >> 8) as u8]).collect();
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut back = vec![0; sent.len()];
    thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(&sent).unwrap();
        });
        (&stream).read_exact(&mut back).unwrap();
    });
    assert!(back == sent, "other bytes came back");
    stream.shutdown(Shutdown::Both).unwrap();
}
