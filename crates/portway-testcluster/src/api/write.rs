use std::sync::Arc;

use http::{Response, StatusCode};
use portway_server::Body;
use serde_json::{Value, json};

use super::filter::Filter;
use super::query::Query;
use super::route::{Objects, is_name};
use super::status::{Refusal, answer};
use crate::pod::{Running, terminate};
use crate::resource::Resource;
use crate::state::{Key, Shared, State, text, uid};

/// `POST` to a list: something new.
pub(crate) fn create(
    shared: &Shared,
    objects: &Objects,
    query: &Query,
    body: Value,
) -> Result<Response<Body>, Refusal> {
    let (resource, mut object) = (objects.resource, of_kind(objects.resource, body)?);
    let namespace = place(objects, &object)?;
    shared.change(|state| {
        let name = match (text(&object, "/metadata/name"), text(&object, "/metadata/generateName")) {
            ("", "") => {
                let cause = "Required value: name or generateName is required";
                return Err(Refusal::invalid(resource, "", "metadata.name", cause));
            }
            ("", prefix) => format!("{prefix}{}", state.suffix(5)),
            (name, _) => name.to_owned(),
        };
        if !is_name(&name) {
            let cause = format!("Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character");
            return Err(Refusal::invalid(resource, &name, "metadata.name", &cause));
        }
        let key = Key::new(resource, &*namespace, &*name);
        if state.get(&key).is_some() {
            return Err(Refusal::already_exists(&key));
        }
        let scope = Key::new(Resource::Namespaces, "", &*namespace);
        if !namespace.is_empty() && state.get(&scope).is_none() {
            return Err(Refusal::not_found(&scope));
        }
        let made = state.metadata(&namespace, &name);
        for (field, value) in made.as_object().into_iter().flatten() {
            object["metadata"][field] = value.clone();
        }
        if query.get("dryRun") == Some("All") {
            return Ok(answer(StatusCode::CREATED, &object));
        }
        state.complete(resource, &mut object);
        let made = state.put(key, object);
        Ok(answer(StatusCode::CREATED, &made))
    })
}

/// `PUT`: something instead of what there is.
pub(crate) fn update(
    shared: &Shared,
    key: &Key,
    objects: &Objects,
    body: Value,
) -> Result<Response<Body>, Refusal> {
    let object = of_kind(objects.resource, body)?;
    shared.change(|state| {
        let was = state.get(key).cloned().ok_or_else(|| Refusal::not_found(key))?;
        replace(state, key, &was, object)
    })
}

/// `PATCH` with a merge patch, RFC 7386. Kubernetes' strategic one means the same where no list of
/// objects is in it.
pub(crate) fn patch(shared: &Shared, key: &Key, body: &Value) -> Result<Response<Body>, Refusal> {
    shared.change(|state| {
        let was = state.get(key).cloned().ok_or_else(|| Refusal::not_found(key))?;
        let mut object = Value::clone(&was);
        json_patch::merge(&mut object, body);
        replace(state, key, &was, object)
    })
}

fn replace(
    state: &mut State,
    key: &Key,
    was: &Value,
    mut object: Value,
) -> Result<Response<Body>, Refusal> {
    let version = text(&object, "/metadata/resourceVersion").to_owned();
    if !version.is_empty() && version != text(was, "/metadata/resourceVersion") {
        let cause = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Refusal::conflict(key, cause));
    }
    for fixed in ["name", "namespace", "uid", "creationTimestamp", "resourceVersion"] {
        if let Some(value) = was["metadata"].get(fixed) {
            object["metadata"][fixed] = value.clone();
        }
    }
    if object == *was {
        return Ok(answer(StatusCode::OK, was));
    }
    Ok(answer(StatusCode::OK, &state.put(key.clone(), object)))
}

/// `DELETE` of one.
pub(crate) fn delete(
    shared: &Shared,
    key: &Key,
    query: &Query,
    options: &Value,
) -> Result<Response<Body>, Refusal> {
    shared.change(|state| {
        let was = state.get(key).cloned().ok_or_else(|| Refusal::not_found(key))?;
        let asked = text(options, "/preconditions/uid");
        if !asked.is_empty() && asked != uid(&was) {
            let cause = format!(
                "Precondition failed: UID in precondition: {asked}, UID in object meta: {}",
                uid(&was)
            );
            return Err(Refusal::conflict(key, &cause));
        }
        let dry = query.get("dryRun") == Some("All") || options["dryRun"][0] == "All";
        let last = if dry { Some(was.clone()) } else { remove(state, key) };
        // As an API server does: these two answer with themselves.
        if let (Resource::Pods | Resource::Services, Some(last)) = (key.resource, last) {
            return Ok(answer(StatusCode::OK, &last));
        }
        let described = key.resource.describe();
        let mut details = json!({ "name": key.name, "kind": described.plural, "uid": uid(&was) });
        if !described.group.is_empty() {
            details["group"] = described.group.into();
        }
        let done = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        });
        Ok(answer(StatusCode::OK, &done))
    })
}

/// `DELETE` of all that are selected.
pub(crate) fn delete_all(
    shared: &Shared,
    objects: &Objects,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    let filter =
        Filter::parse(objects.resource, query.get("labelSelector"), query.get("fieldSelector"))?;
    shared.change(|state| {
        let all = state.list(objects.resource, objects.namespace.as_deref());
        let wanted: Vec<(Key, Arc<Value>)> = all
            .filter(|(_, object)| filter.matches(object))
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect();
        for (key, _) in &wanted {
            remove(state, key);
        }
        let described = objects.resource.describe();
        let list = json!({
            "kind": format!("{}List", described.kind),
            "apiVersion": objects.resource.api_version(),
            "metadata": { "resourceVersion": state.version().to_string() },
            "items": wanted.iter().map(|(_, object)| &**object).collect::<Vec<_>>(),
        });
        Ok(answer(StatusCode::OK, &list))
    })
}

/// A pod is seen on its way out first, as everywhere; a namespace takes with it what is in it.
fn remove(state: &mut State, key: &Key) -> Option<Arc<Value>> {
    if key.resource == Resource::Pods {
        state.edit(key, terminate);
    } else if key.resource == Resource::Namespaces {
        state.empty_namespace(&key.name);
    }
    state.remove(key)
}

/// The object that a body is, if it is of the kind that the path says.
fn of_kind(resource: Resource, mut body: Value) -> Result<Value, Refusal> {
    let described = resource.describe();
    let (kind, version) = (text(&body, "/kind").to_owned(), text(&body, "/apiVersion").to_owned());
    if !body.is_object() {
        return Err(Refusal::bad_request("the body of the request is not an object"));
    }
    let expected = resource.api_version();
    // Typed clients leave them out now and then.
    if (!kind.is_empty() && kind != described.kind) || (!version.is_empty() && version != expected)
    {
        return Err(Refusal::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}",
            described.kind
        )));
    }
    body["kind"] = described.kind.into();
    body["apiVersion"] = expected.into();
    if !body["metadata"].is_object() {
        body["metadata"] = json!({});
    }
    Ok(body)
}

fn place(objects: &Objects, object: &Value) -> Result<String, Refusal> {
    let said = text(object, "/metadata/namespace");
    let namespace = objects.namespace.as_deref().unwrap_or_default();
    if objects.resource.describe().namespaced && namespace.is_empty() {
        return Err(Refusal::method_not_allowed());
    }
    if !said.is_empty() && said != namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(namespace.to_owned())
}

impl State {
    /// What the API server and its controllers add to an object that somebody made.
    fn complete(&mut self, resource: Resource, object: &mut Value) {
        if resource == Resource::Pods {
            self.start(object, true);
            self.adopt(object, Running::new(&[]));
        } else if resource == Resource::Services {
            self.complete_service(object);
        } else if resource == Resource::Namespaces {
            object["status"] = json!({ "phase": "Active" });
        }
    }
}
