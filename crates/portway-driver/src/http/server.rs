use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;
use portway_proto::handshake::RequestError;

use crate::Addr;

/// Where a server is, as users say it: `https://cluster:6443`, `http://127.0.0.1:8001`, or with a path
/// in front of the API (`https://gateway/clusters/one`).
///
/// ```
/// use portway_driver::ServerUrl;
///
/// let server: ServerUrl = "https://gateway/clusters/one".parse()?;
/// assert!(server.is_tls());
/// assert_eq!(server.addr().to_string(), "gateway:443");
/// assert_eq!(server.uri("/version")?, "https://gateway/clusters/one/version");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// Scheme, authority and path prefix.
    uri: Uri,
    addr: Addr,
}

impl ServerUrl {
    /// The scheme is `https`.
    pub fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Where to connect to.
    pub const fn addr(&self) -> &Addr {
        &self.addr
    }

    /// The URI of something that the server has, by path and query: behind its own path.
    ///
    /// # Errors
    /// It is too long for a URI.
    pub fn uri(&self, path_and_query: &str) -> Result<Uri, RequestError> {
        let prefix = self.uri.path().trim_end_matches('/');
        let mut parts = self.uri.clone().into_parts();
        let whole = format!("{prefix}{path_and_query}");
        parts.path_and_query = Some(whole.parse().map_err(|_| RequestError::TooLong)?);
        Uri::from_parts(parts).map_err(|_| RequestError::TooLong)
    }
}

impl FromStr for ServerUrl {
    type Err = InvalidServer;

    fn from_str(given: &str) -> Result<Self, InvalidServer> {
        let invalid = |problem| InvalidServer::new(given, problem);
        let uri: Uri = given.parse().map_err(|_| invalid("it is not a URL"))?;
        let default_port = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return Err(invalid("it does not start with http://")),
        };
        if uri.query().is_some() {
            return Err(invalid("it has a query"));
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| invalid("it names no host"))?;
        let port = uri.port_u16().unwrap_or(default_port);
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let addr = match literal.parse::<IpAddr>() {
            Ok(ip) => Addr::Ip((ip, port).into()),
            Err(_) => Addr::Host(host.to_owned(), port),
        };
        Ok(Self { uri, addr })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.uri.to_string()))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A server address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the server {given:?}: {problem}; give one like http://127.0.0.1:8001")]
#[non_exhaustive]
pub struct InvalidServer {
    given: String,
    problem: &'static str,
}

impl InvalidServer {
    pub(crate) fn new(given: &str, problem: &'static str) -> Self {
        Self { given: without_password(given), problem }
    }
}

/// The address as given, bounded, and without what stands before an `@`: it is not for a log.
fn without_password(server: &str) -> String {
    let (scheme, rest) = server.split_once("://").unwrap_or(("", server));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let shown = match authority.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => format!("{host}{path}"),
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => server.to_owned(),
    };
    shown.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_address_is_not_shown() {
        assert_eq!(without_password("https://me:secret@host:6443/x"), "https://host:6443/x");
        assert_eq!(without_password("http://host/a@b"), "http://host/a@b");
        assert_eq!(without_password("me:secret@host"), "host");
        let server: ServerUrl = "https://me:secret@host".parse().unwrap();
        assert_eq!(format!("{server} {server:?}"), "https://host/ https://host/");
    }

    #[test]
    fn the_port_is_that_of_the_scheme() {
        let addr = |given: &str| given.parse::<ServerUrl>().unwrap().addr().to_string();
        assert_eq!(addr("http://host"), "host:80");
        assert_eq!(addr("https://host"), "host:443");
        assert_eq!(addr("https://[::1]:6443/"), "[::1]:6443");
    }

    #[test]
    fn a_path_in_front_is_kept() {
        let uri = |given: &str| given.parse::<ServerUrl>().unwrap().uri("/api?a=b").unwrap();
        assert_eq!(uri("http://host"), "http://host/api?a=b");
        assert_eq!(uri("http://host/one/"), "http://host/one/api?a=b");
    }
}
