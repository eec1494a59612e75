//! docs/ADAPTERS.md: its code is what is compiled and run here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(missing_docs, missing_debug_implementations, unreachable_pub, reason = "a program's own")]

mod one_thread;

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use one_thread::{OneThread, OneThreadSocket};
use portway::proto::HalfClose;
use portway::{
    Addr, Config, ListenEvent, Mapping, Net, Options, Port, PortForward, Protocol, ReadBuf,
    Runtime, Sleep, Socket, until,
};
use portway_server::{LocalPod, LocalPods, Server, Serving};
use tokio::io::AsyncWrite;

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(30);

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

#[test]
fn the_end_is_a_fin_and_an_abort_a_reset() {
    let listener = TcpListener::bind(LOCALHOST).unwrap();
    let to = Addr::Ip(listener.local_addr().unwrap());
    run(async |rt| {
        let mut socket = rt.connect(&to).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let bufs = [IoSlice::new(b"ques"), IoSlice::new(b"tion")];
        let sent = poll_fn(|cx| socket.poll_write_vectored(cx, &bufs)).await.unwrap();
        assert_eq!(sent, 8);
        poll_fn(|cx| socket.poll_shutdown_write(cx)).await.unwrap();
        let mut got = String::new();
        peer.read_to_string(&mut got).unwrap();
        assert_eq!(got, "question");
        let program = thread::spawn(move || peer.write_all(b"answer").unwrap());
        assert_eq!(read_to_end(&mut socket).await, b"answer");
        program.join().unwrap();

        let mut socket = rt.connect(&to).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        socket.abort();
        drop(socket);
        assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_write_that_the_system_does_not_take_goes_on_once_it_does() {
    const ENOUGH: usize = 64 * 1024 * 1024;
    let listener = TcpListener::bind(LOCALHOST).unwrap();
    let to = Addr::Ip(listener.local_addr().unwrap());
    run(async |rt| {
        let mut socket = rt.connect(&to).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let (full, is_full) = channel();
        let reader = thread::spawn(move || {
            is_full.recv().unwrap();
            let mut got = Vec::new();
            peer.read_to_end(&mut got).unwrap();
            got.len()
        });
        let (zeros, mut sent) = (vec![0; 1024 * 1024], 0);
        while sent < ENOUGH {
            let bufs = [IoSlice::new(&zeros[..zeros.len().min(ENOUGH - sent)])];
            sent += poll_fn(|cx| {
                let written = socket.poll_write_vectored(cx, &bufs);
                if written.is_pending() {
                    let _ = full.send(());
                }
                written
            })
            .await
            .unwrap();
        }
        drop(socket);
        assert_eq!(reader.join().unwrap(), ENOUGH);
    });
}

#[test]
fn nobody_there_is_an_error() {
    let gone = TcpListener::bind(LOCALHOST).unwrap().local_addr().unwrap();
    run(async |rt| {
        let error = rt.connect(&gone.into()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn timers_can_be_moved_and_fire_in_their_order() {
    run(async |rt| {
        let start = rt.now();
        let at = move |millis| start + Duration::from_millis(millis);
        let fired = Arc::new(Mutex::new(Vec::new()));
        for (name, from, to) in [("a", 10, 300), ("b", 60_000, 100), ("c", 200, 200)] {
            let mut sleep = rt.sleep_until(at(from));
            let fired = Arc::clone(&fired);
            rt.spawn(async move {
                // Polled once where it was, so that there is something to move.
                let _ = poll_fn(|cx| Poll::Ready(Pin::new(&mut sleep).poll(cx))).await;
                sleep.reset(at(to));
                sleep.await;
                assert!(Instant::now() >= at(to), "{name} fired early");
                fired.lock().unwrap().push(name);
            });
        }
        rt.sleep_until(at(400)).await;
        assert_eq!(*fired.lock().unwrap(), ["b", "c", "a"]);
        assert!(rt.now() < at(30_000), "a timer that was moved still held the loop up");
    });
}

#[test]
fn a_task_is_woken_from_another_thread() {
    run(async |rt| {
        let start = rt.now();
        let slot = Arc::new(Mutex::new((false, None::<Waker>)));
        let theirs = Arc::clone(&slot);
        let other = thread::spawn(move || {
            loop {
                let mut slot = theirs.lock().unwrap();
                // Only once it waits.
                if let Some(waker) = slot.1.take() {
                    slot.0 = true;
                    return waker.wake();
                }
                drop(slot);
                thread::yield_now();
            }
        });
        poll_fn(|cx| {
            let mut slot = slot.lock().unwrap();
            slot.1 = Some(cx.waker().clone());
            if slot.0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        other.join().unwrap();
        assert!(start.elapsed() < PATIENCE / 2, "it was not woken, a timer was");
    });
}

const LOCALHOST: &str = "127.0.0.1:0";

fn run(body: impl AsyncFnOnce(OneThread)) {
    let body = async |rt: OneThread| {
        let deadline = rt.now() + PATIENCE;
        until(&rt.clone(), deadline, body(rt)).await.expect("the test takes too long");
    };
    OneThread::run(body).unwrap();
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

async fn read_to_end(socket: &mut OneThreadSocket) -> Vec<u8> {
    let mut memory = BytesMut::new();
    while poll_fn(|cx| socket.poll_read(cx, &mut ReadBuf::new(&mut memory, 4))).await.unwrap() > 0 {
    }
    memory.to_vec()
}
