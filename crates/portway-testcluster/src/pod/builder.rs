use std::sync::Arc;

use portway_driver::Port;
use serde_json::{Value, json};

use super::{Pod, Program};
use crate::state::{Key, Shared, Template};

/// A pod to be made. See [`TestCluster::pod`](crate::TestCluster::pod).
#[derive(Debug, Clone)]
#[must_use = "there is no pod before create()"]
pub struct PodBuilder {
    shared: Arc<Shared>,
    namespace: String,
    name: String,
    template: Template,
}

impl PodBuilder {
    pub(crate) fn new(shared: Arc<Shared>, name: &str) -> Self {
        let template = Template { ready: true, ..Template::default() };
        Self { shared, namespace: "default".to_owned(), name: name.to_owned(), template }
    }

    /// Where it is; `default` if not said.
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// What selectors find it by.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.template.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A port by its name, and what listens on it.
    ///
    /// # Panics
    /// The port is 0.
    #[track_caller]
    pub fn port(mut self, name: &str, port: u16, program: Program) -> Self {
        self.template.ports.push(PortOf::new(name, port, Some(program)));
        self
    }

    /// A port that is declared and that nobody listens on.
    ///
    /// # Panics
    /// The port is 0.
    #[track_caller]
    pub fn deaf_port(mut self, name: &str, port: u16) -> Self {
        self.template.ports.push(PortOf::new(name, port, None));
        self
    }

    /// Whether it says of itself that it can be used; it does if not said.
    pub const fn ready(mut self, ready: bool) -> Self {
        self.template.ready = ready;
        self
    }

    /// It runs nowhere yet: [`Pod::schedule`] puts it on a node.
    pub const fn pending(mut self) -> Self {
        self.template.pending = true;
        self
    }

    /// Makes it, in the place of one of that name: then it is another pod, with another UID.
    ///
    /// # Panics
    /// The namespace or the name cannot be one.
    #[track_caller]
    pub fn create(self) -> Pod {
        check(&self.namespace);
        check(&self.name);
        let key = Key::pod(&self.namespace, &self.name);
        self.shared.change(|state| state.make_pod(&key, &self.template, None));
        Pod::new(self.shared, key)
    }
}

/// A port of a pod.
#[derive(Debug, Clone)]
pub(crate) struct PortOf {
    name: String,
    pub(crate) port: Port,
    pub(crate) program: Option<Program>,
}

impl PortOf {
    #[track_caller]
    pub(crate) fn new(name: &str, port: u16, program: Option<Program>) -> Self {
        let Some(port) = Port::new(port) else { panic!("a port of a pod cannot be 0") };
        Self { name: name.to_owned(), port, program }
    }

    pub(crate) fn object(&self) -> Value {
        let mut object = json!({ "containerPort": self.port.get(), "protocol": "TCP" });
        if !self.name.is_empty() {
            object["name"] = self.name.as_str().into();
        }
        object
    }
}

/// What could be no name in a path would never be found again.
#[track_caller]
pub(crate) fn check(name: &str) {
    assert!(
        crate::api::is_name(name),
        "{name:?} cannot be the name of anything in Kubernetes: use a to z, 0 to 9, '-' and '.'"
    );
}
