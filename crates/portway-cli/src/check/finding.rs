use std::fmt;
use std::time::Duration;

use portway_tokio::proto::printable;
use serde::Serialize;

/// One line of a check: what was looked at, and how it stands. As JSON it is one object, documented in
/// `docs/CHECK.md`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    pub(crate) of: Subject,
    pub(crate) result: Verdict,
    /// What is wrong with it, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It is as it should be.
    Ok,
    /// Forwards need it, and it is not there: exit code 1.
    Fail,
    /// It is not there, and forwards do without.
    Note,
    /// It was not looked at.
    Skip,
}

/// What is looked at, in the order in which each needs what is before it.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "check", rename_all = "snake_case")]
pub(crate) enum Subject {
    /// The way to the cluster.
    Config {
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
    },
    /// The API server.
    Server {
        tls: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        took_ms: Option<Millis>,
    },
    /// Who we are to it.
    User {
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        groups: Vec<String>,
    },
    /// What we may do.
    Permission { verb: &'static str, resource: String, namespace: String },
    /// The pod that the target leads to.
    Target {
        target: String,
        #[serde(flatten)]
        pod: Option<PodState>,
    },
    /// A form in which a forward can be put on the wire.
    Form {
        form: String,
        /// Forwards take this one.
        picked: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        took_ms: Option<Millis>,
    },
    /// From here to the pod's node and back.
    RoundTrip {
        #[serde(skip_serializing_if = "Option::is_none")]
        median_ms: Option<Millis>,
        #[serde(skip_serializing_if = "Option::is_none")]
        least_ms: Option<Millis>,
        #[serde(skip_serializing_if = "Option::is_none")]
        most_ms: Option<Millis>,
        pings: usize,
    },
    /// A port of the target.
    Port {
        /// As it was asked for.
        port: String,
        /// What it is in the pod.
        #[serde(skip_serializing_if = "Option::is_none")]
        pod_port: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<PortState>,
    },
    /// How fast bytes go through an echo in the pod and back.
    Rate {
        port: String,
        bytes: u64,
        /// Up and down, both at once.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes_per_second: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        took_ms: Option<Millis>,
    },
    /// What to apply so that the role has what it lacks.
    Role { yaml: String },
}

/// What a pod says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PodState {
    pub(crate) pod: String,
    pub(crate) phase: String,
    pub(crate) ready: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) node: String,
    pub(crate) restarts: u32,
    /// `http 8080`, or the number alone.
    pub(crate) ports: Vec<String>,
}

/// What a port does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PortState {
    /// A program took it.
    Open,
    /// A program took it and ended it at once.
    Ends,
    /// Nothing listens.
    Refused,
    /// Nobody said anything about it.
    Deaf,
}

/// A time in milliseconds, to the microsecond.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
pub(crate) struct Millis(f64);

impl From<Duration> for Millis {
    fn from(time: Duration) -> Self {
        Self(time.as_micros() as f64 / 1000.0)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.0 < 100.0 { 1 } else { 0 };
        write!(f, "{:.digits$} ms", self.0)
    }
}

impl Finding {
    pub(crate) const fn ok(of: Subject) -> Self {
        Self { of, result: Verdict::Ok, problem: None }
    }

    pub(crate) fn fail(of: Subject, problem: impl fmt::Display) -> Self {
        Self::with(of, Verdict::Fail, problem)
    }

    pub(crate) fn note(of: Subject, problem: impl fmt::Display) -> Self {
        Self::with(of, Verdict::Note, problem)
    }

    pub(crate) fn skip(of: Subject, why: impl fmt::Display) -> Self {
        Self::with(of, Verdict::Skip, why)
    }

    fn with(of: Subject, result: Verdict, problem: impl fmt::Display) -> Self {
        let problem = printable(&problem.to_string()).limit(2_000).to_string();
        Self { of, result, problem: Some(problem) }
    }
}

/// `ok    server       v1.37.0 over TLS, 2.1 ms`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match self.result {
            Verdict::Ok => "ok",
            Verdict::Fail => "FAIL",
            Verdict::Note => "note",
            Verdict::Skip => "skip",
        };
        let figure = self.of.figure();
        let figure = printable(&figure).limit(2_000).to_string();
        write!(f, "{result:<4}  {:<11}  {figure}", self.of.name())?;
        match &self.problem {
            Some(problem) if figure.is_empty() => f.write_str(problem),
            Some(problem) => write!(f, ": {problem}"),
            None => Ok(()),
        }
    }
}

impl Subject {
    const fn name(&self) -> &'static str {
        match self {
            Self::Config { .. } => "config",
            Self::Server { .. } => "server",
            Self::User { .. } => "user",
            Self::Permission { .. } => "permission",
            Self::Target { .. } => "target",
            Self::Form { .. } => "form",
            Self::RoundTrip { .. } => "round trip",
            Self::Port { .. } => "port",
            Self::Rate { .. } => "rate",
            Self::Role { .. } => "role",
        }
    }

    fn figure(&self) -> String {
        match self {
            Self::Config { server, source, namespace } => {
                let parts = [
                    server.clone(),
                    source.as_ref().map(|source| format!("by {source}")),
                    namespace.as_ref().map(|namespace| format!("namespace {namespace}")),
                ];
                join(parts.into_iter().flatten())
            }
            Self::Server { tls, version, took_ms } => {
                let tls = if *tls { "TLS" } else { "plain HTTP" };
                let Some(version) = version else { return String::new() };
                join([version.clone(), tls.to_owned()].into_iter().chain(shown(took_ms.as_ref())))
            }
            Self::User { user, groups } => {
                let Some(user) = user else { return String::new() };
                let groups = (!groups.is_empty()).then(|| format!("in {}", groups.join(", ")));
                join([user.clone()].into_iter().chain(groups))
            }
            Self::Permission { verb, resource, .. } => format!("{verb} {resource}"),
            Self::Target { target, pod } => match pod {
                Some(pod) => format!("{target} -> {pod}"),
                None => target.clone(),
            },
            Self::Form { form, picked, took_ms } => {
                let picked = picked.then(|| "picked".to_owned());
                join([form.clone()].into_iter().chain(shown(took_ms.as_ref())).chain(picked))
            }
            Self::RoundTrip { median_ms, least_ms, most_ms, pings } => {
                let (Some(median), Some(least), Some(most)) = (median_ms, least_ms, most_ms) else {
                    return String::new();
                };
                format!("{median}, median of {pings} pings ({least} to {most})")
            }
            Self::Port { port, pod_port, state } => {
                let other = pod_port.filter(|pod_port| pod_port.to_string() != *port);
                let leads = other.map(|port| format!(" -> {port}")).unwrap_or_default();
                let state = state.map(|state| state.to_string());
                join([format!("{port}{leads}")].into_iter().chain(state))
            }
            Self::Rate { port, bytes, bytes_per_second, took_ms } => {
                let (Some(rate), Some(took)) = (bytes_per_second, took_ms) else {
                    return port.clone();
                };
                let (rate, bytes) = (mib(*rate), mib(*bytes));
                format!(
                    "{port}, {rate} MiB/s up and as much down at once, {bytes} MiB each in {took}"
                )
            }
            Self::Role { yaml } => yaml.clone(),
        }
    }
}

fn shown(time: Option<&Millis>) -> Option<String> {
    time.map(ToString::to_string)
}

fn join(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().collect::<Vec<_>>().join(", ")
}

fn mib(bytes: u64) -> String {
    let mib = bytes as f64 / (1024.0 * 1024.0);
    let digits = if mib < 10.0 { 1 } else { 0 };
    format!("{mib:.digits$}")
}

impl fmt::Display for PodState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pod, phase, ready, node, restarts, ports } = self;
        write!(f, "pod {pod}, {phase}, {}", if *ready { "ready" } else { "not ready" })?;
        if !node.is_empty() {
            write!(f, ", on {node}")?;
        }
        match restarts {
            0 => {}
            1 => f.write_str(", restarted once")?,
            times => write!(f, ", restarted {times} times")?,
        }
        if ports.is_empty() {
            return f.write_str(", declares no port");
        }
        write!(f, ", ports {}", ports.join(" and "))
    }
}

impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Ends => "open, ends at once",
            Self::Refused => "refused",
            Self::Deaf => "deaf",
        })
    }
}
