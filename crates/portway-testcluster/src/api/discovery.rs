use serde_json::{Value, json};

use crate::Version;
use crate::resource::{Description, Resource, group_version};

/// `/version`.
pub(crate) fn version(version: Version) -> Value {
    let Version { major, minor, .. } = version;
    json!({
        "major": major.to_string(),
        "minor": minor.to_string(),
        "gitVersion": format!("v{major}.{minor}.0+portway.{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

/// `/api`.
pub(crate) fn core() -> Value {
    json!({ "kind": "APIVersions", "versions": [Resource::VERSION], "serverAddressByClientCIDRs": [] })
}

/// `/apis`.
pub(crate) fn groups() -> Value {
    let groups: Vec<Value> = named_groups().map(group).collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `/apis/apps`: without the kind it has on its own, as a part of all groups.
pub(crate) fn group(name: &str) -> Value {
    let version = json!({ "groupVersion": group_version(name), "version": Resource::VERSION });
    json!({ "name": name, "versions": [version], "preferredVersion": version })
}

/// `/apis/apps/v1`.
pub(crate) fn resources(group: &str) -> Value {
    let resources: Vec<Value> = of_group(group)
        .flat_map(|resource| {
            let Description { kind, plural, singular, short, categories, namespaced, .. } =
                resource.describe();
            let mut object = json!({
                "name": plural,
                "singularName": singular,
                "namespaced": namespaced,
                "kind": kind,
                "verbs": resource.verbs(),
            });
            if !short.is_empty() {
                object["shortNames"] = json!(short);
            }
            if !categories.is_empty() {
                object["categories"] = json!(categories);
            }
            let forward = json!({
                "name": "pods/portforward",
                "singularName": "",
                "namespaced": true,
                "kind": "PodPortForwardOptions",
                "verbs": FORWARD,
            });
            [Some(object), (resource == Resource::Pods).then_some(forward)].into_iter().flatten()
        })
        .collect();
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version(group),
        "resources": resources,
    })
}

/// All of it at once, as clients since 1.26 ask for it: of the core group, or of all others.
pub(crate) fn aggregated(core: bool) -> Value {
    let names: Vec<&str> = if core { vec![""] } else { named_groups().collect() };
    let groups: Vec<Value> = names.into_iter().map(aggregated_group).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": groups,
    })
}

const FORWARD: &[&str] = &["create", "get"];

fn aggregated_group(group: &str) -> Value {
    let resources: Vec<Value> = of_group(group)
        .map(|resource| {
            let Description { kind, plural, singular, short, categories, namespaced, .. } =
                resource.describe();
            let mut object = json!({
                "resource": plural,
                "responseKind": { "group": "", "version": "", "kind": kind },
                "scope": if namespaced { "Namespaced" } else { "Cluster" },
                "singularResource": singular,
                "verbs": resource.verbs(),
            });
            if !short.is_empty() {
                object["shortNames"] = json!(short);
            }
            if !categories.is_empty() {
                object["categories"] = json!(categories);
            }
            if resource == Resource::Pods {
                object["subresources"] = json!([{
                    "subresource": "portforward",
                    "responseKind": { "group": "", "version": "", "kind": "PodPortForwardOptions" },
                    "verbs": FORWARD,
                }]);
            }
            object
        })
        .collect();
    let version = json!({
        "version": Resource::VERSION,
        "resources": resources,
        "freshness": "Current",
    });
    let metadata = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
    json!({ "metadata": metadata, "versions": [version] })
}

fn named_groups() -> impl Iterator<Item = &'static str> {
    Resource::GROUPS.into_iter().filter(|group| !group.is_empty())
}

fn of_group(group: &str) -> impl Iterator<Item = Resource> {
    Resource::EVERY.into_iter().filter(move |resource| resource.describe().group == group)
}
