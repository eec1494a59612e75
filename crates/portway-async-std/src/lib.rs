//! portway on async-std: the runtime and nothing else.
//!
//! async-std is discontinued, and its authors point to smol. This is for programs that run on it
//! today, and nothing in portway depends on it; what is new does better on `portway-smol`.
//!
//! ```no_run
//! use portway_async_std::{AsyncStd, Mapping, Options, Port, PortForward};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! async_std::task::block_on(async {
//!     let rt = AsyncStd::global();
//!     let pod = rt.http("http://127.0.0.1:8001", "default", "web-0")?;
//!     let http = Port::new(80).expect("not zero");
//!
//!     // A real local port:
//!     let listening = rt.listen(pod.clone(), [Mapping::new(8080, http)], Options::new()).await?;
//!     println!("http://{} leads into the pod", listening.local_addr());
//!
//!     // Or bytes in process, with futures-io's `AsyncRead` and `AsyncWrite`:
//!     let mut forward = rt.forward(pod, &[http], Options::new()).await?;
//!     let stream = forward.open(http)?;
//!     # drop(stream);
//!     Ok(())
//! })
//! # }
//! ```

mod listening;
mod runtime;
mod socket;
mod stream;

pub use portway_driver::*;
pub use runtime::{AsyncStd, AsyncStdSleep};
pub use socket::{AsyncStdListener, AsyncStdSocket};
