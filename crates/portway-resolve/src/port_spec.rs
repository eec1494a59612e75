use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use portway_proto::Port;

/// A local port and where in the target it leads, as kubectl writes them (protocol.md E.1).
///
/// | form | local | remote |
/// |---|---|---|
/// | `5000` | 5000 | 5000 |
/// | `8888:5000` | 8888 | 5000 |
/// | `:5000`, `0:5000` | a free one | 5000 |
/// | `http` | the number that the name stands for | the port of that name |
/// | `8888:http` | 8888 | the port of that name |
/// | `8888:` | 8888 | of a service, the port without a name |
/// | `unix:/tmp/db.sock:5000` | a unix socket, which kubectl has not | 5000 |
///
/// kubectl takes `8080:80:90` for `8080`; here it is an error.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PortSpec {
    /// Where to listen.
    pub local: LocalPort,
    /// Where it leads.
    pub remote: RemotePort,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocalPort {
    /// Wherever there is room.
    Free,
    /// Where the remote port is, before a service translates it.
    Same,
    /// Here.
    Number(Port),
    /// On a unix socket at this path.
    Unix(PathBuf),
}

/// A port of a pod or of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemotePort {
    /// By its number.
    Number(Port),
    /// By its name.
    Name(String),
    /// The one without a name, which only a service can have.
    Unnamed,
}

impl PortSpec {
    /// A spec of its parts.
    pub const fn new(local: LocalPort, remote: RemotePort) -> Self {
        Self { local, remote }
    }
}

impl FromStr for PortSpec {
    type Err = InvalidPortSpec;

    fn from_str(text: &str) -> Result<Self, InvalidPortSpec> {
        if let Some(socket) = text.strip_prefix("unix:") {
            return parse_unix(socket);
        }
        let (local, remote) = match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => return Err(InvalidPortSpec::ManyColons),
            Some((local, remote)) => (Some(local), remote),
            None if text.is_empty() => return Err(InvalidPortSpec::Empty),
            None => (None, text),
        };
        let remote = parse_remote(remote)?;
        let local = match (local, &remote) {
            (None, _) | (Some(""), RemotePort::Unnamed) => LocalPort::Same,
            (Some(""), _) => LocalPort::Free,
            (Some(local), _) => parse_local(local)?,
        };
        Ok(Self { local, remote })
    }
}

/// `PATH:REMOTE`; a path may have colons.
fn parse_unix(text: &str) -> Result<PortSpec, InvalidPortSpec> {
    match text.rsplit_once(':') {
        Some((path, remote)) if !path.is_empty() => {
            Ok(PortSpec::new(LocalPort::Unix(path.into()), parse_remote(remote)?))
        }
        _ => Err(InvalidPortSpec::Unix),
    }
}

fn parse_remote(text: &str) -> Result<RemotePort, InvalidPortSpec> {
    if text.is_empty() {
        return Ok(RemotePort::Unnamed);
    }
    match number(text) {
        Some(number) => {
            Port::new(number).map(RemotePort::Number).ok_or(InvalidPortSpec::RemoteZero)
        }
        None if is_name(text) => Ok(RemotePort::Name(text.to_owned())),
        None => Err(InvalidPortSpec::Remote { given: text.to_owned() }),
    }
}

fn parse_local(text: &str) -> Result<LocalPort, InvalidPortSpec> {
    match number(text) {
        Some(number) => Ok(Port::new(number).map_or(LocalPort::Free, LocalPort::Number)),
        None if is_name(text) => Err(InvalidPortSpec::LocalName { given: text.to_owned() }),
        None => Err(InvalidPortSpec::Local { given: text.to_owned() }),
    }
}

/// Base 10, 16 bits, digits only.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// What Kubernetes takes for the name of a service's port, which a container's is too.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 63;
    text.len() <= LONGEST
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.bytes().any(|b| !b.is_ascii_digit())
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.local, &self.remote) {
            (LocalPort::Same, RemotePort::Unnamed) => f.write_str(":"),
            (LocalPort::Free, RemotePort::Unnamed) => f.write_str("0:"),
            (LocalPort::Same, remote) => remote.fmt(f),
            (LocalPort::Free, remote) => write!(f, ":{remote}"),
            (LocalPort::Number(local), remote) => write!(f, "{local}:{remote}"),
            (LocalPort::Unix(path), remote) => write!(f, "unix:{}:{remote}", path.display()),
        }
    }
}

impl fmt::Display for RemotePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
            Self::Unnamed => Ok(()),
        }
    }
}

/// Why a text is no [`PortSpec`]. The whole of what was given is for whoever shows this to name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPortSpec {
    /// Nothing.
    #[error("no port is given; give REMOTE, LOCAL:REMOTE or :REMOTE")]
    Empty,
    /// kubectl takes `8080:80:90` for `8080`.
    #[error("there is more than one colon; give LOCAL:REMOTE (local addresses go to --address)")]
    ManyColons,
    /// `8080:0`
    #[error("remote port must be > 0; only a local port can be 0, for a free one")]
    RemoteZero,
    /// Neither a number nor a name.
    #[error(
        "remote port '{given}' is neither a whole number from 1 to 65535 nor a name (lower-case letters, digits and hyphens)"
    )]
    Remote {
        /// What stood there.
        given: String,
    },
    /// Only a remote port has a name.
    #[error("local port '{given}' is a name; give its number, or none for a free port")]
    LocalName {
        /// What stood there.
        given: String,
    },
    /// No path, or nothing behind it.
    #[error("a unix socket needs a path and a remote port; give unix:PATH:REMOTE")]
    Unix,
    /// No number.
    #[error(
        "local port '{given}' is not a port: a whole number from 1 to 65535, or 0 for a free one"
    )]
    Local {
        /// What stood there.
        given: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn port(number: u16) -> Port {
        Port::new(number).unwrap()
    }

    fn spec(local: LocalPort, remote: u16) -> PortSpec {
        PortSpec::new(local, RemotePort::Number(port(remote)))
    }

    fn named(local: LocalPort, remote: &str) -> PortSpec {
        PortSpec::new(local, RemotePort::Name(remote.to_owned()))
    }

    #[test]
    fn every_form_of_kubectl_is_understood() {
        use LocalPort::{Free, Number, Same, Unix};
        let longest = "a".repeat(63);
        for (text, expected) in [
            ("5000", spec(Same, 5000)),
            ("8888:5000", spec(Number(port(8888)), 5000)),
            (":5000", spec(Free, 5000)),
            ("0:5000", spec(Free, 5000)),
            ("65535", spec(Same, 65535)),
            ("1:1", spec(Number(port(1)), 1)),
            ("080", spec(Same, 80)),
            ("http", named(Same, "http")),
            ("8888:http", named(Number(port(8888)), "http")),
            (":http", named(Free, "http")),
            ("0:web-2", named(Free, "web-2")),
            ("0x50", named(Same, "0x50")),
            ("a--b", named(Same, "a--b")),
            (&longest, named(Same, &longest)),
            ("8888:", PortSpec::new(Number(port(8888)), RemotePort::Unnamed)),
            ("0:", PortSpec::new(Free, RemotePort::Unnamed)),
            (":", PortSpec::new(Same, RemotePort::Unnamed)),
            ("unix:/tmp/db.sock:5432", spec(Unix("/tmp/db.sock".into()), 5432)),
            ("unix:a:b:http", named(Unix("a:b".into()), "http")),
            ("unix:s:", PortSpec::new(Unix("s".into()), RemotePort::Unnamed)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_for_its_own_reason() {
        use InvalidPortSpec as E;
        let remote = |given: &str| E::Remote { given: given.to_owned() };
        let local = |given: &str| E::Local { given: given.to_owned() };
        let too_long = "a".repeat(64);
        for (text, expected) in [
            ("", E::Empty),
            ("0", E::RemoteZero),
            ("8888:0", E::RemoteZero),
            (":0", E::RemoteZero),
            ("00", E::RemoteZero),
            ("8080:80:90", E::ManyColons),
            ("a:b:c", E::ManyColons),
            ("::", E::ManyColons),
            ("[::1]:80:80", E::ManyColons),
            ("http:80", E::LocalName { given: "http".to_owned() }),
            ("http:http", E::LocalName { given: "http".to_owned() }),
            ("65536", remote("65536")),
            ("99999999999999999999", remote("99999999999999999999")),
            ("+80", remote("+80")),
            ("-80", remote("-80")),
            (" 80", remote(" 80")),
            ("80 ", remote("80 ")),
            ("8_0", remote("8_0")),
            ("80/udp", remote("80/udp")),
            ("HTTP", remote("HTTP")),
            ("a-", remote("a-")),
            ("-", remote("-")),
            ("٨٠", remote("٨٠")),
            (&too_long, remote(&too_long)),
            ("65536:80", local("65536")),
            ("1.2.3.4:80", local("1.2.3.4")),
            ("unix:", E::Unix),
            ("unix:/tmp/db.sock", E::Unix),
            ("unix::80", E::Unix),
            ("unix:/tmp/db.sock:0", E::RemoteZero),
        ] {
            assert_eq!(text.parse::<PortSpec>(), Err(expected), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_taken_keeps_its_meaning(
            text in "(unix:)?[0-9a-z:-]{0,8}|[0-9]{0,5}:?[0-9a-z]{0,5}|.{0,20}",
        ) {
            if let Ok(spec) = text.parse::<PortSpec>() {
                prop_assert_eq!(spec.to_string().parse(), Ok(spec));
            }
        }
    }
}
