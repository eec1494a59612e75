use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

/// Which web pages may open a forward.
///
/// A browser sends an `Origin` header with every WebSocket request, and lets any page try any server
/// that the machine can reach: without this check a page could open forwards through a gateway on a
/// developer's machine. Programs send no such header and are not concerned, or they send the server's own
/// address: the official Python client does, and so would a page of the server's, which has none. Only
/// an address counts there, and `localhost`: any name could be made to lead to the server by somebody
/// whose page it is. Those on Go's `golang.org/x/net/websocket` cannot do without an origin of their own,
/// and theirs has to be allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins(Allowed);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    These(Vec<String>),
    Any,
}

impl Default for Allowed {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl Origins {
    /// No page. The default.
    pub fn none() -> Self {
        Self::default()
    }

    /// The pages of these origins, such as `https://dashboard.example`, and no others.
    pub fn only<I: Into<String>>(origins: impl IntoIterator<Item = I>) -> Self {
        Self(Allowed::These(origins.into_iter().map(Into::into).collect()))
    }

    /// Every page: for a server that knows its users by something that a page cannot make their
    /// browser send along.
    pub const fn any() -> Self {
        Self(Allowed::Any)
    }

    /// Whether a request with these headers may go on.
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let allowed = match &self.0 {
            Allowed::Any => return true,
            Allowed::These(allowed) => allowed,
        };
        headers.get_all(ORIGIN).iter().all(|origin| {
            is_own(origin, headers.get(HOST))
                || allowed
                    .iter()
                    .any(|known| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
        })
    }
}

/// A page of this origin came from this server, if there is one.
fn is_own(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let (Ok(origin), Some(Ok(host))) = (origin.to_str(), host.map(HeaderValue::to_str)) else {
        return false;
    };
    let from = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    from == Some(host) && is_address(host)
}

/// Nobody can make it lead anywhere else.
fn is_address(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    host.parse::<SocketAddr>().is_ok()
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        || name == "localhost"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(origins: &[&'static str]) -> HeaderMap {
        origins.iter().map(|o| (ORIGIN, HeaderValue::from_static(o))).collect()
    }

    #[test]
    fn every_origin_line_has_to_be_allowed() {
        let one = Origins::only(["https://a.example"]);
        assert!(one.allow(&from(&[])));
        assert!(one.allow(&from(&["HTTPS://a.example"])));
        assert!(!one.allow(&from(&["https://a.example.evil"])));
        assert!(!one.allow(&from(&["http://a.example"])));
        assert!(!one.allow(&from(&["https://a.example", "https://b.example"])));
        assert!(!one.allow(&from(&["null"])));
        assert!(!one.allow(&from(&[""])));
        assert!(Origins::none().allow(&from(&[])));
        assert!(!Origins::none().allow(&from(&["https://a.example"])));
        assert!(Origins::any().allow(&from(&["null"])));
    }

    #[test]
    fn the_servers_own_address_is_no_other_page() {
        let allows = |origin, host| {
            let mut headers = from(&[origin]);
            headers.insert(HOST, HeaderValue::from_static(host));
            Origins::none().allow(&headers)
        };
        assert!(allows("http://127.0.0.1:8001", "127.0.0.1:8001"));
        assert!(allows("https://[::1]:8001", "[::1]:8001"));
        assert!(allows("https://10.0.0.1", "10.0.0.1"));
        assert!(allows("http://localhost:8001", "localhost:8001"));
        for (origin, host) in [
            ("http://127.0.0.1:8000", "127.0.0.1:8001"),
            ("http://127.0.0.1:8001/", "127.0.0.1:8001"),
            // A name that somebody has pointed here.
            ("http://evil.example:8001", "evil.example:8001"),
            ("http://localhost.evil.example", "localhost.evil.example"),
            ("ftp://127.0.0.1:8001", "127.0.0.1:8001"),
            ("null", "null"),
            ("", ""),
        ] {
            assert!(!allows(origin, host), "{origin}");
        }
    }
}
