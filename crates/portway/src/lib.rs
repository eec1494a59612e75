//! Forwards local ports into Kubernetes pods, on any async runtime.
//!
//! A runtime is a feature and a type, and the verbs of [`PortForward`] are methods of it:
//!
//! | feature | type | the runtime |
//! |---|---|---|
//! | `tokio` | `Tokio` | tokio |
//! | `smol` | `Smol` | smol |
//! | `async-std` | `AsyncStd` | async-std, which is discontinued: for programs that run on it today |
//!
//! The feature `kube` adds the module `kube`: forwards over a `kube::Client`, to anything that pods stand
//! behind. It runs on tokio, and so turns that on; it needs Rust 1.89, and kube wants the program to
//! choose a version feature of `k8s-openapi` and a TLS feature of `kube`.
//!
//! The feature `rustls` adds the module `rustls`: the way to an API server with TLS, tokens and proxies, by
//! kubeconfig or by hand, on any of the runtimes.
//!
//! None is on by default, none brings another one with it, and any of them go together. A runtime of
//! your own is [two traits](Runtime) away, with no feature at all.
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use portway::{Mapping, Options, Port, PortForward, Tokio};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rt = Tokio::current();
//! let pod = rt.http("http://127.0.0.1:8001", "default", "web-0")?;
//! let http = Port::new(80).expect("not zero");
//!
//! // A real local port:
//! let listening = rt.listen(pod.clone(), [Mapping::new(8080, http)], Options::new()).await?;
//! println!("http://{} leads into the pod", listening.local_addr());
//!
//! // Or bytes in process:
//! let mut forward = rt.forward(pod, &[http], Options::new()).await?;
//! let stream = forward.open(http)?;
//! # drop(stream);
//! # Ok(())
//! # }
//! ```
//!
//! Everything else is said by the crates that this one is made of, `portway-driver` above all.

// Says in the documentation which feature each thing needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use portway_driver::*;

#[cfg(feature = "async-std")]
pub use portway_async_std::{AsyncStd, AsyncStdListener, AsyncStdSleep, AsyncStdSocket};
#[cfg(feature = "kube")]
pub use portway_kube as kube;
#[cfg(feature = "rustls")]
pub use portway_rustls as rustls;
#[cfg(feature = "smol")]
pub use portway_smol::{Smol, SmolListener, SmolSleep, SmolSocket};
#[cfg(feature = "tokio")]
pub use portway_tokio::{Tokio, TokioListener, TokioSleep, TokioSocket};

/// The examples of the README, so that they are compiled.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../../../README.md")]
#[derive(Debug)]
pub struct Readme;

/// Those of the guide.
#[cfg(all(doctest, feature = "smol", feature = "kube", feature = "rustls"))]
#[doc = include_str!("../../../docs/EMBEDDING.md")]
#[derive(Debug)]
pub struct Embedding;
