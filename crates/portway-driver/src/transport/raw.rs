use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use portway_proto::{Incoming, Kind, Transmit, ws::Frame};

use super::frames::Frames;
use super::{Transport, TransportError, WRITE_BATCH};
use crate::Socket;
use crate::socket::ReadMemory;

/// The bytes of a session with no WebSocket around them: plain SPDY (protocol.md C.2).
///
/// Messages have no bounds here: every read is one, and bodies are written from where they are. A
/// [`Kind::Close`] has no bytes either: it ends our direction, after everything before it. Memory: at
/// most twice `read_size` for reading, and the session's own bytes for writing; none once its owner
/// has called [`release_memory`](Transport::release_memory) in a pause.
#[derive(Debug)]
pub struct RawTransport<S> {
    socket: S,
    inbox: ReadMemory,
    outbox: Frames,
    ours: Direction,
}

/// Our direction of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Open,
    /// It ends after what is still to be written.
    Ending,
    Ended,
}

impl<S: Socket> RawTransport<S> {
    /// Bytes that are gathered for one write.
    pub const WRITE_BATCH: usize = WRITE_BATCH;

    /// `leftover` was read behind the upgrade; a read takes at most `read_size`.
    pub fn new(socket: S, leftover: Bytes, read_size: usize) -> Self {
        Self {
            socket,
            inbox: ReadMemory::new(BytesMut::from(leftover), read_size),
            outbox: Frames::default(),
            ours: Direction::Open,
        }
    }
}

impl<S: Socket> Transport for RawTransport<S> {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Incoming>, TransportError>> {
        if self.inbox.bytes.is_empty() {
            match self.socket.poll_read(cx, &mut self.inbox.buf(usize::MAX)) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(read)) => self.inbox.note(read),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    self.inbox.pause();
                    return Poll::Pending;
                }
            }
        }
        let bytes = self.inbox.bytes.split().freeze();
        Poll::Ready(Ok(Some(Incoming::Binary { bytes, end: true })))
    }

    fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    fn send(&mut self, transmit: Transmit) {
        debug_assert!(self.ours == Direction::Open, "a message after the last one");
        match transmit.kind() {
            Kind::Binary => self.outbox.push(Frame::bare(transmit)),
            Kind::Close => self.ours = Direction::Ending,
            kind @ (Kind::Text | Kind::Ping | Kind::Pong | _) => {
                debug_assert!(false, "{kind:?} has no form without a WebSocket");
            }
        }
    }

    fn unsent(&self) -> usize {
        self.outbox.held()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ours == Direction::Ending {
            return self.poll_shutdown(cx);
        }
        ready!(self.outbox.poll_write(&mut self.socket, cx))?;
        self.socket.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ours == Direction::Ended {
            return Poll::Ready(Ok(()));
        }
        ready!(self.outbox.poll_write(&mut self.socket, cx))?;
        ready!(self.socket.poll_flush(cx))?;
        ready!(self.socket.poll_shutdown_write(cx))?;
        self.ours = Direction::Ended;
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self) {
        self.socket.abort();
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.socket.take_error()
    }

    fn keeps_memory(&self) -> bool {
        self.inbox.is_kept()
    }

    fn release_memory(&mut self) {
        self.inbox.release();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::IoSlice;
    use std::task::Waker;

    use portway_proto::CloseFrame;

    use super::*;
    use crate::ReadBuf;

    /// Hands out `reads`, takes `room` bytes in writes of at most `at_once`, and notes the order of
    /// what it was told.
    #[derive(Default)]
    struct Script {
        reads: VecDeque<&'static [u8]>,
        room: usize,
        at_once: usize,
        written: Vec<u8>,
        slices: usize,
        shutdowns: usize,
        /// What was written before the end of our direction.
        at_shutdown: Option<usize>,
    }

    impl Socket for Script {
        fn poll_read(
            &mut self,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<usize>> {
            let Some(piece) = self.reads.pop_front() else { return Poll::Pending };
            let read = |space: &mut [u8]| {
                space[..piece.len()].copy_from_slice(piece);
                Ok(piece.len())
            };
            Poll::Ready(buf.fill(read))
        }

        fn poll_write_vectored(
            &mut self,
            _: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            if self.room == 0 {
                return Poll::Pending;
            }
            self.slices = self.slices.max(bufs.len());
            let whole: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            let taken = whole.len().min(self.at_once).min(self.room);
            self.room -= taken;
            self.written.extend_from_slice(&whole[..taken]);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.shutdowns += 1;
            self.at_shutdown = Some(self.written.len());
            Poll::Ready(Ok(()))
        }

        fn abort(&mut self) {}
    }

    fn noop() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn raw(script: Script, leftover: &'static [u8]) -> RawTransport<Script> {
        RawTransport::new(script, Bytes::from_static(leftover), 64 * 1024)
    }

    fn received(transport: &mut RawTransport<Script>) -> Vec<Option<Bytes>> {
        let mut all = Vec::new();
        while let Poll::Ready(piece) = transport.poll_receive(&mut noop()) {
            all.push(piece.unwrap().map(|piece| match piece {
                Incoming::Binary { bytes, end: true } => bytes,
                other @ (Incoming::Binary { .. }
                | Incoming::Text { .. }
                | Incoming::Ping(_)
                | Incoming::Pong(_)
                | Incoming::Close(_)
                | _) => panic!("{other:?}"),
            }));
        }
        all
    }

    fn message(head: u8, body: &'static [u8]) -> Transmit {
        Transmit::with_head(Kind::Binary, [head], Bytes::from_static(body))
    }

    fn goodbye() -> Transmit {
        Transmit::close(&CloseFrame::new(CloseFrame::NORMAL, "bye"))
    }

    #[test]
    fn every_read_is_a_message_and_the_end_is_an_end() {
        let reads = [&b"\x80\x03\0"[..], b"\x02rest", b""].into();
        let mut transport = raw(Script { reads, ..Script::default() }, b"left");
        let expected = [&b"left"[..], b"\x80\x03\0", b"\x02rest"];
        let mut expected: Vec<_> = expected.map(|read| Some(Bytes::from_static(read))).into();
        expected.push(None);
        assert_eq!(received(&mut transport), expected);
    }

    #[test]
    fn messages_are_written_one_behind_the_other_however_little_is_taken() {
        for at_once in 1..=13 {
            let mut transport = raw(Script { at_once, room: 5, ..Script::default() }, b"");
            transport.send(message(1, b"one"));
            transport.send(message(2, b""));
            transport.send(message(3, b"three"));
            assert!(transport.poll_flush(&mut noop()).is_pending());
            transport.socket.room = usize::MAX;
            transport.send(Transmit::new(Kind::Binary, Bytes::from_static(b"end")));
            assert!(transport.poll_flush(&mut noop()).is_ready());
            assert_eq!(transport.socket.written, b"\x01one\x02\x03threeend");
            assert_eq!(transport.socket.shutdowns, 0);
        }
    }

    #[test]
    fn bodies_are_written_from_where_they_are_in_one_go() {
        let mut transport =
            raw(Script { at_once: usize::MAX, room: usize::MAX, ..Script::default() }, b"");
        for head in 0..3 {
            transport.send(message(head, b"body"));
        }
        assert!(transport.poll_flush(&mut noop()).is_ready());
        assert_eq!(transport.socket.slices, 6);
    }

    #[test]
    fn a_message_of_nothing_does_not_stall_the_rest() {
        let mut transport = raw(Script { at_once: 9, room: 9, ..Script::default() }, b"");
        let empty = || Transmit::new(Kind::Binary, Bytes::new());
        transport.send(empty());
        assert!(transport.poll_flush(&mut noop()).is_ready());
        transport.send(empty());
        transport.send(message(1, b""));
        transport.send(empty());
        assert!(transport.poll_flush(&mut noop()).is_ready());
        assert_eq!(transport.socket.written, b"\x01");
    }

    #[test]
    fn a_close_has_no_bytes_and_ends_our_direction_once_behind_the_last_byte() {
        let mut transport = raw(Script { at_once: 2, room: 3, ..Script::default() }, b"");
        transport.send(message(1, b"one"));
        transport.send(goodbye());
        assert!(transport.poll_flush(&mut noop()).is_pending());
        assert_eq!(transport.socket.at_shutdown, None);
        transport.socket.room = 9;
        assert!(transport.poll_flush(&mut noop()).is_ready());
        assert_eq!(transport.socket.at_shutdown, Some(4));
        assert!(transport.poll_flush(&mut noop()).is_ready());
        assert!(transport.poll_shutdown(&mut noop()).is_ready());
        assert_eq!(
            (transport.socket.shutdowns, &transport.socket.written[..]),
            (1, &b"\x01one"[..])
        );
    }

    #[test]
    fn a_shutdown_waits_for_the_last_byte() {
        let mut transport = raw(Script { at_once: 2, room: 3, ..Script::default() }, b"");
        transport.send(message(1, b"one"));
        assert!(transport.poll_shutdown(&mut noop()).is_pending());
        assert_eq!(transport.socket.at_shutdown, None);
        transport.socket.room = 9;
        assert!(transport.poll_shutdown(&mut noop()).is_ready());
        assert_eq!(transport.socket.at_shutdown, Some(4));
    }

    #[test]
    fn a_batch_bounds_what_is_held() {
        let mut transport = raw(Script::default(), b"");
        let half = Bytes::from(vec![0; RawTransport::<Script>::WRITE_BATCH / 2]);
        transport.send(Transmit::new(Kind::Binary, half.clone()));
        assert!(transport.has_room());
        transport.send(Transmit::new(Kind::Binary, half));
        assert!(!transport.has_room());
    }

    #[test]
    fn an_idle_connection_holds_no_memory() {
        static MUCH: [u8; 8 * 1024] = [7; 8 * 1024];
        let reads = [&MUCH[..], &MUCH].into();
        let mut transport = raw(Script { reads, ..Script::default() }, b"");
        drop(received(&mut transport));
        assert!(transport.keeps_memory());
        transport.release_memory();
        assert!(!transport.keeps_memory());
        assert_eq!(transport.inbox.bytes.capacity(), 0);
    }
}
