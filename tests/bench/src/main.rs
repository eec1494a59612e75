//! What forwarding costs, next to a plain relay in the same run.
//!
//! ```console
//! $ cargo run --release -p portway-bench              # a few minutes
//! $ cargo run --release -p portway-bench -- --quick   # one
//! ```
//!
//! Four kinds of processes, all of them this program: a forwarder under test, a server behind it, and
//! the load in front of it, which measures. The forwarder has a core for itself; the others share the
//! other one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it is for")]

mod child;
mod form;
mod forwarder;
mod input;
mod load;
mod peer;
mod plan;
mod report;
mod site;
mod spdy;
mod upgrade;
mod v4;
mod ws;

use std::alloc::System;
use std::env;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// Counts in every process and in every round: at the few allocations a forwarder makes per MiB it
/// costs less than can be measured.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const USAGE: &str = "\
usage: portway-bench [--quick] [--form FORM] [--only FORWARDER]... [--skip-kubernetes] [--skip-small]

  --quick            fewer and smaller rounds
  --form FORM        v4, tunnel, spdy or all of them, which is the default
  --only FORWARDER   tokio, tokio-current, smol, async-std, kubectl, kube-rs or relay-default; tokio@512 reads
                     512 KiB at a time, and so on. The 64 KiB relay, which everything is compared with, is always there
  --skip-kubernetes  nothing in front of Kubernetes' own server
  --skip-small       bulk only: no latency, no connects, no memory
";

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["forward", forwarder, form, server @ ..] => forwarder::run(forwarder, form, server),
        ["serve", kind] => peer::run(kind),
        options => match plan::Plan::parse(options) {
            Some(plan) => plan.run(),
            None => eprint!("{USAGE}"),
        },
    }
}
