use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;

use crate::output;

/// Diagnostics go to stderr. By default warnings: a token over plain HTTP, a listener that everybody
/// can reach.
pub(crate) fn install(verbosity: u8) {
    let level = match verbosity {
        0 => LevelFilter::WARN,
        1 => LevelFilter::DEBUG,
        2.. => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| output::Log)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(verbosity > 1)
        .without_time()
        .init();
}
