//! What is to be forwarded, wherever it was said.

mod line;
mod policies;

use std::fmt;

use portway_cluster::Destination;
use portway_resolve::{
    InvalidPortSpec, InvalidSelector, InvalidTarget, LocalPort, PortSpec, RemotePort,
};

pub(crate) use self::line::{from_line, port};
pub(crate) use self::policies::Policies;
use crate::args::value::Address;

/// A forward that is wanted: where it leads, and where it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// How events and errors call it: its target as given, or its name in a file.
    pub(crate) name: String,
    pub(crate) destination: Destination,
    /// The context's if not said, and so below.
    pub(crate) namespace: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) ports: Vec<PortSpec>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) policies: Policies,
}

/// Why a command line wants nothing that there is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WantedError {
    #[error("cannot forward to '{given}': {source}")]
    Target { given: String, source: InvalidTarget },
    #[error("cannot forward to pods with '{given}': {source}")]
    Selector { given: String, source: InvalidSelector },
    #[error("cannot forward port '{given}': {source}")]
    Port { given: String, source: InvalidPortSpec },
    #[error("UDP protocol is not supported for {given}: port-forward carries TCP only")]
    Udp { given: String },
    #[error("SCTP protocol is not supported for {given}: port-forward carries TCP only")]
    Sctp { given: String },
    #[error("no port of {name} is given; give [LOCAL:]REMOTE behind it")]
    NoPort { name: String },
    #[error(
        "local port {port} is asked for twice, by {one} and by {other}; give one of them another local port, or :{remote} for a free one"
    )]
    Twice { port: u16, one: String, other: String, remote: RemotePort },
}

impl Wanted {
    /// No two of them may want the same local port.
    pub(crate) fn check(all: &[Self]) -> Result<(), WantedError> {
        let mut seen: Vec<(u16, &Address, &PortSpec)> = Vec::new();
        for wanted in all {
            for spec in &wanted.ports {
                let Some(port) = local(spec) else { continue };
                for address in &wanted.addresses {
                    let before = seen.iter().find(|(p, a, _)| *p == port && *a == address);
                    if let Some((_, _, one)) = before {
                        return Err(WantedError::Twice {
                            port,
                            one: one.to_string(),
                            other: spec.to_string(),
                            remote: spec.remote.clone(),
                        });
                    }
                }
                seen.extend(wanted.addresses.iter().map(|address| (port, address, spec)));
            }
        }
        Ok(())
    }
}

/// The local port that is asked for, as far as the command line says.
fn local(spec: &PortSpec) -> Option<u16> {
    match (&spec.local, &spec.remote) {
        (LocalPort::Number(port), _) => Some(port.get()),
        (LocalPort::Same, RemotePort::Number(port)) => Some(port.get()),
        _ => None,
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
