//! What a v4 session promises, one promise a test. Time is virtual, the peer is a script.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic fails the test"
)]

mod close;
mod data;
mod error_text;
mod events;
mod half_close;
mod liveness;
mod misuse;
mod overflow;
mod prefix;
mod server;
mod stats;
mod timers;
