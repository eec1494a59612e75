use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use portway_tokio::Port;

/// A local port and the port in the pod it leads to, as kubectl writes them (protocol.md E.1).
///
/// | form | local | remote |
/// |---|---|---|
/// | `5000` | 5000 | 5000 |
/// | `8888:5000` | 8888 | 5000 |
/// | `:5000`, `0:5000` | a free one | 5000 |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortSpec {
    /// 0 is a free port.
    pub(crate) local: u16,
    pub(crate) remote: Port,
}

/// Why a text is no port spec. What was given is named by whoever shows this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortSpecError {
    Empty,
    /// kubectl takes `8080:80:90` for `8080`.
    ManyColons,
    NoRemote,
    RemoteZero,
    RemoteName(String),
    RemoteGarbage(String),
    LocalName(String),
    LocalGarbage(String),
}

impl FromStr for PortSpec {
    type Err = PortSpecError;

    fn from_str(text: &str) -> Result<Self, PortSpecError> {
        let (local, remote) = match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => return Err(PortSpecError::ManyColons),
            Some((local, remote)) => (Some(local), remote),
            None if text.is_empty() => return Err(PortSpecError::Empty),
            None => (None, text),
        };
        let remote = parse_remote(remote)?;
        let local = match local {
            None => remote.get(),
            Some("") => 0,
            Some(local) => parse_local(local)?,
        };
        Ok(Self { local, remote })
    }
}

fn parse_remote(text: &str) -> Result<Port, PortSpecError> {
    if text.is_empty() {
        return Err(PortSpecError::NoRemote);
    }
    match number(text) {
        Some(number) => Port::new(number).ok_or(PortSpecError::RemoteZero),
        None if is_port_name(text) => Err(PortSpecError::RemoteName(text.to_owned())),
        None => Err(PortSpecError::RemoteGarbage(text.to_owned())),
    }
}

fn parse_local(text: &str) -> Result<u16, PortSpecError> {
    number(text).ok_or_else(|| {
        let text = text.to_owned();
        let is_name = is_port_name(&text);
        if is_name { PortSpecError::LocalName(text) } else { PortSpecError::LocalGarbage(text) }
    })
}

/// Base 10, 16 bits, digits only.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// What Kubernetes takes for the name of a port: at most 15 letters, digits and single inner hyphens,
/// with a letter among them.
fn is_port_name(text: &str) -> bool {
    text.len() <= 15
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.bytes().any(|b| b.is_ascii_lowercase())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

/// Two specs that want the same local port, if there are any.
pub(crate) fn collision(specs: &[PortSpec]) -> Option<(PortSpec, PortSpec)> {
    let mut seen = BTreeMap::new();
    specs
        .iter()
        .filter(|spec| spec.local != 0)
        .find_map(|spec| seen.insert(spec.local, *spec).map(|before| (before, *spec)))
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local {
            0 => write!(f, ":{}", self.remote),
            local if local == self.remote.get() => write!(f, "{local}"),
            local => write!(f, "{local}:{}", self.remote),
        }
    }
}

impl fmt::Display for PortSpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RANGE: &str = "a port is a whole number from 1 to 65535";
        match self {
            Self::Empty => write!(f, "no port is given; give REMOTE, LOCAL:REMOTE or :REMOTE"),
            Self::ManyColons => write!(
                f,
                "there is more than one colon; give LOCAL:REMOTE (local addresses go to --address)"
            ),
            Self::NoRemote => {
                write!(f, "remote port cannot be empty; give the pod's port behind the colon")
            }
            Self::RemoteZero => {
                write!(f, "remote port must be > 0; only a local port can be 0, for a free one")
            }
            Self::RemoteName(name) => write!(
                f,
                "'{name}' is the name of a port, and named ports are not supported yet; give its number"
            ),
            Self::RemoteGarbage(text) => write!(f, "remote port '{text}' is not a port; {RANGE}"),
            Self::LocalName(name) => {
                write!(f, "local port '{name}' is a name; give its number, or none for a free port")
            }
            Self::LocalGarbage(text) => {
                write!(f, "local port '{text}' is not a port; {RANGE}, or 0 for a free one")
            }
        }
    }
}

impl std::error::Error for PortSpecError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(local: u16, remote: u16) -> PortSpec {
        PortSpec { local, remote: Port::new(remote).unwrap() }
    }

    #[test]
    fn every_form_of_kubectl_is_understood() {
        for (text, expected) in [
            ("5000", spec(5000, 5000)),
            ("8888:5000", spec(8888, 5000)),
            (":5000", spec(0, 5000)),
            ("0:5000", spec(0, 5000)),
            ("65535", spec(65535, 65535)),
            ("1:1", spec(1, 1)),
            ("080", spec(80, 80)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_for_its_own_reason() {
        use PortSpecError as E;
        let garbage = |text: &str| E::RemoteGarbage(text.to_owned());
        for (text, expected) in [
            ("", E::Empty),
            (":", E::NoRemote),
            ("8888:", E::NoRemote),
            ("0", E::RemoteZero),
            ("8888:0", E::RemoteZero),
            (":0", E::RemoteZero),
            ("00", E::RemoteZero),
            ("8080:80:90", E::ManyColons),
            ("a:b:c", E::ManyColons),
            ("::", E::ManyColons),
            ("[::1]:80:80", E::ManyColons),
            ("http", E::RemoteName("http".to_owned())),
            ("8888:http", E::RemoteName("http".to_owned())),
            ("web-2", E::RemoteName("web-2".to_owned())),
            ("http:80", E::LocalName("http".to_owned())),
            ("65536", garbage("65536")),
            ("99999999999999999999", garbage("99999999999999999999")),
            ("+80", garbage("+80")),
            ("-80", garbage("-80")),
            (" 80", garbage(" 80")),
            ("80 ", garbage("80 ")),
            ("8_0", garbage("8_0")),
            ("0x50", E::RemoteName("0x50".to_owned())),
            ("80/udp", garbage("80/udp")),
            ("HTTP", garbage("HTTP")),
            ("a--b", garbage("a--b")),
            ("٨٠", garbage("٨٠")),
            ("65536:80", E::LocalGarbage("65536".to_owned())),
            ("1.2.3.4:80", E::LocalGarbage("1.2.3.4".to_owned())),
        ] {
            assert_eq!(text.parse::<PortSpec>(), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn every_refusal_says_what_to_give() {
        for text in ["", "1:", "0", "http", "80x:1", "80x!", "a:b:c", "http:1"] {
            let error = text.parse::<PortSpec>().unwrap_err().to_string();
            assert!(error.contains("; "), "{error}");
        }
    }

    #[test]
    fn only_a_local_port_that_was_asked_for_can_collide() {
        assert_eq!(collision(&[spec(0, 80), spec(0, 80), spec(80, 80)]), None);
        assert_eq!(collision(&[spec(80, 80), spec(81, 80)]), None);
        assert_eq!(
            collision(&[spec(1, 2), spec(80, 80), spec(80, 81)]),
            Some((spec(80, 80), spec(80, 81)))
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_is_understood(local: u16, remote in 1..=u16::MAX) {
            let spec = spec(local, remote);
            prop_assert_eq!(spec.to_string().parse(), Ok(spec));
        }

        #[test]
        fn no_text_panics_and_what_is_taken_keeps_its_meaning(text in "[0-9a-z:+ -]{0,12}|.{0,20}") {
            if let Ok(spec) = text.parse::<PortSpec>() {
                prop_assert_eq!(spec.to_string().parse(), Ok(spec));
            }
        }
    }
}
