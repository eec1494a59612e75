//! Many seeds of the mixed load.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use portway_sim::soak::{self, Tally};

/// What has to happen at least once in the seeds of a full run: else they test less than they seem to.
const RARE: &[&str] = &[
    "fault: cut at the program hop",
    "fault: cut at the server hop",
    "fault: cut at the pod hop",
    "fault: cut inside a write at the program hop",
    "fault: cut inside a write at the server hop",
    "fault: cut inside a write at the pod hop",
    "fault: silence at the program hop",
    "fault: silence at the server hop",
    "fault: silence at the pod hop",
    "fault: stall at the program hop",
    "fault: stall at the server hop",
    "fault: stall at the pod hop",
    "forward: done",
    "forward: failed",
    "listener: accept failed",
    "listener: connected over SPDY/3.1+portforward.k8s.io, Dialled",
    "listener: connected over SPDY/3.1+portforward.k8s.io, Reused",
    "listener: connected over SPDY/3.1+portforward.k8s.io, Spare",
    "listener: connected over SPDY/3.1, Dialled",
    "listener: connected over SPDY/3.1, Reused",
    "listener: connected over SPDY/3.1, Spare",
    "listener: connected over v4.base64.channel.k8s.io, Dialled",
    "listener: connected over v4.channel.k8s.io, Dialled",
    "listener: cut off by its shutdown",
    "listener: ended cleanly",
    "listener: ended, aborted",
    "listener: ended, overflow",
    "listener: ended, program gone",
    "listener: ended, remote reset",
    "listener: ended, remote text",
    "listener: ended, session lost",
    "listener: failed to connect, refused",
    "listener: failed to connect, timed out",
    "listener: full",
    "listener: retried on a fresh session",
    "log: no spare session",
    "log: the session is not used again",
    "log: the transport takes no more",
    "log: transport lost",
    "memory: looked at for a deaf pod",
    "memory: looked at for a deaf program",
    "memory: much is held for a deaf pod",
    "memory: much is held for a deaf program",
    "pod: saw a FIN",
    "pod: saw a reset",
    "program: FIN before the last byte, one lingerer too many",
    "program: broken, a fault",
    "program: broken, a shutdown",
    "program: broken, an overflow",
    "program: broken, nobody was reached",
    "program: left by itself",
    "program: saw a FIN",
    "program: saw connection reset",
    "server: accept failed",
    "server: refused with 403",
    "server: refused with 429",
];

/// Seeds of a full run.
const SEEDS: u64 = 1_000;

#[test]
fn soak() {
    let one = number("PORTWAY_SIM_SEED");
    let seeds = number("PORTWAY_SIM_SEEDS").unwrap_or(SEEDS);
    let range = one.map_or(1..=seeds, |seed| seed..=seed);
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    for seed in range {
        match catch_unwind(AssertUnwindSafe(|| soak::run(seed))) {
            Ok(run) => tally.merge(&run.tally),
            Err(_) => {
                println!("PORTWAY_SIM_SEED={seed} cargo test -p portway-sim --test soak");
                failed.push(seed);
            }
        }
    }
    println!("{tally}");
    assert!(failed.is_empty(), "{} seeds failed: {failed:?}", failed.len());
    if one.is_none() && seeds >= SEEDS {
        let never: Vec<_> = RARE.iter().filter(|what| tally.of(what) == 0).collect();
        assert!(never.is_empty(), "these never happened: {never:#?}");
    }
}

/// Nothing but the seed decides: not the order of a hash map, not the clock, not the masking keys.
#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1..=20 {
        let (first, second) = (soak::run(seed), soak::run(seed));
        assert_eq!(first, second, "seed {seed}");
        assert_ne!(first.trace, soak::run(seed + 1_000).trace);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}
