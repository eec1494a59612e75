//! What async-std's own streams would not say: the `close` of theirs sends nothing.
#![allow(missing_docs, clippy::unwrap_used)]

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use portway_async_std::{AsyncStd, AsyncStdSocket, Net, ReadBuf, Socket};

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn the_end_of_our_direction_is_a_fin_and_reading_goes_on() {
    let (mut socket, mut peer) = connected();
    async_std::task::block_on(async {
        let bufs = [IoSlice::new(b"question")];
        let sent = poll_fn(|cx| socket.poll_write_vectored(cx, &bufs)).await.unwrap();
        assert_eq!(sent, "question".len());
        poll_fn(|cx| socket.poll_shutdown_write(cx)).await.unwrap();
    });
    // Reads up to the FIN: without one it would fail when the time is up.
    let mut got = String::new();
    peer.read_to_string(&mut got).unwrap();
    assert_eq!(got, "question");
    peer.write_all(b"answer").unwrap();
    drop(peer);
    assert_eq!(read_to_end(&mut socket), b"answer");
}

#[test]
fn an_abort_is_a_reset() {
    let (mut socket, mut peer) = connected();
    socket.abort();
    drop(socket);
    assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_stream_that_the_program_has_connected_is_taken_over_unless_it_has_a_clone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let connect = async_std::net::TcpStream::connect(addr);
    let stream = async_std::task::block_on(connect).unwrap();
    AsyncStdSocket::new(stream.clone()).unwrap_err();
    let mut socket = AsyncStdSocket::new(stream).unwrap();
    let (mut peer, from) = listener.accept().unwrap();
    assert_eq!(socket.addresses(), Some((from, addr)));
    peer.write_all(b"hello").unwrap();
    drop(peer);
    assert_eq!(read_to_end(&mut socket), b"hello");
}

fn connected() -> (AsyncStdSocket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().into();
    let socket = async_std::task::block_on(AsyncStd::global().connect(&to)).unwrap();
    let (peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (socket, peer)
}

fn read_to_end(socket: &mut AsyncStdSocket) -> Vec<u8> {
    let mut memory = Default::default();
    async_std::task::block_on(async {
        while poll_fn(|cx| socket.poll_read(cx, &mut ReadBuf::new(&mut memory, 16))).await.unwrap()
            > 0
        {}
    });
    memory.to_vec()
}
