//! A mixed load on the real listener, pool, relay and server, and what has to be true of it whatever
//! goes wrong.
//!
//! One seed is one [`run`]: a server with pods of every kind, listeners and in-process streams in front
//! of it, programs of every kind behind those, and a plan of what befalls which connection and when. Each
//! program and each pod writes down what it saw, and at the end that is compared.

#![allow(clippy::wildcard_enum_match_arm, reason = "what a test does not name it does not judge")]

mod fates;
mod ledger;
mod memory;
mod pattern;
mod pod;
mod program;
mod scenario;
mod setup;
mod tally;
mod verdict;
mod voice;

pub use scenario::{Run, run};
pub use tally::Tally;
