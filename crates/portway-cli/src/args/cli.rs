use std::io::IsTerminal;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};

use super::{CheckArgs, CompletionsArgs, DemoArgs, ForwardArgs, ManArgs};
use crate::output;
use crate::wanted::{self, Wanted, WantedError};

/// Forward local ports into Kubernetes pods. Every connection has a session of its own: none slows
/// another down, and none ends but by its own errors.
///
/// Exit codes: 0 after an interrupt, 1 when it did not work, 2 when the command line makes no sense.
#[derive(Debug, Parser)]
#[command(name = "portway", version, args_conflicts_with_subcommands = true)]
#[command(subcommand_negates_reqs = true, args_override_self = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    forward: ForwardArgs,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Look at everything that a forward to a target needs, a line each: the first FAIL explains the rest
    ///
    /// The way to the cluster, the server, who we are to it, what we may do, the pod, the wire forms that
    /// get through, the round trip, and each port. Exit codes: 0 when a forward would work, 1 when
    /// something that it needs is missing, 2 when the command line makes no sense. (A pod with the name
    /// check is spelled pod/check.)
    Check(Box<CheckArgs>),
    /// Show that it works: an embedded API server, programs in a pod, and forwards to them
    ///
    /// (A pod with the name demo is spelled pod/demo, and so are those with the names below.)
    Demo(DemoArgs),
    /// Print the JSON schema of files of forwards (-f), for editors and other programs
    Schema,
    /// Print what a shell needs to complete the arguments of portway
    ///
    /// For bash, in ~/.bashrc: source <(portway completions bash)
    Completions(CompletionsArgs),
    /// Print the manual page: portway man | man -l -
    Man(ManArgs),
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Forward(Box<ForwardArgs>, Vec<Wanted>),
    Check(Box<CheckArgs>),
    Demo(DemoArgs),
    Print(String),
}

impl Cli {
    /// The command line of this process. Otherwise what was asked for is said already, or what is
    /// wrong with it.
    pub(crate) fn parse() -> Result<Command, ExitCode> {
        let cli = Self::try_parse().map_err(explain)?;
        match cli.other {
            Some(Other::Check(check)) => return Ok(Command::Check(check)),
            Some(Other::Demo(demo)) => return Ok(Command::Demo(demo)),
            Some(Other::Schema) => return Ok(Command::Print(wanted::schema())),
            Some(Other::Completions(args)) => {
                return Ok(Command::Print(args.of(&mut Self::command())));
            }
            Some(Other::Man(args)) => {
                let page = args.of(&mut Self::command());
                let none = || {
                    Self::command()
                        .error(ErrorKind::InvalidSubcommand, "portway has no such command")
                };
                return page.map(Command::Print).ok_or_else(|| explain(none()));
            }
            None => {}
        }
        match wanted::of(&cli.forward) {
            Ok(wanted) => Ok(Command::Forward(Box::new(cli.forward), wanted)),
            Err(WantedError::File(error)) => {
                error.lines().iter().for_each(output::error);
                Err(ExitCode::from(2))
            }
            Err(error) => Err(explain(Self::command().error(ErrorKind::ValueValidation, error))),
        }
    }
}

impl Command {
    pub(crate) fn verbosity(&self) -> u8 {
        match self {
            Self::Forward(args, _) => args.access.verbosity(),
            Self::Check(args) => args.access.verbosity(),
            Self::Demo(args) => args.verbose,
            Self::Print(_) => 0,
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
    let about_secret = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(arg)) if arg.starts_with("--header") || arg.starts_with("--token")
    );
    if about_secret {
        // It may be a token.
        error.insert(ContextKind::InvalidValue, ContextValue::String("(not shown)".to_owned()));
    }
    let text = error.render().to_string();
    // Of what stands behind `--` something else is made.
    let tips = text.lines().filter(|line| !line.contains("as a value, use '-- "));
    let text = tips.collect::<Vec<_>>().join("\n");
    let said = text.split("\n\n").map(str::trim).filter(|part| {
        !part.is_empty() && !part.starts_with("Usage:") && !part.starts_with("For more information")
    });
    let said: Vec<&str> = said.map(|part| part.trim_start_matches("error: ")).collect();
    output::error(format_args!("{} (see portway --help)", said.join("; ")));
    ExitCode::from(2)
}
