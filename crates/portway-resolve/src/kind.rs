use std::fmt;

/// What can be forwarded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A pod.
    Pod,
    /// A service: one of its pods, its ports translated.
    Service,
    /// One of the pods of a deployment.
    Deployment,
    /// One of the pods of a replica set.
    ReplicaSet,
    /// One of the pods of a stateful set.
    StatefulSet,
    /// One of the pods of a daemon set.
    DaemonSet,
    /// One of the pods of a job.
    Job,
    /// One of the pods of a replication controller.
    ReplicationController,
}

impl Kind {
    /// All that there are.
    pub const ALL: [Self; 8] = [
        Self::Pod,
        Self::Service,
        Self::Deployment,
        Self::ReplicaSet,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::ReplicationController,
    ];

    /// Its name for one: `deployment`.
    pub const fn singular(self) -> &'static str {
        self.names().0
    }

    /// Its name in paths and in rules of RBAC: `deployments`.
    pub const fn plural(self) -> &'static str {
        self.names().1
    }

    /// Its API group, empty for the oldest.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Pod | Self::Service | Self::ReplicationController => "",
            Self::Deployment | Self::ReplicaSet | Self::StatefulSet | Self::DaemonSet => "apps",
            Self::Job => "batch",
        }
    }

    /// Where the API server has the object of this name. Both names must be such as Kubernetes allows.
    pub fn path(self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(namespace))
    }

    /// Where it has all those of a namespace.
    pub fn collection(self, namespace: &str) -> String {
        let plural = self.plural();
        match self.group() {
            "" => format!("/api/v1/namespaces/{namespace}/{plural}"),
            group => format!("/apis/{group}/v1/namespaces/{namespace}/{plural}"),
        }
    }

    /// By any of the names that kubectl takes: `deployment`, `deployments`, `deploy`, `deployment.apps`,
    /// `deployments.v1.apps`, in any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (name, group) = text.split_once('.').unwrap_or((&text, ""));
        let group = group.strip_prefix("v1.").unwrap_or(group);
        let known = |kind: &Self| {
            let (singular, plural, short) = kind.names();
            let named = name == singular || name == plural || (!short.is_empty() && name == short);
            named && (group.is_empty() || group == kind.group())
        };
        Self::ALL.into_iter().find(known)
    }

    /// Singular, plural, short.
    const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Pod => ("pod", "pods", "po"),
            Self::Service => ("service", "services", "svc"),
            Self::Deployment => ("deployment", "deployments", "deploy"),
            Self::ReplicaSet => ("replicaset", "replicasets", "rs"),
            Self::StatefulSet => ("statefulset", "statefulsets", "sts"),
            Self::DaemonSet => ("daemonset", "daemonsets", "ds"),
            Self::Job => ("job", "jobs", ""),
            Self::ReplicationController => {
                ("replicationcontroller", "replicationcontrollers", "rc")
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.singular())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_kubectl_takes_is_known() {
        for (text, expected) in [
            ("pod", Kind::Pod),
            ("pods", Kind::Pod),
            ("po", Kind::Pod),
            ("Pod", Kind::Pod),
            ("svc", Kind::Service),
            ("services", Kind::Service),
            ("deploy", Kind::Deployment),
            ("Deployment", Kind::Deployment),
            ("deployment.apps", Kind::Deployment),
            ("deployments.v1.apps", Kind::Deployment),
            ("rs", Kind::ReplicaSet),
            ("replicasets.apps", Kind::ReplicaSet),
            ("sts", Kind::StatefulSet),
            ("statefulset", Kind::StatefulSet),
            ("ds", Kind::DaemonSet),
            ("job", Kind::Job),
            ("jobs.batch", Kind::Job),
            ("rc", Kind::ReplicationController),
            ("replicationcontrollers", Kind::ReplicationController),
        ] {
            assert_eq!(Kind::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn others_are_not() {
        for text in
            ["", "node", "cronjob", "deployment.batch", "pod.apps", "deploys", "job.v1", "."]
        {
            assert_eq!(Kind::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_kind_has_its_place_at_the_api_server() {
        let paths = Kind::ALL.map(|kind| kind.path("ns", "x"));
        assert_eq!(
            paths,
            [
                "/api/v1/namespaces/ns/pods/x",
                "/api/v1/namespaces/ns/services/x",
                "/apis/apps/v1/namespaces/ns/deployments/x",
                "/apis/apps/v1/namespaces/ns/replicasets/x",
                "/apis/apps/v1/namespaces/ns/statefulsets/x",
                "/apis/apps/v1/namespaces/ns/daemonsets/x",
                "/apis/batch/v1/namespaces/ns/jobs/x",
                "/api/v1/namespaces/ns/replicationcontrollers/x",
            ]
        );
    }
}
