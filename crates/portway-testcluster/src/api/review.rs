use http::{Response, StatusCode};
use portway_server::Body;
use serde_json::{Value, json};

use super::status::answer;
use crate::auth::{Attributes, Auth, User};
use crate::state::text;

/// Answers a `SelfSubjectReview`: who am I?
pub(crate) fn whoami(user: &User) -> Response<Body> {
    let info = json!({ "username": user.name(), "groups": user.groups() });
    let review = json!({
        "kind": "SelfSubjectReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {},
        "status": { "userInfo": info },
    });
    answer(StatusCode::CREATED, &review)
}

/// Answers a `SelfSubjectAccessReview`: may I?
pub(crate) fn review(auth: &Auth, user: &User, mut review: Value) -> Response<Body> {
    let said = |name: &str| text(&review, &format!("/spec/resourceAttributes/{name}"));
    let some = |name: &str| Some(said(name)).filter(|text| !text.is_empty());
    let attributes = Attributes {
        verb: said("verb"),
        group: said("group"),
        plural: said("resource"),
        subresource: some("subresource"),
        namespace: some("namespace"),
        name: some("name"),
    };
    let allowed = auth.allows(user, &attributes);
    let mut status = json!({ "allowed": allowed });
    if !allowed {
        status["reason"] = attributes.denial(user.name()).into();
    }
    review["kind"] = "SelfSubjectAccessReview".into();
    review["apiVersion"] = "authorization.k8s.io/v1".into();
    review["status"] = status;
    answer(StatusCode::CREATED, &review)
}
