use std::io;
use std::net::SocketAddr;

use portway_proto::Port;

use crate::{Listener, Mapping, Net};

/// Why a local port could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Nothing to listen on.
    #[error("no port to listen on was given")]
    Nothing,
    /// The system refused an address.
    #[error("cannot listen on {address} for port {remote} of the pod: {source}")]
    Bind {
        /// The local address, with port 0 where a free one was asked for.
        address: SocketAddr,
        /// The port in the pod.
        remote: Port,
        /// What the system said.
        source: io::Error,
    },
}

/// Opens the addresses of one mapping, with the same port on all.
pub(crate) async fn bind<N: Net>(
    net: &N,
    mapping: &Mapping,
) -> Result<Vec<(SocketAddr, N::Listener)>, ListenError> {
    /// A free port of the first address may be taken on the second; another one is tried then.
    const ATTEMPTS: usize = 16;
    let mut attempt = 1;
    loop {
        match bind_once(net, mapping).await {
            Err(ListenError::Bind { source, .. })
                if mapping.local() == 0
                    && source.kind() == io::ErrorKind::AddrInUse
                    && attempt < ATTEMPTS =>
            {
                attempt += 1;
            }
            result => return result,
        }
    }
}

async fn bind_once<N: Net>(
    net: &N,
    mapping: &Mapping,
) -> Result<Vec<(SocketAddr, N::Listener)>, ListenError> {
    let (addresses, one_is_enough) = mapping.addresses();
    let mut port = mapping.local();
    let mut open = Vec::new();
    let mut refused = None;
    for ip in addresses {
        let address = SocketAddr::new(ip, port);
        let result = match net.bind(address).await {
            Ok(listener) => listener.local_addr().map(|local| (local, listener)),
            Err(error) => Err(error),
        };
        match result {
            Ok((local, listener)) => {
                // The port that the first address got is the port of all.
                port = local.port();
                open.push((local, listener));
            }
            Err(source) => {
                let error = ListenError::Bind { address, remote: mapping.remote(), source };
                if !one_is_enough || is_collision(&error, mapping) {
                    return Err(error);
                }
                tracing::debug!(%error, "one address of localhost is left out");
                refused = refused.or(Some(error));
            }
        }
    }
    match refused {
        Some(error) if open.is_empty() => Err(error),
        _ => Ok(open),
    }
}

/// The free port of the first address is not free here: worth another try, where a machine that
/// has no IPv6 is not.
fn is_collision(error: &ListenError, mapping: &Mapping) -> bool {
    let ListenError::Bind { source, .. } = error else { return false };
    mapping.local() == 0 && source.kind() == io::ErrorKind::AddrInUse
}
