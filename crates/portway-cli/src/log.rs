use std::io::IsTerminal;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::output;

/// Diagnostics go to stderr. By default warnings: a token over plain HTTP, a listener that everybody
/// can reach. Of what the libraries below say, errors too are nothing that is not said by us.
pub(crate) fn install(verbosity: u8) {
    let (ours, theirs) = match verbosity {
        0 => (LevelFilter::WARN, LevelFilter::OFF),
        1 => (LevelFilter::DEBUG, LevelFilter::OFF),
        2.. => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(|| output::Log)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(verbosity > 1)
        .without_time()
        .with_filter(Targets::new().with_default(theirs).with_target("portway", ours));
    tracing_subscriber::registry().with(layer).init();
}
