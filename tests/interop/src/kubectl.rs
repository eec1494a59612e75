use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::go::interop_directory;

/// How long kubectl may take to open its ports.
const START: Duration = Duration::from_secs(30);

/// A real `kubectl`, to forward through whatever stands for an API server.
///
/// Its releases are [`OLD`](Self::OLD) and [`NEW`](Self::NEW), fetched by `tests/interop/kubectl`
/// when they are first asked for.
#[derive(Debug, Clone)]
pub struct Kubectl {
    path: PathBuf,
    release: String,
}

impl Kubectl {
    /// Before the tunnel: asks for plain SPDY unless it is told otherwise.
    pub const OLD: &str = "1.30";
    /// Asks for the tunnel, and falls back to plain SPDY.
    pub const NEW: &str = "1.37";

    /// The old one and the new one; none where they cannot be had. See [`release`](Self::release).
    #[must_use]
    pub fn all() -> Vec<Self> {
        [Self::OLD, Self::NEW].into_iter().filter_map(Self::release).collect()
    }

    /// The [old](Self::OLD) one.
    #[must_use]
    pub fn old() -> Option<Self> {
        Self::release(Self::OLD)
    }

    /// The [new](Self::NEW) one.
    #[must_use]
    pub fn new() -> Option<Self> {
        Self::release(Self::NEW)
    }

    /// The kubectl of this release, such as `1.33`.
    ///
    /// Where it cannot be fetched this says so on standard error and returns `None`, so that a test
    /// can return early. With `CI` in the environment that is a failure: nothing may be skipped there.
    #[must_use]
    pub fn release(release: &str) -> Option<Self> {
        static FETCHED: OnceLock<Mutex<BTreeMap<String, Option<PathBuf>>>> = OnceLock::new();
        let mut fetched = lock(FETCHED.get_or_init(Mutex::default));
        let path = fetched.entry(release.to_owned()).or_insert_with(|| match fetch(release) {
            Ok(path) => Some(path),
            Err(why) => {
                let why = format!("no kubectl {release}: {why}");
                assert!(env::var_os("CI").is_none(), "{why}, and CI skips nothing");
                // Straight to the descriptor: a test harness would keep a print to itself.
                let _ = writeln!(io::stderr(), "SKIPPED: {why}");
                None
            }
        });
        Some(Self { path: path.clone()?, release: release.to_owned() })
    }

    /// Where the program is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Prepares `kubectl port-forward TARGET :PORT...` on free local ports of 127.0.0.1; `target`
    /// may be a pod (`demo`) or anything else that kubectl takes (`svc/web`).
    #[must_use]
    pub fn port_forward(&self, target: &str, ports: &[u16]) -> KubectlForward {
        KubectlForward {
            program: self.path.clone(),
            target: target.to_owned(),
            ports: ports.to_vec(),
            said: ports.to_vec(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }
}

impl fmt::Display for Kubectl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kubectl {}", self.release)
    }
}

fn fetch(release: &str) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kubectl");
    let directory = interop_directory();
    let output = Command::new(script)
        .arg(release)
        .env("CARGO_TARGET_DIR", directory.parent().expect("a directory in the target's"))
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("run tests/interop/kubectl: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout).into())
    } else {
        // The last line says what went wrong; those before it are where.
        Err(text(&output.stderr).lines().last().unwrap_or("it failed").to_owned())
    }
}

/// A `kubectl port-forward` that has not started.
#[derive(Debug, Clone)]
pub struct KubectlForward {
    program: PathBuf,
    target: String,
    ports: Vec<u16>,
    said: Vec<u16>,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
}

impl KubectlForward {
    /// Talks to this server (`http://127.0.0.1:8001`) and reads no kubeconfig.
    #[must_use]
    pub fn server(mut self, url: &str) -> Self {
        self.env.push(("KUBECONFIG", "/dev/null".into()));
        self.arg("--server").arg(url)
    }

    /// Talks to the current context of this file.
    #[must_use]
    pub fn kubeconfig(self, path: impl AsRef<Path>) -> Self {
        self.arg("--kubeconfig").arg(path.as_ref())
    }

    /// In this namespace.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        self.arg("--namespace").arg(namespace)
    }

    /// Whether it asks for the tunnel in a WebSocket before plain SPDY. If not set, its release decides.
    #[must_use]
    pub fn websockets(mut self, yes: bool) -> Self {
        self.env.push(("KUBECTL_PORT_FORWARD_WEBSOCKETS", yes.to_string().into()));
        self
    }

    /// The ports that it will say it forwards to, where they are others than it is asked for: those of
    /// the pod, if the target is a service.
    #[must_use]
    pub fn says(mut self, ports: &[u16]) -> Self {
        self.said = ports.to_vec();
        self
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Starts it and waits until every port listens.
    ///
    /// # Errors
    ///
    /// When it ends before that, or does not come to it in 30 s: what it said.
    pub fn start(self) -> Result<Kubectled, KubectlExit> {
        let mut child = Command::new(&self.program)
            // Other servers may have had this address before: no answers kept from them.
            .args(["--cache-dir", "/dev/null/none", "port-forward", "--address", "127.0.0.1"])
            .args(&self.args)
            .arg(&self.target)
            .args(self.ports.iter().map(|port| format!(":{port}")))
            .envs(self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start kubectl");
        let said = Arc::new(Said::default());
        let readers = vec![
            listen(child.stdout.take().expect("stdout is piped"), &said, |text| &mut text.stdout),
            listen(child.stderr.take().expect("stderr is piped"), &said, |text| &mut text.stderr),
        ];
        let mut running = Kubectled { child, said, readers, addrs: BTreeMap::new() };
        let deadline = Instant::now() + START;
        loop {
            let addrs = forwarding_from(&running.output().stdout);
            if self.said.iter().all(|port| addrs.contains_key(port)) {
                running.addrs = addrs;
                return Ok(running);
            }
            if let Some(exit) = running.exit_within(Duration::from_millis(20)) {
                return Err(exit);
            }
            if Instant::now() > deadline {
                return Err(running.kill());
            }
        }
    }
}

/// A `kubectl port-forward` whose ports listen. It is killed when this is dropped.
#[derive(Debug)]
pub struct Kubectled {
    child: Child,
    said: Arc<Said>,
    readers: Vec<JoinHandle<()>>,
    addrs: BTreeMap<u16, SocketAddr>,
}

impl Kubectled {
    /// Where this port of the pod is forwarded. For the ports as they were asked for: those of the
    /// pod, if the target is a service.
    #[must_use]
    pub fn addr(&self, port: u16) -> SocketAddr {
        self.addrs[&port]
    }

    /// All of [`addr`](Self::addr), as a [`Target`](crate::Target) wants it.
    pub fn addrs(&self) -> impl Fn(u16) -> SocketAddr + Send + Sync + 'static {
        let addrs = self.addrs.clone();
        move |port| addrs[&port]
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far.
    #[must_use]
    pub fn output(&self) -> KubectlOutput {
        lock(&self.said.text).clone()
    }

    /// Waits until it has said this, on standard output or error.
    #[must_use]
    pub fn says_within(&self, words: &str, time: Duration) -> bool {
        let quiet =
            |text: &mut KubectlOutput| !text.stdout.contains(words) && !text.stderr.contains(words);
        let text = lock(&self.said.text);
        let waited = self.said.more.wait_timeout_while(text, time, quiet);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits for its end, for so long.
    pub fn exit_within(&mut self, time: Duration) -> Option<KubectlExit> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for kubectl") {
                return Some(self.exit(status));
            }
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Interrupts it, as Ctrl-C does, and waits for its end.
    #[must_use]
    pub fn interrupt(mut self) -> KubectlExit {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // It may be gone already.
        let _ = kill_process(pid.expect("a process has an id"), Signal::INT);
        match self.exit_within(Duration::from_secs(10)) {
            Some(exit) => exit,
            None => panic!("kubectl does not end when interrupted: {:?}", self.kill()),
        }
    }

    /// Ends it without a word to the server.
    #[must_use]
    pub fn kill(mut self) -> KubectlExit {
        let _ = self.child.kill();
        let status = self.child.wait().expect("wait for kubectl");
        self.exit(status)
    }

    fn exit(&mut self, status: ExitStatus) -> KubectlExit {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        KubectlExit { code: status.code(), output: self.output() }
    }
}

impl Drop for Kubectled {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What kubectl says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KubectlOutput {
    /// On standard output.
    pub stdout: String,
    /// On standard error.
    pub stderr: String,
}

/// How kubectl ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KubectlExit {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// All that it said.
    pub output: KubectlOutput,
}

#[derive(Debug, Default)]
struct Said {
    text: Mutex<KubectlOutput>,
    more: Condvar,
}

fn listen(
    from: impl Read + Send + 'static,
    said: &Arc<Said>,
    into: fn(&mut KubectlOutput) -> &mut String,
) -> JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            into(&mut lock(&said.text)).push_str(&String::from_utf8_lossy(&line));
            said.more.notify_all();
            line.clear();
        }
    })
}

/// The local address of every port of the pod in "Forwarding from 127.0.0.1:41000 -> 8080".
fn forwarding_from(stdout: &str) -> BTreeMap<u16, SocketAddr> {
    let pair = |line: &str| {
        let (local, remote) = line.strip_prefix("Forwarding from ")?.split_once(" -> ")?;
        let local: SocketAddr = local.parse().ok()?;
        (local.ip() == Ipv4Addr::LOCALHOST).then_some((remote.parse().ok()?, local))
    };
    stdout.lines().filter_map(pair).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_ports_are_read_from_its_output() {
        let stdout = "Forwarding from 127.0.0.1:41000 -> 8080\nForwarding from [::1]:41000 -> 8080\n\
                      Forwarding from 127.0.0.1:41001 -> 8084\nHandling connection for 41000\n";
        let addrs = forwarding_from(stdout);
        assert_eq!(addrs.len(), 2);
        assert_eq!(addrs[&8080].port(), 41_000);
        assert_eq!(addrs[&8084].port(), 41_001);
    }
}
