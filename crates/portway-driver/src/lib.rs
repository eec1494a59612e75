//! The one async driver of portway: sockets, timers and tasks for the port-forward state machine of
//! [`portway-proto`](portway_proto), on any runtime.
//!
//! Programs use it through `portway`, or through the crate of their runtime alone (`portway-tokio`,
//! `portway-smol`, `portway-async-std`): each re-exports all of it. The verbs are in [`PortForward`]:
//!
//! - [`listen`](PortForward::listen) opens real local ports. Every program that connects gets a session
//!   to itself; errors end their own connection and nothing else.
//! - [`forward`](PortForward::forward) opens one session and hands out a [`PortStream`] for each port,
//!   with no local port.
//!
//! # Seams
//!
//! | trait | what it is | who brings it |
//! |---|---|---|
//! | [`Runtime`] | now, sleep, spawn | the crate of a runtime, a simulator |
//! | [`Net`], [`Listener`] | connect, bind, accept | the same |
//! | [`Socket`] | read, vectored write, end of our direction, abort | the same; TLS; anything upgraded |
//! | [`Connector`] | which pod, and an upgraded connection to it | [`HttpConnector`]; kube; tests |
//! | [`Transport`] | a pipe of messages below a session | [`WireTransport`]: [`WsTransport`], [`RawTransport`] |
//!
//! # Tracing
//!
//! Spans and events by `tracing`: a span `connection` (debug) for each local connection with its number
//! and addresses, debug events for its end, warnings for what an operator should know. Payloads are
//! never logged, nor are request headers.

mod bridge;
mod connection;
mod connector;
mod dial;
mod forward;
mod http;
mod lifecycle;
mod listen;
mod mask;
mod negotiation;
mod net;
mod notice;
mod options;
mod pool;
mod ready;
mod relay;
mod relays;
mod runtime;
mod signal;
mod socket;
mod transport;
mod verbs;

pub use bridge::{Bridge, BridgeReport, Meter};
pub use connector::{ConnectError, Connector, DialError, Endpoint, ResolveError, Upgraded};
pub use forward::{Forward, PortStream};
pub use http::{
    HttpConnector, HyperIo, HyperSocket, InvalidServer, ServerUrl, TunnelError, tunnel_over,
    upgrade_over,
};
pub use lifecycle::{Lifecycle, Presence};
pub use listen::{
    Bound, Counters, Events, Leftover, ListenError, ListenEvent, ListenStats, Listening, Mapping,
    Probe, SessionOrigin, TargetEvent, TargetSink,
};
pub use negotiation::{Attempt, InvalidProtocol, NegotiationError, Protocol, Remembered};
pub use net::{Addr, Listener, LocalAddr, Net, listening_socket};
pub use options::Options;
pub use pool::Sessions;
pub use portway_proto as proto;
pub use portway_proto::{Config, Port, WireForm};
pub use relay::{
    PodSocket, RelayFailure, RelayReport, RelayRules, RelayTotals, SocketUse, Wording,
};
pub use relays::DialPod;
pub use runtime::{Elapsed, Runtime, Sleep, after, until};
pub use socket::{ReadBuf, Socket};
pub use transport::{RawTransport, Transport, TransportError, WireTransport, WsTransport};
pub use verbs::PortForward;
