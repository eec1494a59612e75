//! Much, and many.

use std::time::Duration;

use portway_interop::{Peer, load};
use portway_tokio::{Options, Protocol};

use portway_runtimes::TestRuntime;

use crate::common::Opened;

/// `PORTWAY_LONG_MIB` or 100 MiB each way, up, down and both at once, at the same time. Half a GiB finds
/// what 100 MiB do not: windows that are never opened again, numbers that wrap.
pub(crate) fn long_transfers<T: TestRuntime>(form: Protocol) {
    let mib = std::env::var("PORTWAY_LONG_MIB").ok().and_then(|mib| mib.parse().ok());
    let peer = Peer::start();
    let opened = Opened::<T>::new(&peer, "demo", &[8080, 8087, 8088], form);
    let target = opened.target().patience(Duration::from_secs(600));
    load::scenario_both_ways(&target, mib.unwrap_or(100)).unwrap();
}

/// 10,000 connections through one listener, alone and in crowds: descriptors and memory are as before.
pub(crate) fn ten_thousand<T: TestRuntime>(form: Protocol) {
    let peer = Peer::start();
    // What a crowd leaves waiting for the next one is to be gone when we look.
    let options = Options::new().with_protocol(form).with_idle_time(Duration::from_secs(2));
    let opened = Opened::<T>::with(&peer, "demo", &[8080], options, |it| it);
    let target = opened.target().watching(std::process::id());
    load::scenario_crowds(&target, 10_000).unwrap();
}
