//! Kubernetes port-forward as a pure state machine.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::expect_used))]
#![deny(clippy::cast_possible_truncation)]

mod config;
mod core;
mod error;
mod event;
pub mod handshake;
mod message;
mod port;
mod recv_buf;
mod sched;
mod send_buf;
mod session;
mod side;
mod stats;
mod store;
mod stream;
mod text;
mod timer;
mod v4;
mod wire;
pub mod ws;

pub use config::{Config, HalfClose, OverflowPolicy};
pub use error::{
    CloseReason, ConfigError, OpenError, ReadError, RemoteText, StreamError, UnknownStream,
    Violation, WriteError,
};
pub use event::{Event, StreamEvent};
pub use message::{CloseFrame, Incoming, Kind, Transmit};
pub use port::{InvalidPort, Port};
pub use session::{RecvHalf, SendHalf, Session};
pub use side::Side;
pub use stats::Stats;
pub use store::StreamId;
pub use text::{Printable, printable};
pub use timer::Timer;
pub use wire::{Capabilities, WireForm};
