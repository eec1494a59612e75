//! What portway is held to in front of Kubernetes' own code: every promise, in every form of the wire, on
//! every runtime, and one table of what came of it.
//!
//! A cell is named `scenario::form::runtime`; libtest's filters and flags apply. By default the dear
//! scenarios take turns (see [`Share`]); `--include-ignored` runs every cell there is.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints a table")]

#[path = "../common/mod.rs"]
mod common;
mod grid;
mod scenarios;
mod table;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};
use portway_interop::require_go;
use portway_runtimes::{AsyncStdGlobal, SmolGlobal, TokioThreads};

use crate::grid::{Cell, Grid};
use crate::scenarios::scenarios;
use crate::table::Table;

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    // Some scenarios look at the whole process, and all of them want the machine to themselves.
    args.test_threads = Some(1);
    let grid = Arc::new(Grid::new([
        ("tokio", scenarios::<TokioThreads>()),
        ("smol", scenarios::<SmolGlobal>()),
        ("async-std", scenarios::<AsyncStdGlobal>()),
    ]));
    if let Err(problem) = grid.compare_with_list() {
        eprintln!("{problem}");
        return ExitCode::FAILURE;
    }
    if !args.list && !require_go() {
        return ExitCode::SUCCESS;
    }
    let table = Arc::new(Table::default());
    let trials = grid.cells().filter(|cell| grid.missing(*cell).is_none());
    let trials = trials.map(|cell| trial(cell, &grid, &table)).collect();
    let start = Instant::now();
    let conclusion = libtest_mimic::run(&args, trials);
    if args.list {
        return ExitCode::SUCCESS;
    }
    let all_asked_for = args.filter.is_none() && args.skip.is_empty() && !args.ignored;
    let gaps = table.print(&grid, start.elapsed(), !all_asked_for);
    if all_asked_for && gaps > 0 {
        eprintln!("{gaps} cells are missing without a reason");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn trial(cell: Cell, grid: &Arc<Grid>, table: &Arc<Table>) -> Trial {
    let (grid, table) = (Arc::clone(grid), Arc::clone(table));
    let (name, later) = (grid.name(cell), !grid.is_in_part(cell));
    let run = move || {
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| grid.run(cell)));
        table.note(cell, outcome.is_ok(), start.elapsed());
        outcome.map_err(|panic| Failed::from(words_of(&*panic)))
    };
    Trial::test(name, run).with_ignored_flag(later)
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}
