//! Over a kube client, against a cluster in the process: what it does, and what kubectl does there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for what it is about")]
#![allow(missing_docs, reason = "the modules of a test")]

mod cluster;
mod common;
mod kubectl;
mod secure;
