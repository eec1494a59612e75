use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use portway_driver::{Addr, ServerUrl};

/// An HTTP proxy that opens connections by CONNECT: `http://proxy:3128`, or with a user and a password
/// `http://user:password@proxy:3128`.
#[derive(Clone)]
pub struct Proxy {
    url: ServerUrl,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// What the environment says about the way to a server: `HTTPS_PROXY` (for an `http` server
    /// `HTTP_PROXY`), unless `NO_PROXY` names it; each also in lower case. As with kubectl, nothing on this
    /// machine is reached through a proxy.
    ///
    /// # Errors
    /// What the environment says cannot be used.
    pub fn from_env(server: &ServerUrl) -> Result<Option<Self>, InvalidProxy> {
        Self::from_vars(server, |name| std::env::var(name).ok())
    }

    fn from_vars(
        server: &ServerUrl,
        var: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, InvalidProxy> {
        let var = |name: &str| {
            let value = var(name).or_else(|| var(&name.to_lowercase()));
            value.filter(|value| !value.is_empty())
        };
        let proxy = var(if server.is_tls() { "HTTPS_PROXY" } else { "HTTP_PROXY" });
        let Some(proxy) = proxy else { return Ok(None) };
        if exempt(server.addr(), &var("NO_PROXY").unwrap_or_default()) {
            return Ok(None);
        }
        // As elsewhere, the scheme may be left out there.
        let proxy = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
        proxy.parse().map(Some)
    }

    /// Where it is.
    pub(super) const fn addr(&self) -> &Addr {
        self.url.addr()
    }

    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.clone()
    }
}

impl FromStr for Proxy {
    type Err = InvalidProxy;

    fn from_str(given: &str) -> Result<Self, InvalidProxy> {
        let shown = || match given.rsplit_once('@') {
            Some((_, host)) => host.chars().take(200).collect(),
            None => given.chars().take(200).collect(),
        };
        let invalid = |problem| InvalidProxy { given: shown(), problem };
        match given.split_once("://") {
            Some(("http", _)) => {}
            Some(("https", _)) => {
                return Err(invalid("TLS to the proxy itself is not supported"));
            }
            Some(("socks5" | "socks5h", _)) => return Err(invalid("SOCKS is not supported")),
            _ => return Err(invalid("it does not start with http://")),
        }
        let url: ServerUrl = given.parse().map_err(|_| invalid("it is no URL of a server"))?;
        let uri: Uri = given.parse().map_err(|_| invalid("it is not a URL"))?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let authorization = match authority.rsplit_once('@') {
            Some((user, _)) => Some(basic(user).ok_or_else(|| invalid("its user is odd"))?),
            None => None,
        };
        Ok(Self { url, authorization })
    }
}

/// `user:password`, percent-encoded as in a URL.
fn basic(user: &str) -> Option<HeaderValue> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let mut plain: Vec<u8> = percent_decode_str(user).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(password));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether `no_proxy` (names with what is below them, addresses, networks, `*`) names the server.
fn exempt(server: &Addr, no_proxy: &str) -> bool {
    let (host, port) = match server {
        Addr::Ip(addr) => (addr.ip().to_string(), addr.port()),
        Addr::Host(host, port) => (host.to_lowercase(), *port),
        Addr::Unix(_) | _ => return false,
    };
    let ip = host.parse::<IpAddr>().ok();
    if host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) {
        return true;
    }
    no_proxy.split(',').map(|entry| entry.trim().to_lowercase()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let (Some(ip), Some((network, bits))) = (ip, entry.split_once('/')) {
            return network.parse().is_ok_and(|network| within(ip, network, bits));
        }
        let entry = match entry.rsplit_once(':') {
            Some((name, of)) if of.parse() == Ok(port) && !name.contains(':') => name,
            _ => &entry,
        };
        let name = entry.trim_start_matches("*.").trim_start_matches('.');
        let below = host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        !name.is_empty() && (below || (host == name && !entry.starts_with('.')))
    })
}

fn within(ip: IpAddr, network: IpAddr, bits: &str) -> bool {
    let Ok(bits) = bits.parse::<u32>() else { return false };
    let same = |ip: u128, network: u128, size: u32| {
        bits <= size && (bits == 0 || (ip ^ network) >> (size - bits) == 0)
    };
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            same(u32::from(ip).into(), u32::from(network).into(), 32)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => same(ip.into(), network.into(), 128),
        _ => false,
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.addr().fmt(f)
    }
}

impl fmt::Debug for Proxy {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.url).finish()
    }
}

/// A proxy that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the proxy {given:?}: {problem}; give one like http://proxy:3128")]
#[non_exhaustive]
pub struct InvalidProxy {
    given: String,
    problem: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(server: &str, vars: &[(&str, &str)]) -> Option<String> {
        let var = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = Proxy::from_vars(&server.parse().unwrap(), var).unwrap();
        proxy.map(|proxy| proxy.to_string())
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme() {
        let vars = [("HTTPS_PROXY", "http://one:1"), ("http_proxy", "two:2")];
        assert_eq!(from("https://host", &vars).as_deref(), Some("one:1"));
        assert_eq!(from("http://host", &vars).as_deref(), Some("two:2"));
        assert_eq!(from("https://localhost", &vars), None);
        assert_eq!(from("https://127.0.0.1:6443", &vars), None);
        assert_eq!(from("https://host", &[("HTTPS_PROXY", "")]), None);
    }

    #[test]
    fn who_is_named_is_reached_without() {
        let exempt = |server: &str, no_proxy| {
            from(server, &[("https_proxy", "one:1"), ("no_proxy", no_proxy)]).is_none()
        };
        assert!(exempt("https://a.corp", "x, corp"));
        assert!(exempt("https://a.corp", ".corp"));
        assert!(exempt("https://a.corp", "*.corp"));
        assert!(exempt("https://A.corp", "a.CORP"));
        assert!(exempt("https://a.corp", "a.corp:443"));
        assert!(!exempt("https://a.corp", "a.corp:6443"));
        assert!(!exempt("https://acorp", "corp"));
        assert!(!exempt("https://corp", ".corp"));
        assert!(exempt("https://anything", "*"));
        assert!(exempt("https://10.1.2.3", "10.0.0.0/8"));
        assert!(!exempt("https://11.1.2.3", "10.0.0.0/8"));
        assert!(exempt("https://10.1.2.3", "10.1.2.3"));
        assert!(exempt("https://[fd00::1]", "fd00::/8"));
        assert!(!exempt("https://host", ""));
    }

    #[test]
    fn user_and_password_are_sent_and_never_shown() {
        let proxy: Proxy = "http://me:a%40b@proxy:3128".parse().unwrap();
        assert_eq!(proxy.authorization().unwrap(), "Basic bWU6YUBi");
        assert_eq!(format!("{proxy} {proxy:?}"), "proxy:3128 Proxy(http://proxy:3128/)");
        let error = "https://me:secret@proxy".parse::<Proxy>().unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot use the proxy \"proxy\": TLS to the proxy itself is not supported; give one like \
             http://proxy:3128"
        );
    }
}
