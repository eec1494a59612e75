//! Refusals in the two shapes of protocol.md A.6: an API server answers with a `Status` in JSON, a
//! kubelet with a line of text.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use portway_driver::proto::handshake::{Peer, PortsError, Rejection};
use serde::Serialize;

use crate::{NoPod, Target};

/// Kubernetes' `metav1.Status`, as far as a refusal needs it, in the order in which Go writes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Empty,
    status: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
    code: u16,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

/// As an API server answers.
fn status(code: StatusCode, message: &str, details: Option<Details<'_>>) -> Response<Bytes> {
    let body = Status {
        kind: "Status",
        api_version: "v1",
        metadata: Empty {},
        status: "Failure",
        message,
        reason: reason(code),
        details,
        code: code.as_u16(),
    };
    // Only a map with strange keys could fail to be written.
    let mut body = serde_json::to_vec(&body).unwrap_or_default();
    body.push(b'\n');
    answer(code, body, &[(CONTENT_TYPE, JSON)])
}

const JSON: &str = "application/json";

/// As Go's `http.Error` answers.
fn text(code: StatusCode, message: &str) -> Response<Bytes> {
    let headers =
        [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    answer(code, format!("{message}\n"), &headers)
}

fn answer(
    code: StatusCode,
    body: impl Into<Bytes>,
    headers: &[(HeaderName, &'static str)],
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Kubernetes' word for a status code.
fn reason(code: StatusCode) -> Option<&'static str> {
    Some(match code {
        StatusCode::BAD_REQUEST => "BadRequest",
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
        StatusCode::NOT_ACCEPTABLE => "NotAcceptable",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        StatusCode::GATEWAY_TIMEOUT => "Timeout",
        _ => return None,
    })
}

fn about<'a>(target: &'a Target) -> Details<'a> {
    Details { name: Some(&target.pod), kind: Some("pods"), retry_after_seconds: None }
}

/// In the shape of whose path it is.
pub(crate) fn shaped(peer: Peer, code: StatusCode, message: &str) -> Response<Bytes> {
    match peer {
        Peer::Kubelet => text(code, message),
        Peer::ApiServer | _ => status(code, message, None),
    }
}

/// Nothing of ours is at this path.
pub(crate) fn no_route() -> Response<Bytes> {
    text(StatusCode::NOT_FOUND, "404 page not found")
}

/// An object of the API.
pub(crate) fn object(object: &serde_json::Value) -> Response<Bytes> {
    answer(StatusCode::OK, format!("{object}\n"), &[(CONTENT_TYPE, JSON)])
}

/// The API has no such thing.
pub(crate) fn no_resource() -> Response<Bytes> {
    let message = "the server could not find the requested resource";
    let details = Details { name: None, kind: None, retry_after_seconds: None };
    status(StatusCode::NOT_FOUND, message, Some(details))
}

/// The object can be had in JSON only.
pub(crate) fn not_acceptable() -> Response<Bytes> {
    let message = "only the following media types are accepted: application/json";
    status(StatusCode::NOT_ACCEPTABLE, message, None)
}

/// Not one of these methods.
pub(crate) fn method_not_allowed(peer: Peer, allowed: &'static str) -> Response<Bytes> {
    let message = "the server does not allow this method on the requested resource";
    let mut response = shaped(peer, StatusCode::METHOD_NOT_ALLOWED, message);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// A web page that nobody allowed.
pub(crate) fn origin_refused(peer: Peer) -> Response<Bytes> {
    let message = "requests of web pages (with an Origin header) are not accepted here";
    shaped(peer, StatusCode::FORBIDDEN, message)
}

/// As many sessions as allowed are open.
pub(crate) fn full(peer: Peer) -> Response<Bytes> {
    const RETRY: (&str, u32) = ("1", 1);
    let message = "Too many port-forward sessions, please try again later.";
    let code = StatusCode::TOO_MANY_REQUESTS;
    let mut response = match peer {
        Peer::Kubelet => text(code, message),
        Peer::ApiServer | _ => {
            let retry = Details { name: None, kind: None, retry_after_seconds: Some(RETRY.1) };
            status(code, message, Some(retry))
        }
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY.0));
    response
}

/// The request cannot be served whoever asks. A kubelet finds out, so it is text in any case.
pub(crate) fn bad_request(message: &str) -> Response<Bytes> {
    text(StatusCode::BAD_REQUEST, message)
}

/// Nobody could decide in time.
pub(crate) fn timed_out(peer: Peer) -> Response<Bytes> {
    shaped(peer, StatusCode::GATEWAY_TIMEOUT, "the request could not be decided in time")
}

/// The session cannot be had although the request is right.
pub(crate) fn internal(peer: Peer, message: &str) -> Response<Bytes> {
    shaped(peer, StatusCode::INTERNAL_SERVER_ERROR, message)
}

/// What the upgrade was refused for. An API server looks at the ports itself and passes the rest on to
/// the kubelet, whose answers come back unchanged.
pub(crate) fn rejected(peer: Peer, rejection: &Rejection) -> Response<Bytes> {
    const NO_UPGRADE: &str = "Upgrade request required";
    let not_a_port = |problem: String| {
        let message = format!("cannot convert to []int32: strconv.ParseUint: parsing {problem}");
        status(StatusCode::BAD_REQUEST, &message, None)
    };
    match (peer, rejection) {
        (Peer::Kubelet, Rejection::NotAnUpgrade) => internal(peer, NO_UPGRADE),
        (Peer::ApiServer, Rejection::NotAnUpgrade) => {
            status(StatusCode::BAD_REQUEST, NO_UPGRADE, None)
        }
        (Peer::ApiServer, Rejection::Ports(PortsError::Empty)) => {
            not_a_port("\"\": invalid syntax".to_owned())
        }
        (Peer::ApiServer, Rejection::Ports(PortsError::Syntax { element, .. })) => {
            not_a_port(format!("{element}: invalid syntax"))
        }
        (Peer::ApiServer, Rejection::Ports(PortsError::Range { element, .. })) => {
            not_a_port(format!("{element}: value out of range"))
        }
        _ => rejection.response().map(Bytes::from),
    }
}

/// Nobody knows who this is.
pub(crate) fn unauthorized(peer: Peer) -> Response<Bytes> {
    shaped(peer, StatusCode::UNAUTHORIZED, "Unauthorized")
}

/// This user has no right to it.
pub(crate) fn not_granted(
    peer: Peer,
    target: &Target,
    user: &str,
    verb: &str,
    resource: &str,
) -> Response<Bytes> {
    match peer {
        Peer::Kubelet => {
            let message = format!(
                "Forbidden (user={user}, verb={verb}, resource=nodes, subresource(s)=[proxy])"
            );
            text(StatusCode::FORBIDDEN, &message)
        }
        Peer::ApiServer | _ => {
            let cause = format!(
                "User {user:?} cannot {verb} resource {resource:?} in API group \"\" in the namespace {:?}",
                target.namespace
            );
            forbidden(peer, target, &cause)
        }
    }
}

/// The pod must not be reached, for this cause.
pub(crate) fn forbidden(peer: Peer, target: &Target, cause: &str) -> Response<Bytes> {
    match peer {
        Peer::Kubelet => text(StatusCode::FORBIDDEN, &format!("Forbidden ({cause})")),
        Peer::ApiServer | _ => {
            let message = format!("pods {:?} is forbidden: {cause}", target.pod);
            status(StatusCode::FORBIDDEN, &message, Some(about(target)))
        }
    }
}

/// The pod cannot be had.
pub(crate) fn no_pod(peer: Peer, target: &Target, why: &NoPod) -> Response<Bytes> {
    let kubelet = peer == Peer::Kubelet;
    match why {
        NoPod::Unknown | NoPod::Unscheduled if kubelet => {
            text(StatusCode::NOT_FOUND, "pod does not exist")
        }
        NoPod::OtherUid if kubelet => text(StatusCode::NOT_FOUND, "pod not found"),
        NoPod::Failed(message) if kubelet => internal(peer, message),
        NoPod::Unknown | NoPod::OtherUid => {
            let message = format!("pods {:?} not found", target.pod);
            status(StatusCode::NOT_FOUND, &message, Some(about(target)))
        }
        NoPod::Unscheduled => {
            let message = format!("pod {} does not have a host assigned", target.pod);
            status(StatusCode::BAD_REQUEST, &message, None)
        }
        NoPod::Failed(message) => internal(peer, &format!("error dialing backend: {message}")),
        NoPod::KubeletAnswer { status: code, message } => text(*code, message),
        NoPod::Answer { status: code, message } => shaped(peer, *code, message),
    }
}
