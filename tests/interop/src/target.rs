use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::{Conn, Vitals};

/// The forwarder under load: where it listens for each port of the pod, and how to look at it.
pub struct Target {
    addr: Box<dyn Fn(u16) -> SocketAddr + Send + Sync>,
    sample: Option<Box<dyn Fn() -> Result<Vitals, String> + Send + Sync>>,
    patience: Duration,
    promptness: Duration,
}

impl Target {
    /// `addr` says on which local address a port of the pod is forwarded.
    #[must_use]
    pub fn new(addr: impl Fn(u16) -> SocketAddr + Send + Sync + 'static) -> Self {
        Self {
            addr: Box::new(addr),
            sample: None,
            patience: Duration::from_secs(60),
            promptness: Duration::from_secs(2),
        }
    }

    /// Look at this process for leaks.
    #[must_use]
    pub fn watching(self, pid: u32) -> Self {
        self.sampling(move || Vitals::of(pid))
    }

    /// Look for leaks in this way.
    #[must_use]
    pub fn sampling(
        mut self,
        sample: impl Fn() -> Result<Vitals, String> + Send + Sync + 'static,
    ) -> Self {
        self.sample = Some(Box::new(sample));
        self
    }

    /// How long one step (an answer, a transfer, an end) may take before it counts as hanging.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long an echo of a few bytes may take while other connections are in trouble.
    #[must_use]
    pub fn promptness(mut self, promptness: Duration) -> Self {
        self.promptness = promptness;
        self
    }

    /// Where this port of the pod is forwarded.
    #[must_use]
    pub fn addr(&self, port: u16) -> SocketAddr {
        (self.addr)(port)
    }

    /// Connects to where this port of the pod is forwarded.
    ///
    /// # Errors
    ///
    /// When nothing accepts there.
    pub fn open(&self, port: u16) -> Result<Conn, String> {
        Conn::open(self.addr(port), port, self.patience)
    }

    /// The same, where `None` is a connection that was accepted and reset before we came to look.
    ///
    /// # Errors
    ///
    /// When nothing accepts there in time.
    pub fn open_or_reset(&self, port: u16) -> Result<Option<Conn>, String> {
        Conn::open_or_reset(self.addr(port), port, self.patience)
    }

    pub(crate) fn prompt_within(&self) -> Duration {
        self.promptness
    }

    pub(crate) fn patient_for(&self) -> Duration {
        self.patience
    }

    pub(crate) fn sample(&self) -> Option<Result<Vitals, String>> {
        self.sample.as_ref().map(|sample| sample())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("patience", &self.patience)
            .field("promptness", &self.promptness)
            .finish_non_exhaustive()
    }
}
