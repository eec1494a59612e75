use portway_cluster::Destination;
use portway_resolve::{PortSpec, Selector, Target};

use super::clash::{Clash, Spot};
use super::{Wanted, WantedError};
use crate::args::ForwardArgs;

/// What the words of a command line want. `new` makes a forward of its name and destination.
pub(super) fn read(
    args: &ForwardArgs,
    new: impl Fn(&str, Destination) -> Wanted,
) -> Result<Vec<Wanted>, WantedError> {
    let mut all: Vec<Wanted> = Vec::new();
    let mut at = 0;
    if let Some(given) = &args.selector {
        all.push(new(given, selected(given)?));
    }
    for word in &args.words {
        if all.is_empty() || is_target(word) {
            let target = target(word)?;
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
    match Clash::find(all.iter()).first() {
        None => Ok(all),
        Some(clash) => {
            let at = |spot: Spot| &all[spot.forward].ports[spot.port];
            Err(WantedError::Twice {
                port: clash.local,
                one: at(clash.one).to_string(),
                other: at(clash.other).to_string(),
                remote: at(clash.other).remote.clone(),
            })
        }
    }
}

/// Reads a target as kubectl writes it.
pub(super) fn target(word: &str) -> Result<Destination, WantedError> {
    let read: Result<Target, _> = word.parse();
    let target = read.map_err(|source| WantedError::Target { given: word.to_owned(), source })?;
    Ok(target.into())
}

/// Reads a selector as kubectl writes it.
pub(super) fn selected(word: &str) -> Result<Destination, WantedError> {
    let read: Result<Selector, _> = word.parse();
    let selector =
        read.map_err(|source| WantedError::Selector { given: word.to_owned(), source })?;
    Ok(selector.into())
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
