use portway_tokio::Protocol;

/// What is spoken between a forwarder and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    V4,
    Tunnel,
    Spdy,
}

impl Form {
    pub(crate) const ALL: [Self; 3] = [Self::V4, Self::Tunnel, Self::Spdy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::Tunnel => "tunnel",
            Self::Spdy => "spdy",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::V4 => Protocol::V4,
            Self::Tunnel => Protocol::Tunnel,
            Self::Spdy => Protocol::Spdy,
        }
    }
}
