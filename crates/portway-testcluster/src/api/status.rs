use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use portway_server::Body;
use serde_json::{Value, json};

use crate::auth::Attributes;
use crate::resource::Resource;
use crate::state::{Key, TooOld};

/// Why a request was not done, as an API server says it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Option<Value>,
}

impl Refusal {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(mut self, resource: Resource, name: &str) -> Self {
        let described = resource.describe();
        let mut details = json!({ "kind": described.plural });
        if !name.is_empty() {
            details["name"] = name.into();
        }
        if !described.group.is_empty() {
            details["group"] = described.group.into();
        }
        self.details = Some(details);
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// In the words of Kubernetes' own authorizer.
    pub(crate) fn forbidden(resource: Resource, attributes: &Attributes<'_>, user: &str) -> Self {
        let name = attributes.name.unwrap_or_default();
        let what = if name.is_empty() {
            resource.qualified()
        } else {
            format!("{} {name:?}", resource.qualified())
        };
        let message = format!("{what} is forbidden: {}", attributes.denial(user));
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(resource, name)
    }

    pub(crate) fn not_found(key: &Key) -> Self {
        let message = format!("{key} not found");
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(key.resource, &key.name)
    }

    /// The API has no such thing.
    pub(crate) fn no_resource() -> Self {
        let message = "the server could not find the requested resource";
        let mut refusal = Self::new(StatusCode::NOT_FOUND, "NotFound", message);
        refusal.details = Some(json!({}));
        refusal
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(crate) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json";
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    pub(crate) fn unsupported_media_type() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types include: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    pub(crate) fn already_exists(key: &Key) -> Self {
        let message = format!("{key} already exists");
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(key.resource, &key.name)
    }

    pub(crate) fn conflict(key: &Key, cause: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {key}: {cause}");
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(key.resource, &key.name)
    }

    pub(crate) fn invalid(resource: Resource, name: &str, field: &str, cause: &str) -> Self {
        let kind = resource.describe().kind;
        let message = format!("{kind} {name:?} is invalid: {field}: {cause}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).about(resource, name)
    }

    /// 410: who gets it begins anew.
    pub(crate) fn expired(why: TooOld) -> Self {
        Self::gone(why.to_string())
    }

    pub(crate) fn gone(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    pub(crate) fn object(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code.as_u16(),
        });
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }

    pub(crate) fn response(&self) -> Response<Body> {
        let mut response = answer(self.code, &self.object());
        if self.code == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }
}

/// An object as an answer.
pub(crate) fn answer(code: StatusCode, object: &Value) -> Response<Body> {
    answer_as("application/json", code, format!("{object}\n").into())
}

pub(crate) fn answer_as(kind: &'static str, code: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
