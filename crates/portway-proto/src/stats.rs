use std::time::Duration;

/// Counters of one session since it began. Bytes are payload as the application sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes of data received for streams, whether or not somebody read them.
    pub bytes_in: u64,
    /// Bytes of data handed to the transport.
    pub bytes_out: u64,
    /// Data messages begun by the peer.
    pub messages_in: u64,
    /// Data messages handed to the transport.
    pub messages_out: u64,
    /// Empty messages: keep-alives of the other side.
    pub ignored_empty: u64,
    /// Messages on a channel that was never asked for.
    pub ignored_channel: u64,
    /// SPDY frames that mean nothing here: SETTINGS, WINDOW_UPDATE, HEADERS and unknown ones.
    pub ignored_frames: u64,
    /// Bytes for a stream that is over, or written by a client to an error channel.
    pub ignored_late: u64,
    /// Times that a slow consumer stopped the reading of the transport.
    pub pauses: u64,
    /// Streams given up because their consumer was too slow.
    pub overflows: u64,
    /// Keep-alive pings sent.
    pub pings: u64,
    /// Pongs received.
    pub pongs: u64,
    /// How long the latest answered ping took, from the transport's taking it to its answer.
    pub round_trip: Option<Duration>,
    /// Bytes held now: received and not consumed, taken and not sent, error texts.
    pub buffered: usize,
}
