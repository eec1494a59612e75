use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::conn::{Conn, Segment};
use super::{Fault, FaultRecord, When};
use crate::agenda::Entry;
use crate::task::Wait;
use crate::trace::Happening;
use crate::world::World;

/// One piece in so many is cut short by chance.
const CUT_SHORT: usize = 4;
/// One call in so many finds what is ready not ready yet.
const YIELD: usize = 32;

/// What sockets do.
impl World {
    pub(super) fn addresses(&self, conn: u64, end: usize) -> (SocketAddr, SocketAddr) {
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let ends = self.net.conns.get(&conn).map(|it| [it.ends[0].addr, it.ends[1].addr]);
        ends.map_or((nobody, nobody), |ends| (ends[end], ends[1 - end]))
    }

    /// `take` takes some of what has arrived.
    pub(super) fn poll_read(
        &mut self,
        number: u64,
        end: usize,
        cx: &Context<'_>,
        take: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<usize>> {
        let (yields, short) = (self.jitter(YIELD), self.jitter(CUT_SHORT));
        let conn = live(&mut self.net.conns, number);
        let (this, pipe) = (&mut conn.ends[end], &mut conn.pipes[1 - end]);
        if !pipe.arrived.is_empty() {
            if yields {
                self.wake.push(cx.waker().clone());
                return Poll::Pending;
            }
            let mut there = pipe.arrived.len();
            if short {
                there = self.rng.within(1..=there);
            }
            let bytes = take(&pipe.arrived[..there]);
            pipe.arrived.advance(bytes);
            self.wake.extend(conn.ends[1 - end].writer.take());
            self.note(Happening::Read { conn: number, end: name(end), bytes });
            return Poll::Ready(Ok(bytes));
        }
        if pipe.fin {
            self.note(Happening::ReadFin { conn: number, end: name(end) });
            return Poll::Ready(Ok(0));
        }
        if let Some(error) = this.error.take() {
            return Poll::Ready(Err(error.into()));
        }
        if this.gone {
            // Linux tells the reset once; whoever reads on sees an end.
            return Poll::Ready(Ok(0));
        }
        this.reader = Some(cx.waker().clone());
        self.tasks.waits(Wait::Readable { conn: number });
        Poll::Pending
    }

    pub(super) fn poll_write(
        &mut self,
        number: u64,
        end: usize,
        cx: &Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (yields, short) = (self.jitter(YIELD), self.jitter(CUT_SHORT));
        let conn = live(&mut self.net.conns, number);
        let (this, pipe) = (&mut conn.ends[end], &conn.pipes[end]);
        if let Some(error) = this.error.take() {
            return Poll::Ready(Err(error.into()));
        }
        if this.shut || this.gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let asked: usize = bufs.iter().map(|buf| buf.len()).sum();
        if asked == 0 {
            return Poll::Ready(Ok(0));
        }
        let room = conn.link.capacity.saturating_sub(pipe.held());
        if room == 0 {
            this.writer = Some(cx.waker().clone());
            self.tasks.waits(Wait::Writable { conn: number });
            return Poll::Pending;
        }
        if yields {
            self.wake.push(cx.waker().clone());
            return Poll::Pending;
        }
        let mut bytes = asked.min(room);
        if short {
            bytes = self.rng.within(1..=bytes);
        }
        let written = pipe.written;
        let fault = conn.plan.and_then(|(when, fault)| match when {
            When::Sent(at) if end == 0 => Some((at, fault)),
            When::Answered(at) if end == 1 => Some((at, fault)),
            When::Sent(_) | When::Answered(_) | When::After(_) => None,
        });
        let fault = fault.filter(|(at, _)| *at <= written + bytes as u64);
        let through = fault.map_or(bytes, |(at, _)| {
            usize::try_from(at.saturating_sub(written)).map_or(bytes, |left| left.min(bytes))
        });
        self.send_data(number, end, gather(bufs, through));
        self.note(Happening::Wrote { conn: number, end: name(end), bytes });
        if let Some((_, fault)) = fault {
            live(&mut self.net.conns, number).plan = None;
            self.inflict(number, fault, 0 < through && through < asked);
            if matches!(fault, Fault::Stall(_)) {
                // Behind it goes what was written.
                self.send_data(number, end, gather_behind(bufs, through, bytes));
            }
        }
        Poll::Ready(Ok(bytes))
    }

    pub(super) fn shutdown(&mut self, number: u64, end: usize) -> io::Result<()> {
        let this = &mut live(&mut self.net.conns, number).ends[end];
        if this.gone {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !this.shut {
            this.shut = true;
            self.note(Happening::SentFin { conn: number, end: name(end) });
            self.send(number, end, Segment::Fin, 0);
        }
        Ok(())
    }

    pub(super) fn take_error(&mut self, number: u64, end: usize) -> Option<io::Error> {
        live(&mut self.net.conns, number).ends[end].error.take().map(io::Error::from)
    }

    pub(super) fn abort(&mut self, number: u64, end: usize) {
        live(&mut self.net.conns, number).ends[end].abort = true;
    }

    /// Nobody holds the end any more.
    pub(super) fn close(&mut self, number: u64, end: usize) {
        let conn = live(&mut self.net.conns, number);
        let unread = !conn.pipes[1 - end].arrived.is_empty();
        let this = &mut conn.ends[end];
        this.open = false;
        (this.reader, this.writer) = (None, None);
        let (gone, shut, reset) = (this.gone, this.shut, this.abort || unread);
        conn.pipes[1 - end].arrived.clear();
        self.note(Happening::Closed { conn: number, end: name(end) });
        if !gone && reset {
            self.reset_from(number, end);
        } else if !gone && !shut {
            self.note(Happening::SentFin { conn: number, end: name(end) });
            self.send(number, end, Segment::Fin, 0);
        }
        self.net.clear(number);
    }
}

/// What travels.
impl World {
    fn send_data(&mut self, number: u64, end: usize, bytes: Bytes) {
        let conn = live(&mut self.net.conns, number);
        conn.pipes[end].written += bytes.len() as u64;
        // A narrow way lets through what there is bit by bit.
        let piece = conn
            .link
            .bytes_per_second
            .map_or(usize::MAX, |rate| usize::try_from(rate / 20).unwrap_or(usize::MAX).max(512));
        let mut rest = bytes;
        while !rest.is_empty() {
            let first = rest.split_to(rest.len().min(piece));
            let len = first.len();
            self.send(number, end, Segment::Data(first), len);
        }
    }

    fn send(&mut self, number: u64, end: usize, segment: Segment, len: usize) {
        let conn = live(&mut self.net.conns, number);
        if conn.silent {
            conn.pipes[end].in_flight += len;
            return self.lose(number, end);
        }
        let latency = self.rng.time(conn.link.latency.clone());
        let pipe = &mut conn.pipes[end];
        let start = pipe.busy_until.max(self.now);
        let takes = conn
            .link
            .bytes_per_second
            .map_or(Duration::ZERO, |rate| Duration::from_nanos(len as u64 * 1_000_000_000 / rate));
        pipe.busy_until = start + takes;
        let arrives = (pipe.busy_until + latency).max(pipe.last_arrival);
        pipe.last_arrival = arrives;
        pipe.in_flight += len;
        pipe.flight.push_back((arrives, segment));
        self.agenda.push(arrives, Entry::Deliver { conn: number, from: end }, &mut self.rng);
    }

    /// What has arrived by now.
    pub(crate) fn deliver(&mut self, number: u64, from: usize) {
        let now = self.now;
        loop {
            let Some(conn) = self.net.conns.get_mut(&number) else { return };
            let pipe = &mut conn.pipes[from];
            if pipe.flight.front().is_none_or(|(at, _)| *at > now) {
                break;
            }
            let Some((_, segment)) = pipe.flight.pop_front() else { break };
            let receiver = &mut conn.ends[1 - from];
            match segment {
                Segment::Data(bytes) => {
                    pipe.in_flight -= bytes.len();
                    if receiver.gone {
                        continue;
                    }
                    if !receiver.open {
                        // Nobody will read it: its sender is told.
                        self.reset_from(number, 1 - from);
                        continue;
                    }
                    pipe.arrived.extend_from_slice(&bytes);
                    self.wake.extend(receiver.reader.take());
                }
                Segment::Fin => {
                    pipe.fin = true;
                    self.wake.extend(receiver.reader.take());
                }
                Segment::Rst => {
                    self.note(Happening::GotRst { conn: number, end: name(1 - from) });
                    self.lost(number, 1 - from, io::ErrorKind::ConnectionReset);
                }
            }
        }
        self.net.clear(number);
    }

    /// An end resets the connection. What it has sent and what is still on its way arrives in part.
    fn reset_from(&mut self, number: u64, end: usize) {
        self.note(Happening::SentRst { conn: number, end: name(end) });
        let conn = live(&mut self.net.conns, number);
        conn.ends[end].gone = true;
        let kept = self.rng.within(0..=conn.pipes[end].flight.len());
        conn.drop_flight(end, kept);
        self.send(number, end, Segment::Rst, 0);
    }

    /// For this end the connection is gone.
    fn lost(&mut self, number: u64, end: usize, error: io::ErrorKind) {
        let conn = live(&mut self.net.conns, number);
        let fin = conn.pipes[1 - end].fin;
        let this = &mut conn.ends[end];
        if this.gone {
            return;
        }
        this.gone = true;
        // As Linux says it to somebody who has the other's FIN.
        let half = fin && error == io::ErrorKind::ConnectionReset;
        this.error = Some(if half { io::ErrorKind::BrokenPipe } else { error });
        self.wake.extend(this.reader.take());
        self.wake.extend(this.writer.take());
        conn.drop_flight(end, 0);
    }

    /// What an end sends vanishes. Its system gives up after a while.
    fn lose(&mut self, number: u64, end: usize) {
        let conn = live(&mut self.net.conns, number);
        let patience = conn.link.patience;
        let this = &mut conn.ends[end];
        if !this.losing && !this.gone {
            this.losing = true;
            self.after(patience, Entry::GiveUp { conn: number, end });
        }
    }

    /// It gives up.
    pub(crate) fn give_up(&mut self, number: u64, end: usize) {
        if self.net.conns.contains_key(&number) {
            self.lost(number, end, io::ErrorKind::TimedOut);
            self.net.clear(number);
        }
    }
}

/// What goes wrong.
impl World {
    pub(crate) fn planned_fault(&mut self, number: u64) {
        let plan = self.net.conns.get_mut(&number).and_then(|conn| conn.plan.take());
        if let Some((_, fault)) = plan {
            self.inflict(number, fault, false);
        }
    }

    pub(crate) fn inflict(&mut self, number: u64, fault: Fault, inside_a_write: bool) {
        let Some(conn) = self.net.conns.get_mut(&number) else { return };
        if conn.silent {
            return;
        }
        let [from, to] = [conn.ends[0].addr, conn.ends[1].addr];
        let (connection, at) = (number, self.now);
        let record = FaultRecord { connection, to, from, fault, at, inside_a_write };
        self.net.faults.push(record);
        match fault {
            Fault::Cut => self.cut(number),
            Fault::Silence => {
                conn.silent = true;
                self.note(Happening::Silenced { conn: number });
                for end in [0, 1] {
                    let conn = live(&mut self.net.conns, number);
                    if !conn.pipes[end].flight.is_empty() {
                        // It goes on counting as sent and not read.
                        conn.pipes[end].flight.clear();
                        self.lose(number, end);
                    }
                }
            }
            Fault::Stall(wait) => self.stall(number, self.now + wait),
        }
        self.net.clear(number);
    }

    fn cut(&mut self, number: u64) {
        self.note(Happening::Cut { conn: number });
        for end in [0, 1] {
            let conn = live(&mut self.net.conns, number);
            let kept = self.rng.within(0..=conn.pipes[end].flight.len());
            conn.drop_flight(end, kept);
            for (at, _) in &mut conn.pipes[end].flight {
                *at = self.now;
            }
        }
        for end in [0, 1] {
            if self.net.conns.contains_key(&number) {
                self.deliver(number, end);
            }
        }
        for end in [0, 1] {
            if self.net.conns.contains_key(&number) {
                self.lost(number, end, io::ErrorKind::ConnectionReset);
            }
        }
    }

    fn stall(&mut self, number: u64, until: Duration) {
        self.note(Happening::Stalled { conn: number });
        for end in [0, 1] {
            let pipe = &mut live(&mut self.net.conns, number).pipes[end];
            pipe.last_arrival = pipe.last_arrival.max(until);
            for (at, _) in &mut pipe.flight {
                *at = (*at).max(until);
            }
            self.agenda.push(until, Entry::Deliver { conn: number, from: end }, &mut self.rng);
        }
    }
}

impl Conn {
    /// Of what an end has sent only the first pieces stay on their way.
    fn drop_flight(&mut self, end: usize, kept: usize) {
        let pipe = &mut self.pipes[end];
        for (_, segment) in pipe.flight.drain(kept..) {
            if let Segment::Data(bytes) = segment {
                pipe.in_flight -= bytes.len();
            }
        }
    }
}

/// A connection is known for as long as anybody holds an end of it or anything is on its way.
fn live(conns: &mut std::collections::BTreeMap<u64, Conn>, number: u64) -> &mut Conn {
    conns.get_mut(&number).expect("a connection that is in use is known")
}

/// The first bytes of what is written.
fn gather(bufs: &[IoSlice<'_>], len: usize) -> Bytes {
    gather_behind(bufs, 0, len)
}

/// The bytes from one place to another.
fn gather_behind(bufs: &[IoSlice<'_>], from: usize, to: usize) -> Bytes {
    let mut gathered = BytesMut::with_capacity(to - from);
    let mut start = 0;
    for buf in bufs {
        let end = start + buf.len();
        let (low, high) = (from.clamp(start, end) - start, to.clamp(start, end) - start);
        gathered.extend_from_slice(&buf[low..high]);
        start = end;
    }
    gathered.freeze()
}

/// An end, as a trace names it.
const fn name(end: usize) -> u8 {
    if end == 0 { 0 } else { 1 }
}
