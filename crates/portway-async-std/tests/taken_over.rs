//! A stream of async-std's becomes a socket of portway's.
#![allow(missing_docs, clippy::unwrap_used)]

use std::future::poll_fn;
use std::io::Write;
use std::net::TcpListener;

use portway_async_std::{AsyncStdSocket, ReadBuf, Socket};

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
    let mut memory = Default::default();
    async_std::task::block_on(async {
        let mut read =
            async || poll_fn(|cx| socket.poll_read(cx, &mut ReadBuf::new(&mut memory, 16))).await;
        while read().await.unwrap() > 0 {}
    });
    assert_eq!(&memory[..], b"hello");
}
