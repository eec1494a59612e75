use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_lite::FutureExt;
use portway_driver::{Net, Port, Runtime};
use portway_server::PodError;

use super::program::Does;
use super::{Lie, PortOf, Program};
use crate::line::{Fate, Line, Wire};
use crate::stream;

/// What runs in a pod, for as long as there is a pod of that UID.
#[derive(Debug)]
pub(crate) struct Running {
    programs: BTreeMap<Port, Program>,
    life: Mutex<Life>,
}

#[derive(Debug, Default)]
struct Life {
    fate: Arc<Fate>,
    lie: Option<Lie>,
    gone: bool,
    connections: usize,
}

impl Running {
    pub(crate) fn new(ports: &[PortOf]) -> Self {
        let programs = ports.iter().filter_map(|of| Some((of.port, of.program.clone()?)));
        Self { programs: programs.collect(), life: Mutex::default() }
    }

    /// The same programs in another pod, which tells the truth.
    pub(crate) fn reborn(&self) -> Self {
        Self { programs: self.programs.clone(), life: Mutex::default() }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its programs are started again: every connection breaks.
    pub(crate) fn restart(&self) {
        let over = std::mem::take(&mut self.life().fate);
        over.end();
    }

    /// The pod is gone.
    pub(crate) fn end(&self) {
        self.life().gone = true;
        self.restart();
    }

    pub(crate) fn set_lie(&self, lie: Option<Lie>) {
        self.life().lie = lie;
    }

    pub(crate) fn lie(&self) -> Option<Lie> {
        self.life().lie.clone()
    }

    /// Connections that it was ever asked for.
    pub(crate) fn connections(&self) -> usize {
        self.life().connections
    }

    /// Opens a connection to a port of it.
    pub(crate) async fn dial<R: Runtime + Net>(
        &self,
        runtime: &R,
        port: Port,
    ) -> Result<Line<R::Socket>, PodError> {
        let (fate, lie) = {
            let mut life = self.life();
            life.connections += 1;
            if life.gone {
                return Err(PodError::new("network namespace for sandbox is closed"));
            }
            (Arc::clone(&life.fate), life.lie.clone())
        };
        let mut left = None;
        match lie {
            Some(Lie::Refuses) => return Err(refused(port)),
            Some(Lie::Hangs) => return Ok(Line::new(Wire::Nobody, fate, None)),
            Some(Lie::Ends) => {
                let (_, pipe) = stream::connection();
                return Ok(Line::new(Wire::Pipe(pipe), fate, None));
            }
            Some(Lie::ResetsAfter(bytes)) => left = Some(bytes),
            Some(Lie::Gone | Lie::Answers(..) | Lie::Silent) | None => {}
        }
        let line = match self.programs.get(&port).map(Program::does) {
            None => return Err(refused(port)),
            Some(Does::Dial(to)) => {
                let socket = runtime.connect(&(*to).into()).await;
                Wire::Net(socket.map_err(|error| PodError::connect(port, *to, &error))?)
            }
            Some(Does::Run(run)) => {
                let (near, far) = stream::connection();
                let running = run(near);
                let ended = Arc::clone(&fate);
                // Dropping it drops its end of the connection.
                runtime.spawn(async move { running.or(ended.wait()).await });
                Wire::Pipe(far)
            }
        };
        Ok(Line::new(line, fate, left))
    }
}

/// As a container runtime says that nobody listens.
fn refused(port: Port) -> PodError {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, port.get()));
    PodError::connect(port, nobody, &io::ErrorKind::ConnectionRefused.into())
}
