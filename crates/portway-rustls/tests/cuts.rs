//! TLS around a connection that takes and gives as little as it likes.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::io::IoSlice;
use std::task::Poll;

use common::memory::{MemorySocket, memory_pair};
use common::{Authority, exchange, join, pattern, read, read_to_end, write_all};
use portway_driver::Socket;
use portway_rustls::TlsSocket;
use rustls::pki_types::ServerName;

type End = TlsSocket<MemorySocket>;

async fn tls_pair(authority: &Authority, cut: usize, room: usize) -> (End, End) {
    let (client, server) = memory_pair(cut, room);
    let name = ServerName::try_from("pods.test").unwrap();
    let connecting = TlsSocket::connect(client, name, authority.client());
    let accepting = TlsSocket::accept(server, authority.server(&["pods.test"]));
    let (client, server) = join(connecting, accepting).await;
    (client.unwrap(), server.unwrap())
}

#[test]
fn however_it_is_cut_the_bytes_are_the_same() {
    let authority = Authority::new();
    for cut in [1, 2, 3, 5, 7, 100, 4_095, 4_096, 4_097, 16_384, usize::MAX] {
        for room in [1, 1_000, usize::MAX] {
            if cut.min(room) == 1 && cut != room {
                continue;
            }
            // A byte at a time takes its time.
            let size = if cut.min(room) < 100 { 20_000 } else { 100_000 };
            let (up, down) = (pattern(size), pattern(size / 2));
            smol::block_on(async {
                let (mut client, mut server) = tls_pair(&authority, cut, room).await;
                let (at_client, at_server) =
                    join(exchange(&mut client, &up), exchange(&mut server, &down)).await;
                at_client.1.unwrap();
                at_server.1.unwrap();
                assert!(at_client.0 == down && at_server.0 == up, "cut {cut}, room {room}");
            });
        }
    }
}

#[test]
fn a_read_takes_no_more_than_it_was_asked_for() {
    let authority = Authority::new();
    smol::block_on(async {
        let (mut client, mut server) = tls_pair(&authority, usize::MAX, usize::MAX).await;
        write_all(&mut server, b"0123456789").await.unwrap();
        assert_eq!(read(&mut client, 4).await.unwrap(), b"0123"[..]);
        assert_eq!(read(&mut client, 4).await.unwrap(), b"4567"[..]);
        assert_eq!(read(&mut client, 4).await.unwrap(), b"89"[..]);
    });
}

#[test]
fn a_damaged_record_is_an_error_behind_the_bytes_before_it() {
    let authority = Authority::new();
    smol::block_on(async {
        let (mut client, mut server) = tls_pair(&authority, usize::MAX, usize::MAX).await;
        write_all(&mut server, b"whole").await.unwrap();
        assert_eq!(read(&mut client, 100).await.unwrap(), b"whole"[..]);
        write_all(&mut server, b"damaged").await.unwrap();
        client.get_ref().incoming().lock().unwrap().damage_last(|byte| *byte ^= 1);
        let (rest, end) = read_to_end(&mut client).await;
        assert_eq!(rest, b"");
        assert_eq!(end.unwrap_err().to_string(), "TLS failed: cannot decrypt peer's message");
        // It stays like that.
        read(&mut client, 100).await.unwrap_err();
        // And the other end hears why.
        let (_, end) = read_to_end(&mut server).await;
        assert_eq!(end.unwrap_err().to_string(), "it refused: TLS alert BadRecordMac");
    });
}

#[test]
fn what_waits_to_be_written_is_bounded_and_pushed_out_by_a_flush() {
    let authority = Authority::new();
    smol::block_on(async {
        let (mut client, mut server) = tls_pair(&authority, usize::MAX, 10_000).await;
        let sent = pattern(1 << 20);
        let mut taken = 0;
        std::future::poll_fn(|cx| {
            for _ in 0..100 {
                let slice = [IoSlice::new(&sent[taken..])];
                match server.poll_write_vectored(cx, &slice) {
                    Poll::Ready(written) => taken += written.unwrap(),
                    Poll::Pending => {}
                }
            }
            Poll::Ready(())
        })
        .await;
        assert!((50_000..80_000).contains(&taken), "{taken} bytes were taken");
        let flushed = async {
            std::future::poll_fn(|cx| server.poll_flush(cx)).await.unwrap();
        };
        let mut arrived = Vec::new();
        let reading = async {
            while arrived.len() < taken {
                arrived.extend_from_slice(&read(&mut client, 64 * 1024).await.unwrap());
            }
        };
        join(flushed, reading).await;
        assert!(arrived == sent[..taken]);
    });
}
