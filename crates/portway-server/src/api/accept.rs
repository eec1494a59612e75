use http::HeaderMap;
use http::header::ACCEPT;

/// Whether a client takes the plain JSON of an object, which is all we have. Of the lists that kubectl
/// sends (protobuf; tables; aggregated discovery) plain JSON is the last entry.
pub(crate) fn takes_json(headers: &HeaderMap) -> bool {
    let mut named = false;
    for line in headers.get_all(ACCEPT) {
        for entry in line.as_bytes().split(|byte| *byte == b',') {
            let mut parts = entry.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let kind = parts.next().unwrap_or_default();
            named |= !kind.is_empty();
            let known = JSON.iter().any(|known| kind.eq_ignore_ascii_case(known));
            if known && !parts.any(is_another_thing) {
                return true;
            }
        }
    }
    !named
}

const JSON: &[&[u8]] = &[b"application/json", b"application/*", b"*/*"];

/// The object in another shape (`as=Table`), or not at all (`q=0`).
fn is_another_thing(parameter: &[u8]) -> bool {
    let mut sides = parameter.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
    let (name, value) = (sides.next().unwrap_or_default(), sides.next().unwrap_or_default());
    let zero = || !value.is_empty() && value.iter().all(|byte| matches!(byte, b'0' | b'.'));
    name.eq_ignore_ascii_case(b"as") || (name.eq_ignore_ascii_case(b"q") && zero())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn takes(lines: &[&'static str]) -> bool {
        takes_json(&lines.iter().map(|line| (ACCEPT, HeaderValue::from_static(line))).collect())
    }

    #[test]
    fn plain_json_is_found_among_what_kubectl_would_rather_have() {
        assert!(takes(&[]));
        assert!(takes(&[""]));
        assert!(takes(&["*/*"]));
        assert!(takes(&["application/json, */*"]));
        assert!(takes(&["application/vnd.kubernetes.protobuf,application/json"]));
        assert!(takes(&["application/vnd.kubernetes.protobuf", "APPLICATION/JSON;charset=utf-8"]));
        assert!(takes(&["application/json;as=Table;v=v1;g=meta.k8s.io,application/json"]));
        assert!(takes(&["application/*;q=0.5"]));
        assert!(!takes(&["application/vnd.kubernetes.protobuf"]));
        assert!(!takes(&["application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"]));
        assert!(!takes(&["application/json;q=0.0, text/html"]));
    }
}
