//! Where scenarios are played.

use std::ops::Range;

use portway_driver::{Net, Runtime};
use portway_runtimes::TestRuntime;
use portway_sim::Sim;

/// A runtime to test, and how to play a scenario on it. Every [`TestRuntime`] is one; implement either, and
/// `conformance!` does the rest.
pub trait Stage {
    /// What it is called in tables.
    const NAME: &'static str;

    /// Bytes of a large transfer.
    const BULK: usize = 2 * 1024 * 1024;

    /// Many connections, for each wire form.
    const CONNECTIONS: usize = 100;

    /// What the driver is given.
    type Runtime: Runtime + Net;

    /// Runs `body` to its end on a runtime; a simulator may run it several times.
    fn run(body: impl AsyncFn(Self::Runtime));
}

/// The simulator: every scenario with several seeds. `SIM_SEEDS` says how many, or which: `64`, `7..8`.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct Simulator;

impl<T: TestRuntime> Stage for T {
    const NAME: &'static str = T::NAME;
    type Runtime = T::Runtime;

    fn run(body: impl AsyncFn(T::Runtime)) {
        portway_runtimes::run::<T, _>(body);
    }
}

impl Stage for Simulator {
    const NAME: &'static str = "simulator";
    const BULK: usize = 512 * 1024;
    const CONNECTIONS: usize = 40;
    type Runtime = Sim;

    fn run(body: impl AsyncFn(Sim)) {
        seeds().for_each(|seed| portway_sim::run(seed, &body));
    }
}

fn seeds() -> Range<u64> {
    let given = std::env::var("SIM_SEEDS").unwrap_or_else(|_| "2".to_owned());
    let (start, end) = given.split_once("..").unwrap_or(("0", &given));
    start.parse().expect("a seed")..end.parse().expect("a number of seeds")
}
