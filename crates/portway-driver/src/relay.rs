use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use portway_proto::{ReadError, Session, StreamError, StreamId, WriteError};

use crate::Socket;
use crate::connection::Moved;
use crate::socket::ReadMemory;

/// Moves bytes between one socket and one stream, both ways, until both are over.
///
/// The two directions know nothing of each other but their ends. Everything received is written to
/// the socket first; then FIN after a clean end, RST after any other.
#[derive(Debug)]
pub(crate) struct Relay<S> {
    id: StreamId,
    socket: Option<S>,
    rules: RelayRules,
    inward: Inward,
    outward: Outward,
    memory: ReadMemory,
    /// Read from the session and not written to the socket yet.
    in_hand: VecDeque<Bytes>,
    /// When what is left of the other direction is given up.
    give_up: Option<Instant>,
    report: RelayReport,
}

/// What the end of one direction does to the socket and to the other direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayRules {
    /// The peer's clean end becomes a FIN on the socket at once.
    pub pass_fin: bool,
    /// How long the other direction goes on after the first is over; `None` for as long as it likes.
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
        Self { pass_fin: false, grace: Some(Duration::from_secs(1)), read_size: Self::READ_SIZE };
}

/// Socket to session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inward {
    Open,
    /// The stream takes no more; what the socket still sends is read and dropped, because closing
    /// over unread bytes would turn the FIN behind our data into an RST that can overtake it.
    Discarding,
    Over,
}

/// Session to socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outward {
    Open,
    /// Everything is written; the FIN is next.
    Finishing,
    Over,
}

/// How one forwarded connection went.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RelayReport {
    /// Bytes from the socket, towards the peer.
    pub bytes_up: u64,
    /// Bytes to the socket, from the peer.
    pub bytes_down: u64,
    /// What went wrong, if anything did.
    pub failure: Option<RelayFailure>,
}

/// What went wrong with one forwarded connection.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RelayFailure {
    /// The stream failed, or the session under it.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The socket broke: its program reset or closed the connection before it had everything.
    #[error("the local connection was lost: {0}")]
    Socket(io::ErrorKind),
    /// Server: the pod could not be reached; the client was told so in these words.
    #[error("{0}")]
    Refused(String),
    /// We were told to stop.
    #[error("the connection was aborted by a shutdown")]
    Aborted,
}

impl<S: Socket> Relay<S> {
    pub(crate) fn new(id: StreamId, socket: S, rules: RelayRules) -> Self {
        Self::with(id, Some(socket), rules)
    }

    fn with(id: StreamId, socket: Option<S>, rules: RelayRules) -> Self {
        Self {
            id,
            socket,
            rules,
            inward: Inward::Open,
            outward: Outward::Open,
            memory: ReadMemory::new(BytesMut::new(), rules.read_size),
            in_hand: VecDeque::new(),
            give_up: None,
            report: RelayReport::default(),
        }
    }

    /// A stream whose socket could not be had.
    pub(crate) fn refused(id: StreamId, rules: RelayRules, why: String) -> Self {
        let mut relay = Self::with(id, None, rules);
        relay.report.failure = Some(RelayFailure::Refused(why));
        relay
    }

    pub(crate) const fn id(&self) -> StreamId {
        self.id
    }

    /// Bytes moved so far: towards the peer, and from it.
    pub(crate) const fn bytes(&self) -> (u64, u64) {
        (self.report.bytes_up, self.report.bytes_down)
    }

    pub(crate) fn into_report(self) -> RelayReport {
        self.report
    }

    /// Nothing is left to move, and the socket is closed.
    pub(crate) const fn is_over(&self) -> bool {
        self.socket.is_none()
    }

    /// When to poll again at the latest.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.give_up
    }

    /// Memory that an idle connection should not keep.
    pub(crate) const fn keeps_memory(&self) -> bool {
        self.memory.is_kept()
    }

    /// Gives that memory back.
    pub(crate) fn release_memory(&mut self) {
        self.memory.release();
    }

    /// Moves what can be moved.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        session: &mut Session,
        now: Instant,
    ) -> Moved {
        let mut moved = self.poll_outward(cx, session, now);
        moved |= self.poll_inward(cx, session, now);
        self.check_end(session, now);
        moved
    }

    /// Ends both directions at once, with an RST where the socket can say it.
    pub(crate) fn abort(&mut self, session: &mut Session, failure: RelayFailure, now: Instant) {
        let Some(mut socket) = self.socket.take() else { return };
        socket.abort();
        self.in_hand.clear();
        self.report.failure.get_or_insert(failure);
        session.release(self.id, now);
    }

    fn poll_outward(&mut self, cx: &mut Context<'_>, session: &mut Session, now: Instant) -> Moved {
        let mut moved = Moved::Nothing;
        while self.outward == Outward::Open {
            let end = self.take_in_hand(session);
            if self.in_hand.is_empty() {
                match end {
                    ReadError::Blocked => break,
                    // The `None` of `read()`: the clean end.
                    ReadError::Stopped => self.outward = Outward::Finishing,
                    ReadError::Failed | _ => {
                        self.fail_with_stream(session, now);
                        return Moved::Something;
                    }
                }
                moved = Moved::Something;
                continue;
            }
            if end == ReadError::Failed && session.failure(self.id) == Some(&StreamError::Overflow)
            {
                // The program at the socket does not read: it would never take the rest.
                self.fail_with_stream(session, now);
                return Moved::Something;
            }
            match self.write_in_hand(cx) {
                Poll::Ready(Ok(written)) => {
                    if let Ok(mut half) = session.recv(self.id) {
                        half.consumed(written, now);
                    }
                    self.report.bytes_down += written as u64;
                    moved = Moved::Something;
                }
                Poll::Ready(Err(error)) => {
                    self.abort(session, RelayFailure::Socket(error.kind()), now);
                    return Moved::Something;
                }
                Poll::Pending => break,
            }
        }
        if self.outward == Outward::Finishing {
            moved |= self.poll_fin(cx, session, now);
        }
        moved
    }

    /// Fills the hand from the session; says why it did not get more.
    fn take_in_hand(&mut self, session: &mut Session) -> ReadError {
        const HANDFUL: usize = 32;
        let Ok(mut half) = session.recv(self.id) else { return ReadError::Failed };
        while self.in_hand.len() < HANDFUL {
            match half.read() {
                Ok(Some(bytes)) => self.in_hand.push_back(bytes),
                Ok(None) => return ReadError::Stopped,
                Err(error) => return error,
            }
        }
        ReadError::Blocked
    }

    fn write_in_hand(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(socket) = &mut self.socket else { return Poll::Ready(Ok(0)) };
        let mut slices = [IoSlice::new(&[]); 32];
        for (slot, bytes) in slices.iter_mut().zip(&self.in_hand) {
            *slot = IoSlice::new(bytes);
        }
        let used = self.in_hand.len().min(slices.len());
        let written = ready!(socket.poll_write_vectored(cx, &slices[..used]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let mut left = written;
        while let Some(front) = self.in_hand.front_mut() {
            let n = left.min(front.len());
            front.advance(n);
            left -= n;
            if !front.is_empty() {
                break;
            }
            self.in_hand.pop_front();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_fin(&mut self, cx: &mut Context<'_>, session: &mut Session, now: Instant) -> Moved {
        let Some(socket) = self.socket.as_mut().filter(|_| self.rules.pass_fin) else {
            self.outward = Outward::Over;
            return Moved::Something;
        };
        match socket.poll_shutdown_write(cx) {
            Poll::Ready(Ok(())) => {
                self.outward = Outward::Over;
                Moved::Something
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                self.outward = Outward::Over;
                Moved::Something
            }
            Poll::Ready(Err(error)) => {
                self.abort(session, RelayFailure::Socket(error.kind()), now);
                Moved::Something
            }
            Poll::Pending => Moved::Nothing,
        }
    }

    fn poll_inward(&mut self, cx: &mut Context<'_>, session: &mut Session, now: Instant) -> Moved {
        let mut moved = Moved::Nothing;
        while self.inward != Inward::Over {
            let Some(socket) = &mut self.socket else { break };
            let Ok(mut half) = session.send(self.id) else { break };
            let room = match self.inward {
                Inward::Open if half.is_over() => {
                    self.inward = Inward::Discarding;
                    continue;
                }
                Inward::Open => half.capacity(),
                Inward::Discarding | Inward::Over => usize::MAX,
            };
            if room == 0 {
                half.want_writable();
                break;
            }
            match socket.poll_read(cx, &mut self.memory.buf(room)) {
                Poll::Ready(Ok(0)) => {
                    self.inward = Inward::Over;
                    // Refused where the stream is over already.
                    let _ = half.finish(now);
                }
                Poll::Ready(Ok(read)) => {
                    self.memory.note(read);
                    let bytes = self.memory.bytes.split().freeze();
                    if self.inward == Inward::Open {
                        self.report.bytes_up += read as u64;
                        match half.write(bytes) {
                            Ok(()) | Err(WriteError::Finished | WriteError::Ended) => {}
                            Err(_) => debug_assert!(false, "no more was read than fits"),
                        }
                    }
                }
                Poll::Ready(Err(error)) => {
                    self.abort(session, RelayFailure::Socket(error.kind()), now);
                    return Moved::Something;
                }
                Poll::Pending => {
                    self.memory.pause();
                    break;
                }
            }
            moved = Moved::Something;
        }
        moved
    }

    /// The stream has failed, and everything before that is written.
    fn fail_with_stream(&mut self, session: &mut Session, now: Instant) {
        let error = session.failure(self.id).cloned().unwrap_or(StreamError::Reset);
        self.abort(session, RelayFailure::Stream(error), now);
    }

    /// Closes the socket once both directions are over, or the second has had its time.
    fn check_end(&mut self, session: &mut Session, now: Instant) {
        if self.socket.is_none() {
            return;
        }
        let inward = self.inward == Inward::Over;
        let outward = self.outward == Outward::Over;
        let discarding = self.inward == Inward::Discarding && outward;
        if self.give_up.is_none() && (inward || outward) {
            let grace = if discarding { Some(Self::DISCARD) } else { self.rules.grace };
            self.give_up = grace.and_then(|grace| now.checked_add(grace));
        }
        let time_is_up = self.give_up.is_some_and(|at| at <= now);
        if (inward && outward) || time_is_up {
            self.socket = None;
            self.end_stream(session, now);
        }
    }

    /// How long a program may go on sending to a stream that is over before its socket is closed.
    const DISCARD: Duration = Duration::from_secs(2);

    /// Nothing is wrong: the stream ends on both sides, and what was written is still sent.
    fn end_stream(&mut self, session: &mut Session, now: Instant) {
        if let Ok(mut half) = session.send(self.id) {
            let _ = half.finish(now);
        }
        if let Ok(mut half) = session.recv(self.id) {
            half.stop(now);
        }
    }
}
