//! Runs every scenario on every runtime, in both roles and all wire forms, and prints what came of it.
//! `cargo run -p portway-suite --example table [part of a name]`
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use portway_suite::matrix::{Case, FORMS, Need, Role, Scenario};
use portway_suite::{
    AsyncStdGlobal, SCENARIOS, Simulator, SmolGlobal, Stage, TokioCurrent, TokioThreads, run_case,
};

/// Runs a square of the matrix.
type Run = fn(Case) -> Option<Need>;

/// The runtimes, in the order of the columns, and how to run a square of the matrix there.
static RUNTIMES: [(&str, Run); 5] = [
    (TokioCurrent::NAME, run_case::<TokioCurrent>),
    (TokioThreads::NAME, run_case::<TokioThreads>),
    (SmolGlobal::NAME, run_case::<SmolGlobal>),
    (AsyncStdGlobal::NAME, run_case::<AsyncStdGlobal>),
    (Simulator::NAME, run_case::<Simulator>),
];

static FAILED: AtomicUsize = AtomicUsize::new(0);

fn main() -> ExitCode {
    let part = std::env::args().nth(1).unwrap_or_default();
    std::panic::set_hook(Box::new(|_| {}));
    let forms = FORMS.map(|form| form.to_string()).join(", ");
    println!("In each cell: our client, then our server; each in {forms}.");
    println!("+ kept, X broken, - the wire cannot (skips.txt), . not this role's");
    println!();
    print!("{:<52}", "");
    for (name, _) in RUNTIMES {
        print!("{name:<20}");
    }
    println!();
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.name.contains(&part)) {
        print!("{:<52}", scenario.name);
        for (_, run) in RUNTIMES {
            print!("{:<20}", cell(scenario, run));
        }
        println!();
    }
    let failed = FAILED.load(Ordering::Relaxed);
    println!();
    println!("{failed} broken");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All squares of a scenario on one runtime.
fn cell(scenario: &'static Scenario, run: Run) -> String {
    let of_role = |role: Role| -> String {
        let cases: Vec<_> = scenario.cases().filter(|case| case.role == role).collect();
        if cases.is_empty() {
            return ".".repeat(FORMS.len());
        }
        let outcome = |case| match catch_unwind(AssertUnwindSafe(|| run(case))) {
            Ok(None) => '+',
            Ok(Some(_)) => '-',
            Err(_) => {
                FAILED.fetch_add(1, Ordering::Relaxed);
                'X'
            }
        };
        cases.into_iter().map(outcome).collect()
    };
    format!("{} {}", of_role(Role::Client), of_role(Role::Server))
}
