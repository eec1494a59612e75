//! The way to an API server.

mod answer;
mod failure;
mod proxy;
mod server;
mod socket;
mod token;

pub use answer::{Answer, CutShort};
pub use proxy::{InvalidProxy, Proxy};
pub use server::{ApiServer, ApiServerError};
pub use socket::ApiSocket;
pub use token::{Token, TokenError};
