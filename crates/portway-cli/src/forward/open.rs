use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use portway_cluster::{Destination, LookupError, TargetConnector};
use portway_kube::KubeApi;
use portway_resolve::{Kind, LocalPort, PortSpec, RemotePort, Target};
use portway_tokio::{
    ConnectError, Connector, Events, ListenError, Listening, Mapping, Port, PortForward, Probe,
    Tokio,
};

use super::ports::{OpenPort, open_ports};
use crate::access::{Access, AccessError, Cluster};
use crate::args::ForwardArgs;
use crate::args::value::on;
use crate::event::What;
use crate::report::Teller;
use crate::wanted::Wanted;

/// A forward whose local ports are open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) forward: Arc<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) target: String,
    pub(crate) ports: Vec<OpenPort>,
    pub(crate) listening: Listening,
    /// From the beginning on.
    pub(crate) events: Events,
    /// The ports of the pod, where they are others than those asked for.
    pub(crate) remotes: HashMap<Port, Port>,
    /// What trying the way into the pod has shown.
    pub(crate) probe: Option<Probe>,
}

/// How forwards are opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    pub(crate) pod_running_timeout: Duration,
    /// Whether the way into the pod is tried.
    pub(crate) probe: bool,
    /// Whether a port that cannot be opened is left out where another one can, as kubectl does.
    pub(crate) leave_out: bool,
}

/// Why a forward is not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("{source}{}", instead(source))]
    Listen { source: ListenError },
    #[error("unable to listen on any of the requested ports: [{}]", ports.join(" "))]
    Nothing { ports: Vec<String> },
    #[error("{}", super::told::reason(.0))]
    Connect(#[from] ConnectError),
}

impl Opening {
    /// Opens the local ports of what is wanted, having asked the server what they mean.
    pub(crate) async fn open(
        &self,
        wanted: &Wanted,
        access: &mut Access,
        teller: &Teller,
    ) -> Result<Opened, OpenError> {
        let cluster = access.cluster(wanted.context.as_deref()).await?;
        let namespace: Arc<str> = wanted.namespace.as_deref().unwrap_or(&cluster.namespace).into();
        let forward: Arc<str> = wanted.name.as_str().into();
        let connector = self.connector(wanted, &cluster, &namespace);
        let mappings = self.mappings(wanted, &connector).await?;
        let mappings: Vec<_> = mappings.into_iter().map(|it| on(it, &wanted.addresses)).collect();
        let remotes = remotes(&connector, &wanted.destination, &mappings).await?;
        let shown = |port: Port| remotes.get(&port).copied().unwrap_or(port).get();
        let options = wanted.policies.options(cluster.request_timeout());
        let runtime = Tokio::current();
        let mut left = mappings;
        let mut specs = wanted.ports.clone();
        let mut closed = Vec::new();
        let listening = loop {
            let opened = runtime.listen(connector.clone(), left.clone(), options.clone());
            let source = match opened.await {
                Ok(listening) => break listening,
                Err(source) => source,
            };
            let Some((at, port)) = refused(&source, &left).filter(|_| self.leave_out) else {
                return Err(OpenError::Listen { source });
            };
            let mapping = left.remove(at);
            specs.remove(at);
            let remote = shown(mapping.remote());
            let error = unable(port, &source);
            let forward = Arc::clone(&forward);
            teller.tell(What::Unopened { forward, local: port, remote, error });
            closed.push(format!("{{{port} {remote}}}"));
            if left.is_empty() {
                return Err(OpenError::Nothing { ports: closed });
            }
        };
        let events = listening.events();
        let probe = if self.probe { Some(listening.probe().await?) } else { None };
        if let Some(probe) = &probe {
            tracing::debug!(form = %probe.form, took = ?probe.took, "the server agrees");
        }
        let target = wanted.destination.to_string();
        let ports = open_ports(&specs, listening.bound(), |bound| shown(bound.remote));
        Ok(Opened { forward, namespace, target, ports, listening, events, remotes, probe })
    }

    /// What a command line says of it.
    pub(crate) fn of(args: &ForwardArgs) -> Self {
        Self {
            pod_running_timeout: args.pod_running_timeout,
            probe: !args.no_probe,
            // A program that is told of ports counts on all of them.
            leave_out: args.command.is_empty() && args.ports_file.is_none(),
        }
    }

    /// What to listen on; the server is asked if it has to be.
    pub(crate) async fn mappings(
        &self,
        wanted: &Wanted,
        connector: &TargetConnector<KubeApi, Tokio>,
    ) -> Result<Vec<Mapping>, LookupError> {
        match plain(wanted).filter(|_| !self.probe) {
            Some(mappings) => Ok(mappings),
            None => connector.mappings(&wanted.ports).await,
        }
    }

    /// The way to a target.
    pub(crate) fn connector(
        &self,
        wanted: &Wanted,
        cluster: &Cluster,
        namespace: &Arc<str>,
    ) -> TargetConnector<KubeApi, Tokio> {
        let connector = TargetConnector::new(
            cluster.api(),
            Tokio::current(),
            Arc::clone(namespace),
            wanted.destination.clone(),
        );
        let connector = connector
            .with_policy(wanted.policies.reconnect.policy())
            .with_pod_running_timeout(self.pod_running_timeout);
        match cluster.request_timeout() {
            Some(wait) => connector.with_request_timeout(wait),
            None => connector,
        }
    }
}

impl Opened {
    /// Says which ports are open, and where they lead.
    pub(crate) fn tell(&self, teller: &Teller) {
        for bound in self.listening.bound() {
            teller.tell(What::Listening {
                forward: Arc::clone(&self.forward),
                namespace: self.namespace.to_string(),
                target: self.target.clone(),
                local: bound.local.clone(),
                remote: self.remote(bound.remote),
            });
        }
        if let Some(probe) = &self.probe {
            teller.tell(What::Reached {
                forward: Arc::clone(&self.forward),
                pod: probe.endpoint.pod.clone(),
                form: probe.form.to_string(),
            });
        }
    }

    /// The port of the pod behind the one that was asked for.
    pub(crate) fn remote(&self, asked: Port) -> u16 {
        self.remotes.get(&asked).copied().unwrap_or(asked).get()
    }
}

/// Where nothing has to be asked: numbers of a pod.
fn plain(wanted: &Wanted) -> Option<Vec<Mapping>> {
    let Destination::Object(Target { kind: Kind::Pod, .. }) = &wanted.destination else {
        return None;
    };
    let mapping = |spec: &PortSpec| {
        let RemotePort::Number(remote) = spec.remote else { return None };
        Some(match &spec.local {
            LocalPort::Same => Mapping::new(remote.get(), remote),
            LocalPort::Number(port) => Mapping::new(port.get(), remote),
            LocalPort::Unix(path) => Mapping::unix(path, remote),
            LocalPort::Free | _ => Mapping::new(0, remote),
        })
    };
    wanted.ports.iter().map(mapping).collect()
}

/// What the ports of a service are in its pod, as kubectl shows them.
async fn remotes(
    connector: &TargetConnector<KubeApi, Tokio>,
    destination: &Destination,
    mappings: &[Mapping],
) -> Result<HashMap<Port, Port>, ConnectError> {
    let Destination::Object(Target { kind: Kind::Service, .. }) = destination else {
        return Ok(HashMap::new());
    };
    let asked: Vec<Port> = mappings.iter().map(Mapping::remote).collect();
    let endpoint = connector.resolve(&asked).await?;
    Ok(asked.into_iter().zip(endpoint.ports).collect())
}

/// Which mapping it was, by its place, and its local port, if it was one that was asked for.
fn refused(error: &ListenError, mappings: &[Mapping]) -> Option<(usize, u16)> {
    let ListenError::Bind { address, remote, .. } = error else { return None };
    let taken = address.socket_addr()?.port();
    let asked = |it: &Mapping| it.local_port().filter(|port| [0, taken].contains(port));
    let at = mappings.iter().position(|it| it.remote() == *remote && asked(it).is_some())?;
    Some((at, asked(&mappings[at])?))
}

/// kubectl's words (protocol.md E.4).
fn unable(port: u16, error: &ListenError) -> String {
    let ListenError::Bind { address, source, .. } = error else { return error.to_string() };
    // Go has the system's words without a capital and without their number.
    let reason = source.to_string();
    let reason = reason.split(" (os error ").next().unwrap_or_default().to_lowercase();
    let v4 = address.socket_addr().is_some_and(|addr| addr.is_ipv4());
    let family = if v4 { "tcp4" } else { "tcp6" };
    format!(
        "Unable to listen on port {port}: Listeners failed to create with the following errors: [unable to create listener: Error listen {family} {address}: bind: {reason}]"
    )
}

/// What else to try.
fn instead(error: &ListenError) -> String {
    match error {
        ListenError::Bind { address, remote, .. }
            if address.socket_addr().is_some_and(|addr| addr.port() != 0) =>
        {
            format!("; give another local port, or :{remote} for a free one")
        }
        ListenError::Bind { .. } | ListenError::Nothing | _ => String::new(),
    }
}
