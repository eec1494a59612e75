//! Header fields that hold lists.

use http::{HeaderMap, HeaderValue};

/// What SPDY negotiates with, where WebSocket has `Sec-WebSocket-Protocol` (protocol.md A.5).
pub(super) const STREAM_PROTOCOL: &str = "x-stream-protocol-version";
/// What a server lists when nothing in [`STREAM_PROTOCOL`] suits it.
pub(super) const ACCEPTED_STREAM_PROTOCOLS: &str = "x-accepted-stream-protocol-versions";
/// The only value of [`STREAM_PROTOCOL`] there is for port-forward.
pub(super) const PORT_FORWARD: &str = "portforward.k8s.io";
/// The value of `Upgrade` for SPDY without a WebSocket.
pub(super) const SPDY: &str = "SPDY/3.1";

/// The entries of one comma separated line, trimmed, empty ones included.
pub(super) fn entries(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether any line of `name` lists `token`, in whatever case.
pub(super) fn lists(headers: &HeaderMap, name: &str, token: &str) -> bool {
    let mut all = headers.get_all(name).iter().flat_map(entries);
    all.any(|entry| entry.eq_ignore_ascii_case(token.as_bytes()))
}

/// All lines of `name` as one text, `None` when there is none.
pub(super) fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<_> =
        headers.get_all(name).iter().map(|l| String::from_utf8_lossy(l.as_bytes())).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// A value made here of characters that every header takes: base64, digits, names of protocols.
pub(super) fn value(text: &str) -> HeaderValue {
    debug_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{text:?}");
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
