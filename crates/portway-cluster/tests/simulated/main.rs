//! Targets whose pods come and go, in the simulator: the real driver and the real server, and objects
//! that are made up.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(missing_docs, reason = "the modules of a test")]

mod fake;
mod restarts;
mod targets;
