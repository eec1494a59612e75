use crate::LocalAddr;

#[cfg(unix)]
use super::socket_file::SocketFile;

/// An address that is open.
pub(crate) struct Opened<L> {
    pub(crate) local: LocalAddr,
    /// Before the listener, because it is dropped first: as long as that lives, no other file can get the
    /// number by which ours is known.
    #[cfg(unix)]
    pub(crate) _file: Option<SocketFile>,
    pub(crate) listener: L,
}

impl<L> Opened<L> {
    /// A port.
    pub(crate) fn port(local: std::net::SocketAddr, listener: L) -> Self {
        Self {
            local: local.into(),
            #[cfg(unix)]
            _file: None,
            listener,
        }
    }
}
