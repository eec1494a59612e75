use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::buf::Limit;
use bytes::{BufMut, BytesMut};

/// A connection as the driver needs it.
///
/// Not `AsyncRead + AsyncWrite`: the close of those means different things on different runtimes (on
/// async-std it sends no FIN), they cannot reset, and they want their read buffer before there is
/// anything to read.
pub trait Socket: Send + Unpin + 'static {
    /// Reads what is there, at most what `buf` wants, and returns how much; 0 is the end. Memory is
    /// taken only by calling [`ReadBuf::space`] or [`ReadBuf::fill`]: once there is something to read.
    ///
    /// # Errors
    /// What the system says.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>)
    -> Poll<io::Result<usize>>;

    /// Writes the front of `bufs` and returns how much.
    ///
    /// # Errors
    /// What the system says.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Pushes out what a layer between (TLS) holds back.
    ///
    /// # Errors
    /// What the system says.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends our direction: on TCP a FIN, after everything written. Reading goes on.
    ///
    /// # Errors
    /// What the system says.
    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// An error that the connection has met meanwhile, without reading: how a reset is noticed while
    /// nothing may be read. Where that cannot be asked, nothing.
    fn take_error(&mut self) -> Option<io::Error> {
        None
    }

    /// Makes the drop that follows abrupt: on TCP an RST instead of a FIN. Where that cannot be
    /// said, nothing: a unix socket has no RST. There a peer hears of an end that is not clean only
    /// if it has sent something that was not read, as a connection reset (on Linux), and reads an end
    /// otherwise.
    fn abort(&mut self);

    /// The addresses of both ends, ours first, for texts and logs; ask while it is connected. `None`
    /// where there are none.
    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        None
    }
}

/// Where a [`Socket`] puts what it reads.
///
/// A thin cover over the reader's memory, which may be empty: an idle connection holds no buffer.
#[derive(Debug)]
pub struct ReadBuf<'a> {
    memory: &'a mut BytesMut,
    /// What was read into before, and is still in use or free by now.
    spare: Option<&'a mut BytesMut>,
    want: usize,
}

impl<'a> ReadBuf<'a> {
    /// Reads go behind what `memory` holds; `want` bytes of space are made for one, at least 1.
    pub fn new(memory: &'a mut BytesMut, want: usize) -> Self {
        Self { memory, spare: None, want: want.max(1) }
    }

    /// Space for what is wanted and no more, for a socket that appends by itself.
    pub fn space(&mut self) -> Limit<&mut BytesMut> {
        self.make_space();
        (&mut *self.memory).limit(self.want)
    }

    /// Lets `read` write into zeroed space and keeps as many bytes as it says.
    ///
    /// # Errors
    /// What `read` says; nothing is kept then.
    pub fn fill(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        self.put(read, |result| *result.as_ref().unwrap_or(&0))
    }

    /// The same for a `read` that may have to wait; nothing is kept then either.
    pub fn poll_fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.put(read, |polled| match polled {
            Poll::Ready(Ok(kept)) => *kept,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        })
    }

    fn put<T>(&mut self, read: impl FnOnce(&mut [u8]) -> T, kept: impl FnOnce(&T) -> usize) -> T {
        self.make_space();
        let start = self.memory.len();
        let space = self.want.min(self.memory.capacity() - start);
        self.memory.resize(start + space, 0);
        let result = read(&mut self.memory[start..]);
        self.memory.truncate(start + kept(&result).min(space));
        result
    }

    /// Space that is left over from the last read is used before new memory is taken, unless it is
    /// so little that the read would be cut short for nothing.
    fn make_space(&mut self) {
        let (memory, want) = (&mut *self.memory, self.want);
        if memory.capacity() - memory.len() >= want.div_ceil(2) || memory.try_reclaim(want) {
            return;
        }
        let Some(spare) = &mut self.spare else { return memory.reserve(want) };
        spare.clear();
        if !spare.try_reclaim(memory.len() + want) {
            **spare = BytesMut::with_capacity(memory.len() + want);
        }
        spare.extend_from_slice(memory);
        std::mem::swap(memory, spare);
    }
}

/// What a connection reads into: two pieces of memory in turn, because what was read last is often
/// still on its way when the next read comes. Taken anew for every read it would go back and forth
/// between the allocator and the system.
#[derive(Debug)]
pub(crate) struct ReadMemory {
    /// What was read and not taken out.
    pub(crate) bytes: BytesMut,
    spare: BytesMut,
    size: ReadSize,
    kept: bool,
}

impl ReadMemory {
    /// Reads take at most `max`; `bytes` were read by somebody else.
    pub(crate) fn new(bytes: BytesMut, max: usize) -> Self {
        Self { bytes, spare: BytesMut::new(), size: ReadSize::new(max), kept: false }
    }

    /// For a read of no more than `room`.
    pub(crate) fn buf(&mut self, room: usize) -> ReadBuf<'_> {
        let want = self.size.get().min(room).max(1);
        ReadBuf { memory: &mut self.bytes, spare: Some(&mut self.spare), want }
    }

    /// So much was read: the next read is sized by it.
    pub(crate) fn note(&mut self, read: usize) {
        self.size.note(read);
    }

    /// Nothing comes at the moment. Little is given back at once; much may be wanted again in a
    /// moment, so it is kept until [`release`](Self::release).
    pub(crate) fn pause(&mut self) {
        if self.size.get() == ReadSize::MIN { self.release() } else { self.kept = true }
    }

    /// More is kept than an idle connection should.
    pub(crate) const fn is_kept(&self) -> bool {
        self.kept
    }

    /// An idle connection holds no memory.
    pub(crate) fn release(&mut self) {
        self.kept = false;
        self.spare = BytesMut::new();
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
    }
}

/// How much to read at once: grows while reads fill it, shrinks when they do not come near it, so
/// that an interactive connection holds little and a bulk transfer makes few system calls.
#[derive(Debug)]
pub(crate) struct ReadSize {
    size: usize,
    max: usize,
}

impl ReadSize {
    pub(crate) const MIN: usize = 8 * 1024;

    pub(crate) fn new(max: usize) -> Self {
        Self { size: Self::MIN, max: max.max(Self::MIN) }
    }

    pub(crate) fn get(&self) -> usize {
        self.size
    }

    pub(crate) fn note(&mut self, read: usize) {
        if read >= self.size / 2 {
            self.size = (self.size * 2).min(self.max);
        } else if read < self.size / 8 {
            self.size = (self.size / 2).max(Self::MIN);
        }
    }
}

/// A connection on which nothing happens.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct QuietSocket;

#[cfg(test)]
impl Socket for QuietSocket {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_write_vectored(
        &mut self,
        _: &mut Context<'_>,
        _: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn abort(&mut self) {}
}
