use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use portway_proto::Port;

use super::mapping::{Local, addresses};
use super::opened::Opened;
use crate::{Listener, LocalAddr, Mapping, Net};

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
        address: LocalAddr,
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
) -> Result<Vec<Opened<N::Listener>>, ListenError> {
    let remote = mapping.remote();
    match mapping.local() {
        Local::Port(port, on) => bind_port(net, *port, on, remote).await,
        Local::Unix(path) => match bind_unix(net, path) {
            Ok(opened) => Ok(vec![opened]),
            Err(source) => {
                let address = LocalAddr::Unix(Arc::clone(path));
                Err(ListenError::Bind { address, remote, source })
            }
        },
    }
}

async fn bind_port<N: Net>(
    net: &N,
    port: u16,
    on: &[IpAddr],
    remote: Port,
) -> Result<Vec<Opened<N::Listener>>, ListenError> {
    /// A free port of the first address may be taken on the second; another one is tried then.
    const ATTEMPTS: usize = 16;
    let mut attempt = 1;
    loop {
        match bind_port_once(net, port, on, remote).await {
            Err(error) if is_collision(&error, port) && attempt < ATTEMPTS => attempt += 1,
            result => return result,
        }
    }
}

async fn bind_port_once<N: Net>(
    net: &N,
    asked: u16,
    on: &[IpAddr],
    remote: Port,
) -> Result<Vec<Opened<N::Listener>>, ListenError> {
    let (addresses, one_is_enough) = addresses(on);
    let mut port = asked;
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
                open.push(Opened::port(local, listener));
            }
            Err(source) => {
                let error = ListenError::Bind { address: address.into(), remote, source };
                if !one_is_enough || is_collision(&error, asked) {
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
fn is_collision(error: &ListenError, asked: u16) -> bool {
    let ListenError::Bind { source, .. } = error else { return false };
    asked == 0 && source.kind() == io::ErrorKind::AddrInUse
}

#[cfg(unix)]
fn bind_unix<N: Net>(net: &N, path: &Arc<Path>) -> io::Result<Opened<N::Listener>> {
    let (listener, file) = super::socket_file::SocketFile::listen(path)?;
    let local = LocalAddr::Unix(Arc::clone(path));
    Ok(Opened { local, _file: Some(file), listener: net.adopt_unix(listener)? })
}

#[cfg(not(unix))]
fn bind_unix<N: Net>(_: &N, _: &Arc<Path>) -> io::Result<Opened<N::Listener>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "there are no unix sockets on this system"))
}
