use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use portway_tokio::proto::HalfClose;
use portway_tokio::{Protocol, Sessions};

use super::AccessArgs;
use super::value::{Address, Reconnect, duration, half_close, sessions, size};
use crate::wanted::Policies;

/// `portway TARGET PORT...`
#[derive(Debug, Args)]
pub(crate) struct ForwardArgs {
    /// A pod, or TYPE/NAME, and its ports; then perhaps more of them. A word with a slash is a target,
    /// and the ports behind it are its own. 5000: the same port on both sides; 8888:5000: local 8888;
    /// :5000: a free local port; http, 8888:http: a port by its name; unix:PATH:5000: a unix socket,
    /// which only this user may connect to
    #[arg(value_name = "TARGET [LOCAL:]REMOTE", num_args = 1.., required_unless_present_any = ["selector", "files", "only"])]
    pub(crate) words: Vec<String>,

    /// Pods by their labels in place of the first target, such as app=web
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(crate) selector: Option<String>,

    /// Forwards out of a YAML file, of which `portway schema` tells the shape; - is standard input; can be
    /// given several times. What it leaves open is as the other arguments say
    #[arg(short = 'f', long = "filename", value_name = "FILE", conflicts_with_all = ["words", "selector"])]
    pub(crate) files: Vec<PathBuf>,

    /// Only the forward of this name of those in the files; can be given several times
    #[arg(long, value_name = "NAME", requires = "files", conflicts_with_all = ["words", "selector"])]
    pub(crate) only: Vec<String>,

    /// Local addresses to listen on, separated by commas: IP addresses, or localhost for 127.0.0.1
    /// and ::1, of which one is enough
    #[arg(long, value_delimiter = ',', default_value = "localhost", action = ArgAction::Append)]
    pub(crate) address: Vec<Address>,

    /// How long to wait for a pod when there is none at first, such as 30s or 1m30s
    #[arg(long, value_name = "DURATION", default_value = "1m0s", value_parser = duration)]
    pub(crate) pod_running_timeout: Duration,

    /// Do not ask the server before saying that the ports are ready. Where it speaks v4, asking shows
    /// the program in the pod one connection that ends at once; otherwise the pod notices nothing
    #[arg(long)]
    pub(crate) no_probe: bool,

    #[command(flatten)]
    policies: PolicyArgs,

    /// Be the connection: what comes from standard input goes to the one port that is given, and what
    /// it says to standard output. `ssh -o ProxyCommand='portway pod/box 22 --stdio' box`
    #[arg(long, conflicts_with_all = ["ports_file", "command", "output", "quiet"])]
    pub(crate) stdio: bool,

    /// Write the ports that are open to this file, as JSON, when all of them are; it is there whole or
    /// not at all, and gone with the command
    #[arg(long, value_name = "FILE")]
    pub(crate) ports_file: Option<PathBuf>,

    /// Run this once all ports are open, and end with its exit code. In its environment: PORTWAY_PORT
    /// and PORTWAY_ADDR for the first port, and for each, such as svc/web http, PORTWAY_WEB_HTTP_PORT
    /// and PORTWAY_WEB_HTTP_ADDR
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,

    /// Known only to say that there is none
    #[arg(short = 'R', long, hide = true, value_name = "PORTS", value_parser = no_way_back)]
    reverse: Option<Infallible>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

/// What is said, and how.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// What goes to stdout: kubectl's words, or one JSON object a line for each event
    #[arg(
        short,
        long,
        value_enum,
        value_name = "text|json",
        default_value = "text",
        hide_possible_values = true
    )]
    pub(crate) output: Output,

    /// Nothing to stdout; errors still go to stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// The shape of what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

/// How forwards behave.
#[derive(Debug, Args)]
#[command(next_help_heading = "Forwarding")]
struct PolicyArgs {
    /// What happens when a pod goes: sticky takes another one, per-connection asks for the best one
    /// each time, round-robin takes the ready ones in turn; off ends the command, as kubectl's does
    #[arg(long, value_name = "sticky|per-connection|round-robin|off", default_value_t)]
    reconnect: Reconnect,

    /// What the end of a local program's sending does: end the session at once (immediate), nothing
    /// (never), or end it after so many seconds without an answer from the pod
    #[arg(long, value_name = "immediate|never|SECONDS", value_parser = half_close)]
    half_close: Option<HalfClose>,

    /// How connections are put on sessions: one at a time, or up to N on each, which takes fewer
    /// upgrades but lets a slow one hold up the others
    #[arg(long, value_name = "exclusive|shared:N", default_value = "exclusive", value_parser = sessions)]
    sessions: Sessions,

    /// Bytes kept for each connection and direction while its other side is behind; 512Ki if not said
    #[arg(long, value_name = "SIZE", value_parser = size)]
    buffer: Option<usize>,

    /// What to speak with the server: auto is whatever works, SPDY in a WebSocket or v4 first, and
    /// plain SPDY where no WebSocket gets through. Name one if what is on the way breaks the others:
    /// v4 for what breaks the tunnel, spdy for what breaks WebSockets only after letting them through
    #[arg(long, value_name = "auto|tunnel|v4|spdy", default_value_t)]
    protocol: Protocol,
}

/// People know it from ssh.
fn no_way_back(_: &str) -> Result<Infallible, String> {
    Err("port-forward opens connections into a pod, and its protocol has none out of it; run what dials out in the pod, such as an SSH server, and `ssh -R` through `portway ... --stdio`".to_owned())
}

impl ForwardArgs {
    pub(crate) fn policies(&self) -> Policies {
        let PolicyArgs { reconnect, half_close, sessions, buffer, protocol } = self.policies;
        Policies { reconnect, half_close, sessions, buffer, protocol }
    }
}
