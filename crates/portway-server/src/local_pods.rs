use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use portway_driver::{Net, Port};

use crate::{NoPod, PodError, PodInfo, Pods, Target};

/// Pods that are ports of this machine, or of any that it reaches. A clone is a handle to the same
/// pods: they can come and go while the server runs.
#[derive(Debug, Clone)]
pub struct LocalPods<N> {
    net: N,
    pods: Arc<RwLock<BTreeMap<Name, LocalPod>>>,
}

type Name = (String, String);

/// One pod of [`LocalPods`]: where its ports lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPod {
    info: PodInfo,
    ports: BTreeMap<Port, SocketAddr>,
    localhost: bool,
}

impl LocalPod {
    /// Every port leads to the same port of this machine, at `127.0.0.1` or else at `::1`: whoever
    /// reaches the server reaches everything that listens on this machine.
    pub const fn localhost() -> Self {
        Self { info: PodInfo::new(), ports: BTreeMap::new(), localhost: true }
    }

    /// Every port is refused but those of [`with_port`](Self::with_port).
    pub const fn closed() -> Self {
        Self { info: PodInfo::new(), ports: BTreeMap::new(), localhost: false }
    }

    /// This port leads there.
    #[must_use]
    pub fn with_port(mut self, port: Port, to: SocketAddr) -> Self {
        self.info = self.info.with_port(port);
        self.ports.insert(port, to);
        self
    }

    /// The same, and the pod declares the port by this name.
    #[must_use]
    pub fn with_named_port(mut self, name: impl Into<String>, port: Port, to: SocketAddr) -> Self {
        self.info = self.info.with_named_port(name, port);
        self.ports.insert(port, to);
        self
    }

    /// The UID of the pod, which a kubelet's path may ask for. Without one any will do.
    #[must_use]
    pub fn with_uid(mut self, uid: impl Into<String>) -> Self {
        self.info = self.info.with_uid(uid);
        self
    }
}

impl<N: Net> LocalPods<N> {
    /// No pods yet.
    pub fn new(net: N) -> Self {
        Self { net, pods: Arc::default() }
    }

    /// The same with a pod more.
    #[must_use]
    pub fn with(self, namespace: &str, pod: &str, ports: LocalPod) -> Self {
        self.insert(namespace, pod, ports);
        self
    }

    /// Starts a pod, or replaces it. Sessions that are open keep what they have found.
    pub fn insert(&self, namespace: &str, pod: &str, ports: LocalPod) {
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        pods.insert((namespace.to_owned(), pod.to_owned()), ports);
    }

    /// Removes a pod; false if there was none.
    pub fn remove(&self, namespace: &str, pod: &str) -> bool {
        let mut pods = self.pods.write().unwrap_or_else(PoisonError::into_inner);
        pods.remove(&(namespace.to_owned(), pod.to_owned())).is_some()
    }

    /// As containerd does: IPv4 first, then IPv6 (protocol.md B.8). Where both fail, the first says
    /// why.
    async fn dial_localhost(&self, port: Port) -> Result<N::Socket, PodError> {
        let four = SocketAddr::from((Ipv4Addr::LOCALHOST, port.get()));
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, port.get()));
        let error = match self.net.connect(&four.into()).await {
            Ok(socket) => return Ok(socket),
            Err(error) => error,
        };
        let socket = self.net.connect(&six.into()).await;
        socket.map_err(|_| PodError::connect(port, four, &error))
    }
}

impl<N: Net> Pods for LocalPods<N> {
    type Pod = LocalPod;
    type Socket = N::Socket;

    async fn find(&self, target: &Target) -> Result<LocalPod, NoPod> {
        let pods = self.pods.read().unwrap_or_else(PoisonError::into_inner);
        let pod = pods.get(&(target.namespace.clone(), target.pod.clone()));
        let pod = pod.cloned().ok_or(NoPod::Unknown)?;
        match (target.uid.as_deref(), pod.info.uid()) {
            (Some(asked), Some(uid)) if asked != uid => Err(NoPod::OtherUid),
            _ => Ok(pod),
        }
    }

    fn describe(&self, pod: &LocalPod) -> PodInfo {
        pod.info.clone()
    }

    async fn dial(&self, pod: &LocalPod, port: Port) -> Result<N::Socket, PodError> {
        match pod.ports.get(&port) {
            Some(to) => {
                let socket = self.net.connect(&(*to).into()).await;
                socket.map_err(|error| PodError::connect(port, *to, &error))
            }
            None if pod.localhost => self.dial_localhost(port).await,
            None => {
                let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, port.get()));
                let refused = io::ErrorKind::ConnectionRefused.into();
                Err(PodError::connect(port, nobody, &refused))
            }
        }
    }
}
