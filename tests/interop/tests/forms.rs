//! What the forms differ in: which is chosen, what each can say, and how the last of it is ended.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::time::{Duration, Instant};

use common::{FORMS, Home, OnSmol, OnTokio, Opened, spdy_forms};
use portway_interop::{Peer, PeerOptions, load, require_go};

use portway_tokio::proto::HalfClose;
use portway_tokio::{Config, Options, Protocol};

/// What the server was asked for (tunnel, v4, SPDY), and what it gave.
fn counted(peer: &Peer) -> ([u64; 3], [u64; 3]) {
    let stats = peer.stats();
    (
        [stats.asked_tunnel, stats.asked_v4, stats.asked_spdy],
        [stats.served_tunnel, stats.served_v4, stats.served_spdy],
    )
}

/// One connection through a pod with these manners, with nothing said about the form.
fn unsaid<H: Home>(manners: &str) -> (bool, [u64; 3], [u64; 3]) {
    let peer = Peer::start_with(PeerOptions::new().every_pod(manners));
    // A session ahead of need would ask for itself.
    let options = Options::new().with_protocol(Protocol::Auto).with_spare(false);
    let opened = Opened::<H>::with(&peer, "demo", &[8084], options, |connector| connector);
    let served = opened.exchange(8084) == (b"got hello\n".to_vec(), false);
    let (asked, given) = counted(&peer);
    (served, asked, given)
}

#[test]
fn an_old_api_server_gives_v4_in_the_same_request() {
    if require_go() {
        let v4 = (true, [1, 0, 0], [0, 1, 0]);
        assert_eq!(unsaid::<OnTokio>("pod-no-tunnel"), v4);
        assert_eq!(unsaid::<OnSmol>("pod-no-tunnel"), v4);
    }
}

#[test]
fn plain_spdy_gets_through_where_no_websocket_does() {
    if !require_go() || !FORMS.contains(&Protocol::Spdy) {
        return;
    }
    for refusal in ["403", "400", "500", "101"] {
        let (served, asked, given) = unsaid::<OnTokio>(&format!("pod-no-websocket-{refusal}"));
        assert!(served, "{refusal}: asked for {asked:?}");
        assert_eq!(asked[0], 1, "{refusal}: asked for {asked:?}");
        assert_eq!(given[2], asked[2], "{refusal}: asked for {asked:?}, got {given:?}");
    }
}

/// A load balancer in trouble (protocol.md A.6): another form would meet the same.
#[test]
fn a_gateway_that_fails_is_not_asked_in_another_form() {
    if require_go() {
        let (served, asked, _) = unsaid::<OnTokio>("pod-no-websocket-502");
        assert!(!served);
        assert_eq!(asked, [1, 0, 0]);
    }
}

#[test]
fn who_may_not_forward_is_not_asked_again() {
    if require_go() {
        let (served, asked, _) = unsaid::<OnTokio>("pod-403");
        assert!(!served);
        assert_eq!(asked, [1, 0, 0]);
    }
}

/// What can be said through the pass-through proxy of an API server can be said without it.
#[test]
fn the_api_servers_proxy_makes_no_difference() {
    if !require_go() {
        return;
    }
    let peer = Peer::start_with(PeerOptions::new().proxied());
    for form in FORMS {
        let opened = Opened::<OnTokio>::new(&peer, "demo", &[8080, 8084, 8086, 8087, 8088], *form);
        let target = opened.target().promptness(Duration::from_secs(10));
        load::scenario_line_answer(&target).unwrap();
        load::scenario_upload(&target, 8).unwrap();
        load::scenario_download(&target, 8).unwrap();
        load::scenario_early_local_eof(&target).unwrap();
    }
}

/// A program that closes its sending side and waits for the answer to that.
#[test]
fn a_fin_is_passed_on_at_once_if_asked_for() {
    if !require_go() {
        return;
    }
    let peer = Peer::start_with(PeerOptions::new().fin_passed_on());
    for form in spdy_forms() {
        let session = Config::client().with_half_close(HalfClose::Immediate);
        let options = Options::new().with_protocol(form).with_session(session);
        let opened = Opened::<OnTokio>::with(&peer, "demo", &[8082], options, |it| it);
        let start = Instant::now();
        load::scenario_answer_after_eof(&opened.target()).unwrap();
        let took = start.elapsed();
        assert!(took < Duration::from_secs(3), "{form}: the answer came after {took:?}");
    }
}

/// Refusals, crowds, and an end while everybody is busy: nothing is left, here or at the server.
fn chores<H: Home>() {
    if !require_go() {
        return;
    }
    for form in FORMS {
        let peer = Peer::start();
        let opened = Opened::<H>::new(&peer, "demo", &[8080, 8085, 8088], *form);
        let target = opened.target();
        for _ in 0..20 {
            let (got, was_reset) = opened.exchange(8085);
            assert!(got.is_empty() && was_reset, "{form}: {got:?}");
        }
        load::scenario_sequential(&target, 50).unwrap();
        let mut busy: Vec<_> = (0..10).map(|_| target.open(8088).unwrap()).collect();
        for conn in &mut busy {
            conn.send(b"1000000000\n").unwrap();
            conn.receive(100_000).unwrap();
        }
        let Opened { home, listening, .. } = opened;
        let start = Instant::now();
        drop(busy);
        home.block_on(listening.shutdown(Duration::from_secs(2)));
        let took = start.elapsed();
        assert!(took < Duration::from_secs(8), "{form}: the end took {took:?}");
        let patience = Instant::now() + Duration::from_secs(20);
        while peer.stats().live_pod_relays > 0 || peer.stats().live_upgrades > 0 {
            assert!(Instant::now() < patience, "{form}: left at the server: {:?}", peer.stats());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn nothing_is_left_of_a_forward_on_tokio() {
    chores::<OnTokio>();
}

#[test]
fn nothing_is_left_of_a_forward_on_smol() {
    chores::<OnSmol>();
}

/// MiB each way, each form: `PORTWAY_LONG_MIB` or 64. Half a GiB finds what 64 MiB do not: windows that
/// are never opened again, numbers that wrap.
#[test]
fn a_long_transfer_each_way_comes_to_its_end() {
    if !require_go() {
        return;
    }
    let mib = std::env::var("PORTWAY_LONG_MIB").ok().and_then(|mib| mib.parse().ok());
    let peer = Peer::start();
    for form in FORMS {
        let opened = Opened::<OnTokio>::new(&peer, "demo", &[8087, 8088], *form);
        let target = opened.target().patience(Duration::from_secs(300));
        load::scenario_upload(&target, mib.unwrap_or(64)).unwrap();
        load::scenario_download(&target, mib.unwrap_or(64)).unwrap();
    }
}
