//! Real kubectl against the peer: the peer is what kubectl takes for a cluster, and the load's words
//! about kubectl are those that are known of it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::thread;
use std::time::{Duration, Instant};

use portway_interop::load::{self, SCENARIOS};
use portway_interop::{Kubectl, Peer, Target, require_go};

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

/// The scenarios that kubectl passes. The others are what it is known to get wrong: see the README.
const PASSED: &[&str] = &[
    "line_answer",
    "server_speaks_first",
    "parallel_echo",
    "upload",
    "download",
    "http_keep_alive",
    "storm",
];

#[test]
fn it_passes_what_it_is_known_to_pass() {
    each(|peer, kubectl, websockets| {
        for scenario in SCENARIOS.iter().filter(|scenario| PASSED.contains(&scenario.name)) {
            let forward = kubectl.port_forward("demo", scenario.ports).server(&peer.server());
            let running = forward.websockets(websockets).start().unwrap();
            if let Err(error) = (scenario.run)(&Target::new(running.addrs())) {
                let output = running.kill().output;
                panic!("{kubectl}: {}: {error}\n{output:?}", scenario.name);
            }
        }
    });
}

/// What a fault of a relay is in `faults.rs`, by the only forwarder that has this one: the load notices a
/// session that lost a worker of the server.
#[test]
fn it_is_caught_with_frames_that_come_late() {
    let Some(kubectl) = require_go().then(Kubectl::new).flatten() else { return };
    let peer = Peer::start();
    let forward = kubectl.port_forward("demo", &[8080, 8089]).server(&peer.server());
    let running = forward.start().unwrap();
    let target = Target::new(running.addrs()).patience(Duration::from_secs(8));
    let failure = load::scenario_late_frames(&target).unwrap_err();
    assert!(failure.contains("port 8080: expected 64 bytes, after 0 of them"), "{failure}");
}

#[test]
fn it_leaves_nothing_when_interrupted_while_busy() {
    each(|peer, kubectl, websockets| {
        let forward = kubectl.port_forward("demo", &[8080]).server(&peer.server());
        let running = forward.websockets(websockets).start().unwrap();
        let target = Target::new(running.addrs());
        load::scenario_sequential(&target, 1_000).unwrap();
        let mut busy: Vec<_> = (0..10).map(|_| target.open(8080).unwrap()).collect();
        for conn in &mut busy {
            // Downloads that nobody reads would stop the whole of kubectl.
            conn.send(b"hello").unwrap();
            conn.expect(b"hello").unwrap();
        }
        let exit = running.interrupt();
        assert_eq!(exit.code, Some(0), "{kubectl}: {exit:?}");
        let patience = Instant::now() + Duration::from_secs(20);
        while peer.stats().live_pod_relays > 0 || peer.stats().live_upgrades > 0 {
            assert!(Instant::now() < patience, "{kubectl}: left: {:?}", peer.stats());
            thread::sleep(Duration::from_millis(50));
        }
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
