use std::path::PathBuf;

use clap::{ArgAction, Args};
use portway_tokio::Protocol;

/// `portway demo`
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Stay until interrupted, to be tried with a browser, curl, another portway, or kubectl
    #[arg(long)]
    pub(crate) serve: bool,

    /// Where to write the kubeconfig that --serve makes; among the temporary files if not said, and
    /// gone with the demo
    #[arg(long, value_name = "FILE", requires = "serve")]
    pub(crate) kubeconfig_out: Option<PathBuf>,

    /// What to speak, as with a real cluster
    #[arg(long, value_name = "auto|tunnel|v4|spdy", default_value_t)]
    pub(crate) protocol: Protocol,

    /// How many MiB go through the echo, up and down at once
    #[arg(long, default_value = "256", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub(crate) mib: u64,

    /// Say more on stderr; twice for everything
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}
