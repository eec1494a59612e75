//! What the binary says and how it ends, against servers that behave and servers that do not.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod check;
mod cluster;
mod command;
mod demo;
mod events;
mod explain;
mod fake_server;
mod file;
mod forward;
mod front;
mod half_close;
mod kubeconfig;
#[cfg(unix)]
mod pane;
mod ports_file;
mod printed;
mod process;
mod reconnect;
mod refused;
mod secure;
mod signals;
mod stdio;
mod terminal;
#[cfg(unix)]
mod unix_socket;
mod usage;
mod v4_server;
