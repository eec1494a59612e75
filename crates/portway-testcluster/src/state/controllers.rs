//! What controllers do in a cluster, done at once: owners that are gone take what they own with them,
//! workloads have as many pods as they say, and services know their pods.

use std::collections::BTreeSet;

use portway_resolve::Selector;
use portway_resolve::object::Service;
use serde_json::{Value, json};

use super::{Key, State, is_terminating, labels, text, uid};
use crate::resource::Resource;

impl State {
    /// Does what controllers would do by and by.
    pub(super) fn settle(&mut self) {
        self.collect_garbage();
        self.scale_replica_sets();
        self.fill_workloads();
        self.fill_endpoints();
    }

    fn keys(&self, wanted: impl Fn(&Key, &Value) -> bool) -> Vec<Key> {
        let wanted = self.objects.iter().filter(|(key, object)| wanted(key, object));
        wanted.map(|(key, _)| key.clone()).collect()
    }

    fn collect_garbage(&mut self) {
        loop {
            let uids: BTreeSet<&str> = self.objects.values().map(|object| uid(object)).collect();
            let orphans =
                self.keys(|_, object| owner(object).is_some_and(|owner| !uids.contains(owner)));
            if orphans.is_empty() {
                return;
            }
            for key in orphans {
                self.remove(&key);
            }
        }
    }

    /// The newest replica set of a deployment has its replicas, the others none.
    fn scale_replica_sets(&mut self) {
        for deployment in self.keys(|key, _| key.resource == Resource::Deployments) {
            let Some(replicas) = self.objects.get(&deployment).map(|it| replicas(it)) else {
                continue;
            };
            let mut sets = self.sets_of(&deployment);
            let newest = sets.pop();
            for key in sets {
                self.edit(&key, |set| set["spec"]["replicas"] = 0.into());
            }
            if let Some(key) = newest {
                self.edit(&key, |set| set["spec"]["replicas"] = replicas.into());
            }
        }
    }

    /// Every workload that makes pods has as many as it says.
    fn fill_workloads(&mut self) {
        let made = self.keys(|_, object| self.templates.contains_key(uid(object)));
        for key in made {
            let Some(object) = self.objects.get(&key).cloned() else { continue };
            let Some(template) = self.templates.get(uid(&object)).cloned() else { continue };
            let replicas = usize::try_from(replicas(&object)).unwrap_or(usize::MAX);
            let wanted = template.daemons.unwrap_or(replicas);
            let mut pods = self.pods_of(uid(&object));
            if key.resource == Resource::StatefulSets {
                pods.sort_by_key(|pod| (pod.name.len(), pod.name.clone()));
            }
            while pods.len() > wanted {
                if let Some(last) = pods.pop() {
                    self.remove(&last);
                }
            }
            for index in 0..wanted {
                if pods.len() >= wanted {
                    break;
                }
                let name = if key.resource == Resource::StatefulSets {
                    format!("{}-{index}", key.name)
                } else {
                    format!("{}-{}", key.name, self.suffix(5))
                };
                let pod = Key::pod(&key.namespace, &name);
                // One of that name that is on its way out has to be gone first.
                if self.objects.contains_key(&pod) {
                    continue;
                }
                self.make_pod(&pod, &template, Some(reference(&key, &object)));
                pods.push(pod);
            }
            let ready =
                pods.iter().filter_map(|pod| self.objects.get(pod)).filter(|pod| is_ready(pod));
            let status = status(key.resource, pods.len(), ready.count());
            self.edit(&key, |object| object["status"] = status);
        }
        for key in self.keys(|key, _| key.resource == Resource::Deployments) {
            let sets = self.sets_of(&key);
            let pods: Vec<Key> = sets
                .iter()
                .filter_map(|set| self.get(set))
                .flat_map(|set| self.pods_of(uid(set)))
                .collect();
            let ready =
                pods.iter().filter_map(|pod| self.get(pod)).filter(|pod| is_ready(pod)).count();
            let status = status(Resource::Deployments, pods.len(), ready);
            self.edit(&key, |object| object["status"] = status);
        }
    }

    /// The replica sets of a deployment, the newest last.
    pub(crate) fn sets_of(&self, deployment: &Key) -> Vec<Key> {
        let Some(of) = self.get(deployment).map(|object| uid(object)) else { return Vec::new() };
        let mut sets = self
            .keys(|key, object| key.resource == Resource::ReplicaSets && owner(object) == Some(of));
        sets.sort_by_key(|key| self.get(key).map(|object| revision(object)));
        sets
    }

    /// What an object says whose owner this is.
    pub(crate) fn reference(&self, owner: &Key) -> Option<Value> {
        self.get(owner).map(|object| reference(owner, object))
    }

    /// The pods that something owns, but for those on their way out, in the order of their making.
    pub(crate) fn pods_of(&self, of: &str) -> Vec<Key> {
        let mut pods: Vec<_> = self
            .list(Resource::Pods, None)
            .filter(|(_, pod)| owner(pod) == Some(of) && !is_terminating(pod))
            .map(|(key, pod)| (uid(pod), key.clone()))
            .collect();
        pods.sort();
        pods.into_iter().map(|(_, key)| key).collect()
    }

    /// A service with a selector leads to its pods.
    fn fill_endpoints(&mut self) {
        for key in self.keys(|key, _| key.resource == Resource::Services) {
            let Some(object) = self.objects.get(&key).cloned() else { continue };
            let Ok(service) = serde_json::from_value::<Service>(Value::clone(&object)) else {
                continue;
            };
            let Ok(selector) = Selector::of_service(&service) else { continue };
            let pods: Vec<_> = self
                .list(Resource::Pods, Some(&key.namespace))
                .filter(|(_, pod)| {
                    selector.matches(&labels(pod, "/metadata/labels"))
                        && !text(pod, "/status/podIP").is_empty()
                })
                .map(|(key, pod)| Address { key: key.clone(), pod: Value::clone(pod) })
                .collect();
            let owner = reference(&key, &object);
            self.put_endpoints(&key, &pods, &object);
            self.put_slice(&key, &pods, &object, owner);
        }
    }

    fn put_endpoints(&mut self, service: &Key, pods: &[Address], object: &Value) {
        let key = Key::new(Resource::Endpoints, &*service.namespace, &*service.name);
        let (ready, not_ready): (Vec<_>, Vec<_>) =
            pods.iter().partition(|address| address.is_ready());
        let addresses = |pods: Vec<&Address>| -> Vec<Value> {
            pods.into_iter().map(Address::in_endpoints).collect()
        };
        let mut subset = json!({ "ports": ports(object, pods) });
        if !ready.is_empty() {
            subset["addresses"] = addresses(ready).into();
        }
        if !not_ready.is_empty() {
            subset["notReadyAddresses"] = addresses(not_ready).into();
        }
        let subsets = if pods.is_empty() { json!([]) } else { json!([subset]) };
        if self.get(&key).is_none() {
            let mut metadata = self.metadata(&key.namespace, &key.name);
            metadata["ownerReferences"] = json!([reference(service, object)]);
            let endpoints = json!({
                "kind": "Endpoints",
                "apiVersion": "v1",
                "metadata": metadata,
                "subsets": subsets,
            });
            self.put(key, endpoints);
        } else {
            self.edit(&key, |endpoints| endpoints["subsets"] = subsets);
        }
    }

    fn put_slice(&mut self, service: &Key, pods: &[Address], object: &Value, owner: Value) {
        let name = format!("{}-slice", service.name);
        let key = Key::new(Resource::EndpointSlices, &*service.namespace, name);
        let endpoints: Vec<Value> = pods.iter().map(Address::in_slice).collect();
        let ports = ports(object, pods);
        if self.get(&key).is_none() {
            let mut metadata = self.metadata(&key.namespace, &key.name);
            metadata["labels"] = json!({ "kubernetes.io/service-name": service.name });
            metadata["ownerReferences"] = json!([owner]);
            let slice = json!({
                "kind": "EndpointSlice",
                "apiVersion": "discovery.k8s.io/v1",
                "metadata": metadata,
                "addressType": "IPv4",
                "endpoints": endpoints,
                "ports": ports,
            });
            self.put(key, slice);
        } else {
            self.edit(&key, |slice| {
                slice["endpoints"] = endpoints.into();
                slice["ports"] = ports;
            });
        }
    }
}

/// A pod behind a service.
#[derive(Debug)]
struct Address {
    key: Key,
    pod: Value,
}

impl Address {
    fn is_ready(&self) -> bool {
        is_ready(&self.pod)
    }

    fn target(&self) -> Value {
        json!({
            "kind": "Pod",
            "namespace": self.key.namespace,
            "name": self.key.name,
            "uid": uid(&self.pod),
        })
    }

    /// As endpoints say it.
    fn in_endpoints(&self) -> Value {
        json!({
            "ip": text(&self.pod, "/status/podIP"),
            "nodeName": text(&self.pod, "/spec/nodeName"),
            "targetRef": self.target(),
        })
    }

    /// As endpoint slices say it.
    fn in_slice(&self) -> Value {
        let (ready, terminating) = (self.is_ready(), is_terminating(&self.pod));
        json!({
            "addresses": [text(&self.pod, "/status/podIP")],
            "conditions": {
                "ready": ready && !terminating,
                "serving": ready,
                "terminating": terminating,
            },
            "nodeName": text(&self.pod, "/spec/nodeName"),
            "targetRef": self.target(),
        })
    }
}

/// The ports of a service as they are in its pods; of names, those of the first pod that has them.
fn ports(service: &Value, pods: &[Address]) -> Value {
    let ports = service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let ports = ports.filter_map(|port| {
        let target = &port["targetPort"];
        let number = match target.as_str() {
            Some(name) => pods.iter().find_map(|address| named_port(&address.pod, name))?,
            None if target.as_u64().is_none_or(|number| number == 0) => port["port"].clone(),
            None => target.clone(),
        };
        let mut object = json!({ "port": number, "protocol": "TCP" });
        if let Some(name) = port["name"].as_str() {
            object["name"] = name.into();
        }
        Some(object)
    });
    ports.collect()
}

fn named_port(pod: &Value, name: &str) -> Option<Value> {
    let containers =
        pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let mut ports = containers.filter_map(|container| container["ports"].as_array()).flatten();
    ports.find(|port| port["name"] == name).map(|port| port["containerPort"].clone())
}

pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Who an object goes with.
fn owner(object: &Value) -> Option<&str> {
    object.pointer("/metadata/ownerReferences/0/uid").and_then(Value::as_str)
}

fn reference(key: &Key, object: &Value) -> Value {
    json!({
        "apiVersion": key.resource.api_version(),
        "kind": key.resource.describe().kind,
        "name": key.name,
        "uid": uid(object),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

fn replicas(object: &Value) -> u64 {
    let replicas = object.pointer("/spec/replicas").or_else(|| object.pointer("/spec/parallelism"));
    replicas.and_then(Value::as_u64).unwrap_or(1)
}

fn revision(object: &Value) -> u64 {
    let revision = object["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str();
    revision.and_then(|revision| revision.parse().ok()).unwrap_or_default()
}

fn status(resource: Resource, pods: usize, ready: usize) -> Value {
    if resource == Resource::DaemonSets {
        return json!({
            "currentNumberScheduled": pods,
            "desiredNumberScheduled": pods,
            "numberAvailable": ready,
            "numberMisscheduled": 0,
            "numberReady": ready,
            "updatedNumberScheduled": pods,
        });
    }
    if resource == Resource::Jobs {
        return json!({ "active": pods, "ready": ready });
    }
    json!({
        "replicas": pods,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "updatedReplicas": pods,
        "observedGeneration": 1,
    })
}
