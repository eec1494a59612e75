use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Lie;
use crate::state::{Key, Shared, State, now, set_ready, text, uid};

/// A pod, by its name: after it was moved or made anew this is a handle to the new one.
///
/// What it does is seen by watches, and felt by whoever is connected, when it returns. A pod that is not
/// there any more does nothing.
#[derive(Clone)]
pub struct Pod {
    shared: Arc<Shared>,
    key: Key,
}

impl Pod {
    pub(crate) const fn new(shared: Arc<Shared>, key: Key) -> Self {
        Self { shared, key }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.key.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.key.namespace
    }

    /// Which pod of that name; `None` where there is none.
    pub fn uid(&self) -> Option<String> {
        self.shared.read().get(&self.key).map(|pod| uid(pod).to_owned())
    }

    /// Its object, as the API shows it; `None` where there is none.
    pub fn object(&self) -> Option<Value> {
        self.shared.read().get(&self.key).map(|pod| Value::clone(pod))
    }

    /// Connections into it that were ever asked for, since it was made.
    pub fn connections(&self) -> usize {
        self.shared.read().running(&self.key).map_or(0, |running| running.connections())
    }

    /// Deletes it at once: its connections break, and a workload that owns it makes another.
    pub fn delete(&self) {
        self.shared.change(|state| {
            state.edit(&self.key, terminate);
            state.remove(&self.key)
        });
    }

    /// It is on its way out: not ready, terminating, and still serving, until [`delete`](Self::delete).
    /// A workload that owns it makes another now.
    pub fn terminate(&self) {
        self.edit(|pod| {
            terminate(pod);
            set_ready(pod, false);
        });
    }

    /// Its container is started again: its connections break, sessions live on.
    pub fn restart(&self) {
        self.shared.change(|state| {
            if let Some(running) = state.running(&self.key) {
                running.restart();
            }
            state.edit(&self.key, |pod| {
                let containers = pod.pointer_mut("/status/containerStatuses");
                for container in containers.and_then(Value::as_array_mut).into_iter().flatten() {
                    let count = container["restartCount"].as_u64().unwrap_or_default();
                    container["lastState"] = json!({
                        "terminated": { "exitCode": 137, "reason": "Error", "finishedAt": now() },
                    });
                    container["state"] = json!({ "running": { "startedAt": now() } });
                    container["restartCount"] = (count + 1).into();
                }
            });
        });
    }

    /// It is deleted here and made anew on another node, by the same name and with another UID.
    pub fn moved(&self) {
        self.shared.change(|state| state.replace_pod(&self.key));
    }

    /// Whether it says of itself that it can be used.
    pub fn set_ready(&self, ready: bool) {
        self.edit(|pod| set_ready(pod, ready));
    }

    /// How far it has come: `Succeeded`, `Failed`, `Unknown`.
    pub fn set_phase(&self, phase: &str) {
        self.edit(|pod| pod["status"]["phase"] = phase.into());
    }

    /// Puts a [pending](crate::PodBuilder::pending) pod on a node.
    pub fn schedule(&self) {
        self.shared.change(|state| {
            let Some(pod) = state.get(&self.key) else { return };
            if text(pod, "/spec/nodeName").is_empty() {
                let mut pod = Value::clone(pod);
                state.start(&mut pod, true);
                state.put(self.key.clone(), pod);
            }
        });
    }

    /// Its labels are these and no others: services and workloads look at them.
    pub fn set_labels<'a>(&self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let labels: Value = labels
            .into_iter()
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        self.edit(|pod| pod["metadata"]["labels"] = labels);
    }

    /// From now on something is wrong with it that its object does not say.
    pub fn lie(&self, lie: Lie) {
        self.set_lie(Some(lie));
    }

    /// Nothing is wrong with it any more.
    pub fn tell_the_truth(&self) {
        self.set_lie(None);
    }

    fn set_lie(&self, lie: Option<Lie>) {
        if let Some(running) = self.shared.read().running(&self.key) {
            running.set_lie(lie);
        }
    }

    fn edit(&self, change: impl FnOnce(&mut Value)) {
        self.shared.change(|state| state.edit(&self.key, change));
    }
}

impl State {
    /// Makes a pod anew of what it is made of.
    fn replace_pod(&mut self, key: &Key) {
        let Some(running) = self.running(key).cloned() else { return };
        let Some(last) = self.remove(key) else { return };
        let mut pod = Value::clone(&last);
        let mut metadata = self.metadata(&key.namespace, &key.name);
        for kept in ["labels", "annotations", "ownerReferences"] {
            if let Some(value) = last["metadata"].get(kept) {
                metadata[kept] = value.clone();
            }
        }
        pod["metadata"] = metadata;
        self.start(&mut pod, true);
        self.adopt(&pod, running.reborn());
        self.put(key.clone(), pod);
    }
}

pub(crate) fn terminate(pod: &mut Value) {
    pod["metadata"]["deletionTimestamp"] = now().into();
    pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
}

impl fmt::Debug for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pod").field(&self.key.namespace).field(&self.key.name).finish()
    }
}
