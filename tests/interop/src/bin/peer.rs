//! Starts the Go peer by hand and says where it is. It runs until standard input ends.
#![allow(clippy::print_stdout, reason = "what it is for")]

use std::io;

use portway_interop::{Peer, load, require_go};

fn main() {
    assert!(require_go(), "there is no Go");
    let peer = Peer::start();
    println!("server   {}", peer.server());
    println!("v4       {}", peer.url("demo", &[8080]));
    let ports: Vec<_> = load::ports().iter().map(|port| format!(":{port}")).collect();
    println!(
        "kubectl  kubectl --server {} port-forward pod/demo {}",
        peer.server(),
        ports.join(" ")
    );
    println!("(until standard input ends)");
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}
