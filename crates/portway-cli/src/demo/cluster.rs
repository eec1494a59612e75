use std::net::SocketAddr;

use portway_tokio::Tokio;

use crate::failure::Failure;

/// An API server with one pod.
#[derive(Debug)]
pub(crate) struct Cluster {
    address: SocketAddr,
}

impl Cluster {
    /// Serves a pod with these ports, for as long as it lives.
    pub(crate) async fn start(_: &Tokio, _: &[(u16, SocketAddr)]) -> Result<Self, Failure> {
        Err(Failure::new("not yet"))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
