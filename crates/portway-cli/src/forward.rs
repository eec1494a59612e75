use std::process::ExitCode;
use std::time::Duration;

use portway_tokio::{
    Config, HttpConnector, ListenError, Listening, Mapping, Options, PortForward, Tokio,
};

use crate::address::mapping;
use crate::args::ForwardArgs;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output;
use crate::report::{Reporter, reason};

/// How long connections may go on after the first interrupt.
const DRAIN: Duration = Duration::from_secs(2);

/// `portway POD PORT...`: forwards until it is interrupted.
pub(crate) async fn run(args: ForwardArgs) -> Result<ExitCode, Failure> {
    let mut interrupts = Interrupts::install().map_err(Failure::new)?;
    let runtime = Tokio::current();
    let connector = connector(&runtime, &args)?;
    let mappings: Vec<Mapping> =
        args.ports.iter().map(|spec| mapping(*spec, &args.address)).collect();
    let listening =
        runtime.listen(connector, mappings, options(&args)).await.map_err(|e| refused_port(&e))?;
    let events = listening.events();
    if !args.no_probe {
        tokio::select! {
            probe = listening.probe() => {
                let probe = probe.map_err(|error| Failure::new(reason(&error)))?;
                tracing::debug!(form = %probe.form, took = ?probe.took, "the server agrees");
            }
            _ = interrupts.next() => return Ok(ExitCode::SUCCESS),
        }
    }
    let reporter = Reporter::start(listening.bound(), events);
    interrupts.next().await;
    stop(listening, reporter, interrupts).await
}

/// Lets connections finish, for a while.
pub(crate) async fn stop(
    listening: Listening,
    reporter: Reporter,
    mut interrupts: Interrupts,
) -> Result<ExitCode, Failure> {
    tokio::select! {
        leftover = listening.shutdown(DRAIN) => {
            reporter.finish().await;
            match leftover.connections {
                0 => {}
                1 => output::note("a connection did not end in time and was cut off"),
                more => output::note(format_args!(
                    "{more} connections did not end in time and were cut off"
                )),
            }
            Ok(ExitCode::SUCCESS)
        }
        code = interrupts.next() => Ok(ExitCode::from(code)),
    }
}

fn connector(runtime: &Tokio, args: &ForwardArgs) -> Result<HttpConnector<Tokio>, Failure> {
    let server = &args.server;
    if server.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
        return Err(Failure::usage(
            "--server: https is not supported yet; run `kubectl proxy` and give its address, such as http://127.0.0.1:8001",
        ));
    }
    let invalid = |error| Failure::usage(format_args!("--server: {error}"));
    let connector = runtime.http(server, &args.namespace, args.pod.as_str()).map_err(invalid)?;
    let connector = connector.with_timeouts(args.timeout.min(CONNECT), args.timeout);
    Ok(args.header.iter().fold(connector, |connector, header| {
        connector.with_header(header.name.clone(), header.value.clone())
    }))
}

/// How long a TCP connection to the server may take.
const CONNECT: Duration = Duration::from_secs(10);

fn options(args: &ForwardArgs) -> Options {
    let config = Config::client().with_open_timeout(args.timeout.min(CONNECT));
    let config = match args.half_close {
        Some(policy) => config.with_half_close(policy),
        None => config,
    };
    Options::new().with_session(config).with_protocol(args.protocol)
}

fn refused_port(error: &ListenError) -> Failure {
    match error {
        ListenError::Bind { address, remote, .. } if address.port() != 0 => Failure::new(
            format_args!("{error}; give another local port, or :{remote} for a free one"),
        ),
        ListenError::Bind { .. } | ListenError::Nothing | _ => Failure::new(error),
    }
}
