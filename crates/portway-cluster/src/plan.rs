use std::fmt;
use std::sync::Arc;

use portway_driver::Port;
use portway_resolve::object::{Pod, Service};
use portway_resolve::{
    LocalPort, PortError, PortMapping, PortSpec, RemotePort, Selector, Target, pod_ports,
    service_ports,
};

/// What to forward to: an object, or whatever pods have certain labels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// A pod, or one of those behind a service or a workload.
    Object(Target),
    /// One of the pods that are selected.
    Pods(Selector),
}

impl From<Target> for Destination {
    fn from(target: Target) -> Self {
        Self::Object(target)
    }
}

impl From<Selector> for Destination {
    fn from(selector: Selector) -> Self {
        Self::Pods(selector)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(target) => target.fmt(f),
            Self::Pods(selector) => write!(f, "pods with {selector}"),
        }
    }
}

/// Where pods are found, and what ports mean: what was read of the target itself.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) select: Select,
    /// Its ports are translated.
    pub(crate) service: Option<Arc<Service>>,
}

/// Which pods are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Select {
    /// The one of this name.
    Pod(String),
    /// Those with these labels.
    Labels(Selector),
}

impl Plan {
    /// What these ports, one after the other, are in the pod.
    pub(crate) fn ports(
        &self,
        pod: &Pod,
        remotes: impl IntoIterator<Item = RemotePort>,
    ) -> Result<Vec<Port>, PortError> {
        let specs = remotes.into_iter().map(|remote| PortSpec::new(LocalPort::Same, remote));
        let mapped = self.map(pod, &specs.collect::<Vec<_>>())?;
        Ok(mapped.into_iter().map(|mapping| mapping.remote).collect())
    }

    /// What the specs mean for the pod.
    pub(crate) fn map(&self, pod: &Pod, specs: &[PortSpec]) -> Result<Vec<PortMapping>, PortError> {
        match &self.service {
            Some(service) => service_ports(service, pod, specs),
            None => pod_ports(pod, specs),
        }
    }
}
