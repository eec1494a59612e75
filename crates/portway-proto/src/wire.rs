use std::fmt;

/// The forms in which Kubernetes puts a port-forward on the wire.
///
/// Only the handshake and the muxes look at it; everything else asks [`Capabilities`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WireForm {
    /// WebSocket subprotocol `v4.channel.k8s.io`: binary messages, a channel byte first.
    V4,
    /// WebSocket subprotocol `v4.base64.channel.k8s.io`: the same in text messages.
    V4Base64,
    /// WebSocket subprotocol `SPDY/3.1+portforward.k8s.io`: a SPDY/3.1 connection in binary messages.
    Tunnel,
    /// `Upgrade: SPDY/3.1`: the same SPDY bytes with no WebSocket around them.
    Spdy,
}

impl WireForm {
    /// The name in `Sec-WebSocket-Protocol`, or `None` for a form without a WebSocket.
    pub const fn subprotocol(self) -> Option<&'static str> {
        match self {
            Self::V4 => Some("v4.channel.k8s.io"),
            Self::V4Base64 => Some("v4.base64.channel.k8s.io"),
            Self::Tunnel => Some("SPDY/3.1+portforward.k8s.io"),
            Self::Spdy => None,
        }
    }

    /// What this form can say.
    pub const fn capabilities(self) -> Capabilities {
        let spdy = matches!(self, Self::Tunnel | Self::Spdy);
        Capabilities { half_close: spdy, reset: spdy, dynamic_open: spdy, remote_eof: spdy }
    }
}

impl fmt::Display for WireForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.subprotocol().unwrap_or("SPDY/3.1"))
    }
}

/// What the wire can say. Callers branch on this, never on [`WireForm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The end of our sending direction reaches the peer while the other direction goes on.
    pub half_close: bool,
    /// The abandoning of one stream reaches the peer while other streams go on.
    pub reset: bool,
    /// Streams can be opened at any time, any number for the same port. If not, each port of the
    /// upgrade request is one stream that exists from the start.
    pub dynamic_open: bool,
    /// The end of one stream is visible while other streams go on.
    pub remote_eof: bool,
}
