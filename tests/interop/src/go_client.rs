use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::go;

/// How long a client may take to open its ports.
const START: Duration = Duration::from_secs(30);

/// Whose code forwards in a [`GoClient`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum GoForwarder {
    /// client-go's, through the tunnel.
    Tunnel,
    /// client-go's, over plain SPDY.
    Spdy,
    /// client-go's as kubectl has it: the tunnel, and plain SPDY if the upgrade fails.
    Fallback,
    /// A v4 client on gorilla/websocket: one WebSocket for each connection, which its local end closes.
    Gorilla,
    /// The same in base64.
    GorillaBase64,
    /// A v4 client on golang.org/x/net/websocket, otherwise the same.
    XNet,
    /// The same in base64.
    XNetBase64,
}

impl GoForwarder {
    /// The `Origin` of those on x/net, which cannot do without one.
    pub const ORIGIN: &str = "http://go-client.example";

    /// The session is one for all connections, and its end is the end of the client.
    #[must_use]
    pub const fn is_client_go(self) -> bool {
        matches!(self, Self::Tunnel | Self::Spdy | Self::Fallback)
    }

    /// It is on golang.org/x/net/websocket.
    #[must_use]
    pub const fn is_x_net(self) -> bool {
        matches!(self, Self::XNet | Self::XNetBase64)
    }

    /// It speaks v4 in base64.
    #[must_use]
    pub const fn is_base64(self) -> bool {
        matches!(self, Self::GorillaBase64 | Self::XNetBase64)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Tunnel => "tunnel",
            Self::Spdy => "spdy",
            Self::Fallback => "fallback",
            Self::Gorilla => "gorilla",
            Self::GorillaBase64 => "gorilla-base64",
            Self::XNet => "xnet",
            Self::XNetBase64 => "xnet-base64",
        }
    }
}

impl fmt::Display for GoForwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A forwarder made of other people's Go code, in a child process. It is killed when this is dropped.
#[derive(Debug)]
pub struct GoClient {
    child: Child,
    said: Arc<Said>,
    reader: Option<JoinHandle<()>>,
    addrs: BTreeMap<u16, SocketAddr>,
}

/// How a [`GoClient`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GoClientEnd {
    /// What the forwarder returned; empty after a stop, none if the process was killed.
    pub end: Option<String>,
    /// What went wrong before that, in its words and in order.
    pub errors: Vec<String>,
}

impl GoClient {
    /// Builds the client if need be, forwards free local ports to these of the pod `demo` at this
    /// server (`http://127.0.0.1:8001`), and waits until all of them listen. Ask
    /// [`require_go`](crate::require_go) first.
    ///
    /// # Errors
    ///
    /// When it ends before that: what it said.
    pub fn start(by: GoForwarder, server: &str, ports: &[u16]) -> Result<Self, GoClientEnd> {
        Self::start_with(by, server, ports, &[])
    }

    /// The same, with keep-alives at this interval: client-go's own are 5 s and 10 s apart.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_pinging(
        by: GoForwarder,
        server: &str,
        ports: &[u16],
        interval: Duration,
    ) -> Result<Self, GoClientEnd> {
        Self::start_with(by, server, ports, &[format!("-ping={}ms", interval.as_millis())])
    }

    fn start_with(
        by: GoForwarder,
        server: &str,
        ports: &[u16],
        args: &[String],
    ) -> Result<Self, GoClientEnd> {
        let stderr = if env::var_os("PORTWAY_PEER_LOG").is_some() {
            Stdio::inherit()
        } else {
            Stdio::null()
        };
        let mut child = Command::new(go::build("client"))
            .arg(format!("-by={by}"))
            .arg(format!("-server={server}"))
            .args(args)
            .args(ports.iter().map(u16::to_string))
            // It exits when this is closed, so also when we are killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("start the client");
        let said = Arc::new(Said::default());
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let reader = thread::spawn({
            let said = Arc::clone(&said);
            move || {
                lines.map_while(Result::ok).for_each(|line| said.update(|log| log.take(line)));
                said.update(|log| log.over = true);
            }
        });
        let mut client = Self { child, said, reader: Some(reader), addrs: BTreeMap::new() };
        client.said.wait(START, |log| log.ready || log.over);
        let (ready, addrs) = client.said.look(|log| (log.ready, log.addrs.clone()));
        if !ready {
            return Err(client.kill());
        }
        client.addrs = addrs;
        Ok(client)
    }

    /// Where this port of the pod is forwarded.
    #[must_use]
    pub fn addr(&self, port: u16) -> SocketAddr {
        self.addrs[&port]
    }

    /// What went wrong so far, in its words and in order.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        self.said.look(|log| log.errors.clone())
    }

    /// Waits until that many things went wrong.
    #[must_use]
    pub fn errors_within(&self, count: usize, time: Duration) -> bool {
        self.said.wait(time, |log| log.errors.len() >= count)
    }

    /// Waits for its end, for so long.
    pub fn end_within(&mut self, time: Duration) -> Option<GoClientEnd> {
        self.said.wait(time, |log| log.over).then(|| self.reap())
    }

    /// Stops it, as Ctrl-C stops kubectl, and waits for its end.
    #[must_use]
    pub fn stop(mut self) -> GoClientEnd {
        // It may be gone already.
        let _ = self.child.stdin.as_mut().expect("stdin is piped").write_all(b"stop\n");
        match self.end_within(Duration::from_secs(10)) {
            Some(end) => end,
            None => panic!("the client does not end when stopped: {:?}", self.kill()),
        }
    }

    /// Ends it without a word to the server.
    #[must_use]
    pub fn kill(mut self) -> GoClientEnd {
        let _ = self.child.kill();
        self.reap()
    }

    fn reap(&mut self) -> GoClientEnd {
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.said.look(|log| GoClientEnd { end: log.end.clone(), errors: log.errors.clone() })
    }
}

impl Drop for GoClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client said.
#[derive(Debug, Default)]
struct Log {
    addrs: BTreeMap<u16, SocketAddr>,
    ready: bool,
    errors: Vec<String>,
    end: Option<String>,
    /// It will say no more.
    over: bool,
}

impl Log {
    fn take(&mut self, line: String) {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "forwarding" => {
                let (local, remote) = rest.split_once(' ').expect("LOCAL REMOTE");
                let local: u16 = local.parse().expect("a port");
                let addr = (Ipv4Addr::LOCALHOST, local).into();
                self.addrs.insert(remote.parse().expect("a port"), addr);
            }
            "ready" => self.ready = true,
            "error" => self.errors.push(rest.to_owned()),
            "end" => self.end = Some(rest.to_owned()),
            _ => panic!("the client said {line:?}"),
        }
    }
}

#[derive(Debug, Default)]
struct Said {
    log: Mutex<Log>,
    more: Condvar,
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(&self, at: impl FnOnce(&Log) -> T) -> T {
        at(&self.lock())
    }

    fn update(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.lock());
        self.more.notify_all();
    }

    /// Whether it came to this in time.
    fn wait(&self, time: Duration, is: impl Fn(&Log) -> bool) -> bool {
        let waited = self.more.wait_timeout_while(self.lock(), time, |log| !is(log));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
