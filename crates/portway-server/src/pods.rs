use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;

use http::StatusCode;
use portway_driver::{Port, Socket};

use crate::{PodInfo, Target, wording};

/// Where pods plug in: finds one, and opens connections into it.
///
/// [`LocalPods`](crate::LocalPods) is the plain one.
pub trait Pods: Send + Sync + 'static {
    /// A pod that was found, for as long as a session with it lasts.
    type Pod: Send + Sync + 'static;
    /// A connection into a pod.
    type Socket: Socket;

    /// Finds the pod, before the upgrade is answered, or to describe it. It has the time of
    /// [`Limits::with_handshake`](crate::Limits::with_handshake).
    ///
    /// # Errors
    /// What the request is refused with.
    fn find(&self, target: &Target) -> impl Future<Output = Result<Self::Pod, NoPod>> + Send;

    /// What the object of the pod says, for a server [with an API](crate::Server::with_api). Default:
    /// nothing but its name.
    fn describe(&self, pod: &Self::Pod) -> PodInfo {
        let _ = pod;
        PodInfo::new()
    }

    /// Opens a connection to a port of it. v4 dials every port of the session as soon as the session
    /// stands (protocol.md B.1), the other forms with each stream. It has the time of
    /// [`Limits::with_dial`](crate::Limits::with_dial).
    ///
    /// # Errors
    /// What the client gets to read, behind the usual `error forwarding port … to pod …`.
    fn dial(
        &self,
        pod: &Self::Pod,
        port: Port,
    ) -> impl Future<Output = Result<Self::Socket, PodError>> + Send;
}

/// Why there is no pod. Each goes out as the API server or the kubelet words it, by the path of the
/// request (protocol.md A.6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoPod {
    /// There is no pod of that name: 404.
    #[error("no such pod")]
    Unknown,
    /// There is one, with another UID: 404.
    #[error("the pod has another UID")]
    OtherUid,
    /// It runs nowhere yet: 400 from an API server, 404 from a kubelet.
    #[error("the pod is not scheduled")]
    Unscheduled,
    /// It could not be looked up, or its runtime cannot be reached: 500.
    #[error("{0}")]
    Failed(String),
    /// Its kubelet says something else, in a line of text which an API server passes on as it is.
    #[error("{status}: {message}")]
    KubeletAnswer {
        /// 400 or above.
        status: StatusCode,
        /// What the client gets to read.
        message: String,
    },
    /// Something else: this status, and this text.
    #[error("{status}: {message}")]
    Answer {
        /// 400 or above.
        status: StatusCode,
        /// What the client gets to read.
        message: String,
    },
}

/// Why a port of a pod could not be reached, as the client gets to read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct PodError {
    text: String,
}

impl PodError {
    /// An error that says `text`.
    pub fn new(text: impl fmt::Display) -> Self {
        Self { text: text.to_string() }
    }

    /// No connection came about, worded as a container runtime does: `failed to connect to
    /// localhost:80 inside namespace: dial tcp4 127.0.0.1:80: connect: connection refused`.
    pub fn connect(port: Port, to: SocketAddr, error: &io::Error) -> Self {
        Self { text: wording::connecting(port, to, error) }
    }
}
