//! The promises, by the noun they are about. The list in `lib.rs` registers them.

pub mod close;
pub mod echo;
pub mod error_text;
pub mod fairness;
pub mod forward;
pub mod framing;
pub mod half_close;
pub mod leaks;
pub mod lingering;
pub mod listen;
pub mod liveness;
pub mod negotiation;
pub mod overflow;
pub mod pool;
pub mod ports;
pub mod refused;
pub mod reset;
pub mod shared;
pub mod shutdown;
