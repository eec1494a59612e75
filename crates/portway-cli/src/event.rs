use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portway_tokio::LocalAddr;
use serde::{Serialize, Serializer};

/// Something that has happened: `--output json` prints exactly this, one object a line, and docs/EVENTS.md
/// describes it. What is there stays as it is; more may come.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    #[serde(flatten)]
    pub(crate) what: What,
    #[serde(serialize_with = "rfc3339")]
    pub(crate) time: Timestamp,
}

/// What has happened. `forward` is the name of the forward: its target as given, or its name in a file.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum What {
    /// A local port, or a unix socket, is open.
    Listening {
        forward: Arc<str>,
        namespace: String,
        /// `service/web`
        target: String,
        #[serde(serialize_with = "shown")]
        local: LocalAddr,
        /// The port of the pod.
        remote: u16,
    },
    /// Every port of every forward is open and, unless `--no-probe`, the way into the pods is too.
    Ready,
    /// A program has connected. Connections of a forward are numbered from 1.
    Accepted {
        forward: Arc<str>,
        connection: u64,
        #[serde(serialize_with = "shown")]
        local: LocalAddr,
        /// A program at a unix socket has no address.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<SocketAddr>,
        remote: u16,
    },
    /// Its session stands.
    Connected {
        forward: Arc<str>,
        connection: u64,
        namespace: String,
        pod: String,
        /// The wire form: `SPDY/3.1+portforward.k8s.io`, `v4.channel.k8s.io`, ...
        form: String,
        origin: Origin,
        #[serde(rename = "took_ms", serialize_with = "millis")]
        took: Duration,
    },
    /// The session that was there for it was dead: a new one gets the same bytes.
    Retried { forward: Arc<str>, connection: u64, error: String },
    /// No session came about; the connection was reset.
    Failed {
        forward: Arc<str>,
        connection: u64,
        #[serde(serialize_with = "shown")]
        local: LocalAddr,
        remote: u16,
        error: String,
    },
    /// A connection is over.
    Ended {
        forward: Arc<str>,
        connection: u64,
        #[serde(serialize_with = "shown")]
        local: LocalAddr,
        remote: u16,
        bytes_up: u64,
        bytes_down: u64,
        #[serde(rename = "ms", serialize_with = "millis")]
        lasted: Duration,
        end: End,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The target does not lead to this pod any more.
    Lost { forward: Arc<str>, namespace: String, pod: String, reason: String },
    /// It leads to none: connections wait while one is looked for.
    Resolving { forward: Arc<str>, error: String },
    /// It leads to a pod again.
    Restored {
        forward: Arc<str>,
        namespace: String,
        pod: String,
        #[serde(rename = "after_ms", serialize_with = "millis")]
        after: Duration,
    },
    /// The server does not tell what happens to its pods: every connection looks its pod up.
    Unwatched { forward: Arc<str>, error: String },
    /// As many connections are open as there may be: further ones wait.
    Full { forward: Arc<str>, connections: usize },
    /// So many events came too fast to be told.
    Missed { forward: Arc<str>, events: u64 },
    /// A local port could not be opened, while others could.
    Unopened { forward: Arc<str>, local: u16, remote: u16, error: String },
    /// Why the command ends.
    Error { error: String },
    /// It was told to stop and has; so many connections did not end in time and were cut off.
    Stopped { cut: usize },
    /// The pod that a forward led to when that was tried, and over which wire form; for a screen too.
    #[serde(skip)]
    Reached { forward: Arc<str>, pod: String, form: String },
    /// Counters of a forward as of now, for a screen; no report prints it.
    #[serde(skip)]
    Progress { forward: Arc<str>, open: usize, accepted: u64, bytes_up: u64, bytes_down: u64 },
}

/// Where the session of a connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    Dialled,
    Spare,
    Reused,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    /// Both sides were done.
    Clean,
    /// The pod, its server or the way there broke it.
    Failed,
    /// The local program did.
    Program,
    /// We did, being told to stop.
    Stopped,
}

impl Event {
    pub(crate) fn now(what: What) -> Self {
        Self { what, time: Timestamp::now() }
    }
}

/// Always three digits of a fraction, so that texts sort as times do.
fn rfc3339<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("{time:.3}"))
}

/// `127.0.0.1:5000` or `unix:/tmp/db.sock`
fn shown<S: Serializer>(local: &LocalAddr, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(local)
}

/// Whole ones.
fn millis<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_object_with_its_name_and_its_time() {
        let event = Event {
            what: What::Connected {
                forward: "svc/web".into(),
                connection: 3,
                namespace: "shop".to_owned(),
                pod: "web-0".to_owned(),
                form: "v4.channel.k8s.io".to_owned(),
                origin: Origin::Dialled,
                took: Duration::from_micros(12_700),
            },
            time: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"event":"connected","forward":"svc/web","connection":3,"namespace":"shop","pod":"web-0","form":"v4.channel.k8s.io","origin":"dialled","took_ms":12,"time":"1970-01-01T00:00:00.000Z"}"#
        );
    }

    #[test]
    fn what_there_is_not_is_left_out() {
        let event =
            |what| serde_json::to_value(Event { what, time: Timestamp::UNIX_EPOCH }).unwrap();
        let time = "1970-01-01T00:00:00.000Z";
        assert_eq!(event(What::Ready), serde_json::json!({ "event": "ready", "time": time }));
        assert_eq!(
            event(What::Error { error: "no".to_owned() }),
            serde_json::json!({ "event": "error", "error": "no", "time": time })
        );
    }
}
