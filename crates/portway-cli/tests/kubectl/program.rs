use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use portway_interop::Kubectl;
use rustix::process::{Pid, Signal, kill_process};

use crate::place::Place;
use crate::row::Outcome;

/// Nothing takes longer, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// kubectl, or portway.
pub(crate) struct Program {
    path: PathBuf,
    before: &'static [&'static str],
}

/// What a run of it has shown.
#[derive(Debug)]
pub(crate) struct Seen {
    /// With `FREE` for ports that were not asked for by number.
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
    pub(crate) leads_to: Vec<String>,
}

impl Program {
    /// None where it cannot be had, which is a failure in CI.
    pub(crate) fn kubectl() -> Option<Self> {
        let path = Kubectl::new()?.path().to_owned();
        // Other servers may have had this address before: no answers kept from them.
        let before = &["--cache-dir", "/dev/null/none", "port-forward"];
        Some(Self { path, before })
    }

    pub(crate) fn portway() -> Self {
        Self { path: env!("CARGO_BIN_EXE_portway").into(), before: &[] }
    }

    /// Something else of kubectl's.
    pub(crate) fn call(&self, args: &[&str]) {
        let done =
            Command::new(&self.path).env("KUBECONFIG", "/dev/null").args(args).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Runs it, connects to whatever it opens, and interrupts it unless it ends by itself.
    pub(crate) fn run(&self, place: &Place, args: &str, expected: &Outcome) -> Seen {
        let mut command = Command::new(&self.path);
        command.env("KUBECONFIG", "/dev/null").args(self.before).args(args.split_whitespace());
        if !args.contains("--server") {
            command.args(["--server", &place.url()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(&mut command);
        let (mut leads_to, mut free) = (Vec::new(), Vec::new());
        while leads_to.len() < expected.leads_to.len() {
            let Some(line) = running.line() else { break };
            if let Some(from) = line.strip_prefix("Forwarding from ") {
                let local: SocketAddr = from.split(' ').next().unwrap().parse().unwrap();
                if !args.contains(&local.port().to_string()) {
                    free.push(local.port().to_string());
                }
                leads_to.push(local.to_string());
            }
        }
        let mut dead = false;
        for local in &mut leads_to {
            let answer = ask(local.parse().unwrap());
            dead |= answer.is_none();
            *local = answer.unwrap_or_default();
            if !dead {
                // It says so before the next one comes.
                running.line();
            }
        }
        let ends = expected.code != 0;
        let mut seen = running.end(!ends, leads_to);
        for port in free {
            seen.stdout.iter_mut().for_each(|line| *line = line.replace(&port, "FREE"));
        }
        seen
    }
}

/// A process whose output is read.
struct Running {
    /// The command line.
    what: String,
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    stderr: thread::JoinHandle<String>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let what = format!("{command:?}");
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        Self { what, child, lines, said: Vec::new(), stderr }
    }

    /// The next line; none if it ends.
    fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.said.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                let _ = self.child.kill();
                panic!("{:?}: nothing more comes after {:?}", self.what, self.said)
            }
        }
    }

    fn end(mut self, interrupt: bool, leads_to: Vec<String>) -> Seen {
        if interrupt && self.child.try_wait().unwrap().is_none() {
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
            kill_process(pid, Signal::INT).unwrap();
        }
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("{:?} does not end after {:?}", self.what, self.said);
            }
            thread::sleep(Duration::from_millis(10));
        };
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        let stderr = self.stderr.join().unwrap();
        Seen { stdout: self.said, stderr, code: status.code(), leads_to }
    }
}

/// Who answers there; nothing if nobody does.
fn ask(to: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"who\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.trim_end().to_owned()).filter(|answer| !answer.is_empty())
}
