use std::fmt;

use portway_proto::Port;

use crate::object::{Pod, Service, TargetPort, Transport};
use crate::{LocalPort, PortSpec, RemotePort};

/// What a [`PortSpec`] means for one pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PortMapping {
    /// Where to listen; 0 is wherever there is room, or on the unix socket that was asked for.
    pub local: u16,
    /// The port in the pod.
    pub remote: Port,
}

impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { local, remote } = self;
        match *local {
            0 => write!(f, ":{remote}"),
            local if local == remote.get() => write!(f, "{local}"),
            local => write!(f, "{local}:{remote}"),
        }
    }
}

/// Ports of a pod (protocol.md E.1). A number need not be declared by the pod; a name must.
///
/// # Errors
/// The first spec that means nothing here.
pub fn pod_ports(pod: &Pod, specs: &[PortSpec]) -> Result<Vec<PortMapping>, PortError> {
    let ports = || pod.ports().map(|port| (port.container_port, port.protocol));
    let map = |spec: &PortSpec| {
        let remote = match &spec.remote {
            RemotePort::Number(number) => *number,
            RemotePort::Name(name) => named_port(pod, name)?,
            RemotePort::Unnamed => return Err(PortError::Missing),
        };
        refuse_udp(remote, &spec.remote, ports())?;
        Ok(PortMapping { local: local(&spec.local, remote), remote })
    };
    specs.iter().map(map).collect()
}

/// Ports of a service, and where in a pod of it they lead (protocol.md E.2).
///
/// Of several ports with one number the first counts. A headless service (`clusterIP: None`) leads to its
/// own numbers, whatever its target ports are.
///
/// # Errors
/// The first spec that means nothing here.
pub fn service_ports(
    service: &Service,
    pod: &Pod,
    specs: &[PortSpec],
) -> Result<Vec<PortMapping>, PortError> {
    let ports = || service.spec.ports.iter().map(|port| (port.port, port.protocol));
    let map = |spec: &PortSpec| {
        let port = match &spec.remote {
            RemotePort::Number(number) => *number,
            RemotePort::Name(name) => port_of_name(service, name)?,
            RemotePort::Unnamed => port_of_name(service, "")?,
        };
        refuse_udp(port, &spec.remote, ports())?;
        let remote = target(service, pod, port)?;
        Ok(PortMapping { local: local(&spec.local, port), remote })
    };
    specs.iter().map(map).collect()
}

fn local(local: &LocalPort, same: Port) -> u16 {
    match local {
        LocalPort::Free | LocalPort::Unix(_) => 0,
        LocalPort::Same => same.get(),
        LocalPort::Number(number) => number.get(),
    }
}

fn named_port(pod: &Pod, name: &str) -> Result<Port, PortError> {
    let port = pod.ports().find(|port| port.name == name);
    port.and_then(|port| Port::new(port.container_port)).ok_or_else(|| PortError::NoNameInPod {
        pod: pod.metadata.name.clone(),
        name: name.to_owned(),
        known: known(pod.ports().map(|port| port.name.as_str())),
    })
}

fn port_of_name(service: &Service, name: &str) -> Result<Port, PortError> {
    let port = service.spec.ports.iter().find(|port| port.name == name);
    port.and_then(|port| Port::new(port.port)).ok_or_else(|| PortError::NoNameInService {
        service: service.metadata.name.clone(),
        name: name.to_owned(),
        known: known(service.spec.ports.iter().map(|port| port.name.as_str())),
    })
}

fn target(service: &Service, pod: &Pod, port: Port) -> Result<Port, PortError> {
    let declared = service.spec.ports.iter().find(|declared| declared.port == port.get());
    match declared.map(|declared| &declared.target_port) {
        Some(_) if service.is_headless() => Ok(port),
        // 0 is no port: there is no target port, and the service's own counts.
        Some(TargetPort::Number(number)) => Ok(Port::new(*number).unwrap_or(port)),
        Some(TargetPort::Name(name)) => named_port(pod, name),
        None => Err(PortError::NoNumberInService {
            service: service.metadata.name.clone(),
            port,
            known: known(service.spec.ports.iter().map(|port| port.port.to_string())),
        }),
    }
}

/// A number that is declared for UDP and not for TCP too would lead to nothing.
fn refuse_udp(
    port: Port,
    given: &RemotePort,
    declared: impl Iterator<Item = (u16, Transport)>,
) -> Result<(), PortError> {
    let here = declared.filter(|(number, _)| *number == port.get());
    let (mut udp, mut tcp) = (false, false);
    for (_, transport) in here {
        udp |= transport == Transport::Udp;
        tcp |= transport == Transport::Tcp;
    }
    if udp && !tcp { Err(PortError::Udp { given: given.clone() }) } else { Ok(()) }
}

/// What there is instead, for a message.
fn known(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let names = names.map(|name| name.as_ref().to_owned()).filter(|name| !name.is_empty());
    let names: Vec<_> = names.collect();
    if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) }
}

/// Why a [`PortSpec`] means nothing for a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// `8888:`, and it is no service.
    #[error("remote port cannot be empty; give the pod's port behind the colon")]
    Missing,
    /// No container of the pod declares a port of that name.
    #[error("pod '{pod}' does not have a named port '{name}'; of named ports {known}")]
    NoNameInPod {
        /// The pod.
        pod: String,
        /// What was asked for, or what a port of a service leads to.
        name: String,
        /// What there is instead, in words.
        known: String,
    },
    /// No port of the service has that name, which may be empty.
    #[error("service '{service}' does not have a named port '{name}'; of named ports {known}")]
    NoNameInService {
        /// The service.
        service: String,
        /// What was asked for.
        name: String,
        /// What there is instead, in words.
        known: String,
    },
    /// No port of the service has that number.
    #[error("service '{service}' does not have a service port {port}; of ports {known}")]
    NoNumberInService {
        /// The service.
        service: String,
        /// What was asked for.
        port: Port,
        /// What there is instead, in words.
        known: String,
    },
    /// There is only a UDP port, and the protocol has no datagrams.
    #[error("UDP protocol is not supported for {given}: port-forward carries TCP only")]
    Udp {
        /// What was asked for.
        given: RemotePort,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Two containers and one that runs before.
    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "web-0"},
            "spec": {
                "containers": [
                    {"ports": [
                        {"name": "http", "containerPort": 8080},
                        {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                        {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
                    ]},
                    {"ports": [
                        {"name": "statsd", "containerPort": 8125, "protocol": "UDP"},
                        {"name": "admin", "containerPort": 9000},
                        {"containerPort": 9001, "protocol": "SCTP"},
                    ]},
                    {"ports": null},
                ],
                "initContainers": [
                    {"ports": [
                        {"name": "admin", "containerPort": 9999},
                        {"name": "mesh", "containerPort": 15090},
                    ]},
                ],
            },
        }))
        .unwrap()
    }

    fn service(spec: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap()
    }

    /// `LOCAL:REMOTE` of what a spec means, or the error.
    fn shown(mapped: Result<Vec<PortMapping>, PortError>) -> String {
        match mapped {
            Ok(mapped) => mapped.iter().map(PortMapping::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    fn specs(text: &str) -> Vec<PortSpec> {
        text.split_whitespace().map(|spec| spec.parse().unwrap()).collect()
    }

    #[track_caller]
    fn expect_pod(text: &str, expected: &str) {
        assert_eq!(shown(pod_ports(&pod(), &specs(text))), expected, "{text}");
    }

    #[track_caller]
    fn expect_service(spec: &Value, text: &str, expected: &str) {
        let service = service(spec.clone());
        assert_eq!(shown(service_ports(&service, &pod(), &specs(text))), expected, "{text} {spec}");
    }

    #[test]
    fn a_number_of_a_pod_is_itself_declared_or_not() {
        expect_pod("8080", "8080");
        expect_pod("1234", "1234");
        expect_pod("80:8080 :8080 0:1", "80:8080 :8080 :1");
        expect_pod("9001", "9001");
    }

    #[test]
    fn a_name_of_a_pod_is_looked_for_in_containers_first() {
        expect_pod("http", "8080");
        expect_pod("80:http", "80:8080");
        expect_pod(":http", ":8080");
        expect_pod("admin", "9000");
        expect_pod("mesh", "15090");
        expect_pod(
            "80 https",
            "pod 'web-0' does not have a named port 'https'; of named ports it has http, dns, dns-tcp, statsd, admin, admin, mesh",
        );
        expect_pod("80:", "remote port cannot be empty; give the pod's port behind the colon");
    }

    #[test]
    fn udp_is_refused_only_where_no_tcp_port_shares_the_number() {
        expect_pod("53", "53");
        expect_pod("dns", "53");
        let refused = |given| {
            format!("UDP protocol is not supported for {given}: port-forward carries TCP only")
        };
        expect_pod("8125", &refused("8125"));
        expect_pod("9:statsd", &refused("statsd"));
        let both = json!({"ports": [
            {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 5353},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
            {"name": "statsd", "port": 8125, "protocol": "UDP"},
        ]});
        // Of two with one number the first says where it leads, as with kubectl.
        expect_service(&both, "53", "53:5353");
        expect_service(&both, "1:dns-tcp", "1:5353");
        expect_service(&both, "8125", &refused("8125"));
        expect_service(&both, "statsd", &refused("statsd"));
        // What the pod declares does not count for a service.
        expect_service(&json!({"ports": [{"port": 80, "targetPort": 8125}]}), "80", "80:8125");
    }

    #[test]
    fn a_services_port_leads_to_its_target() {
        for (port, expected) in [
            (json!({"port": 443, "targetPort": 8443}), "443:8443"),
            (json!({"port": 443}), "443"),
            (json!({"port": 443, "targetPort": 0}), "443"),
            (json!({"port": 443, "targetPort": "http"}), "443:8080"),
            (json!({"port": 443, "targetPort": "mesh"}), "443:15090"),
        ] {
            expect_service(&json!({"clusterIP": "10.0.0.1", "ports": [port]}), "443", expected);
        }
        let ports = json!({"ports": [
            {"name": "https", "port": 443, "targetPort": 8443},
            {"name": "http", "port": 80, "targetPort": "http"},
        ]});
        expect_service(&ports, "https http", "443:8443 80:8080");
        expect_service(&ports, "9443:https :443 0:http", "9443:8443 :8443 :8080");
    }

    #[test]
    fn what_a_service_does_not_have_is_said_with_what_it_has() {
        let ports = json!({"ports": [
            {"name": "https", "port": 443, "targetPort": 8443},
            {"name": "lost", "port": 81, "targetPort": "nowhere"},
        ]});
        expect_service(
            &ports,
            "443 80",
            "service 'web' does not have a service port 80; of ports it has 443, 81",
        );
        // A pod's name and number are not the service's.
        expect_service(
            &ports,
            "http",
            "service 'web' does not have a named port 'http'; of named ports it has https, lost",
        );
        expect_service(
            &ports,
            "81",
            "pod 'web-0' does not have a named port 'nowhere'; of named ports it has http, dns, dns-tcp, statsd, admin, admin, mesh",
        );
        expect_service(
            &json!({"ports": [{"port": 80}]}),
            "http",
            "service 'web' does not have a named port 'http'; of named ports it has none",
        );
    }

    #[test]
    fn an_empty_name_is_that_of_the_unnamed_port() {
        let unnamed = json!({"ports": [{"port": 80, "targetPort": 8080}]});
        expect_service(&unnamed, "8888:", "8888:8080");
        expect_service(&unnamed, "0:", ":8080");
        expect_service(&unnamed, ":", "80:8080");
        expect_service(
            &json!({"ports": [{"name": "http", "port": 80}]}),
            "8888:",
            "service 'web' does not have a named port ''; of named ports it has http",
        );
    }

    #[test]
    fn a_headless_service_leads_to_its_own_numbers() {
        let headless = json!({"clusterIP": "None", "ports": [
            {"name": "https", "port": 443, "targetPort": 8443},
            {"name": "http", "port": 80, "targetPort": "nowhere"},
        ]});
        expect_service(&headless, "443 80", "443 80");
        expect_service(&headless, "https 1:http", "443 1:80");
        expect_service(
            &headless,
            "1234",
            "service 'web' does not have a service port 1234; of ports it has 443, 80",
        );
    }
}
