//! The one message that kubectl sends in protobuf and in nothing else. Whatever else a client would rather
//! have in protobuf it takes in JSON.

use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};

/// What protobuf is called in a `Content-Type`.
pub(crate) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The `SelfSubjectAccessReview` in the body of a request.
pub(crate) fn access_review(body: &Bytes) -> Option<Value> {
    let review: AccessReview = opened(body)?;
    let spec = review.spec.unwrap_or_default();
    let resource = spec.resource_attributes.map(|it| {
        json!({
            "namespace": it.namespace,
            "verb": it.verb,
            "group": it.group,
            "version": it.version,
            "resource": it.resource,
            "subresource": it.subresource,
            "name": it.name,
        })
    });
    let other = spec.non_resource_attributes.map(|it| json!({ "path": it.path, "verb": it.verb }));
    let mut spec = json!({});
    for (field, value) in [("resourceAttributes", resource), ("nonResourceAttributes", other)] {
        if let Some(value) = value {
            spec[field] = value;
        }
    }
    Some(json!({ "metadata": {}, "spec": spec }))
}

/// Every message of Kubernetes comes in an envelope behind four bytes.
fn opened<T: Message + Default>(body: &Bytes) -> Option<T> {
    let envelope = Envelope::decode(body.strip_prefix(b"k8s\0")?).ok()?;
    T::decode(envelope.raw).ok()
}

#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(bytes = "bytes", tag = "2")]
    raw: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct AccessReview {
    #[prost(message, optional, tag = "2")]
    spec: Option<AccessReviewSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct AccessReviewSpec {
    #[prost(message, optional, tag = "1")]
    resource_attributes: Option<ResourceAttributes>,
    #[prost(message, optional, tag = "2")]
    non_resource_attributes: Option<NonResourceAttributes>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceAttributes {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    verb: String,
    #[prost(string, tag = "3")]
    group: String,
    #[prost(string, tag = "4")]
    version: String,
    #[prost(string, tag = "5")]
    resource: String,
    #[prost(string, tag = "6")]
    subresource: String,
    #[prost(string, tag = "7")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct NonResourceAttributes {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    verb: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_envelope_is_nothing() {
        for body in [&b""[..], b"k8s", b"{}", b"k8s\0\x12\xff", b"k8s\0\x12\x02\x12\xff"] {
            assert_eq!(access_review(&Bytes::copy_from_slice(body)), None, "{body:?}");
        }
        let empty = access_review(&Bytes::from_static(b"k8s\0"));
        assert_eq!(empty, Some(json!({ "metadata": {}, "spec": {} })));
    }
}
