//! Forwards to targets that stay up: services, deployments and whatever else pods stand behind, while
//! the pods come and go.
//!
//! Whoever can talk to an API server implements [`Api`], two methods with no policy in them: a client
//! with its credentials, its certificates and its proxies.

mod api;

pub use api::{Api, ApiError};
