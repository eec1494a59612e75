//! The kubelet side of Kubernetes port-forward, to be built into something: a gateway, an agent next
//! to the pods, a cluster for tests.
//!
//! It answers what an API server and a kubelet answer at their port-forward paths, and moves the
//! bytes between a client's session and connections into the pods. It runs on any runtime of
//! [`portway_driver`], starts no thread, and knows no Kubernetes: what a pod is, [`Pods`] says; who
//! may reach it, [`Authorize`] says.
//!
//! # On its own
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use portway_server::{LocalPod, LocalPods, Server};
//! use portway_tokio::{Port, Tokio};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rt = Tokio::current();
//! let http = Port::new(80).expect("not zero");
//! // A pod whose port 80 is port 8000 of this machine.
//! let web = LocalPod::closed().with_port(http, "127.0.0.1:8000".parse()?);
//! let pods = LocalPods::new(rt.clone()).with("default", "web-0", web);
//!
//! let server = Server::new(rt, pods).with_api();
//! let serving = server.listen("127.0.0.1:8001".parse()?).await?;
//! let addr = serving.local_addr();
//! println!("kubectl --server=http://{addr} port-forward pod/web-0 8080:80");
//! # let stopped = async {};
//! stopped.await;
//! serving.shutdown(Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! A [`Serving`] stops when it is dropped. [`Server::serve`] takes any listener of the driver, and
//! [`Server::serve_connection`] one connection. [`Server::serve_with`] is for TLS.
//!
//! # In a gateway
//!
//! A gateway that has an HTTP server keeps it, with its TLS, its routes and its middleware. It hands
//! in the head of a request and gets back either the answer to send, or an [`Admission`]: then it
//! sends the 101 of [`Admission::response`], upgrades as its HTTP library does, and runs the
//! session on what comes out of that. With hyper (or axum, or anything else that is hyper inside):
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use hyper::body::Incoming;
//! use portway_server::{LocalPods, Server};
//! use portway_tokio::{HyperSocket, Tokio};
//!
//! async fn forward(
//!     server: Server<Tokio, LocalPods<Tokio>>,
//!     mut request: Request<Incoming>,
//! ) -> Response<Full<Bytes>> {
//!     let upgrade = hyper::upgrade::on(&mut request);
//!     let (head, _) = request.into_parts();
//!     // Where the API is behind a prefix, take that off `head.uri` here; where the client's address
//!     // is known, put a `ClientAddr` into `head.extensions`.
//!     match server.decide(&head).await {
//!         Ok(admission) => {
//!             let answer = admission.response().map(|()| Full::default());
//!             tokio::spawn(async move {
//!                 if let Ok(upgraded) = upgrade.await {
//!                     let report = admission.run(HyperSocket::new(upgraded), Bytes::new()).await;
//!                     println!("{}", report.closed);
//!                 }
//!             });
//!             answer
//!         }
//!         Err(refusal) => refusal.map(Full::new),
//!     }
//! }
//! ```
//!
//! - [`Server::decide`] goes by the path: it knows those of an API server and of a kubelet.
//!   [`Server::decide_for`] is for a gateway with paths of its own, which knows the pod already.
//! - The order is: method, `Origin`, authorizer, then what is wrong with the request, the pod, and at
//!   last the [limit](Limits::with_sessions) of sessions. Somebody with no right learns nothing else.
//! - [`Admission::run`] takes any [`Socket`](portway_driver::Socket), and what was read behind the
//!   head of the request as `leftover`. `HyperSocket` makes one of an upgraded connection, whose
//!   leftover it holds itself. Dropping the future ends the session.
//! - Where the server is the one that listens, [`Server::with_api`] answers what kubectl asks before it
//!   forwards, and a [`Fallback`] ([`Server::with_fallback`]) whatever else there is.
//!
//! # What a client meets
//!
//! All four wire forms, negotiated as a cluster does since 1.30: `SPDY/3.1+portforward.k8s.io` (the
//! tunnel, which kubectl asks for) wherever it stands among the offers, `v4.channel.k8s.io` and its
//! base64 twin, and `Upgrade: SPDY/3.1` with GET or POST (older kubectl, and what it falls back to). At
//! a kubelet's path it is a kubelet of 1.36 or later, which takes the tunnel itself. Refusals have the status and the body of the real thing: a
//! `Status` in JSON at an API server's path, text at a kubelet's. Errors of the pod arrive in the words
//! of a container runtime, after everything that the pod said before.
//!
//! How a connection ends is a matter of [`Server::with_rules`]. The default,
//! [`RelayRules::RUNTIME`](portway_driver::RelayRules::RUNTIME), does what containerd and CRI-O do:
//! the client's end never becomes a FIN at the pod, and one second after either side ended everything
//! does. [`RelayRules::FAITHFUL`](portway_driver::RelayRules::FAITHFUL) passes ends on; on v4, where a
//! client cannot be told that its pod has ended, that second remains. A client that vanishes without
//! a goodbye is a reset at the pod, never a FIN: half an upload must not look like a whole one.
//!
//! # What a client cannot do
//!
//! - Be a web page: a request with an `Origin` header is refused unless [`Server::with_origins`]
//!   allows it, so that no page can open forwards through a server on a developer's machine.
//! - Hold the server up: head, requests of a connection and the time between them, handshake, dial, waiting connections, sessions and messages have
//!   [`Limits`]; what a session holds in memory is bounded by its
//!   [`Config`](portway_driver::proto::Config) (`worst_case` does the sum).
//! - Reach a port that was not granted: [`Verdict::AllowPorts`] holds for streams that name their
//!   port later, too. **In the tunnel and in SPDY every stream does**: who has looked at the request
//!   has seen no port ([`WantedPorts::Any`]), and [`Verdict::Allow`] is all of them.
//!
//! Without [`Server::with_authorizer`] everybody who reaches the server is let in; a listener that is
//! not on a loopback address warns of that.

// A refusal is an answer, made once a request, and what a gateway wants to send as it is.
#![allow(clippy::result_large_err)]

mod action;
mod admission;
mod answer;
mod api;
mod authorize;
mod event;
mod fallback;
mod limits;
mod local_pods;
mod origins;
mod pod_info;
mod pods;
mod reception;
mod server;
mod serving;
mod target;
mod wording;

pub use action::{Action, WantedPorts};
pub use admission::Admission;
pub use authorize::{Access, Authorize, ClientAddr, Verdict, bearer_token};
pub use event::ServerEvent;
pub use fallback::{Body, Fallback};
pub use limits::Limits;
pub use local_pods::{LocalPod, LocalPods};
pub use origins::Origins;
pub use pod_info::PodInfo;
pub use pods::{NoPod, PodError, Pods};
pub use portway_driver::proto::handshake::{BearerError, Peer};
pub use server::Server;
pub use serving::{Serving, Unfinished};
pub use target::Target;
