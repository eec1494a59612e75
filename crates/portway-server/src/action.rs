use http::Method;
use portway_driver::Port;

/// What a client wants to do with a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Reach these ports of it: `create` or `get` on `pods/portforward`.
    Forward(WantedPorts),
    /// Read its object, which only a server [with an API](crate::Server::with_api) has: `get` on
    /// `pods`.
    Read,
}

/// Which ports of a pod a client wants to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WantedPorts {
    /// These, in the order of the request: the session has no others (v4).
    These(Vec<Port>),
    /// **It is not said yet.** Each stream names its port as it is opened (the tunnel and SPDY, which
    /// is what kubectl speaks), so any may follow. Who may have some ports only has to be answered
    /// with [`Verdict::AllowPorts`](crate::Verdict::AllowPorts).
    Any,
}

impl Action {
    /// `create` or `get`, as Kubernetes makes it of the method. Since 1.35 a cluster wants `create` on
    /// `pods/portforward` of who comes with GET, too.
    pub fn verb(&self, method: &Method) -> &'static str {
        match self {
            Self::Forward(_) if method == Method::POST => "create",
            Self::Forward(_) | Self::Read => "get",
        }
    }

    /// The resource with its subresource, as a role names it.
    pub const fn resource(&self) -> &'static str {
        match self {
            Self::Forward(_) => "pods/portforward",
            Self::Read => "pods",
        }
    }
}

impl WantedPorts {
    /// Nothing but ports of which `allowed` is true can be reached with this. Never so for
    /// [`Any`](Self::Any).
    ///
    /// ```
    /// use portway_driver::Port;
    /// use portway_server::WantedPorts;
    ///
    /// let web = |port: Port| port.get() == 80;
    /// assert!(!WantedPorts::Any.all(web));
    /// ```
    pub fn all(&self, mut allowed: impl FnMut(Port) -> bool) -> bool {
        match self {
            Self::These(ports) => ports.iter().all(|port| allowed(*port)),
            Self::Any => false,
        }
    }
}
