use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::memory::Held;
use super::pattern::Header;
use super::pod::Manner;
use super::program::Ending;

/// What everybody saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
pub(super) struct Entries {
    /// By the number of the program.
    pub(super) programs: BTreeMap<u64, ProgramSide>,
    /// By the number of the connection.
    pub(super) pods: BTreeMap<u64, PodSide>,
    /// Where the sessions lead, as long as it is the same server.
    pub(super) server: Option<SocketAddr>,
    /// What was found in portway.
    pub(super) held: Vec<Held>,
}

/// What one program saw.
#[derive(Debug, Clone)]
pub(super) struct ProgramSide {
    pub(super) header: Header,
    pub(super) manner: Manner,
    pub(super) ending: Ending,
    /// Its connection to the forwarder; none for a stream in this process.
    pub(super) local: Option<(u64, SocketAddr)>,
    pub(super) started: Duration,
    pub(super) ended: Option<Duration>,
    pub(super) sent: u64,
    pub(super) sent_fin: bool,
    pub(super) received: u64,
    pub(super) end: Option<ProgramEnd>,
}

/// How it ended for the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgramEnd {
    /// The other side's FIN.
    Fin,
    /// The connection is gone, or never came about.
    Broken(ErrorKind),
    /// It left by itself.
    Left,
    /// It heard nothing for too long.
    GaveUp,
}

/// What one connection of a pod saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct PodSide {
    pub(super) connection: u64,
    pub(super) manner: Manner,
    pub(super) header: Option<Header>,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) end: Option<PodEnd>,
}

/// How it ended for the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PodEnd {
    /// It had said everything, and closed.
    Closed,
    /// It reset.
    Reset,
    /// The other side's FIN came first.
    Fin,
    /// The connection is gone.
    Broken(ErrorKind),
    /// It heard nothing for too long.
    GaveUp,
}

impl Ledger {
    pub(super) fn note_pod(&self, side: PodSide) {
        self.lock().pods.insert(side.connection, side);
    }

    pub(super) fn note_program(&self, side: &ProgramSide) {
        self.lock().programs.insert(side.header.program, side.clone());
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProgramSide {
    pub(super) const fn new(header: Header, manner: Manner, ending: Ending) -> Self {
        Self {
            header,
            manner,
            ending,
            local: None,
            started: Duration::ZERO,
            ended: None,
            sent: 0,
            sent_fin: false,
            received: 0,
            end: None,
        }
    }
}

impl PodSide {
    pub(super) const fn new(connection: u64, manner: Manner) -> Self {
        Self { connection, manner, header: None, received: 0, sent: 0, end: None }
    }
}
