//! What the binary says and how it ends, against servers that behave and servers that do not.

mod fake_server;
mod process;
mod refused;
mod signals;
mod usage;
mod v4_server;
