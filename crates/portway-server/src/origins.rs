use http::HeaderMap;
use http::header::ORIGIN;

/// Which web pages may open a forward.
///
/// A browser sends an `Origin` header with every WebSocket request, and lets any page try any server
/// that the machine can reach: without this check a page could open forwards through a gateway on a
/// developer's machine. Programs send no such header and are not concerned, but for those on Go's
/// `golang.org/x/net/websocket`: they cannot do without one, and theirs has to be allowed.
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
            allowed.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(origins: &[&'static str]) -> HeaderMap {
        origins.iter().map(|o| (ORIGIN, http::HeaderValue::from_static(o))).collect()
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
}
