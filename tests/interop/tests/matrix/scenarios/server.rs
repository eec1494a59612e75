//! A server that goes away and comes back.

use std::net::TcpStream;

use portway_interop::{End, Peer};
use portway_tokio::Protocol;

use portway_runtimes::TestRuntime;

use crate::common::Opened;

/// A restart between two connections: who was connected is reset, who comes while there is no server is
/// told, and the next is served, by the same listener.
pub(crate) fn restarts<T: TestRuntime>(form: Protocol) {
    let mut peer = Peer::start();
    let mut opened = Opened::<T>::new(&peer, "demo", &[8080, 8084], form);
    let served = (b"got hello\n".to_vec(), false);
    assert_eq!(opened.exchange(8084), served);
    opened.next_end().unwrap();

    // Nobody is connected, and what waits for the next is dead.
    peer.restart();
    assert_eq!(opened.exchange(8084), served, "after the first restart");
    opened.next_end().unwrap();

    let mut conn = opened.target().open(8080).unwrap();
    conn.send(b"hello").unwrap();
    conn.expect(b"hello").unwrap();
    peer.stop();
    conn.expect_end(End::Reset).unwrap();
    let words = opened.next_end().unwrap_err();
    assert!(words.contains("lost"), "{words}");
    assert!(TcpStream::connect(peer.addr()).is_err(), "it is gone");
    assert_eq!(opened.exchange(8084), (Vec::new(), true), "with no server");
    let words = opened.next_end().unwrap_err();
    let refused = format!("cannot connect to {}", peer.addr());
    assert!(words.contains(&refused), "{words}");

    peer.restart();
    assert_eq!(opened.exchange(8084), served, "after the second restart");
    opened.next_end().unwrap();
}
