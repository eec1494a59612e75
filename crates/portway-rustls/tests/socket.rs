//! TLS around real sockets, on every runtime.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::io;

use common::{
    Authority, LOCALHOST, exchange, finish, join, pattern, read, read_to_end, tcp_pair, write_all,
};
use portway_driver::{Listener, Net, Socket};
use portway_runtimes::on_every_runtime;
use portway_rustls::{ClientTls, ServerTls, TlsListener, TlsSocket};
use rustls::pki_types::ServerName;

fn name(name: &str) -> ServerName<'static> {
    ServerName::try_from(name.to_owned()).unwrap()
}

/// Two ends of a TLS connection, the client's first.
async fn tls_pair<N: Net>(net: &N) -> (TlsSocket<N::Socket>, TlsSocket<N::Socket>) {
    let authority = Authority::new();
    let (client, server) = tcp_pair(net).await;
    let connecting = TlsSocket::connect(client, name("pods.test"), authority.client());
    let accepting = TlsSocket::accept(server, authority.server(&["pods.test"]));
    let (client, server) = join(connecting, accepting).await;
    (client.unwrap(), server.unwrap())
}

async fn much_goes_both_ways_at_once<N: Net>(net: N) {
    let (mut client, mut server) = tls_pair(&net).await;
    let (up, down) = (pattern(5 << 20), pattern(7 << 20));
    let (at_client, at_server) =
        join(exchange(&mut client, &up), exchange(&mut server, &down)).await;
    at_client.1.unwrap();
    at_server.1.unwrap();
    assert!(at_client.0 == down && at_server.0 == up);
}

async fn the_end_of_one_direction_leaves_the_other_open<N: Net>(net: N) {
    let (mut client, mut server) = tls_pair(&net).await;
    write_all(&mut client, b"question").await.unwrap();
    finish(&mut client).await.unwrap();
    let (question, end) = read_to_end(&mut server).await;
    assert_eq!((question.as_slice(), end.is_ok()), (&b"question"[..], true));
    write_all(&mut server, b"an answer").await.unwrap();
    write_all(&mut server, b" behind the end").await.unwrap();
    finish(&mut server).await.unwrap();
    let (answer, end) = read_to_end(&mut client).await;
    end.unwrap();
    assert_eq!(answer, b"an answer behind the end");
}

async fn an_end_without_close_notify_is_an_error_behind_the_bytes<N: Net>(net: N) {
    let (mut client, mut server) = tls_pair(&net).await;
    write_all(&mut server, b"half an ans").await.unwrap();
    // A FIN, and nothing of TLS before it.
    drop(server);
    let (answer, end) = read_to_end(&mut client).await;
    assert_eq!(answer, b"half an ans");
    let error = end.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(
        error.to_string(),
        "it ended the connection without the end of TLS: something may have been cut off"
    );
}

async fn an_abort_is_a_reset<N: Net>(net: N) {
    let (mut client, mut server) = tls_pair(&net).await;
    // What TLS sends by itself after the handshake.
    write_all(&mut server, b"x").await.unwrap();
    assert_eq!(read(&mut client, 10).await.unwrap(), b"x"[..]);
    client.abort();
    drop(client);
    let (rest, end) = read_to_end(&mut server).await;
    assert_eq!(rest, b"");
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

async fn addresses_are_those_of_the_socket_below<N: Net>(net: N) {
    let (client, server) = tls_pair(&net).await;
    let (ours, theirs) = client.addresses().unwrap();
    assert_eq!(server.addresses(), Some((theirs, ours)));
}

/// A listener whose clients are shaken hands with one by one would hang here.
async fn a_client_that_says_nothing_holds_up_nobody<N: Net>(net: N) {
    let authority = Authority::new();
    let listener = net.bind(LOCALHOST).await.unwrap();
    let mut listener = TlsListener::new(listener, authority.server(&["127.0.0.1"]));
    let addr = listener.local_addr().unwrap();
    let _silent = net.connect(&addr.into()).await.unwrap();
    let (_unread, _) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
    let client = net.connect(&addr.into()).await.unwrap();
    let connecting = TlsSocket::connect(client, name("127.0.0.1"), authority.client());
    let serving = async {
        let (mut server, _) = std::future::poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        // Hands are shaken by the first read.
        let question = read(&mut server, 100).await.unwrap();
        write_all(&mut server, &question).await.unwrap();
        server
    };
    let asking = async {
        let mut client = connecting.await.unwrap();
        write_all(&mut client, b"hello").await.unwrap();
        read(&mut client, 100).await.unwrap()
    };
    let (_server, echo) = join(serving, asking).await;
    assert_eq!(echo, b"hello"[..]);
}

async fn a_client_certificate_arrives<N: Net>(net: N) {
    let authority = Authority::new();
    let clients = Authority::new();
    let of_server = authority.issue(&["pods.test"]);
    let server_tls = ServerTls::new(of_server.chain.as_bytes(), of_server.key.as_bytes()).unwrap();
    let server_tls = server_tls.with_client_authorities(clients.pem().as_bytes()).unwrap();
    let server_tls = server_tls.config().unwrap();
    let of_client = clients.issue(&["somebody"]);
    for (identity, presented) in [(Some(&of_client), 1), (None, 0)] {
        let mut tls = ClientTls::new();
        tls = tls.with_authorities(authority.pem().as_bytes()).unwrap();
        if let Some(identity) = identity {
            let (chain, key) = (identity.chain.as_bytes(), identity.key.as_bytes());
            tls = tls.with_certificate(chain, key).unwrap();
        }
        let (client, server) = tcp_pair(&net).await;
        let connecting = TlsSocket::connect(client, name("pods.test"), tls.config().unwrap());
        let accepting = TlsSocket::accept(server, server_tls.clone());
        let (client, server) = join(connecting, accepting).await;
        assert_eq!(client.unwrap().peer_certificates().len(), 1);
        assert_eq!(server.unwrap().peer_certificates().len(), presented);
    }
}

on_every_runtime!(
    much_goes_both_ways_at_once,
    the_end_of_one_direction_leaves_the_other_open,
    an_end_without_close_notify_is_an_error_behind_the_bytes,
    an_abort_is_a_reset,
    addresses_are_those_of_the_socket_below,
    a_client_that_says_nothing_holds_up_nobody,
    a_client_certificate_arrives,
);
