//! What the command line may say, and what is wrong with it.

mod access;
mod check;
mod cli;
mod demo;
mod forward;
pub(crate) mod value;

pub(crate) use access::AccessArgs;
pub(crate) use check::CheckArgs;
pub(crate) use cli::{Cli, Command};
pub(crate) use demo::DemoArgs;
pub(crate) use forward::{ForwardArgs, Output, OutputArgs};
