//! Opens what is wanted and keeps it.

mod command;
mod open;
mod ports;
mod ports_file;
mod progress;
mod stdio;
mod told;

use std::process::ExitCode;
use std::time::Duration;

use portway_tokio::Listening;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::command::Running;
pub(crate) use self::open::{OpenError, Opened, Opening};
use self::ports_file::PortsFile;
use self::progress::Progress;
pub(crate) use self::told::{Told, reason};
use crate::access::Access;
use crate::args::ForwardArgs;
use crate::args::value::Reconnect;
use crate::event::What;
use crate::explain::failed;
use crate::failure::Failure;
use crate::interrupt::{Interrupts, Signal};
use crate::report::{Reporter, Teller, Words, of};
use crate::wanted::Wanted;

/// How long connections may go on after the first interrupt. More than the two seconds that the last one
/// takes whose program has just gone: our half-close policy and the runtime take one each.
const DRAIN: Duration = Duration::from_secs(3);

/// How long what a command has sent may be under way when it has ended. Whoever wants an answer has
/// waited for it.
const AFTER_COMMAND: Duration = Duration::from_millis(500);

/// `portway TARGET PORT...`: forwards until it is interrupted, or until a command has ended.
pub(crate) async fn run(args: ForwardArgs, wanted: Vec<Wanted>) -> Result<ExitCode, Failure> {
    if args.stdio {
        return stdio::run(args, &wanted).await;
    }
    let interrupts = Interrupts::install().map_err(Failure::new)?;
    // A command has stdout for itself.
    let words = if args.command.is_empty() { Words::Stdout } else { Words::Stderr };
    let reporter = Reporter::start(of(args.output, words));
    let teller = reporter.teller();
    let ended = keep(&args, &wanted, &reporter, interrupts).await;
    if let Err(failure) = &ended {
        teller.tell(What::Error { error: failure.to_string() });
    }
    drop(teller);
    reporter.finish().await;
    ended
}

/// Opens, serves and stops.
async fn keep(
    args: &ForwardArgs,
    wanted: &[Wanted],
    reporter: &Reporter,
    mut interrupts: Interrupts,
) -> Result<ExitCode, Failure> {
    let teller = reporter.teller();
    let mut access = Access::new(args.access.clone());
    let opening = Opening::of(args);
    let opened = tokio::select! {
        opened = open_all(&opening, wanted, &mut access, &teller) => {
            opened?
        }
        signal = interrupts.next() => return Ok(match args.command.as_slice() {
            [] => ExitCode::SUCCESS,
            // It has not done what it was to do.
            _ => signal.exit_code(),
        }),
    };
    for opened in &opened {
        opened.tell(&teller);
    }
    let path = args.ports_file.as_deref();
    let _ports_file = path.map(|path| PortsFile::write(path, &opened)).transpose()?;
    teller.tell(What::Ready);
    let mut running = Running::start(&args.command, &opened)?;
    let (lose, mut lost) = mpsc::channel(1);
    let mut tellers = JoinSet::new();
    let mut listening = Vec::new();
    let mut progress = Progress::new(reporter);
    for (opened, wanted) in opened.into_iter().zip(wanted) {
        progress.follow(&opened.forward, opened.listening.counters());
        let told = Told::new(opened.forward, opened.remotes);
        let lose = lose.clone();
        let ends = wanted.policies.reconnect == Reconnect::Off;
        let lose = move || {
            if ends {
                // One is enough.
                let _ = lose.try_send(());
            }
        };
        tellers.spawn(told.tell(opened.events, teller.clone(), lose));
        listening.push(opened.listening);
    }
    let ended = tokio::select! {
        ended = work(running.as_mut(), &mut interrupts) => ended?,
        Some(()) = lost.recv() => {
            if let Some(running) = &running {
                running.signal(Signal::Terminate);
            }
            return Err(Failure::new("lost connection to pod"));
        }
    };
    let code = match ended {
        Some(code) => {
            // What it leaves behind it does not need.
            let _ = drain(listening, AFTER_COMMAND, interrupts).await;
            code
        }
        None => stop(listening, &teller, interrupts).await,
    };
    // Who was told of nothing more to come has told the rest.
    while tellers.join_next().await.is_some() {}
    progress.finish();
    Ok(code)
}

/// Waits for the end of the command, or for an interrupt if there is none.
async fn work(
    running: Option<&mut Running>,
    interrupts: &mut Interrupts,
) -> Result<Option<ExitCode>, Failure> {
    if let Some(running) = running {
        return running.finish(interrupts).await.map(Some);
    }
    interrupts.next().await;
    Ok(None)
}

async fn open_all(
    opening: &Opening,
    wanted: &[Wanted],
    access: &mut Access,
    teller: &Teller,
) -> Result<Vec<Opened>, Failure> {
    let mut all = Vec::new();
    for wanted in wanted {
        match opening.open(wanted, access, teller).await {
            Ok(opened) => all.push(opened),
            Err(error) => return Err(failed(error, wanted, access).await),
        }
    }
    Ok(all)
}

/// Lets connections finish, for a while, and says what had to be cut off.
pub(crate) async fn stop(
    listening: Vec<Listening>,
    teller: &Teller,
    interrupts: Interrupts,
) -> ExitCode {
    match drain(listening, DRAIN, interrupts).await {
        Ok(cut) => {
            teller.tell(What::Stopped { cut });
            ExitCode::SUCCESS
        }
        Err(signal) => signal.exit_code(),
    }
}

/// How many connections were cut off after that long, unless a signal ends it at once.
async fn drain(
    listening: Vec<Listening>,
    deadline: Duration,
    mut interrupts: Interrupts,
) -> Result<usize, Signal> {
    let mut all: JoinSet<usize> = listening
        .into_iter()
        .map(|listening| async move { listening.shutdown(deadline).await.connections })
        .collect();
    let mut cut = 0;
    loop {
        tokio::select! {
            done = all.join_next() => match done {
                Some(connections) => cut += connections.unwrap_or(0),
                None => return Ok(cut),
            },
            signal = interrupts.next() => return Err(signal),
        }
    }
}
