use std::net::SocketAddr;

use portway_interop::{Kubectl, Peer, require_go};

use crate::child::{Process, Usage};
use crate::form::Form;
use crate::forwarder::Forwarder;

/// Echoes.
pub(crate) const ECHO: u16 = 8080;
/// Reads `N\n` and N bytes, answers a line, closes.
pub(crate) const SINK: u16 = 8087;
/// Reads `N\n`, sends N bytes, closes.
pub(crate) const SOURCE: u16 = 8088;
/// The ports of the pod, whoever plays it: numbers and manners are those of the interop peer.
pub(crate) const PORTS: [u16; 3] = [ECHO, SINK, SOURCE];

/// A server of all forms, and the same programs without it for the relays.
pub(crate) enum Site {
    /// Ours, which costs little: the forwarder is the bottleneck.
    Raw { wire: Process, plain: Process },
    /// Kubernetes' own code.
    Kubernetes { peer: Peer, kubectl: Option<Kubectl> },
}

impl Site {
    pub(crate) fn raw() -> Self {
        let serve = |kind: &str| Process::start(&["serve".to_owned(), kind.to_owned()]);
        Self::Raw { wire: serve("wire"), plain: serve("plain") }
    }

    pub(crate) fn kubernetes() -> Option<Self> {
        require_go().then(|| Self::Kubernetes { peer: Peer::start(), kubectl: Kubectl::new() })
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Raw { .. } => "the raw server",
            Self::Kubernetes { .. } => "Kubernetes' server",
        }
    }

    /// What everything on this side of the forwarders has used.
    pub(crate) fn usage(&self, forwarder: &Forwarder) -> Usage {
        Usage::of(match self {
            Self::Raw { plain, .. } if forwarder.is_relay() => plain.id(),
            Self::Raw { wire, .. } => wire.id(),
            Self::Kubernetes { peer, .. } => peer.pid(),
        })
    }

    /// How many connections fit into processes of so many descriptors: a forwarder has two for each,
    /// and Kubernetes' server, which is all its hops in one, up to eight.
    pub(crate) const fn most_connections(&self, descriptors: usize) -> usize {
        let each = match self {
            Self::Raw { .. } => 2,
            Self::Kubernetes { .. } => 8,
        };
        descriptors.saturating_sub(500) / each
    }

    /// A forwarder in front of it, where there is one that speaks this form.
    pub(crate) fn start(&self, forwarder: &Forwarder, form: Form) -> Option<Process> {
        if !forwarder.can(form, self) {
            return None;
        }
        if forwarder.is_kubectl() {
            let Self::Kubernetes { peer, kubectl } = self else { return None };
            let forward = kubectl.as_ref()?.port_forward("demo", &PORTS);
            let forward = forward.server(&peer.server()).websockets(form == Form::Tunnel);
            return Some(Process::kubectl(forward));
        }
        let mut args = ["forward", forwarder.name(), form.name()].map(str::to_owned).to_vec();
        if forwarder.is_relay() {
            args.extend(PORTS.map(|port| self.plain(port).to_string()));
        } else {
            args.push(match self {
                Self::Raw { wire, .. } => format!("http://{}", wire.addrs[0]),
                Self::Kubernetes { peer, .. } => peer.server(),
            });
        }
        Some(Process::start(&args))
    }

    /// Where the program behind a port is reached without any forwarder.
    fn plain(&self, port: u16) -> SocketAddr {
        match self {
            Self::Raw { plain, .. } => plain.addrs[index(port)],
            Self::Kubernetes { peer, .. } => peer.pod_addr(port),
        }
    }
}

/// Which of a process's addresses is that of a port.
pub(crate) fn index(port: u16) -> usize {
    PORTS.iter().position(|of| *of == port).expect("one of the ports")
}
