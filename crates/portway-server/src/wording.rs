//! The words in which a kubelet and the runtime behind it tell a client what went wrong at the pod
//! (protocol.md B.8): those of Go, in which all of them are written.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use portway_driver::{Port, SocketUse};

/// What arrives on the error channel. The UID is always empty there, as behind a container runtime.
pub(crate) fn forwarding(port: Port, pod: &str, cause: &str) -> String {
    format!("error forwarding port {port} to pod {pod}, uid : {cause}")
}

/// The pod does not take a connection.
pub(crate) fn connecting(port: Port, to: SocketAddr, error: &io::Error) -> String {
    let call = if error.kind() == ErrorKind::TimedOut { "" } else { "connect: " };
    let (network, cause) = (network(to), cause(error));
    format!(
        "failed to connect to localhost:{port} inside namespace: dial {network} {to}: {call}{cause}"
    )
}

/// The pod did not answer in the time that we give it.
pub(crate) fn too_slow(port: Port) -> String {
    format!("failed to connect to localhost:{port} inside namespace: i/o timeout")
}

/// The connection into the pod broke.
pub(crate) fn copying(
    during: SocketUse,
    addresses: Option<(SocketAddr, SocketAddr)>,
    error: &io::Error,
) -> String {
    let (copy, call) = match during {
        SocketUse::Read => ("writeto", "read"),
        SocketUse::Write => ("readfrom", "write"),
    };
    let cause = cause(error);
    let Some((local, pod)) = addresses else { return format!("{call}: {cause}") };
    let network = network(pod);
    format!("{copy} {network} {local}->{pod}: {call} {network} {local}->{pod}: {call}: {cause}")
}

fn network(addr: SocketAddr) -> &'static str {
    if addr.is_ipv4() { "tcp4" } else { "tcp6" }
}

/// The system's text for an error, the same on every system.
fn cause(error: &io::Error) -> String {
    let known = CAUSES.iter().find(|(kind, _)| *kind == error.kind());
    known.map_or_else(|| error.to_string(), |(_, text)| (*text).to_owned())
}

const CAUSES: &[(ErrorKind, &str)] = &[
    (ErrorKind::ConnectionRefused, "connection refused"),
    (ErrorKind::ConnectionReset, "connection reset by peer"),
    (ErrorKind::ConnectionAborted, "software caused connection abort"),
    (ErrorKind::BrokenPipe, "broken pipe"),
    (ErrorKind::NotConnected, "transport endpoint is not connected"),
    (ErrorKind::AddrNotAvailable, "cannot assign requested address"),
    (ErrorKind::NetworkUnreachable, "network is unreachable"),
    (ErrorKind::HostUnreachable, "no route to host"),
    (ErrorKind::PermissionDenied, "permission denied"),
    (ErrorKind::TimedOut, "i/o timeout"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_go() {
        let port = Port::new(80).unwrap();
        let to: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let six: SocketAddr = "[::1]:80".parse().unwrap();
        assert_eq!(
            connecting(port, to, &ErrorKind::ConnectionRefused.into()),
            "failed to connect to localhost:80 inside namespace: dial tcp4 127.0.0.1:80: connect: connection refused"
        );
        assert_eq!(
            connecting(port, six, &ErrorKind::TimedOut.into()),
            "failed to connect to localhost:80 inside namespace: dial tcp6 [::1]:80: i/o timeout"
        );
        assert_eq!(
            copying(SocketUse::Write, Some((to, to)), &ErrorKind::BrokenPipe.into()),
            "readfrom tcp4 127.0.0.1:80->127.0.0.1:80: write tcp4 127.0.0.1:80->127.0.0.1:80: write: broken pipe"
        );
        assert_eq!(
            copying(SocketUse::Read, None, &ErrorKind::ConnectionReset.into()),
            "read: connection reset by peer"
        );
        assert_eq!(
            forwarding(port, "web-0", "x"),
            "error forwarding port 80 to pod web-0, uid : x"
        );
    }
}
