//! Kubernetes port-forward as a pure state machine.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::expect_used))]
#![deny(clippy::cast_possible_truncation)]

pub mod handshake;
mod message;
mod port;
mod side;
mod text;
mod wire;

pub use message::{CloseFrame, Incoming, Kind, Transmit};
pub use port::{InvalidPort, Port};
pub use side::Side;
pub use text::{Printable, printable};
pub use wire::{Capabilities, WireForm};
