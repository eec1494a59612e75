//! The upgrade, by hyper: the client's way through it, and the pieces that a server needs.

mod connector;
mod hyper_io;
mod hyper_socket;
mod proxy;
mod server;
mod upgrade;

pub use connector::HttpConnector;
pub use hyper_io::HyperIo;
pub use hyper_socket::HyperSocket;
pub use proxy::{TunnelError, tunnel_over};
pub use server::{InvalidServer, ServerUrl};
pub use upgrade::upgrade_over;
