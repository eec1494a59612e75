use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Key, State, now};
use crate::pod::{PortOf, Running};

/// What a pod is made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) ports: Vec<PortOf>,
    pub(crate) ready: bool,
    /// It runs nowhere yet.
    pub(crate) pending: bool,
    /// Of a daemon set: on how many nodes.
    pub(crate) daemons: Option<usize>,
}

impl Template {
    /// The object of such a pod, but for its metadata and status.
    pub(crate) fn spec(&self) -> Value {
        let ports: Vec<Value> = self.ports.iter().map(PortOf::object).collect();
        json!({
            "containers": [{
                "name": "main",
                "image": "portway/program",
                "ports": ports,
                "imagePullPolicy": "IfNotPresent",
            }],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
        })
    }
}

impl State {
    /// Makes a pod, in the place of one of that name.
    pub(crate) fn make_pod(&mut self, key: &Key, template: &Template, owner: Option<Value>) {
        self.make_namespace(&key.namespace);
        self.remove(key);
        let mut metadata = self.metadata(&key.namespace, &key.name);
        if !template.labels.is_empty() {
            metadata["labels"] = json!(template.labels);
        }
        if let Some(owner) = owner {
            metadata["ownerReferences"] = json!([owner]);
        }
        let mut pod = json!({
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": metadata,
            "spec": template.spec(),
            "status": { "phase": "Pending", "qosClass": "BestEffort" },
        });
        if !template.pending {
            self.start(&mut pod, template.ready);
        }
        self.adopt(&pod, Running::new(&template.ports));
        self.put(key.clone(), pod);
    }

    /// Has programs run in a pod.
    pub(crate) fn adopt(&mut self, pod: &Value, running: Running) {
        self.running.insert(super::uid(pod).to_owned(), running.into());
    }

    /// Puts a pod on a node, where it runs at once.
    pub(crate) fn start(&mut self, pod: &mut Value, ready: bool) {
        self.made += 1;
        let (number, at) = (self.made, now());
        let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
        let statuses: Vec<Value> = containers
            .into_iter()
            .flatten()
            .map(|container| {
                json!({
                    "name": container["name"],
                    "image": container["image"].as_str().unwrap_or_default(),
                    "imageID": "",
                    "ready": ready,
                    "started": true,
                    "restartCount": 0,
                    "state": { "running": { "startedAt": at } },
                    "lastState": {},
                })
            })
            .collect();
        pod["spec"]["nodeName"] = format!("node-{}", number % 3).into();
        pod["status"] = json!({
            "phase": "Running",
            "hostIP": format!("192.0.2.{}", number % 3 + 1),
            "podIP": format!("10.0.{}.{}", number / 250 % 250, number % 250 + 1),
            "startTime": at,
            "qosClass": "BestEffort",
            "containerStatuses": statuses,
        });
        let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|kind| json!({ "type": kind, "status": "True", "lastTransitionTime": at }))
            .collect();
        pod["status"]["conditions"] = conditions.into();
        set_ready(pod, ready);
    }
}

/// Makes a pod say of itself that it can be used, or that it cannot.
pub(crate) fn set_ready(pod: &mut Value, ready: bool) {
    let status = if ready { "True" } else { "False" };
    let conditions = pod.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        let is_one = matches!(condition["type"].as_str(), Some("Ready" | "ContainersReady"));
        if is_one && condition["status"] != status {
            condition["status"] = status.into();
            condition["lastTransitionTime"] = now().into();
        }
    }
    let containers = pod.pointer_mut("/status/containerStatuses").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        container["ready"] = ready.into();
    }
}
