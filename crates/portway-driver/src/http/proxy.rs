use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, StatusCode};
use portway_proto::printable;

use super::upgrade::{Broken, Switch, switch};
use crate::{Addr, Runtime, Socket};

/// Asks an HTTP proxy, over a fresh connection to it, for a connection to `to` (the method CONNECT), and
/// takes the connection back when it leads there. `proxy` is what errors call it. Takes as long as the
/// proxy does: the caller bounds it.
///
/// # Errors
/// The proxy did not do it.
pub async fn tunnel_over<R: Runtime, S: Socket>(
    runtime: &R,
    io: S,
    proxy: &str,
    to: &Addr,
    authorization: Option<HeaderValue>,
) -> Result<S, TunnelError> {
    let to = to.to_string();
    let proxy = proxy.to_owned();
    let broken =
        |problem: &str| TunnelError::Http { proxy: proxy.clone(), problem: problem.to_owned() };
    let host = HeaderValue::from_str(&to).map_err(|_| broken("no host to ask for"))?;
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = to.parse().map_err(|_| broken("no host to ask for"))?;
    request.headers_mut().insert(HOST, host);
    if let Some(authorization) = authorization {
        request.headers_mut().insert(PROXY_AUTHORIZATION, authorization);
    }
    match switch(runtime, io, request).await {
        Ok(Switch::Switched { io, leftover, .. }) if leftover.is_empty() => Ok(io),
        // Whoever is behind it waits for us to speak first.
        Ok(Switch::Switched { .. }) => Err(broken("it speaks before it was spoken to")),
        Ok(Switch::Answered { head, body }) => Err(TunnelError::Refused {
            proxy,
            to,
            status: head.status,
            message: printable(String::from_utf8_lossy(&body).trim()).limit(200).to_string(),
        }),
        Err(Broken(problem)) => Err(TunnelError::Http { proxy, problem }),
    }
}

/// Why a proxy opened no way.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// The proxy said no.
    #[error("the proxy {proxy} does not connect to {to}: {status}{}", because(*.status, .message))]
    Refused {
        /// The proxy.
        proxy: String,
        /// Where to.
        to: String,
        /// What it said.
        status: StatusCode,
        /// And in words, without control characters.
        message: String,
    },
    /// What the proxy said is not HTTP, or it hung up in the middle.
    #[error("the proxy {proxy} did not answer in HTTP: {problem}; is it a proxy?")]
    Http {
        /// The proxy.
        proxy: String,
        /// What was wrong with it.
        problem: String,
    },
}

/// Pages say less than the status.
fn because(status: StatusCode, message: &str) -> String {
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return "; put a user and a password into the proxy's address".to_owned();
    }
    if message.is_empty() || message.starts_with('<') {
        return String::new();
    }
    format!(": {message}")
}
