/// A kind of object that the cluster knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Resource {
    Namespaces,
    Pods,
    Services,
    Endpoints,
    ReplicationControllers,
    Deployments,
    ReplicaSets,
    StatefulSets,
    DaemonSets,
    Jobs,
    EndpointSlices,
    SelfSubjectAccessReviews,
    SelfSubjectReviews,
}

/// What discovery says of it.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) group: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) short: &'static [&'static str],
    pub(crate) categories: &'static [&'static str],
    pub(crate) namespaced: bool,
}

const ALL: &[&str] = &["all"];

impl Resource {
    pub(crate) const EVERY: [Self; 13] = [
        Self::Namespaces,
        Self::Pods,
        Self::Services,
        Self::Endpoints,
        Self::ReplicationControllers,
        Self::Deployments,
        Self::ReplicaSets,
        Self::StatefulSets,
        Self::DaemonSets,
        Self::Jobs,
        Self::EndpointSlices,
        Self::SelfSubjectAccessReviews,
        Self::SelfSubjectReviews,
    ];

    /// The groups in the order of discovery; the core group has no name.
    pub(crate) const GROUPS: [&str; 6] =
        ["", "apps", "batch", "discovery.k8s.io", "authorization.k8s.io", "authentication.k8s.io"];

    /// The only version that every group has here.
    pub(crate) const VERSION: &str = "v1";

    pub(crate) fn named(group: &str, plural: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|resource| {
            let described = resource.describe();
            (described.group, described.plural) == (group, plural)
        })
    }

    pub(crate) fn describe(self) -> Description {
        let core = |kind, plural, singular, short| Description {
            group: "",
            kind,
            plural,
            singular,
            short,
            categories: &[],
            namespaced: true,
        };
        let apps = |kind, plural, singular, short| Description {
            group: "apps",
            categories: ALL,
            ..core(kind, plural, singular, short)
        };
        match self {
            Self::Namespaces => Description {
                namespaced: false,
                ..core("Namespace", "namespaces", "namespace", &["ns"])
            },
            Self::Pods => Description { categories: ALL, ..core("Pod", "pods", "pod", &["po"]) },
            Self::Services => {
                Description { categories: ALL, ..core("Service", "services", "service", &["svc"]) }
            }
            Self::Endpoints => core("Endpoints", "endpoints", "endpoints", &["ep"]),
            Self::ReplicationControllers => Description {
                group: "",
                ..apps(
                    "ReplicationController",
                    "replicationcontrollers",
                    "replicationcontroller",
                    &["rc"],
                )
            },
            Self::Deployments => apps("Deployment", "deployments", "deployment", &["deploy"]),
            Self::ReplicaSets => apps("ReplicaSet", "replicasets", "replicaset", &["rs"]),
            Self::StatefulSets => apps("StatefulSet", "statefulsets", "statefulset", &["sts"]),
            Self::DaemonSets => apps("DaemonSet", "daemonsets", "daemonset", &["ds"]),
            Self::Jobs => Description { group: "batch", ..apps("Job", "jobs", "job", &[]) },
            Self::EndpointSlices => Description {
                group: "discovery.k8s.io",
                ..core("EndpointSlice", "endpointslices", "endpointslice", &[])
            },
            Self::SelfSubjectAccessReviews => Description {
                group: "authorization.k8s.io",
                namespaced: false,
                ..core(
                    "SelfSubjectAccessReview",
                    "selfsubjectaccessreviews",
                    "selfsubjectaccessreview",
                    &[],
                )
            },
            Self::SelfSubjectReviews => Description {
                group: "authentication.k8s.io",
                namespaced: false,
                ..core("SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview", &[])
            },
        }
    }

    /// A question that everybody may ask about themselves, and no object that is kept.
    pub(crate) const fn is_review(self) -> bool {
        matches!(self, Self::SelfSubjectAccessReviews | Self::SelfSubjectReviews)
    }

    /// What can be done with it, in the order of the alphabet as everywhere.
    pub(crate) const fn verbs(self) -> &'static [&'static str] {
        if self.is_review() {
            return &["create"];
        }
        &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    }

    /// As `apiVersion` says it.
    pub(crate) fn api_version(self) -> String {
        group_version(self.describe().group)
    }

    /// As error messages name it: `deployments.apps`.
    pub(crate) fn qualified(self) -> String {
        let Description { group, plural, .. } = self.describe();
        if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
    }
}

/// As `apiVersion` says it.
pub(crate) fn group_version(group: &str) -> String {
    if group.is_empty() {
        Resource::VERSION.to_owned()
    } else {
        format!("{group}/{}", Resource::VERSION)
    }
}
