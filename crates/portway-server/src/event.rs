use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;
use portway_driver::{BridgeReport, Port, RelayReport, WireForm};

use crate::Target;

/// What happens at a server. Sessions are numbered from 1.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A request for a pod was refused: to forward to it, or to read it.
    Refused {
        /// The pod it asked for.
        target: Target,
        /// Where it came from, if known.
        client: Option<SocketAddr>,
        /// The status of the answer.
        status: StatusCode,
    },
    /// A session has begun.
    Opened {
        /// Its number.
        session: u64,
        /// The pod.
        target: Target,
        /// Its ports; empty where streams name theirs.
        ports: Vec<Port>,
        /// The wire form agreed on.
        form: WireForm,
        /// Where it came from, if known.
        client: Option<SocketAddr>,
    },
    /// A connection into the pod is over, or did not come about. A session may have any number.
    Disconnected {
        /// The number of its session.
        session: u64,
        /// How it went.
        report: RelayReport,
    },
    /// A session is over.
    Ended {
        /// Its number.
        session: u64,
        /// How it went. Each of its connections was an event of its own, so only what they come to is
        /// in here.
        report: BridgeReport,
    },
    /// The system could not hand over a connection; it is tried again.
    AcceptFailed {
        /// What the system said.
        error: Arc<io::Error>,
    },
}
