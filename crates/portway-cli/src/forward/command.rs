use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{ExitCode, ExitStatus};

use tokio::process::{Child, Command};

use super::open::Opened;
use crate::failure::Failure;
use crate::interrupt::{Interrupts, Signal};

/// A command that runs under the forwards.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    name: OsString,
}

impl Running {
    /// Starts it, with the ports in its environment.
    pub(super) fn start(line: &[OsString], opened: &[Opened]) -> Result<Option<Self>, Failure> {
        let Some((program, args)) = line.split_first() else { return Ok(None) };
        let mut command = Command::new(program);
        command.args(args).envs(environment(opened));
        match command.spawn() {
            Ok(child) => Ok(Some(Self { child, name: program.clone() })),
            Err(error) => Err(not_started(program, &error)),
        }
    }

    /// Waits for its end, and passes on what we are told meanwhile.
    pub(super) async fn finish(
        &mut self,
        interrupts: &mut Interrupts,
    ) -> Result<ExitCode, Failure> {
        loop {
            tokio::select! {
                ended = self.child.wait() => return match ended {
                    Ok(status) => Ok(code(status)),
                    Err(error) => Err(Failure::new(format_args!(
                        "cannot wait for {}: {error}",
                        self.name.display()
                    ))),
                },
                signal = interrupts.next() => self.signal(signal),
            }
        }
    }

    /// Tells it to end.
    #[cfg(unix)]
    pub(super) fn signal(&self, signal: Signal) {
        use std::io::IsTerminal;
        // Ctrl-C reaches everybody at the terminal: twice is more than once to many programs.
        if signal == Signal::Interrupt && io::stdin().is_terminal() {
            return;
        }
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let signal = match signal {
                Signal::Interrupt => rustix::process::Signal::INT,
                Signal::Terminate => rustix::process::Signal::TERM,
            };
            // It may have ended just now.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Ctrl-C has reached it already.
    #[cfg(not(unix))]
    pub(super) fn signal(&self, _: Signal) {}
}

/// How a program finds the ports: `PORTWAY_ADDR` and `PORTWAY_PORT` are the first one.
fn environment(opened: &[Opened]) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for opened in opened {
        for port in &opened.ports {
            let Some(address) = port.addresses.first() else { continue };
            let mut names = vec![port.variable(&opened.forward)];
            if variables.is_empty() {
                names.push("PORTWAY".to_owned());
            }
            for name in names {
                variables.push((format!("{name}_ADDR"), address.to_string()));
                let number = port.local.map(|port| (format!("{name}_PORT"), port.to_string()));
                variables.extend(number);
            }
        }
    }
    // Of two by the same name the first has it.
    variables.reverse();
    variables
}

/// The codes that shells have for this.
fn not_started(program: &OsStr, error: &io::Error) -> Failure {
    let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    Failure::new(format_args!("cannot run {}: {error}", program.display())).with_code(code)
}

/// Its own, or that of the signal that ended it, as shells have it.
fn code(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal = None::<i32>;
    let code = status.code().or_else(|| signal.map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
