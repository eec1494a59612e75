//! Runs one case a number of times, for `benches/instructions`: `count NAME RUNS`; alone it prints
//! the names and the messages of a run.
#![allow(missing_docs, reason = "not a library")]
#![allow(clippy::print_stdout, reason = "what it is for")]
#![allow(clippy::disallowed_methods, reason = "a session wants to know when it began")]

mod cases;

use std::time::Instant;

fn main() {
    let cases = cases::cases(Instant::now());
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [name, runs] = args.as_slice() {
        let runs: usize = runs.parse().expect("how many runs");
        let mut case = cases.into_iter().find(|case| case.name == *name).expect("a case's name");
        for _ in 0..runs {
            (case.run)();
        }
    } else {
        for case in cases {
            println!("{} {} {}", case.name, case.messages, case.bytes);
        }
    }
}
