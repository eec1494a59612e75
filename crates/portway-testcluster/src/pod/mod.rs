//! Pods: what runs in them, and the handles by which tests move them about.

mod builder;
mod handle;
mod lie;
mod pods;
mod program;
mod running;

pub use builder::PodBuilder;
pub use handle::Pod;
pub use lie::Lie;
pub use program::Program;

pub(crate) use builder::{PortOf, check};
pub(crate) use handle::terminate;
pub(crate) use pods::ClusterPods;
pub(crate) use running::Running;
