use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use portway_resolve::{PortSpec, RemotePort};
use portway_tokio::{Bound, LocalAddr};
use serde::{Serialize, Serializer};

/// A local port that is open, as programs are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OpenPort {
    /// As it was asked for: a number or a name.
    pub(crate) port: String,
    /// The port of the pod.
    pub(crate) remote: u16,
    /// `None` of a unix socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) local: Option<u16>,
    /// Where to connect to; the first will do.
    #[serde(serialize_with = "shown")]
    pub(crate) addresses: Vec<LocalAddr>,
}

/// What is open for what was asked for, which are in the same order.
pub(super) fn open_ports(
    specs: &[PortSpec],
    bound: &[Bound],
    remote: impl Fn(&Bound) -> u16,
) -> Vec<OpenPort> {
    // All addresses of a port stand together, and have the same number.
    let ports = bound.chunk_by(|one, next| {
        let same = number(&one.local).is_some() && number(&one.local) == number(&next.local);
        same && one.remote == next.remote
    });
    specs
        .iter()
        .zip(ports)
        .map(|(spec, bound)| OpenPort {
            port: asked(spec, bound),
            remote: bound.first().map_or(0, &remote),
            local: bound.first().and_then(|bound| number(&bound.local)),
            addresses: bound.iter().map(|bound| reachable(&bound.local)).collect(),
        })
        .collect()
}

impl OpenPort {
    /// What a program finds it by in its environment, behind the name of a forward:
    /// `PORTWAY_WEB_HTTP`.
    pub(super) fn variable(&self, forward: &str) -> String {
        let name = forward.rsplit('/').next().unwrap_or(forward);
        let text = format!("portway_{name}_{}", self.port);
        text.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect()
    }
}

fn asked(spec: &PortSpec, bound: &[Bound]) -> String {
    match &spec.remote {
        RemotePort::Unnamed => {
            bound.first().map(|bound| bound.remote.to_string()).unwrap_or_default()
        }
        remote @ (RemotePort::Number(_) | RemotePort::Name(_) | _) => remote.to_string(),
    }
}

fn number(local: &LocalAddr) -> Option<u16> {
    local.socket_addr().map(|addr| addr.port())
}

fn shown<S: Serializer>(addresses: &[LocalAddr], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(addresses.iter().map(ToString::to_string))
}

/// A wildcard is nothing to connect to.
fn reachable(local: &LocalAddr) -> LocalAddr {
    let Some(local) = local.socket_addr() else { return local.clone() };
    let ip: IpAddr = match local.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, local.port()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(port: &str) -> OpenPort {
        OpenPort { port: port.to_owned(), remote: 80, local: Some(4_000), addresses: Vec::new() }
    }

    #[test]
    fn a_variable_is_made_of_what_was_asked_for() {
        for (forward, asked, expected) in [
            ("svc/web", "http", "PORTWAY_WEB_HTTP"),
            ("web-0", "80", "PORTWAY_WEB_0_80"),
            ("deployment.apps/my.shop", "my-port", "PORTWAY_MY_SHOP_MY_PORT"),
            ("app=web,tier in (a)", "1", "PORTWAY_APP_WEB_TIER_IN__A__1"),
        ] {
            assert_eq!(port(asked).variable(forward), expected);
        }
    }

    #[test]
    fn a_wildcard_is_reached_by_loopback() {
        for (local, expected) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("192.0.2.1:1", "192.0.2.1:1")]
        {
            let local: SocketAddr = local.parse().unwrap();
            assert_eq!(reachable(&local.into()).to_string(), expected);
        }
    }
}
