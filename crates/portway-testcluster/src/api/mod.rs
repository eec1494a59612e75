//! The API around a forward: discovery, objects, watches.

mod accept;
mod discovery;
mod filter;
mod list;
mod openapi;
mod protobuf;
mod query;
mod review;
mod route;
mod status;
mod table;
mod watch;
mod write;

pub(crate) use route::is_name;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use portway_driver::Runtime;
use portway_server::{Body, Fallback};
use serde_json::{Value, json};

use self::accept::Shape;
use self::query::Query;
use self::route::{Objects, Route};
use self::status::{Refusal, answer, answer_as};
use self::watch::Watch;
use crate::Version;
use crate::auth::{Attributes, Auth, User};
use crate::journal::Journal;
use crate::resource::Resource;
use crate::state::{Key, Shared};

/// Answers whatever is not for a forward.
#[derive(Debug)]
pub(crate) struct Api<R> {
    pub(crate) runtime: R,
    pub(crate) shared: Arc<Shared>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) version: Version,
}

impl<R: Runtime> Fallback for Api<R> {
    async fn answer(&self, request: Request<Bytes>) -> Response<Body> {
        let (head, body) = request.into_parts();
        self.respond(&head, &body).unwrap_or_else(|refusal| refusal.response())
    }
}

impl<R: Runtime> Api<R> {
    fn respond(&self, head: &Parts, body: &Bytes) -> Result<Response<Body>, Refusal> {
        let query = Query::parse(head.uri.query());
        let route = Route::of_path(head.uri.path());
        let verb = verb(&head.method, &route, &query).ok_or_else(Refusal::method_not_allowed)?;
        self.journal.note(verb, head.uri.path());
        let user = self.auth.identify(&head.headers, &head.extensions);
        let user = user.map_err(|_| Refusal::unauthorized())?;
        let document = |object: Value| -> Result<Response<Body>, Refusal> {
            if head.method != Method::GET && head.method != Method::HEAD {
                return Err(Refusal::method_not_allowed());
            }
            Shape::wanted(&head.headers, &[Shape::Plain]).ok_or_else(Refusal::not_acceptable)?;
            Ok(answer(StatusCode::OK, &object))
        };
        match route {
            Route::Objects(objects) => {
                let attributes = attributes(verb, &objects);
                if objects.resource == Resource::SelfSubjectReviews && !self.version.tells_who() {
                    return Err(Refusal::no_resource());
                }
                // Everybody may ask what they may.
                if !objects.resource.is_review() && !self.auth.allows(&user, &attributes) {
                    return Err(Refusal::forbidden(objects.resource, &attributes, user.name()));
                }
                self.serve(head, body, objects, &query, verb, &user)
            }
            Route::Version => document(discovery::version(self.version)),
            Route::Roots { core } => {
                let shapes = [Shape::Plain, Shape::Aggregated];
                match Shape::wanted(&head.headers, &shapes) {
                    Some(Shape::Aggregated) if head.method == Method::GET => {
                        let kind =
                            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
                        let all = discovery::aggregated(core).to_string();
                        Ok(answer_as(kind, StatusCode::OK, all.into()))
                    }
                    _ if core => document(discovery::core()),
                    _ => document(discovery::groups()),
                }
            }
            Route::Group(group) => {
                let mut object = discovery::group(group);
                object["kind"] = "APIGroup".into();
                object["apiVersion"] = "v1".into();
                document(object)
            }
            Route::GroupVersion(group) => document(discovery::resources(group)),
            Route::OpenApi(None) => document(openapi::root()),
            Route::OpenApi(Some(group)) => document(openapi::document(group)),
            Route::Health => {
                Ok(answer_as("text/plain; charset=utf-8", StatusCode::OK, "ok".into()))
            }
            Route::Nothing => Err(Refusal::no_resource()),
        }
    }

    fn serve(
        &self,
        head: &Parts,
        body: &Bytes,
        objects: Objects,
        query: &Query,
        verb: &str,
        user: &User,
    ) -> Result<Response<Body>, Refusal> {
        if objects.resource.is_review() {
            if verb != "create" {
                return Err(Refusal::method_not_allowed());
            }
            if objects.resource == Resource::SelfSubjectReviews {
                // What is sent says nothing.
                return Ok(review::who(user));
            }
            return Ok(review::may(&self.auth, user, access_review(&head.headers, body)?));
        }
        if objects.subresource.is_some() {
            return Err(Refusal::no_resource());
        }
        let shapes = [Shape::Plain, Shape::Table, Shape::Metadata];
        let shape = || Shape::wanted(&head.headers, &shapes).ok_or_else(Refusal::not_acceptable);
        let key = |name: &String| {
            Key::new(objects.resource, objects.namespace.as_deref().unwrap_or_default(), name)
        };
        match (verb, &objects.name) {
            ("watch", _) => {
                let shared = Arc::clone(&self.shared);
                let body = Watch::begin(self.runtime.clone(), shared, objects, query, shape()?)?;
                let mut response = answer(StatusCode::OK, &Value::Null);
                *response.body_mut() = body;
                Ok(response)
            }
            ("list", _) => {
                let list = list::list(&self.shared, &objects, query, shape()?)?;
                Ok(answer(StatusCode::OK, &list))
            }
            ("get", Some(name)) => {
                let (key, shape) = (key(name), shape()?);
                let object = self.shared.read().get(&key).cloned();
                let object = object.ok_or_else(|| Refusal::not_found(&key))?;
                Ok(answer(StatusCode::OK, &list::one(objects.resource, &object, shape)))
            }
            ("create", None) => {
                let body = json_body(&head.headers, body)?;
                write::create(&self.shared, &objects, query, body)
            }
            ("update", Some(name)) => {
                let body = json_body(&head.headers, body)?;
                write::update(&self.shared, &key(name), &objects, body)
            }
            ("patch", Some(name)) => {
                let body = merge_patch(&head.headers, body)?;
                write::patch(&self.shared, &key(name), &body)
            }
            ("delete", Some(name)) => {
                let options = json_body(&head.headers, body)?;
                write::delete(&self.shared, &key(name), query, &options)
            }
            ("deletecollection", None) => write::delete_all(&self.shared, &objects, query),
            _ => Err(Refusal::method_not_allowed()),
        }
    }
}

/// What Kubernetes calls what a method does to a path.
fn verb(method: &Method, route: &Route, query: &Query) -> Option<&'static str> {
    let one = matches!(route, Route::Objects(Objects { name: Some(_), .. }));
    let list = matches!(route, Route::Objects(_)) && !one;
    Some(match *method {
        Method::GET | Method::HEAD if matches!(route, Route::Objects(_)) && query.flag("watch") => {
            "watch"
        }
        Method::GET | Method::HEAD if list => "list",
        Method::GET | Method::HEAD => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if list => "deletecollection",
        Method::DELETE => "delete",
        _ => return None,
    })
}

fn attributes<'a>(verb: &'a str, objects: &'a Objects) -> Attributes<'a> {
    let described = objects.resource.describe();
    // A namespace's own object counts as within it.
    let scope =
        if objects.resource == Resource::Namespaces { &objects.name } else { &objects.namespace };
    let namespace = scope.as_deref();
    Attributes {
        verb,
        group: described.group,
        plural: described.plural,
        subresource: objects.subresource.as_deref(),
        namespace,
        name: objects.name.as_deref(),
    }
}

/// The body of a request; none is an object with nothing in it.
fn json_body(headers: &HeaderMap, body: &Bytes) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    let kind = content_type(headers);
    // What is said by nobody is JSON.
    if !matches!(kind.as_str(), "" | "application/json" | "*/*") {
        return Err(Refusal::unsupported_media_type());
    }
    parse(body)
}

/// The body of a `SelfSubjectAccessReview`.
fn access_review(headers: &HeaderMap, body: &Bytes) -> Result<Value, Refusal> {
    if content_type(headers) != protobuf::PROTOBUF {
        return json_body(headers, body);
    }
    let review = protobuf::access_review(body);
    review.ok_or_else(|| Refusal::bad_request("the body of the request is not protobuf"))
}

fn merge_patch(headers: &HeaderMap, body: &Bytes) -> Result<Value, Refusal> {
    match content_type(headers).as_str() {
        "application/merge-patch+json" | "application/strategic-merge-patch+json" => parse(body),
        _ => Err(Refusal::unsupported_media_type()),
    }
}

fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

fn parse(body: &Bytes) -> Result<Value, Refusal> {
    serde_json::from_slice(body)
        .map_err(|e| Refusal::bad_request(format!("the body of the request is not JSON: {e}")))
}
