use std::fmt::Write as _;

/// The path at an API server: `/api/v1/namespaces/{namespace}/pods/{pod}/portforward`
/// (protocol.md A.1). What does not belong into a path segment is percent-encoded.
///
/// ```
/// use portway_proto::handshake::pod_path;
/// assert_eq!(pod_path("default", "web-0"), "/api/v1/namespaces/default/pods/web-0/portforward");
/// ```
pub fn pod_path(namespace: &str, pod: &str) -> String {
    let mut path = String::from("/api/v1/namespaces/");
    push_segment(&mut path, namespace);
    path.push_str("/pods/");
    push_segment(&mut path, pod);
    path.push_str("/portforward");
    path
}

/// The path at a kubelet: `/portForward/{namespace}/{pod}` or, with the pod's UID,
/// `/portForward/{namespace}/{pod}/{uid}` (capital F; protocol.md A.1).
///
/// ```
/// use portway_proto::handshake::kubelet_path;
/// assert_eq!(kubelet_path("default", "web-0", None), "/portForward/default/web-0");
/// ```
pub fn kubelet_path(namespace: &str, pod: &str, uid: Option<&str>) -> String {
    let mut path = String::from("/portForward");
    for segment in [namespace, pod].into_iter().chain(uid) {
        path.push('/');
        push_segment(&mut path, segment);
    }
    path
}

/// Appends one segment. The dots of `.` and `..` are encoded as well, so that no name climbs out of
/// its place by being taken for a relative path.
fn push_segment(path: &mut String, segment: &str) {
    let relative = matches!(segment, "." | "..");
    for byte in segment.bytes() {
        match byte {
            b'.' if relative => path.push_str("%2E"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            other => _ = write!(path, "%{other:02X}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leaves_its_segment() {
        assert_eq!(pod_path("a/b", "c?d#e"), "/api/v1/namespaces/a%2Fb/pods/c%3Fd%23e/portforward");
        assert_eq!(pod_path("..", "."), "/api/v1/namespaces/%2E%2E/pods/%2E/portforward");
        assert_eq!(
            pod_path("a%2e", "é b"),
            "/api/v1/namespaces/a%252e/pods/%C3%A9%20b/portforward"
        );
        assert_eq!(pod_path("n", "a..b.c"), "/api/v1/namespaces/n/pods/a..b.c/portforward");
    }

    #[test]
    fn a_kubelet_takes_a_uid_behind_the_pod() {
        assert_eq!(kubelet_path("n", "p", Some("u/1")), "/portForward/n/p/u%2F1");
    }
}
