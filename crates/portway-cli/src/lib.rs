//! `portway`: Kubernetes port-forward on the command line, in kubectl's words.
//!
//! The two programs `portway` and `kubectl-portway` are [`main`] and nothing else. This is no interface
//! to build on: that is the library `portway`.
//!
//! Exit codes: 0 after an interrupt or a demo that went well, 1 when it did not work, 2 when the
//! command line makes no sense (kubectl says 1 there too), 130 and 143 after a second signal.

mod access;
mod args;
mod ask;
mod check;
mod demo;
mod event;
mod explain;
mod failure;
mod forward;
mod interrupt;
mod log;
mod near;
mod output;
mod report;
mod transfer;
mod wanted;

use std::process::ExitCode;

use args::{Cli, Command};

/// Does what the command line of this process says.
#[doc(hidden)]
pub fn main() -> ExitCode {
    let command = match Cli::parse() {
        Ok(command) => command,
        Err(exit) => return exit,
    };
    log::install(command.verbosity());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(format_args!("cannot start the async runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = match command {
        Command::Forward(args, wanted) => runtime.block_on(forward::run(*args, wanted)),
        Command::Check(args) => runtime.block_on(check::run(&args)),
        Command::Demo(args) => runtime.block_on(demo::run(args)),
        Command::Print(text) => Ok(output::whole(text)),
    };
    // Whatever still runs is not waited for: the process ends.
    runtime.shutdown_background();
    result.unwrap_or_else(failure::Failure::report)
}
