use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Nothing here takes longer, unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running `portway`. It is killed when dropped.
pub(crate) struct Portway {
    child: Child,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
}

/// The lines of a stream, as they come.
pub(crate) struct Lines(Receiver<String>);

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// What was not read before.
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

/// The binary, not started yet.
pub(crate) fn command(args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portway"));
    command.args(args.split_whitespace());
    // Whatever cluster this machine knows is not to be touched.
    command.env("HOME", "/nonexistent");
    command.env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub(crate) fn run(args: &str) -> Ended {
    Portway::start(args).end()
}

impl Portway {
    /// `args` are separated by spaces.
    pub(crate) fn start(args: &str) -> Self {
        Self::spawn(&mut command(args))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        let stdout = Lines::read(child.stdout.take());
        let stderr = Lines::read(child.stderr.take());
        Self { child, stdout, stderr }
    }

    /// Sends a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a pid"), signal).expect("it still runs");
    }

    /// Reads `Forwarding from ADDRESS -> REMOTE`, and returns the address.
    pub(crate) fn forwarding(&self, remote: u16) -> SocketAddr {
        let line = self.stdout.next();
        let address = line.strip_prefix("Forwarding from ").expect("kubectl's words");
        let address = address.strip_suffix(&format!(" -> {remote}")).expect("the remote port");
        address.parse().expect("an address")
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let stdout = self.stdout.rest();
        let stderr = self.stderr.rest();
        // Both streams are closed: the end is near.
        let code = self.child.wait().expect("its exit code").code();
        Ended { code, stdout, stderr }
    }
}

impl Drop for Portway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn read(from: Option<impl Read + Send + 'static>) -> Self {
        let (sender, lines) = channel();
        if let Some(from) = from {
            thread::spawn(move || {
                for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8(line).expect("UTF-8");
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self(lines)
    }

    /// The next line.
    pub(crate) fn next(&self) -> String {
        self.0.recv_timeout(PATIENCE).expect("a line; is there an error on the other stream?")
    }

    /// All further lines, until the stream is closed.
    fn rest(&self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.0.recv_timeout(PATIENCE) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => return lines,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end, after {lines:?}"),
            }
        }
    }
}

impl Ended {
    /// It ended with this exit code, this one line of error, and nothing else.
    #[track_caller]
    pub(crate) fn expect_error(&self, code: i32, line: &str) {
        assert_eq!(self.stderr, [line]);
        assert_eq!(self.code, Some(code));
        assert_eq!(self.stdout, [""; 0]);
    }
}
