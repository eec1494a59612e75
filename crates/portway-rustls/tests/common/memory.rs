//! A connection in memory that is cut at every place there is.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use portway_driver::{ReadBuf, Socket};

/// One end. Where there is a `cut`, reads and writes take at most so many bytes, and every second call
/// waits for nothing. No more than `room` bytes are on their way.
#[derive(Debug)]
pub struct MemorySocket {
    incoming: Arc<Mutex<Flow>>,
    outgoing: Arc<Mutex<Flow>>,
    cut: usize,
    room: usize,
    /// Whether the last read waited for nothing, and the last write.
    balked: [bool; 2],
}

#[derive(Debug, Default)]
pub struct Flow {
    bytes: VecDeque<u8>,
    ended: bool,
    waker: Option<Waker>,
}

pub fn memory_pair(cut: usize, room: usize) -> (MemorySocket, MemorySocket) {
    let [one, other] = [Arc::<Mutex<Flow>>::default(), Arc::default()];
    let socket = |incoming: &Arc<_>, outgoing: &Arc<_>| MemorySocket {
        incoming: Arc::clone(incoming),
        outgoing: Arc::clone(outgoing),
        cut,
        room,
        balked: [false; 2],
    };
    (socket(&one, &other), socket(&other, &one))
}

impl MemorySocket {
    /// Ends what the other end reads, without a word of TLS.
    pub fn hang_up(&mut self) {
        let mut flow = self.outgoing.lock().unwrap();
        flow.ended = true;
        flow.wake();
    }

    pub fn incoming(&self) -> Arc<Mutex<Flow>> {
        Arc::clone(&self.incoming)
    }

    fn balk(&mut self, which: usize, cx: &Context<'_>) -> bool {
        let balks = self.cut < usize::MAX && !self.balked[which];
        self.balked[which] = balks;
        if balks {
            cx.waker().wake_by_ref();
        }
        balks
    }
}

impl Flow {
    /// Changes the last byte that has not been read yet.
    pub fn damage_last(&mut self, change: impl Fn(&mut u8)) {
        self.bytes.back_mut().into_iter().for_each(change);
    }

    /// Puts bytes on the way that nobody has written.
    pub fn inject(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Socket for MemorySocket {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.balk(0, cx) {
            return Poll::Pending;
        }
        let mut flow = self.incoming.lock().unwrap();
        if flow.bytes.is_empty() && !flow.ended {
            flow.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let read = buf.fill(|space| {
            let taken = space.len().min(self.cut).min(flow.bytes.len());
            space.iter_mut().zip(flow.bytes.drain(..taken)).for_each(|(to, from)| *to = from);
            Ok(taken)
        });
        flow.wake();
        Poll::Ready(read)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.balk(1, cx) {
            return Poll::Pending;
        }
        let mut flow = self.outgoing.lock().unwrap();
        let room = self.cut.min(self.room.saturating_sub(flow.bytes.len()));
        if room == 0 {
            flow.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = flow.bytes.len();
        flow.bytes.extend(bufs.iter().flat_map(|buf| buf.iter()).take(room));
        let written = flow.bytes.len() - before;
        flow.wake();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.hang_up();
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self) {
        self.hang_up();
    }
}

impl Drop for MemorySocket {
    fn drop(&mut self) {
        self.hang_up();
    }
}
