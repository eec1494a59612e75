//! Many seeds of the mixed load.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use portway_sim::soak::{self, Tally};

#[test]
fn soak() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let one = number("PORTWAY_SIM_SEED");
    let seeds = match one {
        Some(seed) => seed..=seed,
        None => 1..=number("PORTWAY_SIM_SEEDS").unwrap_or(1_000),
    };
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    for seed in seeds {
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
}
