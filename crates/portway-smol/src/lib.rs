//! portway on smol: the runtime and nothing else.
//!
//! ```no_run
//! use portway_smol::{Mapping, Options, Port, PortForward, Smol};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! smol::block_on(async {
//!     let rt = Smol::global();
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
pub use runtime::{Smol, SmolSleep};
pub use socket::{SmolListener, SmolSocket};
