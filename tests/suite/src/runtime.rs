//! The runtimes that scenarios run on.

use std::ops::Range;

use portway_async_std::AsyncStd;
use portway_driver::{Net, Runtime};
use portway_sim::Sim;
use portway_smol::Smol;
use portway_tokio::Tokio;

/// A runtime to test, and how to get into it. Implement it, and `conformance!` does the rest.
pub trait TestRuntime {
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

/// tokio with everything on the thread of the test.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct TokioCurrent;

/// tokio with two threads of its own.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct TokioThreads;

/// smol with its global executor.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct SmolGlobal;

/// async-std with its global executor.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct AsyncStdGlobal;

/// The simulator: every scenario with several seeds. `SIM_SEEDS` says how many, or which: `64`, `7..8`.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct Simulator;

impl TestRuntime for TokioCurrent {
    const NAME: &'static str = "tokio, one thread";
    type Runtime = Tokio;

    fn run(body: impl AsyncFn(Tokio)) {
        on_tokio(&mut tokio::runtime::Builder::new_current_thread(), body);
    }
}

impl TestRuntime for TokioThreads {
    const NAME: &'static str = "tokio, threads";
    type Runtime = Tokio;

    fn run(body: impl AsyncFn(Tokio)) {
        on_tokio(tokio::runtime::Builder::new_multi_thread().worker_threads(2), body);
    }
}

impl TestRuntime for SmolGlobal {
    const NAME: &'static str = "smol";
    type Runtime = Smol;

    fn run(body: impl AsyncFn(Smol)) {
        smol::block_on(body(Smol::global()));
    }
}

impl TestRuntime for AsyncStdGlobal {
    const NAME: &'static str = "async-std";
    type Runtime = AsyncStd;

    fn run(body: impl AsyncFn(AsyncStd)) {
        async_std::task::block_on(body(AsyncStd::global()));
    }
}

impl TestRuntime for Simulator {
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

fn on_tokio(builder: &mut tokio::runtime::Builder, body: impl AsyncFn(Tokio)) {
    let tokio = builder.enable_all().build().expect("a runtime");
    tokio.block_on(body(Tokio::new(tokio.handle().clone())));
}
