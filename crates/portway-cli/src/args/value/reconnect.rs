use std::fmt;
use std::str::FromStr;

use portway_kube::Policy;

/// What happens when a pod goes, and which of several a connection gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Reconnect {
    /// One pod as long as it is there, then another one.
    #[default]
    Sticky,
    /// The best pod for each connection.
    PerConnection,
    /// The ready pods in turn.
    RoundRobin,
    /// One pod, and the command ends with it, as kubectl's does.
    Off,
}

impl Reconnect {
    const ALL: [Self; 4] = [Self::Sticky, Self::PerConnection, Self::RoundRobin, Self::Off];

    const fn name(self) -> &'static str {
        match self {
            Self::Sticky => "sticky",
            Self::PerConnection => "per-connection",
            Self::RoundRobin => "round-robin",
            Self::Off => "off",
        }
    }

    /// By which rule a pod is chosen.
    pub(crate) const fn policy(self) -> Policy {
        match self {
            Self::Sticky | Self::Off => Policy::Sticky,
            Self::PerConnection => Policy::PerConnection,
            Self::RoundRobin => Policy::RoundRobin,
        }
    }
}

impl FromStr for Reconnect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|it| it.name() == text);
        named.ok_or_else(|| "it is none of sticky, per-connection, round-robin and off".to_owned())
    }
}

impl fmt::Display for Reconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_read_as_it_is_shown() {
        for reconnect in Reconnect::ALL {
            assert_eq!(reconnect.to_string().parse(), Ok(reconnect));
        }
        assert!("never".parse::<Reconnect>().is_err());
    }
}
