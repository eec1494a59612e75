use std::fmt;

use portway_driver::proto::handshake::Peer;
use portway_driver::proto::printable;

/// The pod that a request names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Target {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// The UID it must have, where the request says one (a kubelet's path can).
    pub uid: Option<String>,
}

impl Target {
    /// A pod of any UID.
    pub fn new(namespace: impl Into<String>, pod: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), pod: pod.into(), uid: None }
    }

    /// What a path leads to, and whose path it is (protocol.md A.1): an API server's
    /// `/api/v1/namespaces/{namespace}/pods/{pod}/portforward`, or a kubelet's
    /// `/portForward/{namespace}/{pod}` with or without `/{uid}`.
    ///
    /// A segment that could be no name (empty, escaped, too long) makes it no path of ours.
    ///
    /// ```
    /// use portway_server::{Peer, Target};
    /// let path = "/api/v1/namespaces/default/pods/web-0/portforward";
    /// assert_eq!(Target::of_path(path), Some((Target::new("default", "web-0"), Peer::ApiServer)));
    /// assert_eq!(Target::of_path("/api/v1/namespaces/default/pods/web-0/log"), None);
    /// ```
    pub fn of_path(path: &str) -> Option<(Self, Peer)> {
        if let Some(target) = path.strip_suffix("/portforward").and_then(Self::of_pod_path) {
            return Some((target, Peer::ApiServer));
        }
        // A longer path is not worth being taken apart.
        let mut segments = path.strip_prefix("/portForward/")?.splitn(4, '/');
        let mut target = Self::new(name(segments.next()?)?, name(segments.next()?)?);
        if let Some(uid) = segments.next() {
            target.uid = Some(name(uid)?.to_owned());
        }
        segments.next().is_none().then_some((target, Peer::Kubelet))
    }

    /// The pod itself: an API server's `/api/v1/namespaces/{namespace}/pods/{pod}`.
    pub(crate) fn of_pod_path(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix("/api/v1/namespaces/")?.splitn(4, '/');
        let namespace = name(segments.next()?)?;
        if segments.next()? != "pods" {
            return None;
        }
        let pod = name(segments.next()?)?;
        segments.next().is_none().then(|| Self::new(namespace, pod))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", printable(&self.namespace), printable(&self.pod))
    }
}

/// A segment that could be the name of something in Kubernetes.
fn name(segment: &str) -> Option<&str> {
    const MAX: usize = 253;
    let fits = (1..=MAX).contains(&segment.len()) && !matches!(segment, "." | "..");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (fits && segment.bytes().all(plain)).then_some(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_paths_lead_somewhere() {
        let with_uid = Target { uid: Some("u-1".into()), ..Target::new("n", "p") };
        assert_eq!(Target::of_path("/portForward/n/p/u-1"), Some((with_uid, Peer::Kubelet)));
        let kubelet = |pod| Some((Target::new("n", pod), Peer::Kubelet));
        assert_eq!(Target::of_path("/portForward/n/p"), kubelet("p"));
        assert_eq!(Target::of_path("/portForward/n/portforward"), kubelet("portforward"));
        assert_eq!(
            Target::of_path("/api/v1/namespaces/n/pods/portforward/portforward"),
            Some((Target::new("n", "portforward"), Peer::ApiServer))
        );
        for path in [
            "",
            "/",
            "portForward/n/p",
            "/portForward/n",
            "/portForward/n/",
            "/portForward/n/p/",
            "/portForward/n/p/u/x",
            "/portForward/n/..",
            "/portForward/n/a%2Fb",
            "/portForward/n/a b",
            "/portforward/n/p",
            "/api/v1/namespaces/n/pods/p",
            "/api/v1/namespaces/n/pods/p/portforward/",
            "/api/v1/namespaces/n/pods/p/portforward/x",
            "/api/v1/namespaces//pods/p/portforward",
            "/api/v2/namespaces/n/pods/p/portforward",
            "/api/v1/namespaces/n/services/p/portforward",
        ] {
            assert_eq!(Target::of_path(path), None, "{path}");
        }
        assert_eq!(Target::of_path(&format!("/portForward/n/{}", "p".repeat(254))), None);
        assert!(Target::of_path(&format!("/portForward/n/{}", "p".repeat(253))).is_some());
    }
}
