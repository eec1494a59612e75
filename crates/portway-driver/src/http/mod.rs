//! The upgrade, by hyper: the client's way through it, and the pieces that a server needs.

mod connector;
mod hyper_io;
mod hyper_socket;
mod upgrade;

pub use connector::{HttpConnector, InvalidServer};
pub use hyper_io::HyperIo;
pub use hyper_socket::HyperSocket;
