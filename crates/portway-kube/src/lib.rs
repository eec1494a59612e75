//! Port-forwards over a [`kube::Client`]: its kubeconfig, client certificates, tokens, exec plugins, OIDC,
//! proxies and CAs come along, and a target may be anything that pods stand behind.
//!
//! ```no_run
//! use portway_kube::KubeForward;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = kube::Client::try_default().await?;
//! // A real local port:
//! let listening = client.listen("svc/web", ["8080:http"]).await?;
//! println!("http://{}", listening.local_addr());
//!
//! // Or bytes in process, in another namespace:
//! let db = client.target("deployment/db")?.with_namespace("data");
//! let mut forward = db.forward(["postgres"]).await?;
//! let stream = forward.open(forward.ports()[0])?;
//! # drop(stream);
//! # Ok(())
//! # }
//! ```
//!
//! [`KubeApi`] is what there is to it: an [`Api`](portway_cluster::Api) over the client. A
//! [`TargetConnector`] over it has all the options, and any verb of the driver takes that.

mod api;
mod error;
mod forward;

pub use api::KubeApi;
pub use error::KubeForwardError;
pub use forward::{IntoDestination, KubeForward, KubeTarget};
pub use kube::Client;
pub use portway_cluster::{Destination, LookupError, Policy, TargetConnector};
pub use portway_driver::{Forward, Listening, Options, Port};
pub use portway_resolve::{PortSpec, Selector, Target};
