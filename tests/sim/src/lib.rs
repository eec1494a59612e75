//! A deterministic simulator for the driver of portway and whatever runs on it: time, tasks and a
//! network, all of them drawn from one number.
//!
//! ```
//! use std::time::Duration;
//! use portway_driver::Runtime;
//!
//! let slept = portway_sim::run(7, async |sim| {
//!     let before = sim.now();
//!     sim.sleep_until(before + Duration::from_secs(3600)).await;
//!     sim.now() - before
//! });
//! assert_eq!(slept, Duration::from_secs(3600));
//! ```
//!
//! [`Sim`] is a [`Runtime`](portway_driver::Runtime) and a [`Net`](portway_driver::Net). One thread runs
//! everything; who is next is drawn; the clock stands still while anybody can run, and jumps to the next
//! deadline when nobody can. A run in which nobody can and no deadline is left has met a deadlock, one
//! that never rests a livelock, and a task that has something to do though nobody woke it was forgotten:
//! each ends the test with a list of who waits for what.

#![allow(clippy::missing_panics_doc, reason = "a panic is how a simulation fails")]

mod agenda;
mod executor;
mod net;
mod rng;
mod settings;
mod sim;
mod sleep;
pub mod soak;
mod task;
mod trace;
mod world;

pub use net::{Fault, FaultRecord, Link, Moved, SimListener, SimSocket, When};
pub use rng::Rng;
pub use sim::{Builder, Leftovers, Sim, run};
pub use sleep::SimSleep;
pub use task::Running;
