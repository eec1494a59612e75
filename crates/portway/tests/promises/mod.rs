//! What the driver relies on, asked of a runtime: docs/ADAPTERS.md, "What is promised".
#![allow(missing_docs, unreachable_pub, reason = "a part of tests")]

use std::future::{Future, poll_fn};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use portway::{Addr, Net, ReadBuf, Runtime, Sleep, Socket};

/// Nothing is waited for any longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

const LOCALHOST: &str = "127.0.0.1:0";

/// A test for each promise; `$run` runs an async function that takes a handle to the runtime.
macro_rules! promises {
    ($run:path) => {
        promises!(
            $run,
            the_end_is_a_fin_and_an_abort_a_reset,
            a_reset_is_noticed_without_reading,
            a_write_that_the_system_does_not_take_goes_on_once_it_does,
            nobody_there_is_an_error,
            timers_can_be_moved_and_are_never_early,
            a_task_is_woken_from_another_thread,
        );
    };
    ($run:path, $($name:ident),+ $(,)?) => {
        $(#[test] fn $name() { $run($crate::promises::$name) })+
    };
}

pub async fn the_end_is_a_fin_and_an_abort_a_reset<R: Runtime + Net>(rt: R) {
    let listener = TcpListener::bind(LOCALHOST).unwrap();
    let to = Addr::Ip(listener.local_addr().unwrap());
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
}

pub async fn a_reset_is_noticed_without_reading<R: Runtime + Net>(rt: R) {
    let listener = TcpListener::bind(LOCALHOST).unwrap();
    let to = Addr::Ip(listener.local_addr().unwrap());
    let mut socket = rt.connect(&to).await.unwrap();
    assert!(socket.take_error().is_none());
    let (peer, _) = listener.accept().unwrap();
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    // The reset is on its way: nothing tells of it, which is why it is asked for.
    let error = loop {
        match socket.take_error() {
            Some(error) => break error,
            None => rt.sleep_until(rt.now() + Duration::from_millis(1)).await,
        }
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

pub async fn a_write_that_the_system_does_not_take_goes_on_once_it_does<R: Runtime + Net>(rt: R) {
    const ENOUGH: usize = 64 * 1024 * 1024;
    let listener = TcpListener::bind(LOCALHOST).unwrap();
    let to = Addr::Ip(listener.local_addr().unwrap());
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
    drop((socket, full));
    assert_eq!(reader.join().unwrap(), ENOUGH);
}

pub async fn nobody_there_is_an_error<R: Runtime + Net>(rt: R) {
    let gone = TcpListener::bind(LOCALHOST).unwrap().local_addr().unwrap();
    let error = rt.connect(&gone.into()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

pub async fn timers_can_be_moved_and_are_never_early<R: Runtime + Net>(rt: R) {
    let start = rt.now();
    let at = move |millis| start + Duration::from_millis(millis);
    let fired = Arc::new(Mutex::new(0));
    for (from, to) in [(10, 300), (60_000, 100), (200, 200)] {
        let mut sleep = rt.sleep_until(at(from));
        let fired = Arc::clone(&fired);
        rt.spawn(async move {
            // Polled once where it was, so that there is something to move.
            let _ = poll_fn(|cx| Poll::Ready(Pin::new(&mut sleep).poll(cx))).await;
            sleep.reset(at(to));
            sleep.await;
            assert!(Instant::now() >= at(to), "it fired early");
            *fired.lock().unwrap() += 1;
        });
    }
    while *fired.lock().unwrap() < 3 {
        rt.sleep_until(rt.now() + Duration::from_millis(5)).await;
    }
}

pub async fn a_task_is_woken_from_another_thread<R: Runtime + Net>(rt: R) {
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
}

async fn read_to_end(socket: &mut impl Socket) -> Vec<u8> {
    let mut memory = BytesMut::new();
    while poll_fn(|cx| socket.poll_read(cx, &mut ReadBuf::new(&mut memory, 4))).await.unwrap() > 0 {
    }
    memory.to_vec()
}
