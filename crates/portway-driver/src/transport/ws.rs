use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use portway_proto::{Incoming, Side, Transmit, Violation, ws};

use super::frames::Frames;
use super::{Transport, TransportError, WRITE_BATCH, nonzero};
use crate::socket::ReadMemory;
use crate::{Socket, mask::MaskKeys};

/// WebSocket messages over a byte stream: the default transport.
///
/// Long and fragmented messages are passed on in pieces as they arrive. Memory: at most
/// twice `read_size` for reading, and at most [`Self::WRITE_BATCH`] plus one message for writing;
/// none once its owner has called [`release_memory`](Transport::release_memory) in a pause.
#[derive(Debug)]
pub struct WsTransport<S> {
    socket: S,
    decoder: ws::Decoder,
    inbox: ReadMemory,
    ended: bool,
    outbox: Outbox,
}

/// What waits to be written. A client copies, because it has to mask anyway; a server hands on the
/// session's own bytes.
#[derive(Debug)]
enum Outbox {
    /// Written only when full or when the session has no more, and filled only when empty: what is
    /// left of a partial write is never shifted.
    Masked {
        bytes: BytesMut,
        keys: Box<MaskKeys>,
        writing: bool,
        /// Memory for a whole batch is there.
        large: bool,
    },
    Plain(Frames),
}

impl<S: Socket> WsTransport<S> {
    /// Bytes that are gathered for one write.
    pub const WRITE_BATCH: usize = WRITE_BATCH;

    /// `leftover` was read behind the upgrade; messages may be of at most `max_message` bytes, and
    /// a read takes at most `read_size`.
    pub fn new(
        side: Side,
        socket: S,
        leftover: Bytes,
        max_message: usize,
        read_size: usize,
    ) -> Self {
        let outbox = match side {
            Side::Client => Outbox::Masked {
                bytes: BytesMut::new(),
                keys: Box::new(MaskKeys::new()),
                writing: false,
                large: false,
            },
            Side::Server => Outbox::Plain(Frames::default()),
        };
        Self {
            socket,
            decoder: ws::Decoder::new(side, max_message),
            inbox: ReadMemory::new(BytesMut::from(leftover), read_size),
            ended: false,
            outbox,
        }
    }
}

impl<S: Socket> Transport for WsTransport<S> {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Incoming>, TransportError>> {
        loop {
            let piece = self.decoder.decode(&mut self.inbox.bytes).map_err(Violation::from)?;
            if piece.is_some() || self.ended {
                return Poll::Ready(Ok(piece));
            }
            match self.socket.poll_read(cx, &mut self.inbox.buf(usize::MAX)) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(read)) => self.inbox.note(read),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    self.inbox.pause();
                    return Poll::Pending;
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        match &self.outbox {
            Outbox::Masked { bytes, writing, .. } => !writing && bytes.len() < Self::WRITE_BATCH,
            Outbox::Plain(frames) => frames.has_room(),
        }
    }

    fn send(&mut self, transmit: Transmit) {
        match &mut self.outbox {
            Outbox::Masked { bytes, keys, large, .. } => {
                // A large message is seldom alone: growing step by step would copy what is there.
                let batch = transmit.len() >= 16 * 1024;
                let room = if batch { Self::WRITE_BATCH } else { 0 };
                *large |= batch;
                if bytes.is_empty() {
                    bytes.reserve(room + transmit.len() + ws::MAX_OVERHEAD);
                }
                ws::encode_masked(&transmit, keys.next_key(), bytes);
            }
            Outbox::Plain(frames) => frames.push(ws::encode(transmit)),
        }
    }

    fn unsent(&self) -> usize {
        match &self.outbox {
            Outbox::Masked { bytes, .. } => bytes.len(),
            Outbox::Plain(frames) => frames.held(),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.outbox {
            Outbox::Masked { bytes, writing, large, .. } => {
                while !bytes.is_empty() {
                    *writing = true;
                    let slice = [IoSlice::new(bytes)];
                    let written = ready!(self.socket.poll_write_vectored(cx, &slice))?;
                    bytes.advance(nonzero(written)?);
                }
                // A batch's memory is used again: to give it back and take it anew every time makes
                // the allocator return it to the system.
                *writing = false;
                if !*large {
                    *bytes = BytesMut::new();
                }
            }
            Outbox::Plain(frames) => ready!(frames.poll_write(&mut self.socket, cx))?,
        }
        self.socket.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        self.socket.poll_shutdown_write(cx)
    }

    fn abort(&mut self) {
        self.socket.abort();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.socket.take_error()
    }

    fn keeps_memory(&self) -> bool {
        let batch = matches!(&self.outbox, Outbox::Masked { large, .. } if *large);
        batch || self.inbox.is_kept()
    }

    fn release_memory(&mut self) {
        self.inbox.release();
        if let Outbox::Masked { bytes, large, .. } = &mut self.outbox
            && bytes.is_empty()
        {
            *large = false;
            *bytes = BytesMut::new();
        }
    }
}
