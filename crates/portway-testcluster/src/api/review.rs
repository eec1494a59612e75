use http::{Response, StatusCode};
use portway_server::Body;
use serde_json::{Value, json};

use super::status::answer;
use crate::auth::{Attributes, Auth, User};
use crate::state::text;

/// Answers a `SelfSubjectAccessReview`: may I?
pub(crate) fn may(auth: &Auth, user: &User, mut review: Value) -> Response<Body> {
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

/// Answers a `SelfSubjectReview`: who am I?
pub(crate) fn who(user: &User, mut review: Value) -> Response<Body> {
    let mut groups = user.groups().to_vec();
    // As every authenticator adds it, but for who is nobody.
    let authenticated = "system:authenticated";
    if !groups.iter().any(|group| group == authenticated || group == "system:unauthenticated") {
        groups.push(authenticated.to_owned());
    }
    review["kind"] = "SelfSubjectReview".into();
    review["apiVersion"] = "authentication.k8s.io/v1".into();
    review["status"] = json!({ "userInfo": { "username": user.name(), "groups": groups } });
    answer(StatusCode::CREATED, &review)
}
