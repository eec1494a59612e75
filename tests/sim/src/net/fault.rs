use std::net::SocketAddr;
use std::time::Duration;

/// What befalls a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Both ends are told that it was reset. Of what was on its way some arrives before.
    Cut,
    /// Whatever is sent vanishes from now on, and nobody is told.
    Silence,
    /// Nothing arrives for a while, and then everything.
    Stall(Duration),
}

/// When it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// So long after it was made.
    After(Duration),
    /// When so many bytes were written by the end that connected: inside of a write, often.
    Sent(u64),
    /// When so many bytes were written by the end that accepted.
    Answered(u64),
}

/// Something that has befallen a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultRecord {
    /// The number of the connection.
    pub connection: u64,
    /// The address that was connected to.
    pub to: SocketAddr,
    /// The address of the end that connected.
    pub from: SocketAddr,
    /// What it was.
    pub fault: Fault,
    /// When, since the beginning.
    pub at: Duration,
    /// Part of a write got through, and part of it did not.
    pub inside_a_write: bool,
}
