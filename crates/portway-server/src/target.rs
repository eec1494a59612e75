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
        // No path of ours has more segments; a longer one is not worth being taken apart.
        let mut segments = path.strip_prefix('/')?.splitn(9, '/');
        let mut next = || segments.next();
        match next()? {
            "api" => {
                if (next()?, next()?) != ("v1", "namespaces") {
                    return None;
                }
                let namespace = name(next()?)?;
                if next()? != "pods" {
                    return None;
                }
                let pod = name(next()?)?;
                if next()? != "portforward" || next().is_some() {
                    return None;
                }
                Some((Self::new(namespace, pod), Peer::ApiServer))
            }
            "portForward" => {
                let mut target = Self::new(name(next()?)?, name(next()?)?);
                if let Some(uid) = next() {
                    target.uid = Some(name(uid)?.to_owned());
                }
                if next().is_some() {
                    return None;
                }
                Some((target, Peer::Kubelet))
            }
            _ => None,
        }
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
        let kubelet = Some((Target::new("n", "p"), Peer::Kubelet));
        assert_eq!(Target::of_path("/portForward/n/p"), kubelet);
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
