//! What `deployment/web 8080:http` means: kubectl's rules, without I/O.
//!
//! Whoever talks to the API server (with kube, with HTTP, in a test) reads objects and gives them to this
//! crate, which says which pod of several is meant ([`best_pod`]) and to which port of it a [`PortSpec`]
//! leads ([`pod_ports`], [`service_ports`]). The objects are small structs of its own
//! ([`object`]) that are read out of the API server's JSON and know no more than the rules need.
//!
//! The rules are those of `kubectl port-forward` (protocol.md E.1 to E.3); what differs is said where it
//! does.
//!
//! ```
//! use portway_resolve::object::{Pod, Service};
//! use portway_resolve::{PortSpec, Selector, best_pod, service_ports};
//!
//! let service: Service = serde_json::from_str(
//!     r#"{"metadata": {"name": "web"},
//!         "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}}"#,
//! )?;
//! assert_eq!(Selector::of_service(&service)?.to_string(), "app=web");
//! // With that, the API server is asked for the pods:
//! let pods: Vec<Pod> = serde_json::from_str(
//!     r#"[{"metadata": {"name": "web-0"}, "status": {"phase": "Pending"}},
//!         {"metadata": {"name": "web-1"}, "status": {"phase": "Running"},
//!          "spec": {"nodeName": "node", "containers": [
//!              {"ports": [{"name": "http", "containerPort": 8080}]}]}}]"#,
//! )?;
//! let pod = best_pod(&pods).expect("there is one");
//! assert_eq!(pod.metadata.name, "web-1");
//! let mapped = service_ports(&service, pod, &["80".parse::<PortSpec>()?])?;
//! assert_eq!((mapped[0].local, mapped[0].remote.get()), (80, 8080));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod choice;
mod kind;
pub mod object;
mod port_spec;
mod ports;
mod selector;
mod target;

pub use choice::{NotRunning, best_pod, check_running};
pub use kind::Kind;
pub use port_spec::{InvalidPortSpec, LocalPort, PortSpec, RemotePort};
pub use ports::{PortError, PortMapping, pod_ports, service_ports};
pub use portway_proto::Port;
pub use selector::{InvalidSelector, NoSelector, Selector};
pub use target::{InvalidTarget, Target};
