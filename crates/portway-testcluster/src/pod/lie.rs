use http::StatusCode;

/// What is wrong with a pod whose object says that all is well. See [`Pod::lie`](crate::Pod::lie).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lie {
    /// Nothing listens any more: every connection is refused, in the words of a container runtime.
    Refuses,
    /// Connections are taken and nothing is ever said: no answer, no end.
    Hangs,
    /// Connections end as soon as they stand.
    Ends,
    /// Connections are reset once the pod has said so many bytes, in the middle of whatever it was.
    ResetsAfter(u64),
    /// It is gone from its node, which answers as a kubelet does: 404, `pod does not exist`.
    Gone,
    /// Whoever wants to forward to it gets this answer, a line of text as from a kubelet.
    Answers(StatusCode, String),
    /// Whoever wants to forward to it gets no answer, until the server's patience is over.
    Silent,
}
