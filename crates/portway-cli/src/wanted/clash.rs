use portway_resolve::{LocalPort, PortSpec, RemotePort};

use super::Wanted;

/// A local port that two ports of forwards want, or one forward twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clash {
    pub(super) local: u16,
    pub(super) one: Spot,
    /// Who came later.
    pub(super) other: Spot,
}

/// A port of a forward, by their places in the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) forward: usize,
    pub(super) port: usize,
}

impl Clash {
    /// One for every port that cannot be had, as far as can be told before anybody is asked.
    pub(super) fn find<'a>(all: impl Iterator<Item = &'a Wanted>) -> Vec<Self> {
        let mut seen: Vec<(u16, Spot, &Wanted)> = Vec::new();
        let mut clashes = Vec::new();
        for (forward, wanted) in all.enumerate() {
            for (port, spec) in wanted.ports.iter().enumerate() {
                let Some(local) = local(spec) else { continue };
                let other = Spot { forward, port };
                let before = seen.iter().find(|(l, _, w)| *l == local && w.meets(wanted));
                match before {
                    Some((_, one, _)) => clashes.push(Self { local, one: *one, other }),
                    None => seen.push((local, other, wanted)),
                }
            }
        }
        clashes
    }
}

impl Wanted {
    /// Whether it listens on an address that the other one listens on too.
    fn meets(&self, other: &Self) -> bool {
        self.addresses.iter().any(|one| other.addresses.iter().any(|it| one.overlaps(*it)))
    }
}

/// The local port that is asked for by its number.
fn local(spec: &PortSpec) -> Option<u16> {
    match (&spec.local, &spec.remote) {
        (LocalPort::Number(port), _) => Some(port.get()),
        (LocalPort::Same, RemotePort::Number(port)) => Some(port.get()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use portway_cluster::Destination;
    use portway_resolve::Target;

    use super::*;
    use crate::wanted::Policies;

    fn wanted(addresses: &[&str], ports: &[&str]) -> Wanted {
        let target: Target = "web".parse().unwrap();
        Wanted {
            name: "web".to_owned(),
            destination: Destination::from(target),
            namespace: None,
            context: None,
            ports: ports.iter().map(|port| port.parse().unwrap()).collect(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            policies: Policies::default(),
        }
    }

    fn clash(local: u16, one: (usize, usize), other: (usize, usize)) -> Clash {
        let spot = |(forward, port)| Spot { forward, port };
        Clash { local, one: spot(one), other: spot(other) }
    }

    fn clashes(all: &[Wanted]) -> Vec<Clash> {
        Clash::find(all.iter())
    }

    #[test]
    fn a_port_can_be_had_once_on_every_address() {
        let local = ["localhost"];
        for (one, other, clashing) in [
            (&["localhost"][..], &["localhost"][..], true),
            (&["localhost"], &["127.0.0.1"], true),
            (&["::1"], &["localhost"], true),
            (&["127.0.0.1"], &["0.0.0.0"], true),
            (&["localhost"], &["0.0.0.0"], true),
            (&["127.0.0.2", "127.0.0.3"], &["127.0.0.3"], true),
            (&["127.0.0.2"], &["127.0.0.1"], false),
            (&["127.0.0.2"], &["localhost"], false),
            (&["::1"], &["0.0.0.0"], false),
            (&["::1"], &["127.0.0.1"], false),
        ] {
            let all = [wanted(one, &["8080:80"]), wanted(other, &["8080:81"])];
            let expected = if clashing { vec![clash(8080, (0, 0), (1, 0))] } else { vec![] };
            assert_eq!(clashes(&all), expected, "{one:?} {other:?}");
        }
        assert_eq!(
            clashes(&[wanted(&local, &["80", "81", "80:82"]), wanted(&local, &["81:1", "80"])]),
            [clash(80, (0, 0), (0, 2)), clash(81, (0, 1), (1, 0)), clash(80, (0, 0), (1, 1))]
        );
    }

    #[test]
    fn what_is_not_asked_for_by_number_clashes_with_nothing() {
        let all = [wanted(&["localhost"], &[":80", "0:80", "http"])];
        assert_eq!(clashes(&[all[0].clone(), all[0].clone()]), []);
    }
}
