//! What portway is tested with. Everything here panics freely: a panic is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]
#![allow(clippy::wildcard_enum_match_arm, reason = "what a test does not name it does not judge")]

pub mod app;
pub mod clock;
pub mod cuts;
pub mod harness;
pub mod invariants;
pub mod link;
pub mod message;
pub mod model;
pub mod naive;
pub mod ops;
pub mod pair;
pub mod rig;
pub mod source;
pub mod spdy;
pub mod spdy_oracle;
pub mod transcript;
pub mod ws;
