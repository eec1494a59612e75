use std::fmt;
use std::str::FromStr;

use crate::Kind;

/// What to forward to: `web-0`, `pod/web-0`, `svc/web`, `deployment/web` (protocol.md E.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Target {
    /// What it is.
    pub kind: Kind,
    /// Its name: lower-case letters, digits, hyphens and dots.
    pub name: String,
}

impl Target {
    /// A target by kind and name.
    ///
    /// # Errors
    /// No object can have this name.
    pub fn new(kind: Kind, name: impl Into<String>) -> Result<Self, InvalidTarget> {
        let name = name.into();
        if !is_name(&name) {
            return Err(InvalidTarget::Name { given: name });
        }
        Ok(Self { kind, name })
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        match text.split_once('/') {
            None if text.is_empty() => Err(InvalidTarget::Empty),
            None => Self::new(Kind::Pod, text),
            Some((_, name)) if name.contains('/') => Err(InvalidTarget::ManySlashes),
            Some((kind, name)) => match Kind::parse(kind) {
                Some(kind) => Self::new(kind, name),
                None => Err(InvalidTarget::Kind { given: kind.to_owned() }),
            },
        }
    }
}

/// What is safe as one segment of a path; the API server looks closer.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 253;
    let byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let inner = |b: u8| matches!(b, b'-' | b'.');
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(byte)
        && !text.bytes().next().is_some_and(inner)
        && !text.bytes().last().is_some_and(inner)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// Why a text is no [`Target`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// Nothing.
    #[error("no target is given; give a pod's name or TYPE/NAME")]
    Empty,
    /// `a/b/c`
    #[error("there is more than one slash; give TYPE/NAME (the namespace goes to -n)")]
    ManySlashes,
    /// Nothing that pods can be found by.
    #[error(
        "nothing can be forwarded to a '{given}'; give a pod, service, deployment, replicaset, statefulset, daemonset, job or replicationcontroller"
    )]
    Kind {
        /// What stood there.
        given: String,
    },
    /// No object can have it.
    #[error(
        "'{given}' is no object's name: lower-case letters, digits, hyphens and dots, 253 at most, none of the latter at an end"
    )]
    Name {
        /// What stood there.
        given: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_a_pods() {
        for (text, shown) in [
            ("web-0", "pod/web-0"),
            ("pod/web-0", "pod/web-0"),
            ("svc/web", "service/web"),
            ("deployments.apps/web.v2", "deployment/web.v2"),
            ("rc/0", "replicationcontroller/0"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), shown, "{text}");
            assert_eq!(shown.parse(), Ok(target));
        }
    }

    #[test]
    fn what_is_no_target_is_refused_for_its_own_reason() {
        use InvalidTarget as E;
        let name = |given: &str| E::Name { given: given.to_owned() };
        for (text, expected) in [
            ("", E::Empty),
            ("pod/", name("")),
            ("/web", E::Kind { given: String::new() }),
            ("node/a", E::Kind { given: "node".to_owned() }),
            ("default/pod/web", E::ManySlashes),
            ("Web", name("Web")),
            ("web?x=1", name("web?x=1")),
            ("..", name("..")),
            ("web-", name("web-")),
            ("svc/a b", name("a b")),
        ] {
            assert_eq!(text.parse::<Target>(), Err(expected), "{text:?}");
        }
        assert!("a".repeat(253).parse::<Target>().is_ok());
        assert!("a".repeat(254).parse::<Target>().is_err());
    }
}
