//! What portway is tested with. Everything here panics freely: a panic is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

pub mod harness;
pub mod rig;
pub mod transcript;
pub mod ws;
