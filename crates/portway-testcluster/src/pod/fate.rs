use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use event_listener::{Event, EventListener};
use portway_driver::{ReadBuf, Socket};

use crate::stream::Pipe;

/// One life of a pod's programs: when it is over, so are their connections.
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

/// A connection into a pod, which breaks with the pod.
#[derive(Debug)]
pub(crate) struct PodSocket<S> {
    line: Line<S>,
    fate: Arc<Fate>,
    ended: EventListener,
    /// What the pod may still say before the connection is reset.
    left: Option<u64>,
}

#[derive(Debug)]
pub(crate) enum Line<S> {
    Pipe(Pipe),
    Net(S),
    /// Somebody who takes everything and says nothing.
    Nobody,
}

impl<S: Socket> PodSocket<S> {
    pub(crate) fn new(line: Line<S>, fate: Arc<Fate>, left: Option<u64>) -> Self {
        let ended = fate.ended.listen();
        Self { line, fate, ended, left }
    }

    /// The error, once the pod is gone or has said what it may; otherwise the task is woken then.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let over = self.fate.is_over() || Pin::new(&mut self.ended).poll(cx).is_ready();
        if over || self.left == Some(0) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl<S: Socket> Socket for PodSocket<S> {
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
            let read = match &mut self.line {
                Line::Pipe(pipe) => pipe.poll_read(cx, &mut few),
                Line::Net(socket) => socket.poll_read(cx, &mut few),
                Line::Nobody => Poll::Pending,
            };
            return read.map_ok(|read| {
                *left -= read as u64;
                bytes::BufMut::put_slice(&mut buf.space(), &memory);
                read
            });
        }
        match &mut self.line {
            Line::Pipe(pipe) => pipe.poll_read(cx, buf),
            Line::Net(socket) => socket.poll_read(cx, buf),
            Line::Nobody => Poll::Pending,
        }
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        match &mut self.line {
            Line::Pipe(pipe) => pipe.poll_write_vectored(cx, bufs),
            Line::Net(socket) => socket.poll_write_vectored(cx, bufs),
            Line::Nobody => Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum())),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.line {
            Line::Pipe(pipe) => pipe.poll_flush(cx),
            Line::Net(socket) => socket.poll_flush(cx),
            Line::Nobody => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.line {
            Line::Pipe(pipe) => pipe.poll_shutdown_write(cx),
            Line::Net(socket) => socket.poll_shutdown_write(cx),
            Line::Nobody => Poll::Ready(Ok(())),
        }
    }

    fn take_error(&mut self) -> Option<io::Error> {
        if self.fate.is_over() {
            return Some(io::ErrorKind::ConnectionReset.into());
        }
        match &mut self.line {
            Line::Pipe(pipe) => pipe.take_error(),
            Line::Net(socket) => socket.take_error(),
            Line::Nobody => None,
        }
    }

    fn abort(&mut self) {
        match &mut self.line {
            Line::Pipe(pipe) => pipe.abort(),
            Line::Net(socket) => socket.abort(),
            Line::Nobody => {}
        }
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match &self.line {
            Line::Net(socket) => socket.addresses(),
            Line::Pipe(_) | Line::Nobody => None,
        }
    }
}
