use std::net::{Ipv4Addr, SocketAddr};

use portway_server::{LocalPod, LocalPods, Server, Serving};
use portway_tokio::{Port, Tokio};

use crate::failure::Failure;

/// A program of this machine as a port of the pod: what the pod calls it, its number there, and where
/// it really is.
pub(crate) type Program = (&'static str, Port, SocketAddr);

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
        programs: &[Program],
    ) -> Result<Self, Failure> {
        let pod = programs.iter().fold(LocalPod::closed(), |pod, (name, port, to)| {
            pod.with_named_port(*name, *port, *to)
        });
        let pods = LocalPods::new(runtime.clone()).with(namespace, name, pod);
        let server = Server::new(runtime.clone(), pods).with_api();
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let serving = server.listen(anywhere).await;
        serving.map(|serving| Self { serving }).map_err(Failure::new)
    }

    /// What to give as `--server`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.serving.local_addr())
    }
}
