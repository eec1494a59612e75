use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// A TCP port inside the pod: 1 to 65535.
///
/// ```
/// use portway_proto::Port;
/// assert_eq!("8080".parse::<Port>()?.get(), 8080);
/// assert!("0".parse::<Port>().is_err());
/// # Ok::<(), portway_proto::InvalidPort>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(NonZeroU16);

impl Port {
    /// `None` for 0, which no server forwards.
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The port as a number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u16> for Port {
    type Error = InvalidPort;

    fn try_from(number: u16) -> Result<Self, InvalidPort> {
        Self::new(number).ok_or_else(|| InvalidPort { given: number.to_string() })
    }
}

impl FromStr for Port {
    type Err = InvalidPort;

    /// Base 10, 16 bits, digits only, as a server reads the `ports` parameter (protocol.md A.2).
    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        let invalid = || InvalidPort { given: text.chars().take(32).collect() };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        text.parse().ok().and_then(Self::new).ok_or_else(invalid)
    }
}

/// A port that is not a number from 1 to 65535.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not a port: a whole number from 1 to 65535 is needed")]
pub struct InvalidPort {
    given: String,
}
