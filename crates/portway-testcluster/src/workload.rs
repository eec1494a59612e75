use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::Program;
use crate::pod::{Pod, PortOf, check};
use crate::resource::Resource;
use crate::state::{Key, Shared, State, Template, uid};

/// What makes pods, to be made: a deployment, replica set, stateful set, daemon set, job or replication
/// controller. See [`TestCluster::deployment`](crate::TestCluster::deployment).
///
/// Its pods have the label `app` with its name. One that is deleted is made anew, by another name, or
/// by the same in a stateful set.
#[derive(Debug, Clone)]
#[must_use = "there is no workload before create()"]
pub struct WorkloadBuilder {
    shared: Arc<Shared>,
    key: Key,
    replicas: usize,
    template: Template,
}

impl WorkloadBuilder {
    pub(crate) fn new(
        shared: Arc<Shared>,
        resource: Resource,
        name: &str,
        replicas: usize,
    ) -> Self {
        let mut template = Template { ready: true, ..Template::default() };
        template.labels.insert("app".to_owned(), name.to_owned());
        if resource == Resource::DaemonSets {
            template.daemons = Some(replicas);
        }
        Self { shared, key: Key::new(resource, "default", name), replicas, template }
    }

    /// Where it is; `default` if not said.
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.key.namespace);
        self
    }

    /// A further label of its pods.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.template.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A port of its pods by its name, and what listens on it.
    ///
    /// # Panics
    /// The port is 0.
    #[track_caller]
    pub fn port(mut self, name: &str, port: u16, program: Program) -> Self {
        self.template.ports.push(PortOf::new(name, port, Some(program)));
        self
    }

    /// Whether new pods say of themselves that they can be used; they do if not said.
    pub const fn ready(mut self, ready: bool) -> Self {
        self.template.ready = ready;
        self
    }

    /// Makes it and its pods, in the place of one of that name.
    ///
    /// # Panics
    /// The namespace or the name cannot be one.
    #[track_caller]
    pub fn create(self) -> Workload {
        check(&self.key.namespace);
        check(&self.key.name);
        let Self { shared, key, replicas, template } = self;
        shared.change(|state| {
            state.make_namespace(&key.namespace);
            state.remove(&key);
            state.make_workload(&key, replicas, template);
        });
        Workload { shared, key }
    }
}

/// What makes pods, by its name.
#[derive(Clone)]
pub struct Workload {
    shared: Arc<Shared>,
    key: Key,
}

impl Workload {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.key.name
    }

    /// Its object, as the API shows it; `None` where there is none.
    pub fn object(&self) -> Option<Value> {
        self.shared.read().get(&self.key).map(|workload| Value::clone(workload))
    }

    /// Its pods at the moment, but for those on their way out, the oldest first.
    pub fn pods(&self) -> Vec<Pod> {
        let state = self.shared.read();
        let pods = state.pods_below(&self.key).into_iter();
        pods.map(|key| Pod::new(Arc::clone(&self.shared), key)).collect()
    }

    /// It has so many pods from now on: the youngest go first.
    pub fn scale(&self, replicas: usize) {
        self.shared.change(|state| state.scale(&self.key, replicas));
    }

    /// All of its pods are replaced by new ones at once, as by a new version of the program.
    pub fn rollout(&self) {
        self.shared.change(|state| state.roll_out(&self.key));
    }

    /// Deletes it with its pods.
    pub fn delete(&self) {
        self.shared.change(|state| state.remove(&self.key));
    }
}

impl State {
    fn make_workload(&mut self, key: &Key, replicas: usize, template: Template) {
        let labels = &template.labels;
        let plain = key.resource == Resource::ReplicationControllers;
        let selector = if plain { json!(labels) } else { json!({ "matchLabels": labels }) };
        let mut spec = json!({
            "selector": selector,
            "template": { "metadata": { "labels": labels }, "spec": template.spec() },
        });
        if key.resource == Resource::Jobs {
            spec["parallelism"] = replicas.into();
            spec["completions"] = replicas.into();
        } else if key.resource != Resource::DaemonSets {
            spec["replicas"] = replicas.into();
        }
        if key.resource == Resource::StatefulSets {
            spec["serviceName"] = key.name.as_str().into();
        }
        let mut metadata = self.metadata(&key.namespace, &key.name);
        metadata["labels"] = json!(labels);
        metadata["generation"] = 1.into();
        let workload = json!({
            "kind": key.resource.describe().kind,
            "apiVersion": key.resource.api_version(),
            "metadata": metadata,
            "spec": spec,
            "status": {},
        });
        let workload = self.put(key.clone(), workload);
        if key.resource == Resource::Deployments {
            self.make_replica_set(key, template);
        } else {
            self.set_template(&workload, template);
        }
    }

    /// The replica set of a deployment's newest revision.
    fn make_replica_set(&mut self, deployment: &Key, mut template: Template) {
        let hash = self.suffix(10);
        template.labels.insert("pod-template-hash".to_owned(), hash.clone());
        let revision = (self.sets_of(deployment).len() + 1).to_string();
        let key = Key::new(
            Resource::ReplicaSets,
            &*deployment.namespace,
            format!("{}-{hash}", deployment.name),
        );
        let Some(owner) = self.reference(deployment) else { return };
        let mut metadata = self.metadata(&key.namespace, &key.name);
        metadata["labels"] = json!(template.labels);
        metadata["annotations"] = json!({ "deployment.kubernetes.io/revision": revision });
        metadata["ownerReferences"] = json!([owner]);
        let set = json!({
            "kind": "ReplicaSet",
            "apiVersion": "apps/v1",
            "metadata": metadata,
            "spec": {
                "replicas": 0,
                "selector": { "matchLabels": template.labels },
                "template": { "metadata": { "labels": template.labels }, "spec": template.spec() },
            },
            "status": {},
        });
        let set = self.put(key, set);
        self.set_template(&set, template);
    }

    fn scale(&mut self, key: &Key, replicas: usize) {
        if key.resource == Resource::DaemonSets {
            return self.change_template(key, |it| it.daemons = Some(replicas));
        }
        let field = if key.resource == Resource::Jobs { "parallelism" } else { "replicas" };
        self.edit(key, |workload| workload["spec"][field] = replicas.into());
    }

    fn roll_out(&mut self, key: &Key) {
        if key.resource == Resource::Deployments {
            let newest = self.sets_of(key).pop();
            let template = newest.and_then(|set| self.template_of(&set).cloned());
            if let Some(template) = template {
                self.make_replica_set(key, template);
            }
            return;
        }
        for pod in self.pods_below(key) {
            self.remove(&pod);
        }
    }

    /// The pods of a workload, or those of the replica sets that it has.
    fn pods_below(&self, key: &Key) -> Vec<Key> {
        let mut owners = self.sets_of(key);
        owners.push(key.clone());
        let uids = owners.iter().filter_map(|owner| self.get(owner)).map(|object| uid(object));
        uids.flat_map(|of| self.pods_of(of)).collect()
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Workload")
            .field(&self.key.resource)
            .field(&self.key.namespace)
            .field(&self.key.name)
            .finish()
    }
}
