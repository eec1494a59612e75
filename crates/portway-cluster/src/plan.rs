use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use portway_driver::Port;
use portway_resolve::object::{Pod, Service, Workload};
use portway_resolve::{
    LocalPort, NoSelector, PortError, PortMapping, PortSpec, RemotePort, Selector, Target,
    pod_ports, service_ports,
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

/// How long a target is taken to lead where it did when it was read, where it is not watched.
pub(crate) const PLAN_KEPT: Duration = Duration::from_secs(60);

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

impl Select {
    pub(crate) fn includes(&self, pod: &Pod) -> bool {
        match self {
            Self::Pod(name) => *name == pod.metadata.name,
            Self::Labels(selector) => selector.matches(&pod.metadata.labels),
        }
    }
}

impl Plan {
    /// These pods, and their own ports.
    pub(crate) const fn of(select: Select) -> Self {
        Self { select, service: None }
    }

    pub(crate) fn of_service(service: Service) -> Result<Self, NoSelector> {
        let select = Select::Labels(Selector::of_service(&service)?);
        Ok(Self { select, service: Some(Arc::new(service)) })
    }

    pub(crate) fn of_workload(workload: &Workload) -> Result<Self, NoSelector> {
        Ok(Self::of(Select::Labels(Selector::of_workload(workload)?)))
    }

    /// Other pods, or other ports of them.
    pub(crate) fn leads_elsewhere_than(&self, other: &Self) -> bool {
        let ports = |plan: &Self| plan.service.as_ref().map(|service| service.spec.clone());
        self.select != other.select || ports(self) != ports(other)
    }

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
