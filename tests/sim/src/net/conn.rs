use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::Waker;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Fault, Link, When};

/// A connection: two ends, and a pipe from each to the other.
pub(super) struct Conn {
    pub(super) link: Link,
    /// The end that connected is 0.
    pub(super) ends: [End; 2],
    /// Each carries what the end of its number sends.
    pub(super) pipes: [Pipe; 2],
    pub(super) plan: Option<(When, Fault)>,
    /// What is sent vanishes.
    pub(super) silent: bool,
}

/// What the system of one end knows.
#[derive(Debug)]
pub(super) struct End {
    pub(super) addr: SocketAddr,
    /// Somebody holds it.
    pub(super) open: bool,
    /// Its drop is to be a reset.
    pub(super) abort: bool,
    /// Its FIN is sent.
    pub(super) shut: bool,
    /// The connection is gone, for this end.
    pub(super) gone: bool,
    /// Why; told once.
    pub(super) error: Option<io::ErrorKind>,
    /// It waits in vain for a sign that its bytes arrive.
    pub(super) losing: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// On its way, and when it arrives.
    pub(super) flight: VecDeque<(Duration, Segment)>,
    pub(super) in_flight: usize,
    /// Arrived and not read.
    pub(super) arrived: BytesMut,
    /// The FIN has arrived, behind that.
    pub(super) fin: bool,
    /// When the last byte that was sent is through a narrow way.
    pub(super) busy_until: Duration,
    /// When the last piece arrives: nothing overtakes it.
    pub(super) last_arrival: Duration,
    /// Bytes written in all.
    pub(super) written: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Data(Bytes),
    Fin,
    Rst,
}

impl Conn {
    pub(super) fn new(link: Link, from: SocketAddr, to: SocketAddr) -> Self {
        let ends = [from, to].map(End::new);
        Self { link, ends, pipes: Default::default(), plan: None, silent: false }
    }

    /// Nobody holds an end, and nothing is on its way.
    pub(super) fn is_over(&self) -> bool {
        let quiet = self.silent || self.pipes.iter().all(|pipe| pipe.flight.is_empty());
        self.ends.iter().all(|end| !end.open) && quiet
    }
}

impl End {
    const fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            open: true,
            abort: false,
            shut: false,
            gone: false,
            error: None,
            losing: false,
            reader: None,
            writer: None,
        }
    }
}

impl Pipe {
    /// Written and not read.
    pub(super) fn held(&self) -> usize {
        self.in_flight + self.arrived.len()
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = [&self.ends[0], &self.ends[1]];
        let silent = if self.silent { ", silent" } else { "" };
        writeln!(f, "{} to {}{silent}", from.addr, to.addr)?;
        for (name, end, pipe) in
            [("connected", from, &self.pipes[0]), ("accepted", to, &self.pipes[1])]
        {
            let flags = [
                (end.open, "open"),
                (end.shut, "FIN sent"),
                (pipe.fin, "FIN arrived"),
                (end.gone, "gone"),
                (end.reader.is_some(), "waits to read"),
                (end.writer.is_some(), "waits to write"),
            ];
            let flags: Vec<_> = flags.iter().filter(|(set, _)| *set).map(|(_, it)| *it).collect();
            write!(f, "    {name}: sent {}, in flight ", pipe.written)?;
            writeln!(f, "{}, unread {}; {flags:?}", pipe.in_flight, pipe.arrived.len())?;
        }
        Ok(())
    }
}
