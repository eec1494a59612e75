use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Metadata, Transport, null_is_default};

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Pod {
    /// Its name and the like.
    pub metadata: Metadata,
    /// What was asked for.
    #[serde(deserialize_with = "null_is_default")]
    pub spec: PodSpec,
    /// What became of it.
    #[serde(deserialize_with = "null_is_default")]
    pub status: PodStatus,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct PodSpec {
    /// Where it runs; empty before that is decided.
    pub node_name: String,
    /// What runs.
    #[serde(deserialize_with = "null_is_default")]
    pub containers: Vec<Container>,
    /// What runs before, or beside as a sidecar.
    #[serde(deserialize_with = "null_is_default")]
    pub init_containers: Vec<Container>,
}

/// A container, as far as forwards go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Container {
    /// The ports that it declares. It may listen on others too.
    #[serde(deserialize_with = "null_is_default")]
    pub ports: Vec<ContainerPort>,
}

/// A port that a container declares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ContainerPort {
    /// Its name, or nothing.
    pub name: String,
    /// Its number.
    pub container_port: u16,
    /// What it carries.
    pub protocol: Transport,
}

/// What became of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct PodStatus {
    /// How far it has come.
    pub phase: Phase,
    /// What else is said of it.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// Of its containers, but not of those that run before.
    #[serde(deserialize_with = "null_is_default")]
    pub container_statuses: Vec<ContainerStatus>,
}

/// How far a pod has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "String")]
#[non_exhaustive]
pub enum Phase {
    /// Not all of it runs yet.
    #[default]
    Pending,
    /// It runs.
    Running,
    /// It has ended well.
    Succeeded,
    /// It has ended badly.
    Failed,
    /// Its node does not say.
    Unknown,
    /// What did not exist yet.
    Other(String),
}

/// Something that is said of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Condition {
    /// What, such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Since when.
    pub last_transition_time: Option<Timestamp>,
}

/// What became of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ContainerStatus {
    /// How often it was started again.
    pub restart_count: u32,
}

impl Pod {
    /// It says of itself that it can be used.
    pub fn is_ready(&self) -> bool {
        self.ready_condition().is_some_and(|ready| ready.status == "True")
    }

    pub(crate) fn ready_condition(&self) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == "Ready")
    }

    /// Of containers first, then of those that run before.
    pub(crate) fn ports(&self) -> impl Iterator<Item = &ContainerPort> {
        let containers = self.spec.containers.iter().chain(&self.spec.init_containers);
        containers.flat_map(|container| &container.ports)
    }
}

impl From<String> for Phase {
    fn from(name: String) -> Self {
        match name.as_str() {
            "Pending" | "" => Self::Pending,
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            "Unknown" => Self::Unknown,
            _ => Self::Other(name),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
            Self::Other(name) => name,
        })
    }
}
