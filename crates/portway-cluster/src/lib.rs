//! Forwards to targets that stay up: services, deployments and whatever else pods stand behind, while
//! the pods come and go.
//!
//! A [`TargetConnector`] is a [`Connector`](portway_driver::Connector), so every verb of the driver takes
//! it. It reads the objects of the API server as kubectl does, lets [`portway_resolve`] say which pod and
//! which of its ports are meant, and asks again when a connection finds the pod gone, not ready or
//! replaced. While a listener is open, a watch on the pods tells of one that dies before the next
//! connection has to find out.
//!
//! Whoever can talk to an API server implements [`Api`], two methods with no policy in them: a client
//! with its credentials, its certificates and its proxies.
//!
//! ```no_run
//! use portway_cluster::{Api, Policy, TargetConnector};
//! use portway_driver::{Net, Options, PortForward, Runtime};
//! use portway_resolve::Target;
//!
//! async fn listen<A: Api, R: Runtime + Net>(
//!     api: A,
//!     runtime: R,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let web: Target = "svc/web".parse()?;
//!     let target = TargetConnector::new(api, runtime.clone(), "default", web)
//!         .with_policy(Policy::RoundRobin);
//!     // Asks the server: what is wrong with target, ports or rights is said here.
//!     let mappings = target.mappings(&["8080:http".parse()?]).await?;
//!     let listening = runtime.listen(target, mappings, Options::new()).await?;
//!     println!("http://{}", listening.local_addr());
//!     Ok(())
//! }
//! ```
//!
//! # What a role needs
//!
//! `get` on the target (a service, a deployment) and on `pods`, `list` on `pods` unless the target is a
//! pod, `get` and `create` on `pods/portforward`; and `watch` on `pods`, without which it works too, but
//! looks its pod up and dials for every connection. With `watch` on the target, a selector that changes
//! moves the forward at once, else within a minute.

mod api;
mod connector;
mod error;
mod pause;
mod plan;
mod policy;
mod reader;
mod state;
mod watch;

pub use api::{Api, ApiError};
pub use connector::TargetConnector;
pub use error::LookupError;
pub use plan::Destination;
pub use policy::Policy;
