//! Opens what is wanted and keeps it.

mod open;
mod progress;
mod told;

use std::process::ExitCode;
use std::time::Duration;

use portway_tokio::Listening;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub(crate) use self::open::{OpenError, Opened, Opening};
use self::progress::Progress;
pub(crate) use self::told::{Told, reason};
use crate::access::Access;
use crate::args::ForwardArgs;
use crate::args::value::Reconnect;
use crate::event::What;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::report::{Reporter, Teller, Words, of};
use crate::wanted::Wanted;

/// How long connections may go on after the first interrupt.
const DRAIN: Duration = Duration::from_secs(2);

/// `portway TARGET PORT...`: forwards until it is interrupted.
pub(crate) async fn run(args: ForwardArgs, wanted: Vec<Wanted>) -> Result<ExitCode, Failure> {
    let interrupts = Interrupts::install().map_err(Failure::new)?;
    let reporter = Reporter::start(of(args.output, Words::Stdout));
    let teller = reporter.teller();
    let ended = keep(args, wanted, &reporter, interrupts).await;
    if let Err(failure) = &ended {
        teller.tell(What::Error { error: failure.to_string() });
    }
    drop(teller);
    reporter.finish().await;
    ended
}

/// Opens, serves and stops.
async fn keep(
    args: ForwardArgs,
    wanted: Vec<Wanted>,
    reporter: &Reporter,
    mut interrupts: Interrupts,
) -> Result<ExitCode, Failure> {
    let teller = reporter.teller();
    let opening = Opening {
        pod_running_timeout: args.pod_running_timeout,
        probe: !args.no_probe,
        leave_out: true,
    };
    let mut access = Access::new(args.access);
    let opened = tokio::select! {
        opened = open_all(&opening, &wanted, &mut access, &teller) => opened.map_err(Failure::new)?,
        _ = interrupts.next() => return Ok(ExitCode::SUCCESS),
    };
    for opened in &opened {
        opened.tell(&teller);
    }
    teller.tell(What::Ready);
    let (lose, mut lost) = mpsc::channel(1);
    let mut tellers = JoinSet::new();
    let mut listening = Vec::new();
    let mut progress = Progress::new(reporter);
    for (opened, wanted) in opened.into_iter().zip(&wanted) {
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
    tokio::select! {
        _ = interrupts.next() => {}
        Some(()) = lost.recv() => return Err(Failure::new("lost connection to pod")),
    }
    let code = stop(listening, &teller, interrupts).await;
    // Who was told of nothing more to come has told the rest.
    while tellers.join_next().await.is_some() {}
    progress.finish();
    Ok(code)
}

async fn open_all(
    opening: &Opening,
    wanted: &[Wanted],
    access: &mut Access,
    teller: &Teller,
) -> Result<Vec<Opened>, OpenError> {
    let mut all = Vec::new();
    for wanted in wanted {
        all.push(opening.open(wanted, access, teller).await?);
    }
    Ok(all)
}

/// Lets connections finish, for a while.
pub(crate) async fn stop(
    listening: Vec<Listening>,
    teller: &Teller,
    mut interrupts: Interrupts,
) -> ExitCode {
    let mut all: JoinSet<usize> = listening
        .into_iter()
        .map(|listening| async move { listening.shutdown(DRAIN).await.connections })
        .collect();
    let mut cut = 0;
    loop {
        tokio::select! {
            done = all.join_next() => match done {
                Some(connections) => cut += connections.unwrap_or(0),
                None => break,
            },
            code = interrupts.next() => return ExitCode::from(code),
        }
    }
    teller.tell(What::Stopped { cut });
    ExitCode::SUCCESS
}
