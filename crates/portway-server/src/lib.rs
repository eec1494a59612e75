//! The kubelet side of port-forward.
// A refusal is an answer, made once a request, and what a gateway wants to send as it is.
#![allow(clippy::result_large_err)]

mod admission;
mod answer;
mod authorize;
mod event;
mod limits;
mod local_pods;
mod origins;
mod pods;
mod reception;
mod server;
mod serving;
mod target;
mod wording;

pub use admission::Admission;
pub use authorize::{Access, Authorize, ClientAddr, Verdict};
pub use event::ServerEvent;
pub use limits::Limits;
pub use local_pods::{LocalPod, LocalPods};
pub use origins::Origins;
pub use pods::{NoPod, PodError, Pods};
pub use portway_driver::proto::handshake::Peer;
pub use server::Server;
pub use serving::{Serving, Unfinished};
pub use target::Target;
