//! What is read of an API server's objects: as much as the rules need. Everything else is ignored, and
//! what is missing has the value that the API server gives it.

mod metadata;
mod pod;
mod service;
mod workload;

pub use metadata::Metadata;
pub use pod::{
    Condition, Container, ContainerPort, ContainerStatus, Phase, Pod, PodSpec, PodStatus,
};
pub use service::{Service, ServicePort, ServiceSpec, TargetPort};
pub use workload::{LabelSelector, Operator, Requirement, Workload, WorkloadSpec};

use serde::{Deserialize, Deserializer};

/// What a port carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "String")]
#[non_exhaustive]
pub enum Transport {
    /// What a forward can carry.
    #[default]
    Tcp,
    /// No forward carries it.
    Udp,
    /// SCTP, or what did not exist yet.
    Other,
}

impl From<String> for Transport {
    fn from(name: String) -> Self {
        match name.as_str() {
            "TCP" | "" => Self::Tcp,
            "UDP" => Self::Udp,
            _ => Self::Other,
        }
    }
}

/// Go writes an empty list, map or object as `null` now and then.
fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
