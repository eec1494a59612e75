use std::collections::BTreeMap;

use portway_resolve::object::Pod;
use portway_resolve::{PortMapping, PortSpec, RemotePort, pod_ports};

/// Reads a port as kubectl writes it. The API server is not asked yet what a pod declares, so names mean
/// nothing.
pub(crate) fn parse(text: &str) -> Result<PortMapping, String> {
    let spec: PortSpec = text.parse().map_err(|error| format!("{error}"))?;
    if let RemotePort::Name(name) = &spec.remote {
        return Err(format!(
            "'{name}' is the name of a port, and named ports are not supported yet; give its number"
        ));
    }
    let mapped = pod_ports(&Pod::default(), &[spec]).map_err(|error| error.to_string())?;
    mapped.into_iter().next().ok_or_else(|| "it maps to nothing".to_owned())
}

/// Two that want the same local port, if there are any.
pub(crate) fn collision(mappings: &[PortMapping]) -> Option<(PortMapping, PortMapping)> {
    let mut seen = BTreeMap::new();
    mappings
        .iter()
        .filter(|mapping| mapping.local != 0)
        .find_map(|mapping| seen.insert(mapping.local, *mapping).map(|before| (before, *mapping)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(texts: &[&str]) -> Vec<PortMapping> {
        texts.iter().map(|text| parse(text).unwrap()).collect()
    }

    #[test]
    fn numbers_are_understood_and_names_not_yet() {
        let shown: Vec<_> = parsed(&["80", "8080:80", ":80", "0:80"])
            .iter()
            .map(|mapping| (mapping.local, mapping.remote.get()))
            .collect();
        assert_eq!(shown, [(80, 80), (8080, 80), (0, 80), (0, 80)]);
        for text in ["http", "8080:http", "80:", "", "0", "80:80:80"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("; "), "says what to give: {error}");
        }
    }

    #[test]
    fn only_a_local_port_that_was_asked_for_can_collide() {
        assert_eq!(collision(&parsed(&[":80", ":80", "80"])), None);
        assert_eq!(collision(&parsed(&["80", "81:80"])), None);
        let three = parsed(&["1:2", "80", "80:81"]);
        assert_eq!(collision(&three), Some((three[1], three[2])));
    }
}
