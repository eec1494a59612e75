use portway_cluster::Destination;
use portway_resolve::{PortSpec, Selector, Target};

use super::{Wanted, WantedError};
use crate::args::ForwardArgs;

/// What a command line wants: at least one, with at least one port each, no two on the same local
/// port.
pub(crate) fn from_line(args: &ForwardArgs) -> Result<Vec<Wanted>, WantedError> {
    let new = |name: &str, destination: Destination| Wanted {
        name: name.to_owned(),
        destination,
        namespace: args.access.namespace.clone(),
        context: args.access.context.clone(),
        ports: Vec::new(),
        addresses: args.address.clone(),
        policies: args.policies(),
    };
    let mut all: Vec<Wanted> = Vec::new();
    let mut at = 0;
    if let Some(given) = &args.selector {
        let read: Result<Selector, _> = given.parse();
        let selector =
            read.map_err(|source| WantedError::Selector { given: given.clone(), source })?;
        all.push(new(given, selector.into()));
    }
    for word in &args.words {
        if all.is_empty() || is_target(word) {
            let read: Result<Target, _> = word.parse();
            let target =
                read.map_err(|source| WantedError::Target { given: word.clone(), source })?;
            let target = Destination::from(target);
            // Said again, it takes more ports.
            let known = all.iter().position(|wanted| wanted.destination == target);
            at = known.unwrap_or(all.len());
            if known.is_none() {
                all.push(new(word, target));
            }
        } else {
            all[at].ports.push(port(word)?);
        }
    }
    if let Some(wanted) = all.iter().find(|wanted| wanted.ports.is_empty()) {
        return Err(WantedError::NoPort { name: wanted.name.clone() });
    }
    Wanted::check(&all)?;
    Ok(all)
}

/// The names of objects and ports have no slash in them; a bare word behind the first is a port. A unix
/// socket is known by its beginning.
fn is_target(word: &str) -> bool {
    word.contains('/') && protocol(word).is_none() && !word.starts_with("unix:")
}

/// What stands behind the slash of `53/udp`.
fn protocol(word: &str) -> Option<&'static str> {
    let (_, protocol) = word.rsplit_once('/')?;
    ["tcp", "udp", "sctp"].into_iter().find(|name| protocol.eq_ignore_ascii_case(name))
}

/// Reads a port as kubectl writes it, its protocol behind it perhaps.
pub(crate) fn port(word: &str) -> Result<PortSpec, WantedError> {
    let given = || word.to_owned();
    let spec = match protocol(word) {
        None => word,
        Some("tcp") => &word[..word.len() - "/tcp".len()],
        Some("udp") => return Err(WantedError::Udp { given: given() }),
        Some(_) => return Err(WantedError::Sctp { given: given() }),
    };
    spec.parse().map_err(|source| WantedError::Port { given: given(), source })
}
