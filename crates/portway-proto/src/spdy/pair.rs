use bytes::{BufMut, BytesMut};

use super::{HeaderEncoder, data_head, put_ping, put_rst_stream, put_syn_reply, status};
use crate::Port;

/// What one forwarded connection is on the wire: a data stream and an error stream, which carry the
/// same request id (protocol.md C.5).
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) error: Option<Half>,
    pub(super) data: Option<Half>,
    /// Server: how the client calls the pair, until both halves are there.
    pub(super) request: Option<Box<[u8]>>,
}

/// Which of the two streams of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Error,
    Data,
}

/// One SPDY stream.
#[derive(Debug)]
pub(super) struct Half {
    /// Its number on the wire.
    pub(super) stream: u32,
    /// As the opening asked for; of the two it is the data stream's that counts.
    pub(super) port: Port,
    /// The other side knows of it.
    pub(super) replied: bool,
    /// What we said about the end of our direction.
    pub(super) ours: End,
    /// What the peer said about the end of its direction.
    pub(super) theirs: End,
}

/// How a direction of a stream ended, if it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Fin,
    Reset,
}

/// A frame that is owed and carries no data of a stream: these go before everything else.
#[derive(Debug)]
pub(super) enum Answer {
    Reply { stream: u32 },
    Text { stream: u32, text: String },
    Fin { stream: u32 },
    Reset { stream: u32, status: u32 },
    Pong { id: u32 },
}

impl Answer {
    /// Appends its bytes. They are owed in this order, since `headers` is one stream for all of them.
    pub(super) fn put(self, headers: &mut HeaderEncoder, out: &mut BytesMut) {
        match self {
            Self::Reply { stream } => {
                let mut block = BytesMut::new();
                headers.encode(&[], &mut block);
                put_syn_reply(out, stream, false, &block);
            }
            Self::Text { stream, text } => {
                out.put_slice(&data_head(stream, text.len(), false));
                out.put_slice(text.as_bytes());
            }
            Self::Fin { stream } => out.put_slice(&data_head(stream, 0, true)),
            Self::Reset { stream, status } => put_rst_stream(out, stream, status),
            Self::Pong { id } => put_ping(out, id),
        }
    }
}

impl Pair {
    pub(super) const fn new() -> Self {
        Self { error: None, data: None, request: None }
    }

    pub(super) const fn half(&self, lane: Lane) -> Option<&Half> {
        match lane {
            Lane::Error => self.error.as_ref(),
            Lane::Data => self.data.as_ref(),
        }
    }

    pub(super) const fn half_mut(&mut self, lane: Lane) -> &mut Option<Half> {
        match lane {
            Lane::Error => &mut self.error,
            Lane::Data => &mut self.data,
        }
    }

    /// The data stream before the error stream, as in C.6.
    pub(super) fn halves(&self) -> impl Iterator<Item = &Half> {
        self.data.iter().chain(&self.error)
    }

    pub(super) fn halves_mut(&mut self) -> impl Iterator<Item = &mut Half> {
        self.data.iter_mut().chain(&mut self.error)
    }

    pub(super) fn is_replied(&self) -> bool {
        self.halves().all(|half| half.replied)
    }

    /// How the peer ended the data, if it did.
    pub(super) fn data_end(&self) -> End {
        self.data.as_ref().map_or(End::Open, |half| half.theirs)
    }

    pub(super) fn error_is_over(&self) -> bool {
        self.error.as_ref().is_some_and(|half| half.theirs.is_over())
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.data.is_some() && self.error.is_some()
    }
}

impl Half {
    pub(super) const fn new(stream: u32, port: Port) -> Self {
        Self { stream, port, replied: false, ours: End::Open, theirs: End::Open }
    }

    /// Ends our direction, if it is open.
    pub(super) fn finish(&mut self) -> Option<Answer> {
        if self.ours.is_over() {
            return None;
        }
        self.ours = End::Fin;
        Some(Answer::Fin { stream: self.stream })
    }

    /// Gives the stream up, unless both sides have ended it.
    pub(super) fn reset(&mut self) -> Option<Answer> {
        let over = self.ours == End::Reset
            || self.theirs == End::Reset
            || (self.ours.is_over() && self.theirs.is_over());
        self.ours = End::Reset;
        (!over).then_some(Answer::Reset { stream: self.stream, status: status::CANCEL })
    }
}

impl End {
    pub(super) const fn is_over(self) -> bool {
        !matches!(self, Self::Open)
    }
}
