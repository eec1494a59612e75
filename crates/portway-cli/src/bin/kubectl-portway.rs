//! The command `kubectl portway`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    portway_cli::main()
}
