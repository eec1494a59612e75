//! As much of an API server as `kubectl port-forward` asks for before it forwards: what there is
//! (discovery), and the pod.

mod accept;
mod discovery;
mod pod;

pub(crate) use accept::takes_json;
pub(crate) use discovery::Document;
pub(crate) use pod::{pending, running};

use crate::Target;

/// What a path of the API leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// Something that says what there is. It is the same for everybody, so nobody is asked.
    Document(Document),
    /// A pod.
    Pod(Target),
}

impl Route {
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        Document::of_path(path)
            .map(Self::Document)
            .or_else(|| Target::of_pod_path(path).map(Self::Pod))
    }

    /// A path that belongs to an API server, whether or not something is there: a `Status` says what
    /// is not.
    pub(crate) fn is_within(path: &str) -> bool {
        ["/api/", "/apis/"].iter().any(|root| path.starts_with(root))
    }
}
