use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};
use portway_resolve::PortMapping;
use portway_tokio::Protocol;
use portway_tokio::proto::HalfClose;

use crate::address::Address;
use crate::half_close;
use crate::header::Header;
use crate::output;
use crate::ports::{self, collision};
use crate::target::PodName;

/// Forward local ports into a Kubernetes pod. Every connection has a session of its own: none slows
/// another down, and none ends but by its own errors.
///
/// Exit codes: 0 after an interrupt, 1 when it did not work, 2 when the command line makes no sense.
#[derive(Debug, Parser)]
#[command(name = "portway", version, args_conflicts_with_subcommands = true)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    forward: Option<ForwardArgs>,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Show that it works: an embedded API server, programs in a pod, and forwards to them
    ///
    /// (A pod with the name demo is spelled pod/demo.)
    Demo(DemoArgs),
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Forward(ForwardArgs),
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ForwardArgs {
    /// The pod; pod/NAME, pods/NAME and po/NAME are the same
    #[arg(value_name = "[TYPE/]POD")]
    pub(crate) pod: PodName,

    /// 5000: the same port on both sides; 8888:5000: local 8888; :5000: a free local port
    #[arg(required = true, value_name = "[LOCAL:]REMOTE", value_parser = ports::parse)]
    pub(crate) ports: Vec<PortMapping>,

    /// The API server in plain HTTP, such as the http://127.0.0.1:8001 of `kubectl proxy`
    #[arg(long, value_name = "URL")]
    pub(crate) server: String,

    /// The namespace of the pod
    #[arg(short, long, default_value = "default")]
    pub(crate) namespace: String,

    /// Local addresses to listen on, separated by commas: IP addresses, or localhost for 127.0.0.1
    /// and ::1, of which one is enough
    #[arg(long, value_delimiter = ',', default_value = "localhost", action = ArgAction::Set)]
    pub(crate) address: Vec<Address>,

    /// A header to send with every request; can be given several times
    #[arg(long, value_name = "NAME: VALUE", hide_possible_values = true)]
    pub(crate) header: Vec<Header>,

    /// What the end of a local program's sending does: end the session at once (immediate), nothing
    /// (never), or end it after so many seconds without an answer from the pod
    #[arg(long, value_name = "immediate|never|SECONDS", value_parser = half_close::parse)]
    pub(crate) half_close: Option<HalfClose>,

    /// What to speak with the server: auto is whatever works, SPDY in a WebSocket or v4 first, and
    /// plain SPDY where no WebSocket gets through. Name one if what is on the way breaks the others:
    /// v4 for what breaks the tunnel, spdy for what breaks WebSockets only after letting them through
    #[arg(long, value_name = "auto|tunnel|v4|spdy", default_value_t)]
    pub(crate) protocol: Protocol,

    /// How many seconds the server may take to answer
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = half_close::parse_timeout)]
    pub(crate) timeout: Duration,

    /// Do not ask the server before saying that the ports are ready. Where it speaks v4, asking shows
    /// the program in the pod one connection that ends at once; otherwise the pod notices nothing
    #[arg(long)]
    pub(crate) no_probe: bool,

    /// Say more on stderr; twice for everything
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

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
    verbose: u8,
}

impl Cli {
    /// The command line of this process. Otherwise what was asked for is said already, or what is
    /// wrong with it.
    pub(crate) fn parse() -> Result<Command, ExitCode> {
        let cli = Self::try_parse().map_err(explain)?;
        if let Some(Other::Demo(demo)) = cli.other {
            return Ok(Command::Demo(demo));
        }
        match cli.forward {
            Some(forward) => match collision(&forward.ports) {
                None => Ok(Command::Forward(forward)),
                Some((one, other)) => Err(explain(Self::command().error(
                    ErrorKind::ValueValidation,
                    format_args!(
                        "local port {} is asked for twice, by {one} and by {other}; give one of them another local port, or :{} for a free one",
                        other.local, other.remote
                    ),
                ))),
            },
            None => Err(explain(Self::command().error(ErrorKind::MissingRequiredArgument, ""))),
        }
    }
}

impl Command {
    pub(crate) const fn verbosity(&self) -> u8 {
        match self {
            Self::Forward(args) => args.verbose,
            Self::Demo(args) => args.verbose,
        }
    }
}

/// Help and version go to stdout as they are. An error becomes one line: clap's first words and its
/// tips, without the usage that `--help` shows.
fn explain(mut error: clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let text = error.render();
        if std::io::stdout().is_terminal() {
            output::block(text.ansi());
        } else {
            output::block(text);
        }
        return ExitCode::SUCCESS;
    }
    let about_header = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(arg)) if arg.starts_with("--header")
    );
    if about_header {
        // It may be a token.
        error.insert(ContextKind::InvalidValue, ContextValue::String("(not shown)".to_owned()));
    }
    let text = error.render().to_string();
    let said = text.split("\n\n").map(str::trim).filter(|part| {
        !part.is_empty() && !part.starts_with("Usage:") && !part.starts_with("For more information")
    });
    let said: Vec<&str> = said.map(|part| part.trim_start_matches("error: ")).collect();
    output::error(format_args!("{} (see portway --help)", said.join("; ")));
    ExitCode::from(2)
}
