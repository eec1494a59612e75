use std::net::{Ipv4Addr, SocketAddr};

use portway_server::{LocalPod, LocalPods, Server, Serving};
use portway_tokio::{Port, Tokio};

use crate::failure::Failure;

/// An API server with one pod, in this process.
#[derive(Debug)]
pub(crate) struct Cluster {
    serving: Serving,
}

impl Cluster {
    /// Serves a pod whose ports are programs of this machine. It lives as long as this value.
    pub(crate) async fn start(
        runtime: &Tokio,
        (namespace, name): (&str, &str),
        ports: &[(Port, SocketAddr)],
    ) -> Result<Self, Failure> {
        let pod =
            ports.iter().fold(LocalPod::closed(), |pod, (port, to)| pod.with_port(*port, *to));
        let pods = LocalPods::new(runtime.clone()).with(namespace, name, pod);
        let server = Server::new(runtime.clone(), pods);
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let serving = server.listen(anywhere).await;
        serving.map(|serving| Self { serving }).map_err(Failure::new)
    }

    /// What to give as `--server`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.serving.local_addr())
    }
}
