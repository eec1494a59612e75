use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use portway_driver::{ReadBuf, Socket};

use crate::Sim;

/// One end of a connection of the simulation. Dropping it closes it: with a FIN, or with an RST where
/// something was not read.
#[derive(Debug)]
pub struct SimSocket {
    sim: Sim,
    conn: u64,
    end: usize,
    local: SocketAddr,
    peer: SocketAddr,
}

impl SimSocket {
    pub(super) fn new(sim: Sim, conn: u64, end: usize) -> Self {
        let (local, peer) = sim.with(|world| world.addresses(conn, end));
        Self { sim, conn, end, local, peer }
    }

    /// The number of the connection, the same at both ends; they count from 1.
    pub const fn connection(&self) -> u64 {
        self.conn
    }

    /// Reads some bytes, at most so many; none is the end.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn read(&mut self, max: usize) -> io::Result<Bytes> {
        let mut memory = BytesMut::new();
        poll_fn(|cx| self.poll_read(cx, &mut ReadBuf::new(&mut memory, max))).await?;
        Ok(memory.freeze())
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written =
                poll_fn(|cx| self.poll_write_vectored(cx, &[IoSlice::new(bytes)])).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Ends this direction with a FIN.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn finish(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_shutdown_write(cx)).await
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }
}

impl Socket for SimSocket {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let (conn, end) = (self.conn, self.end);
        // The buffer is asked for space once there is something to put into it.
        self.sim.with(|world| {
            world.poll_read(conn, end, cx, |arrived| {
                let mut space = buf.space();
                let read = arrived.len().min(space.remaining_mut());
                space.put_slice(&arrived[..read]);
                read
            })
        })
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.sim.with(|world| world.poll_write(self.conn, self.end, cx, bufs))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.sim.with(|world| world.shutdown(self.conn, self.end)))
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.sim.with(|world| world.take_error(self.conn, self.end))
    }

    fn abort(&mut self) {
        self.sim.with(|world| world.abort(self.conn, self.end));
    }

    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some((self.local, self.peer))
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        self.sim.with(|world| world.close(self.conn, self.end));
    }
}
