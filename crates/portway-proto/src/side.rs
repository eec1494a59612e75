/// Which end of a session we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Side {
    /// The end that sent the upgrade request and asks for ports.
    Client,
    /// The end next to the pod: a kubelet, a container runtime, a gateway, a test server.
    Server,
}
