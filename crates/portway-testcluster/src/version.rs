use std::fmt;

/// The release of Kubernetes that a cluster behaves like, from 1.20 on.
///
/// | from | what is different |
/// |---|---|
/// | 1.28 | it tells who somebody is to it (`SelfSubjectReview`) |
/// | 1.31 | SPDY tunnelled in a WebSocket is served, beside v4 and plain SPDY |
/// | 1.35 | who comes with a WebSocket needs `create` on `pods/portforward` beside `get` |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Version {
    /// 1.
    pub major: u32,
    /// Which of its releases.
    pub minor: u32,
}

impl Version {
    /// What a cluster behaves like if nothing is said.
    pub const LATEST: Self = Self::new(37);

    /// 1.`minor`.
    pub const fn new(minor: u32) -> Self {
        Self { major: 1, minor }
    }

    pub(crate) fn tells_who(self) -> bool {
        self >= Self::new(28)
    }

    pub(crate) fn has_tunnel(self) -> bool {
        self >= Self::new(31)
    }

    pub(crate) fn wants_create(self) -> bool {
        self >= Self::new(35)
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::LATEST
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
