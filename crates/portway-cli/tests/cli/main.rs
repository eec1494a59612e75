//! What the binary says and how it ends, against servers that behave and servers that do not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;
mod command;
mod demo;
mod events;
mod fake_server;
mod forward;
mod front;
mod half_close;
mod kubeconfig;
mod kubectl;
#[cfg(unix)]
mod pane;
mod ports_file;
mod process;
mod reconnect;
mod refused;
mod signals;
mod stdio;
mod terminal;
mod usage;
mod v4_server;
