//! Real kubectl against the peer: the peer is what kubectl takes for a cluster, and the load's words
//! about kubectl are those that are known of it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use portway_interop::{Kubectl, Peer, Target, load, require_go};

/// Runs `check` with every kubectl there is, through plain SPDY and the tunnel.
fn each(check: impl Fn(&Peer, &Kubectl, bool)) {
    if !require_go() {
        return;
    }
    for kubectl in Kubectl::all() {
        for websockets in [false, true] {
            let peer = Peer::start();
            check(&peer, &kubectl, websockets);
        }
    }
}

#[test]
fn it_forwards_and_ends_when_interrupted() {
    each(|peer, kubectl, websockets| {
        let forward = kubectl.port_forward("demo", &[8080, 8084]).server(&peer.server());
        let running = forward.websockets(websockets).start().unwrap();
        let target = Target::new(running.addrs());
        load::scenario_line_answer(&target).unwrap();
        load::scenario_sequential(&target, 20).unwrap();
        assert!(running.says_within("Handling connection for", Duration::from_secs(2)));
        let exit = running.interrupt();
        assert_eq!(exit.code, Some(0), "{kubectl}: {exit:?}");
        let stats = peer.stats();
        let tunnels = u64::from(websockets);
        assert_eq!((stats.served_tunnel, stats.served_spdy), (tunnels, 1 - tunnels), "{kubectl}");
    });
}

#[test]
fn it_falls_back_where_no_websocket_gets_through() {
    if !require_go() {
        return;
    }
    for refusal in ["403", "400", "500", "502", "101"] {
        let Some(kubectl) = Kubectl::new() else { return };
        let peer = Peer::start();
        let pod = format!("pod-no-websocket-{refusal}");
        let running = kubectl.port_forward(&pod, &[8080]).server(&peer.server()).start().unwrap();
        load::scenario_sequential(&Target::new(running.addrs()), 5).unwrap();
        let stats = peer.stats();
        assert_eq!((stats.asked_tunnel, stats.served_spdy), (1, 1), "{refusal}: {stats:?}");
    }
}

#[test]
fn it_tells_why_it_was_refused() {
    each(|peer, kubectl, websockets| {
        let forward = kubectl.port_forward("pod-403", &[8080]).server(&peer.server());
        let exit = forward.websockets(websockets).start().unwrap_err();
        assert_eq!(exit.code, Some(1), "{kubectl}: {exit:?}");
        assert!(exit.output.stderr.contains("forbidden"), "{kubectl}: {exit:?}");
    });
}

#[test]
fn it_dies_of_a_refused_port() {
    each(|peer, kubectl, websockets| {
        let forward = kubectl.port_forward("demo", &[8085]).server(&peer.server());
        let mut running = forward.websockets(websockets).start().unwrap();
        let target = Target::new(running.addrs());
        let _ = target.open(8085).unwrap().send(b"hello\n");
        let exit = running.exit_within(Duration::from_secs(10)).unwrap();
        assert_eq!(exit.code, Some(1), "{kubectl}: {exit:?}");
        assert!(exit.output.stderr.contains("lost connection to pod"), "{kubectl}: {exit:?}");
    });
}
