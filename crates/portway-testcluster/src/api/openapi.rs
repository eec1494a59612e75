//! As much of OpenAPI as kubectl needs to leave validation to the server, and to explain what a kind is.

use serde_json::{Map, Value, json};

use crate::resource::{Description, Resource, group_version};

/// `/openapi/v3`: where the documents of the groups are.
pub(crate) fn root() -> Value {
    let paths = Resource::GROUPS.into_iter().map(|group| {
        let path = path(group);
        (path.clone(), json!({ "serverRelativeURL": format!("/openapi/v3/{path}") }))
    });
    json!({ "paths": paths.collect::<Map<_, _>>() })
}

/// The document of a group.
pub(crate) fn document(group: &str) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for resource in Resource::EVERY.into_iter().filter(|it| it.describe().group == group) {
        let Description { kind, plural, namespaced, .. } = resource.describe();
        let of = json!({ "group": group, "version": Resource::VERSION, "kind": kind });
        let scope = if namespaced { "/namespaces/{namespace}" } else { "" };
        let operation = |action: &str| {
            json!({
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": of,
                "parameters": [{ "name": "fieldValidation", "in": "query", "schema": { "type": "string" } }],
                "responses": { "200": { "description": "OK" } },
            })
        };
        let mut patch = operation("patch");
        patch["requestBody"] = json!({
            "content": { "application/merge-patch+json": { "schema": { "type": "object" } } },
        });
        paths.insert(
            format!("/{}{scope}/{plural}/{{name}}", path(group)),
            json!({ "get": operation("get"), "patch": patch }),
        );
        let object = || json!({ "type": "object" });
        schemas.insert(
            format!("{}.{kind}", path(group).replace('/', ".")),
            json!({
                "type": "object",
                "description": format!("{kind}, of which this cluster for tests checks little."),
                "x-kubernetes-group-version-kind": [of],
                "properties": {
                    "apiVersion": { "type": "string" },
                    "kind": { "type": "string" },
                    "metadata": object(),
                    "spec": object(),
                    "status": object(),
                },
            }),
        );
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": group_version(group) },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

/// `api/v1`, `apis/apps/v1`.
fn path(group: &str) -> String {
    let version = Resource::VERSION;
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}
