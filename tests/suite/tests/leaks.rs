//! Descriptors of the process: two thousand connections on each runtime leave as many as before.
//!
//! One test alone in its process, because they are counted for all of it.
#![cfg(target_os = "linux")]

use std::marker::PhantomData;

use portway_suite::{
    AsyncStdGlobal, SCENARIOS, SmolGlobal, Stage, TokioCurrent, TokioThreads, run_case,
};

#[test]
fn descriptors_are_given_back() {
    on::<TokioCurrent>();
    on::<TokioThreads>();
    on::<SmolGlobal>();
    on::<AsyncStdGlobal>();
}

/// A stage on which many more connect.
struct Busy<S>(PhantomData<S>);

impl<S: Stage> Stage for Busy<S> {
    const NAME: &'static str = S::NAME;
    const CONNECTIONS: usize = 500;
    type Runtime = S::Runtime;

    fn run(body: impl AsyncFn(S::Runtime)) {
        S::run(body);
    }
}

fn on<S: Stage>() {
    let scenario = SCENARIOS.iter().find(|it| it.name == "leaks::of_connections_that_ended");
    let scenario = scenario.expect("it is in the list");
    let mut cases = scenario.cases();
    // What a runtime opens once and keeps.
    let first = cases.next().expect("a case");
    run_case::<S>(first);
    let before = descriptors();
    for case in cases.chain([first]) {
        run_case::<Busy<S>>(case);
    }
    let after = descriptors();
    assert!(after <= before, "{}: {before} before, {after} after", S::NAME);
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("this process").count()
}
