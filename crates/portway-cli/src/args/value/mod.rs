//! Single values of the command line, and of a file of forwards.

mod address;
mod duration;
mod half_close;
mod header;
mod reconnect;
mod sessions;
mod size;

pub(crate) use address::{Address, on};
pub(crate) use duration::{duration, timeout};
pub(crate) use half_close::half_close;
pub(crate) use header::Header;
pub(crate) use reconnect::Reconnect;
pub(crate) use sessions::sessions;
pub(crate) use size::size;
