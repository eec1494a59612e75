use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use portway_driver::Port;
use serde_json::{Value, json};

use crate::pod::check;
use crate::resource::Resource;
use crate::state::{Key, Shared, State, text};

/// A service to be made. See [`TestCluster::service`](crate::TestCluster::service).
#[derive(Debug, Clone)]
#[must_use = "there is no service before create()"]
pub struct ServiceBuilder {
    shared: Arc<Shared>,
    key: Key,
    selector: BTreeMap<String, String>,
    ports: Vec<Value>,
    headless: bool,
}

impl ServiceBuilder {
    pub(crate) fn new(shared: Arc<Shared>, name: &str) -> Self {
        let key = Key::new(Resource::Services, "default", name);
        Self { shared, key, selector: BTreeMap::new(), ports: Vec::new(), headless: false }
    }

    /// Where it is; `default` if not said.
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.key.namespace);
        self
    }

    /// Its pods have this label. Without any it has no pods.
    pub fn selector(mut self, key: &str, value: &str) -> Self {
        self.selector.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A port by its name, and the port of the pods to which it leads: a number, or the name of one.
    ///
    /// # Panics
    /// A port is 0.
    #[track_caller]
    pub fn port(mut self, name: &str, port: u16, target: impl Into<Target>) -> Self {
        assert!(Port::new(port).is_some(), "a port of a service cannot be 0");
        let mut object = json!({ "port": port, "protocol": "TCP", "targetPort": target.into().0 });
        if !name.is_empty() {
            object["name"] = name.into();
        }
        self.ports.push(object);
        self
    }

    /// It has no address of its own: its name leads to the pods themselves.
    pub const fn headless(mut self) -> Self {
        self.headless = true;
        self
    }

    /// Makes it, in the place of one of that name.
    ///
    /// # Panics
    /// The namespace or the name cannot be one.
    #[track_caller]
    pub fn create(self) -> Service {
        check(&self.key.namespace);
        check(&self.key.name);
        let Self { shared, key, selector, ports, headless } = self;
        shared.change(|state| {
            state.make_namespace(&key.namespace);
            state.remove(&key);
            let metadata = state.metadata(&key.namespace, &key.name);
            let mut service = json!({
                "kind": "Service",
                "apiVersion": "v1",
                "metadata": metadata,
                "spec": { "ports": ports },
            });
            if !selector.is_empty() {
                service["spec"]["selector"] = json!(selector);
            }
            if headless {
                service["spec"]["clusterIP"] = "None".into();
            }
            state.complete_service(&mut service);
            state.put(key.clone(), service);
        });
        Service { shared, key }
    }
}

/// Where in a pod a port of a service leads.
#[derive(Debug, Clone)]
pub struct Target(Value);

impl From<u16> for Target {
    fn from(port: u16) -> Self {
        Self(port.into())
    }
}

impl From<&str> for Target {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// A service, by its name.
#[derive(Clone)]
pub struct Service {
    shared: Arc<Shared>,
    key: Key,
}

impl Service {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.key.name
    }

    /// Its object, as the API shows it; `None` where there is none.
    pub fn object(&self) -> Option<Value> {
        self.shared.read().get(&self.key).map(|service| Value::clone(service))
    }

    /// Its pods are those with this label from now on.
    pub fn select(&self, key: &str, value: &str) {
        self.shared.change(|state| {
            state.edit(&self.key, |service| service["spec"]["selector"] = json!({ key: value }))
        });
    }

    /// Deletes it.
    pub fn delete(&self) {
        self.shared.change(|state| state.remove(&self.key));
    }
}

impl State {
    /// What the API server adds to a service that somebody made.
    pub(crate) fn complete_service(&mut self, service: &mut Value) {
        if text(service, "/spec/clusterIP").is_empty() {
            let uid = text(service, "/metadata/uid");
            let number = u32::from_str_radix(uid.get(28..).unwrap_or_default(), 16).unwrap_or(1);
            let address = format!("10.96.{}.{}", number / 250 % 250, number % 250 + 1);
            service["spec"]["clusterIP"] = address.into();
        }
        service["spec"]["clusterIPs"] = json!([service["spec"]["clusterIP"]]);
        if text(service, "/spec/type").is_empty() {
            service["spec"]["type"] = "ClusterIP".into();
        }
        let ports = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            if port["protocol"].is_null() {
                port["protocol"] = "TCP".into();
            }
            if port["targetPort"].is_null() {
                port["targetPort"] = port["port"].clone();
            }
        }
        service["spec"]["sessionAffinity"] = "None".into();
        service["status"] = json!({ "loadBalancer": {} });
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Service").field(&self.key.namespace).field(&self.key.name).finish()
    }
}
