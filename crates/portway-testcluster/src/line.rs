use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use event_listener::{Event, EventListener};
use portway_driver::{ReadBuf, Socket};

use crate::stream::Pipe;

/// What connections have in common: when it is over, so are they.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    over: AtomicBool,
    ended: Event,
}

impl Fate {
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.ended.notify(usize::MAX);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Ready when it is over.
    pub(crate) async fn wait(&self) {
        while !self.is_over() {
            let ended = self.ended.listen();
            if !self.is_over() {
                ended.await;
            }
        }
    }
}

/// A connection that breaks when its fate is over.
#[derive(Debug)]
pub(crate) struct Line<S> {
    wire: Wire<S>,
    fate: Arc<Fate>,
    ended: EventListener,
    /// What the other end may still say before the connection is reset.
    left: Option<u64>,
}

#[derive(Debug)]
pub(crate) enum Wire<S> {
    Pipe(Pipe),
    Net(S),
    /// Somebody who takes everything and says nothing.
    Nobody,
}

impl<S: Socket> Line<S> {
    pub(crate) fn new(wire: Wire<S>, fate: Arc<Fate>, left: Option<u64>) -> Self {
        let ended = fate.ended.listen();
        Self { wire, fate, ended, left }
    }

    /// The error, once it is over or has said what it may; otherwise the task is woken then.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let over = self.fate.is_over() || Pin::new(&mut self.ended).poll(cx).is_ready();
        if over || self.left == Some(0) {
            self.abort();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl<S: Socket> Socket for Line<S> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        if let Some(left) = &mut self.left {
            let room = usize::try_from(*left).unwrap_or(usize::MAX);
            let mut memory = bytes::BytesMut::new();
            let mut few = ReadBuf::new(&mut memory, room.min(8 * 1024));
            let read = match &mut self.wire {
                Wire::Pipe(pipe) => pipe.poll_read(cx, &mut few),
                Wire::Net(socket) => socket.poll_read(cx, &mut few),
                Wire::Nobody => Poll::Pending,
            };
            return read.map_ok(|read| {
                *left -= read as u64;
                bytes::BufMut::put_slice(&mut buf.space(), &memory);
                read
            });
        }
        match &mut self.wire {
            Wire::Pipe(pipe) => pipe.poll_read(cx, buf),
            Wire::Net(socket) => socket.poll_read(cx, buf),
            Wire::Nobody => Poll::Pending,
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        match &mut self.wire {
            Wire::Pipe(pipe) => pipe.poll_write_vectored(cx, bufs),
            Wire::Net(socket) => socket.poll_write_vectored(cx, bufs),
            Wire::Nobody => Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum())),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Pipe(pipe) => pipe.poll_flush(cx),
            Wire::Net(socket) => socket.poll_flush(cx),
            Wire::Nobody => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.wire {
            Wire::Pipe(pipe) => pipe.poll_shutdown_write(cx),
            Wire::Net(socket) => socket.poll_shutdown_write(cx),
            Wire::Nobody => Poll::Ready(Ok(())),
        }
    }

    fn take_error(&mut self) -> Option<io::Error> {
        if self.fate.is_over() {
            return Some(io::ErrorKind::ConnectionReset.into());
        }
        match &mut self.wire {
            Wire::Pipe(pipe) => pipe.take_error(),
            Wire::Net(socket) => socket.take_error(),
            Wire::Nobody => None,
        }
    }

    fn abort(&mut self) {
        match &mut self.wire {
            Wire::Pipe(pipe) => pipe.abort(),
            Wire::Net(socket) => socket.abort(),
            Wire::Nobody => {}
        }
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match &self.wire {
            Wire::Net(socket) => socket.addresses(),
            Wire::Pipe(_) | Wire::Nobody => None,
        }
    }
}
