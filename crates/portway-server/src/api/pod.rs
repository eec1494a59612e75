use serde_json::{Value, json};

use crate::{PodInfo, Target};

/// A pod that was found.
pub(crate) fn running(target: &Target, info: &PodInfo) -> Value {
    let ports: Vec<Value> = info.ports().map(port).collect();
    let mut pod = pod(target, "Running", "True");
    // Left out where there is none: clients take a null for a broken answer.
    if let Some(uid) = info.uid() {
        pod["metadata"]["uid"] = uid.into();
    }
    pod["spec"]["nodeName"] = "portway".into();
    pod["spec"]["containers"][0]["ports"] = ports.into();
    pod
}

/// A pod that runs nowhere yet.
pub(crate) fn pending(target: &Target) -> Value {
    pod(target, "Pending", "False")
}

fn pod(target: &Target, phase: &str, ready: &str) -> Value {
    json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": { "name": target.pod, "namespace": target.namespace },
        "spec": { "containers": [{ "name": target.pod, "image": "" }] },
        "status": { "phase": phase, "conditions": [{ "type": "Ready", "status": ready }] },
    })
}

fn port((port, name): (portway_driver::Port, Option<&str>)) -> Value {
    let mut object = json!({ "containerPort": port.get(), "protocol": "TCP" });
    if let Some(name) = name {
        object["name"] = name.into();
    }
    object
}
