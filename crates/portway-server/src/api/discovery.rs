use serde_json::{Value, json};

/// What says what there is: pods that can be read and forwarded to, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Document {
    /// `/version`.
    Version,
    /// `/api`: the versions of the core group.
    Core,
    /// `/apis`: the other groups.
    Groups,
    /// `/api/v1`: the resources of the core group.
    Resources,
}

impl Document {
    pub(super) fn of_path(path: &str) -> Option<Self> {
        Some(match path {
            "/version" => Self::Version,
            "/api" => Self::Core,
            "/apis" => Self::Groups,
            "/api/v1" => Self::Resources,
            _ => return None,
        })
    }

    pub(crate) fn content(self) -> Value {
        match self {
            // The first version whose kubelets take the tunnel, as ours does.
            Self::Version => json!({
                "major": "1",
                "minor": "36",
                "gitVersion": concat!("v1.36.0+portway.", env!("CARGO_PKG_VERSION")),
            }),
            Self::Core => json!({ "kind": "APIVersions", "versions": ["v1"] }),
            Self::Groups => json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] }),
            Self::Resources => json!({
                "kind": "APIResourceList",
                "groupVersion": "v1",
                "resources": [
                    {
                        "name": "pods",
                        "singularName": "pod",
                        "namespaced": true,
                        "kind": "Pod",
                        "verbs": ["get"],
                        "shortNames": ["po"],
                    },
                    {
                        "name": "pods/portforward",
                        "singularName": "",
                        "namespaced": true,
                        "kind": "PodPortForwardOptions",
                        "verbs": ["create", "get"],
                    },
                ],
            }),
        }
    }
}
