use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::accept::Shape;
use super::filter::Filter;
use super::query::Query;
use super::route::Objects;
use super::status::Refusal;
use super::table;
use crate::resource::Resource;
use crate::state::{Key, Shared, TooOld};

/// The objects of a kind, in pages if the client wants them so.
pub(crate) fn list(
    shared: &Shared,
    objects: &Objects,
    query: &Query,
    shape: Shape,
) -> Result<Value, Refusal> {
    let filter =
        Filter::parse(objects.resource, query.get("labelSelector"), query.get("fieldSelector"))?;
    let (found, version, after) = {
        let state = shared.read();
        let page = query.get("continue").filter(|token| !token.is_empty()).map(Page::parse);
        let (version, after) = match page.transpose()? {
            Some(Page { version, after }) => (version, Some(after)),
            None if query.get("resourceVersionMatch") == Some("Exact") => {
                (query.number("resourceVersion")?.unwrap_or_else(|| state.version()), None)
            }
            None => (state.version(), None),
        };
        let namespace = objects.namespace.as_deref();
        let found = state.list_at(objects.resource, namespace, version);
        let found = found.map_err(|why| match &after {
            Some(_) => Refusal::expired_page(why),
            None => Refusal::expired(why),
        })?;
        (found, version, after)
    };
    let mut wanted: Vec<(Key, Arc<Value>)> = found
        .into_iter()
        .filter(|(key, _)| {
            after
                .as_ref()
                .is_none_or(|after| (&*key.namespace, &*key.name) > (&*after.0, &*after.1))
        })
        .filter(|(_, object)| filter.matches(object))
        .collect();
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    let limit = query.number("limit")?.and_then(|limit| usize::try_from(limit).ok());
    if let Some(limit) = limit.filter(|limit| wanted.len() > *limit) {
        metadata["remainingItemCount"] = (wanted.len() - limit).into();
        wanted.truncate(limit);
        if let Some((last, _)) = wanted.last() {
            let after = (last.namespace.clone(), last.name.clone());
            metadata["continue"] = Page { version, after }.token().into();
        }
    }
    Ok(shaped(objects.resource, wanted.iter().map(|(_, object)| &**object), &metadata, shape))
}

/// A list in the shape that the client wants.
fn shaped<'a>(
    resource: Resource,
    objects: impl Iterator<Item = &'a Value>,
    metadata: &Value,
    shape: Shape,
) -> Value {
    match shape {
        Shape::Table => table::table(resource, objects, metadata),
        Shape::Metadata => json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": objects.map(metadata_of).collect::<Vec<_>>(),
        }),
        Shape::Plain | Shape::Aggregated => json!({
            "kind": format!("{}List", resource.describe().kind),
            "apiVersion": resource.api_version(),
            "metadata": metadata,
            "items": objects.map(without_kind).collect::<Vec<_>>(),
        }),
    }
}

/// One object in the shape that the client wants.
pub(crate) fn one(resource: Resource, object: &Value, shape: Shape) -> Value {
    match shape {
        Shape::Table => {
            let metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
            table::table(resource, std::iter::once(object), &metadata)
        }
        Shape::Metadata => metadata_of(object),
        Shape::Plain | Shape::Aggregated => object.clone(),
    }
}

fn metadata_of(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

/// In a list the kind is said once.
fn without_kind(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    object
}

/// Where the next page begins: what there was at that version, behind this object.
struct Page {
    version: u64,
    after: (String, String),
}

impl Page {
    fn token(&self) -> String {
        let (namespace, name) = &self.after;
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}/{namespace}/{name}", self.version))
    }

    fn parse(token: &str) -> Result<Self, Refusal> {
        let read = || {
            let token = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
            let (version, after) = token.split_once('/')?;
            let (namespace, name) = after.split_once('/')?;
            let after = (namespace.to_owned(), name.to_owned());
            Some(Self { version: version.parse().ok()?, after })
        };
        read().ok_or_else(|| Refusal::bad_request("continue key is not valid"))
    }
}

impl Refusal {
    fn expired_page(_: TooOld) -> Self {
        Self::gone(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
        )
    }
}
