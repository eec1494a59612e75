use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::str::FromStr;

use portway_tokio::Mapping;

/// What `localhost` stands for.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// One item of `--address` (protocol.md E.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Address {
    /// `127.0.0.1` and `::1`, of which one is enough.
    Localhost,
    Ip(IpAddr),
}

/// Neither `localhost` nor an IP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidAddress {
    given: String,
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if text == "localhost" {
            return Ok(Self::Localhost);
        }
        text.parse().map(Self::Ip).map_err(|_| InvalidAddress { given: text.to_owned() })
    }
}

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a valid IP; give IP addresses or localhost", self.given)
    }
}

impl std::error::Error for InvalidAddress {}

/// Opens a mapping on these addresses, unless it is a unix socket.
///
/// A mapping is either `localhost`, of which one address is enough, or addresses that all have to
/// work. Where both are asked for, the loopback addresses of this machine are found out first.
pub(crate) fn on(mapping: Mapping, addresses: &[Address]) -> Mapping {
    let Some(port) = mapping.local_port() else { return mapping };
    let ips: Vec<IpAddr> = addresses.iter().filter_map(Address::ip).collect();
    let localhost = addresses.contains(&Address::Localhost);
    match (localhost, ips.is_empty()) {
        (_, true) => mapping,
        (false, false) => mapping.on(sorted(ips)),
        (true, false) => {
            let explicit = ips.clone();
            let open = |ip: &IpAddr| TcpListener::bind((*ip, port)).is_ok();
            let optional = LOOPBACK.into_iter().filter(|ip| !explicit.contains(ip)).filter(open);
            let mut all: Vec<IpAddr> = explicit.iter().copied().chain(optional).collect();
            if !all.iter().any(|ip| LOOPBACK.contains(ip)) {
                // Neither works: the error comes from the one that everybody has.
                all.push(Ipv4Addr::LOCALHOST.into());
            }
            mapping.on(sorted(all))
        }
    }
}

impl Address {
    /// Whether a port that is taken on one of them is taken on the other.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        match (self.ip(), other.ip()) {
            (None, None) => true,
            (None, Some(ip)) | (Some(ip), None) => LOOPBACK.contains(&ip) || ip.is_unspecified(),
            (Some(one), Some(other)) => {
                one == other
                    || (one.is_ipv4() == other.is_ipv4()
                        && (one.is_unspecified() || other.is_unspecified()))
            }
        }
    }

    const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Localhost => None,
            Self::Ip(ip) => Some(*ip),
        }
    }
}

/// As text, like kubectl: `127.0.0.1` comes before `::1`.
fn sorted(mut ips: Vec<IpAddr>) -> Vec<IpAddr> {
    ips.sort_by_key(ToString::to_string);
    ips.dedup();
    ips
}

#[cfg(test)]
mod tests {
    use portway_tokio::Port;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn free() -> Mapping {
        Mapping::new(0, Port::new(80).expect("not zero"))
    }

    #[test]
    fn localhost_and_addresses_are_taken() {
        assert_eq!("localhost".parse(), Ok(Address::Localhost));
        assert_eq!("::1".parse(), Ok(Address::Ip(ip("::1"))));
        assert_eq!("0.0.0.0".parse(), Ok(Address::Ip(ip("0.0.0.0"))));
    }

    #[test]
    fn names_are_refused_in_kubectls_words() {
        for text in ["example.org", "", "127.0.0.1:80", "[::1]", "127.1"] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text} is not a valid IP")), "{error}");
        }
    }

    #[test]
    fn localhost_alone_is_left_to_the_library() {
        let free = free();
        assert_eq!(on(free.clone(), &[Address::Localhost]), free);
        assert_eq!(on(free.clone(), &[Address::Localhost, Address::Localhost]), free);
    }

    #[test]
    fn addresses_are_sorted_as_text_and_each_is_opened_once() {
        let free = free();
        let given = ["::1", "127.0.0.2", "127.0.0.1", "127.0.0.2"].map(|a| Address::Ip(ip(a)));
        let expected = ["127.0.0.1", "127.0.0.2", "::1"].map(ip);
        assert_eq!(on(free.clone(), &given), free.on(expected));
    }

    #[test]
    fn localhost_beside_addresses_is_what_this_machine_has_of_it() {
        let free = free();
        let given = [Address::Localhost, Address::Ip(ip("127.0.0.2"))];
        let v4 = ["127.0.0.1", "127.0.0.2"].map(ip);
        let both = ["127.0.0.1", "127.0.0.2", "::1"].map(ip);
        let made = on(free.clone(), &given);
        assert!(made == free.clone().on(v4) || made == free.on(both), "{made:?}");
    }
}
