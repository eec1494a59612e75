use clap::Args;
use portway_resolve::{PortSpec, Target};
use portway_tokio::Protocol;

use super::{AccessArgs, OutputArgs};
use crate::wanted::port;

/// `portway check TARGET [PORT...]`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// A pod, or TYPE/NAME, as to forward to it
    pub(crate) target: Target,

    /// Ports to try, as to forward them. To try one is a real connection to the program that listens
    /// there, and a second one where the server takes v4, which connects by its upgrade. Without ports
    /// no program in the pod notices anything
    #[arg(value_name = "[LOCAL:]REMOTE", value_parser = port)]
    pub(crate) ports: Vec<PortSpec>,

    /// Measure how fast bytes go up and down, by way of an echo that listens on this port: whatever it
    /// is sent, it sends back. It is sent 16 bytes first, and no more unless they come back
    #[arg(long, value_name = "REMOTE", value_parser = port)]
    pub(crate) rate: Option<PortSpec>,

    /// The wire form that forwards are to take; it alone is needed then. The others are tried all the
    /// same
    #[arg(long, value_name = "auto|tunnel|v4|spdy", default_value_t)]
    pub(crate) protocol: Protocol,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) access: AccessArgs,
}
