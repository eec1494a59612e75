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
    let peer = Peer::start();
    for kubectl in Kubectl::all() {
        check(&peer, &kubectl, false);
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
    });
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
