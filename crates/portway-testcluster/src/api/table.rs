//! Lists as `kubectl get` prints them.

use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use crate::resource::Resource;
use crate::state::{is_terminating, text};

/// A column: its name, its type, and what stands in it.
type Column = (&'static str, &'static str, fn(&Value) -> Value);

pub(crate) fn table<'a>(
    resource: Resource,
    objects: impl Iterator<Item = &'a Value>,
    metadata: &Value,
) -> Value {
    let columns = columns(resource);
    let definitions: Vec<Value> = columns
        .iter()
        .map(|(name, kind, _)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({ "name": name, "type": kind, "format": format, "description": "", "priority": 0 })
        })
        .collect();
    let rows: Vec<Value> = objects
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|(_, _, cell)| cell(object)).collect();
            let object = json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"],
            });
            json!({ "cells": cells, "object": object })
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

const NAME: Column = ("Name", "string", |object| text(object, "/metadata/name").into());
const AGE: Column = ("Age", "string", |object| age(object).into());

fn columns(resource: Resource) -> Vec<Column> {
    let own: &[Column] = match resource {
        Resource::Pods => &[
            ("Ready", "string", |pod| ready(pod).into()),
            ("Status", "string", |pod| status(pod).into()),
            ("Restarts", "string", |pod| restarts(pod).to_string().into()),
        ],
        Resource::Services => &[
            ("Type", "string", |service| text(service, "/spec/type").into()),
            ("Cluster-IP", "string", |service| text(service, "/spec/clusterIP").into()),
            ("External-IP", "string", |_| "<none>".into()),
            ("Port(s)", "string", |service| ports(service).into()),
        ],
        Resource::Deployments => &[
            ("Ready", "string", |it| of(it, "/status/readyReplicas", "/spec/replicas").into()),
            ("Up-to-date", "integer", |it| number(it, "/status/updatedReplicas").into()),
            ("Available", "integer", |it| number(it, "/status/availableReplicas").into()),
        ],
        Resource::ReplicaSets | Resource::ReplicationControllers => &[
            ("Desired", "integer", |it| number(it, "/spec/replicas").into()),
            ("Current", "integer", |it| number(it, "/status/replicas").into()),
            ("Ready", "integer", |it| number(it, "/status/readyReplicas").into()),
        ],
        Resource::StatefulSets => {
            &[("Ready", "string", |it| of(it, "/status/readyReplicas", "/spec/replicas").into())]
        }
        Resource::DaemonSets => &[
            ("Desired", "integer", |it| number(it, "/status/desiredNumberScheduled").into()),
            ("Current", "integer", |it| number(it, "/status/currentNumberScheduled").into()),
            ("Ready", "integer", |it| number(it, "/status/numberReady").into()),
        ],
        Resource::Namespaces => {
            &[("Status", "string", |namespace| text(namespace, "/status/phase").into())]
        }
        Resource::Endpoints
        | Resource::EndpointSlices
        | Resource::Jobs
        | Resource::SelfSubjectAccessReviews
        | Resource::SelfSubjectReviews => &[],
    };
    [NAME].into_iter().chain(own.iter().copied()).chain([AGE]).collect()
}

fn ready(pod: &Value) -> String {
    let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let ready = containers.into_iter().flatten().filter(|it| it["ready"] == true).count();
    let all = pod.pointer("/spec/containers").and_then(Value::as_array).map_or(0, Vec::len);
    format!("{ready}/{all}")
}

fn status(pod: &Value) -> &str {
    if is_terminating(pod) { "Terminating" } else { text(pod, "/status/phase") }
}

fn restarts(pod: &Value) -> u64 {
    let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    containers.into_iter().flatten().filter_map(|it| it["restartCount"].as_u64()).sum()
}

fn ports(service: &Value) -> String {
    let ports = service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let ports: Vec<String> = ports.map(|port| format!("{}/TCP", port["port"])).collect();
    if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") }
}

fn number(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn of(object: &Value, some: &str, all: &str) -> String {
    format!("{}/{}", number(object, some), number(object, all))
}

/// As kubectl says it, to the largest unit.
fn age(object: &Value) -> String {
    let made: Option<Timestamp> = text(object, "/metadata/creationTimestamp").parse().ok();
    let Some(made) = made else { return "<unknown>".to_owned() };
    let seconds = Timestamp::now().since(made).ok().and_then(|age| age.total(Unit::Second).ok());
    let seconds = seconds.unwrap_or_default().max(0.0);
    let units = [("d", 86_400.0), ("h", 3_600.0), ("m", 60.0)];
    let unit = units.iter().find(|(_, length)| seconds >= 2.0 * length);
    let (name, length) = unit.unwrap_or(&("s", 1.0));
    format!("{:.0}{name}", (seconds / length).floor())
}
