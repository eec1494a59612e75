use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use portway_driver::{Lifecycle, Listener, Net, Presence, Runtime, Socket, until};

use super::ledger::{Ledger, PodEnd, PodSide};
use super::memory::Way;
use super::pattern::{self, Header};
use crate::{Sim, SimListener, SimSocket};

/// What the program in a pod does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Manner {
    /// Sends back what comes, until it has come whole or the other side ends.
    Echo,
    /// Reads the request to its end and answers.
    Answer,
    /// Says something before it has heard anything, and then as `Answer`.
    Greet,
    /// Reads nothing for a while, and then as `Answer`.
    Deaf,
    /// Answers after half of the request and closes over the rest.
    EarlyClose,
    /// Gives half of the answer after half of the request, and resets.
    Reset,
    /// Nobody listens.
    Refuse,
}

impl Manner {
    pub(super) const ALL: [Self; 7] = [
        Self::Echo,
        Self::Answer,
        Self::Greet,
        Self::Deaf,
        Self::EarlyClose,
        Self::Reset,
        Self::Refuse,
    ];

    pub(super) const GREETING: &'static [u8] = b"greeting";

    /// Where it listens: the pods have a network of their own.
    pub(super) fn addr(self) -> SocketAddr {
        let port = Self::ALL.iter().position(|it| *it == self).unwrap_or(0);
        SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 9_000 + u16::try_from(port).unwrap_or(0)))
    }

    /// It says everything it has to say, and then ends cleanly.
    pub(super) const fn ends_cleanly(self) -> bool {
        matches!(self, Self::Echo | Self::Answer | Self::Greet | Self::Deaf)
    }

    /// All that it says to a program that asks for this.
    pub(super) fn says(self, header: Header, from: u64, len: usize) -> Vec<u8> {
        let greeting = Self::GREETING.len() as u64;
        match self {
            Self::Echo => header.upload(from, len),
            Self::Greet => (from..from + len as u64)
                .map(|at| match at.checked_sub(greeting) {
                    Some(at) => pattern::byte(header.answerer(), at),
                    None => Self::GREETING[usize::try_from(at).unwrap_or(0)],
                })
                .collect(),
            _ => pattern::bytes(header.answerer(), from, len),
        }
    }

    /// How much that is.
    pub(super) const fn length(self, header: Header) -> u64 {
        match self {
            Self::Echo => header.upload,
            Self::Greet => Self::GREETING.len() as u64 + header.answer,
            Self::Answer | Self::Deaf | Self::EarlyClose => header.answer,
            Self::Reset => header.answer / 2,
            Self::Refuse => 0,
        }
    }
}

/// For how long a deaf pod reads nothing: below what the half-close policy waits for an answer.
const DEAF: Duration = Duration::from_secs(2);

/// A pod that hears nothing for so long has a connection that is lost.
const PATIENCE: Duration = Duration::from_secs(300);

/// Opens the pod programs and serves them until the life ends.
pub(super) async fn start(sim: &Sim, life: &Arc<Lifecycle>, ledger: &Ledger) {
    for manner in Manner::ALL.into_iter().filter(|manner| *manner != Manner::Refuse) {
        let listener = sim.bind(manner.addr()).await.expect("the port is free");
        let serving = serve(sim.clone(), Arc::clone(life), ledger.clone(), manner, listener);
        sim.start(format!("pod {manner:?}"), serving);
    }
}

async fn serve(
    sim: Sim,
    life: Arc<Lifecycle>,
    ledger: Ledger,
    manner: Manner,
    mut listener: SimListener,
) {
    let _door = life.door();
    let accept = async || life.accepting(std::future::poll_fn(|cx| listener.poll_accept(cx))).await;
    let mut accept = accept;
    while let Some(accepted) = accept().await {
        let (socket, _) = accepted.expect("a pod's accept does not fail");
        let pod = Pod {
            side: PodSide::new(socket.connection(), manner),
            sim: sim.clone(),
            ledger: ledger.clone(),
            socket,
            _presence: life.connection(),
        };
        sim.start(format!("pod {manner:?} connection {}", pod.side.connection), pod.run());
    }
}

/// One connection of it.
struct Pod {
    sim: Sim,
    ledger: Ledger,
    socket: SimSocket,
    side: PodSide,
    _presence: Presence,
}

impl Pod {
    async fn run(mut self) {
        let end = match self.talk().await {
            Ok(end) | Err(end) => end,
        };
        self.side.end = Some(end);
        let Self { socket, side, ledger, .. } = self;
        ledger.note_pod(side);
        drop(socket);
    }

    async fn talk(&mut self) -> Result<PodEnd, PodEnd> {
        let manner = self.side.manner;
        if manner == Manner::Greet {
            self.write(Manner::GREETING).await?;
        }
        let mut head = Vec::new();
        while head.len() < Header::LEN {
            head.extend(self.read(Header::LEN - head.len()).await?);
        }
        let header = Header::decode(&head).expect("it is long enough");
        self.side.header = Some(header);
        self.ledger.note_pod(self.side);
        match manner {
            Manner::Echo => {
                self.write(&head).await?;
                while self.side.received < header.upload {
                    let bytes = self.heard(header).await?;
                    self.write(&bytes).await?;
                }
            }
            Manner::Answer | Manner::Greet | Manner::Deaf => {
                if manner == Manner::Deaf {
                    self.sim.sleep(DEAF).await;
                    self.ledger.note_held(&self.sim, header.program, Way::Up);
                }
                while self.side.received < header.upload {
                    self.heard(header).await?;
                }
                self.answer(header).await?;
            }
            Manner::EarlyClose | Manner::Reset => {
                while self.side.received < header.upload / 2 {
                    self.heard(header).await?;
                }
                self.answer(header).await?;
            }
            Manner::Refuse => {}
        }
        if manner == Manner::Reset {
            self.socket.abort();
            return Ok(PodEnd::Reset);
        }
        Ok(PodEnd::Closed)
    }

    async fn answer(&mut self, header: Header) -> Result<(), PodEnd> {
        const PIECE: u64 = 5_000;
        while self.side.sent < self.side.manner.length(header) {
            let left = self.side.manner.length(header) - self.side.sent;
            let piece = usize::try_from(left.min(PIECE)).unwrap_or(0);
            let bytes = self.side.manner.says(header, self.side.sent, piece);
            self.write(&bytes).await?;
        }
        Ok(())
    }

    /// More of the request, every byte of it looked at.
    async fn heard(&mut self, header: Header) -> Result<Vec<u8>, PodEnd> {
        let at = self.side.received;
        let bytes = self.read(64 * 1024).await?;
        let right = header.upload(at, bytes.len());
        assert!(bytes == right, "program {} was misheard behind {at}", header.program);
        self.ledger.note_pod(self.side);
        Ok(bytes)
    }

    async fn read(&mut self, max: usize) -> Result<Vec<u8>, PodEnd> {
        let deadline = self.sim.now() + PATIENCE;
        match until(&self.sim, deadline, self.socket.read(max)).await {
            Ok(Ok(bytes)) if bytes.is_empty() => Err(PodEnd::Fin),
            Ok(Ok(bytes)) => {
                self.side.received += bytes.len() as u64;
                Ok(bytes.to_vec())
            }
            Ok(Err(error)) => Err(PodEnd::Broken(error.kind())),
            Err(_) => Err(PodEnd::GaveUp),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), PodEnd> {
        let deadline = self.sim.now() + PATIENCE;
        match until(&self.sim, deadline, self.socket.write_all(bytes)).await {
            Ok(Ok(())) => {
                self.side.sent += bytes.len() as u64;
                Ok(())
            }
            Ok(Err(error)) => Err(PodEnd::Broken(error.kind())),
            Err(_) => Err(PodEnd::GaveUp),
        }
    }
}
