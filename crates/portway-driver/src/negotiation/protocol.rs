use std::fmt;
use std::str::FromStr;

use portway_proto::WireForm;

/// Which wire forms may be spoken with a server.
///
/// ```
/// use portway_driver::{Options, Protocol};
/// let options = Options::new().with_protocol("spdy".parse()?);
/// assert_eq!(Protocol::Spdy.to_string(), "spdy");
/// # Ok::<(), portway_driver::InvalidProtocol>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// Whatever works: one WebSocket request asks for the tunnel and for v4, and the server picks;
    /// where that does not get through, plain SPDY is asked for.
    #[default]
    Auto,
    /// SPDY in a WebSocket and nothing else: half-close, and no connection in the pod before it is
    /// used. Kubernetes 1.31 and later.
    Tunnel,
    /// `v4.channel.k8s.io` and nothing else: Kubernetes 1.6 and later.
    V4,
    /// `v4.base64.channel.k8s.io` and nothing else: v4 in text messages, a third longer.
    V4Base64,
    /// SPDY with no WebSocket around it, and nothing else: what kubectl before 1.31 speaks, for what
    /// is between and knows no WebSocket.
    Spdy,
}

impl Protocol {
    const ALL: [Self; 5] = [Self::Auto, Self::Tunnel, Self::V4, Self::V4Base64, Self::Spdy];

    const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tunnel => "tunnel",
            Self::V4 => "v4",
            Self::V4Base64 => "v4-base64",
            Self::Spdy => "spdy",
        }
    }

    /// What to ask for, a request for each item, until one is granted. With `spdy_first` what worked
    /// when the WebSocket did not comes before it.
    pub(super) const fn requests(self, spdy_first: bool) -> &'static [&'static [WireForm]] {
        const WEBSOCKET: &[WireForm] = &[WireForm::Tunnel, WireForm::V4];
        const SPDY: &[WireForm] = &[WireForm::Spdy];
        match self {
            Self::Auto if spdy_first => &[SPDY, WEBSOCKET],
            Self::Auto => &[WEBSOCKET, SPDY],
            Self::Tunnel => &[&[WireForm::Tunnel]],
            Self::V4 => &[&[WireForm::V4]],
            Self::V4Base64 => &[&[WireForm::V4Base64]],
            Self::Spdy => &[SPDY],
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Protocol {
    type Err = InvalidProtocol;

    fn from_str(text: &str) -> Result<Self, InvalidProtocol> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == text).ok_or(InvalidProtocol)
    }
}

/// Not the name of a [`Protocol`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is none of auto, tunnel, v4, v4-base64 and spdy")]
#[non_exhaustive]
pub struct InvalidProtocol;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
            assert!(InvalidProtocol.to_string().contains(protocol.name()));
        }
        for text in ["", "V4", "spdy ", "websocket"] {
            assert_eq!(text.parse::<Protocol>(), Err(InvalidProtocol));
        }
    }

    #[test]
    fn only_auto_has_a_second_choice() {
        for protocol in Protocol::ALL {
            let requests = [false, true].map(|spdy_first| protocol.requests(spdy_first).len());
            assert_eq!(requests, if protocol == Protocol::Auto { [2, 2] } else { [1, 1] });
        }
    }
}
