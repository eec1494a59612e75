use std::time::Duration;

use portway_proto::Capabilities;

/// What the end of one direction does to the socket and to the other direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayRules {
    /// The peer's clean end becomes a FIN on the socket at once.
    pub pass_fin: bool,
    /// How long the other direction goes on after the first is over; `None` for as long as it likes.
    /// At a pod on v4 it is one second at most: the client cannot be told of a pod's end but by the
    /// end of the session.
    pub grace: Option<Duration>,
    /// Most bytes of one read from the socket.
    pub read_size: usize,
}

impl RelayRules {
    /// Most bytes of one read, unless a caller says otherwise: 512 KiB. What is moved at once decides
    /// how often a peer on another core is woken, and that costs more than the bytes
    /// (docs/PERFORMANCE.md).
    pub const READ_SIZE: usize = 512 * 1024;

    /// Both directions live for as long as they like, and a FIN is a FIN: right for a program, and
    /// for a pod whose runtime is better than today's.
    pub const FAITHFUL: Self = Self { pass_fin: true, grace: None, read_size: Self::READ_SIZE };

    /// What containerd and CRI-O do at the pod (protocol.md B.8): a client's end never becomes a
    /// FIN, and one second after either direction is over everything is.
    pub const RUNTIME: Self =
        Self { pass_fin: false, grace: Some(Self::GRACE), read_size: Self::READ_SIZE };

    /// The grace of today's runtimes.
    const GRACE: Duration = Duration::from_secs(1);

    /// The same at a pod whose end the client cannot be told: on v4 only the end of the session says
    /// it, so that a client which waits for it would wait for ever.
    pub(crate) fn at_pod(self, capabilities: Capabilities) -> Self {
        let bound = (!capabilities.remote_eof).then_some(Self::GRACE);
        let grace = [self.grace, bound].into_iter().flatten().min();
        Self { grace, ..self }
    }
}
