//! What the command line may say, and what is wrong with it.

mod access;
mod check;
mod cli;
mod completions;
mod demo;
mod forward;
mod man;
pub(crate) mod value;

pub(crate) use access::AccessArgs;
pub(crate) use check::CheckArgs;
pub(crate) use cli::{Cli, Command};
pub(crate) use completions::CompletionsArgs;
pub(crate) use demo::DemoArgs;
pub(crate) use forward::{ForwardArgs, Output, OutputArgs};
pub(crate) use man::ManArgs;
