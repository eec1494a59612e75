use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Metadata, Transport, null_is_default};

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Service {
    /// Its name and the like.
    pub metadata: Metadata,
    /// What was asked for.
    #[serde(deserialize_with = "null_is_default")]
    pub spec: ServiceSpec,
}

/// What a service is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ServiceSpec {
    /// `None`, in so many letters, makes it headless.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: String,
    /// The labels of its pods.
    #[serde(deserialize_with = "null_is_default")]
    pub selector: BTreeMap<String, String>,
    /// Its ports.
    #[serde(deserialize_with = "null_is_default")]
    pub ports: Vec<ServicePort>,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct ServicePort {
    /// Its name, or nothing.
    pub name: String,
    /// Its number.
    pub port: u16,
    /// Where in a pod it leads; without one, to the same number.
    pub target_port: TargetPort,
    /// What it carries.
    pub protocol: Transport,
}

/// Where in a pod a port of a service leads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum TargetPort {
    /// This number; 0 is that of the service's port.
    Number(u16),
    /// The port of that name, in whatever pod.
    Name(String),
}

impl Service {
    /// Its name leads to the pods themselves.
    pub fn is_headless(&self) -> bool {
        self.spec.cluster_ip == "None"
    }
}

impl Default for TargetPort {
    fn default() -> Self {
        Self::Number(0)
    }
}
