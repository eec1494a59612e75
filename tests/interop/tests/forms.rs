//! Which form is chosen when nothing is said about it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{FORMS, Opened};
use portway_interop::{Peer, PeerOptions, require_go};
use portway_runtimes::{AsyncStdGlobal, SmolGlobal, TestRuntime, TokioThreads};
use portway_tokio::{Options, Protocol};

/// What the server was asked for (tunnel, v4, SPDY), and what it gave.
fn counted(peer: &Peer) -> ([u64; 3], [u64; 3]) {
    let stats = peer.stats();
    (
        [stats.asked_tunnel, stats.asked_v4, stats.asked_spdy],
        [stats.served_tunnel, stats.served_v4, stats.served_spdy],
    )
}

/// One connection through a pod with these manners, with nothing said about the form.
fn unsaid<T: TestRuntime>(manners: &str) -> (bool, [u64; 3], [u64; 3]) {
    unsaid_to::<T>(PeerOptions::new().every_pod(manners))
}

fn unsaid_to<T: TestRuntime>(server: PeerOptions) -> (bool, [u64; 3], [u64; 3]) {
    let peer = Peer::start_with(server);
    // A session ahead of need would ask for itself.
    let options = Options::new().with_protocol(Protocol::Auto).with_spare(false);
    let opened = Opened::<T>::with(&peer, "demo", &[8084], options, |connector| connector);
    let served = opened.exchange(8084) == (b"got hello\n".to_vec(), false);
    let (asked, given) = counted(&peer);
    (served, asked, given)
}

#[test]
fn an_old_api_server_gives_v4_in_the_same_request() {
    if require_go() {
        let v4 = (true, [1, 0, 0], [0, 1, 0]);
        assert_eq!(unsaid::<TokioThreads>("pod-no-tunnel"), v4);
        assert_eq!(unsaid::<SmolGlobal>("pod-no-tunnel"), v4);
        assert_eq!(unsaid::<AsyncStdGlobal>("pod-no-tunnel"), v4);
    }
}

#[test]
fn a_cluster_that_is_old_all_through_gives_v4_too() {
    if require_go() {
        let old = PeerOptions::new().every_pod("pod-no-tunnel").old_node();
        assert_eq!(unsaid_to::<TokioThreads>(old), (true, [1, 0, 0], [0, 1, 0]));
    }
}

#[test]
fn an_old_node_gives_the_tunnel_of_its_api_server() {
    if require_go() {
        let tunnel = (true, [1, 0, 0], [1, 0, 0]);
        assert_eq!(unsaid_to::<TokioThreads>(PeerOptions::new().old_node()), tunnel);
    }
}

#[test]
fn plain_spdy_gets_through_where_no_websocket_does() {
    if !require_go() || !FORMS.contains(&Protocol::Spdy) {
        return;
    }
    for refusal in ["403", "400", "500", "101"] {
        let (served, asked, given) = unsaid::<TokioThreads>(&format!("pod-no-websocket-{refusal}"));
        assert!(served, "{refusal}: asked for {asked:?}");
        assert_eq!(asked[0], 1, "{refusal}: asked for {asked:?}");
        assert_eq!(given[2], asked[2], "{refusal}: asked for {asked:?}, got {given:?}");
    }
}

/// A load balancer in trouble (protocol.md A.6): another form would meet the same.
#[test]
fn a_gateway_that_fails_is_not_asked_in_another_form() {
    if require_go() {
        let (served, asked, _) = unsaid::<TokioThreads>("pod-no-websocket-502");
        assert!(!served);
        assert_eq!(asked, [1, 0, 0]);
    }
}

#[test]
fn who_may_not_forward_is_not_asked_again() {
    if require_go() {
        let (served, asked, _) = unsaid::<TokioThreads>("pod-403");
        assert!(!served);
        assert_eq!(asked, [1, 0, 0]);
    }
}
