use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_io::{AsyncRead, AsyncWrite};
use portway_driver::{PortStream, ReadBuf, Runtime, Socket, until};

use super::ledger::{Ledger, ProgramEnd, ProgramSide};
use super::memory::Way;
use crate::{Rng, Sim};

/// How a program behaves.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) side: ProgramSide,
    pub(super) pace: Pace,
}

/// How it takes its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Before it reads anything.
    pub(super) deaf: Duration,
    /// At most, before each read and each write.
    pub(super) pause: Duration,
    /// Bytes of a write, at most.
    pub(super) piece: usize,
}

/// What it does about the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Ends its sending once all is sent, and reads on.
    Finish,
    /// Waits for the other side's end.
    Wait,
    /// Resets after so many bytes were sent.
    Abort(u64),
    /// Closes after so many bytes were read, over whatever is there.
    Close(u64),
    /// Is gone after a while, in the middle of whatever it does.
    Vanish(Duration),
}

/// Who hears nothing for so long has a connection that is lost: beyond what keep-alives take to notice.
const PATIENCE: Duration = Duration::from_secs(240);

impl Program {
    /// Does it all on a connection.
    pub(super) async fn run<S: Socket>(self, sim: Sim, ledger: Ledger, socket: S) {
        let Self { side, pace } = self;
        ledger.note_program(&side);
        let ending = side.ending;
        let rng = sim.rng();
        let shared =
            Arc::new(Mutex::new(State { socket, side, stirred: sim.elapsed(), broken: None }));
        let talk = Talk { sim: sim.clone(), pace, ledger, state: Arc::clone(&shared) };
        let end = match ending {
            Ending::Vanish(after) => {
                let deadline = sim.now() + after;
                until(&sim, deadline, talk.talk(rng)).await.unwrap_or(ProgramEnd::Left)
            }
            Ending::Finish | Ending::Wait | Ending::Abort(_) | Ending::Close(_) => {
                talk.talk(rng).await
            }
        };
        let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        state.side.end = Some(end);
        state.side.ended = Some(sim.elapsed());
        talk.ledger.note_program(&state.side);
    }
}

struct State<S> {
    socket: S,
    side: ProgramSide,
    /// When anything moved last.
    stirred: Duration,
    /// What a write was told.
    broken: Option<ErrorKind>,
}

impl<S> State<S> {
    /// Nothing more comes. A broken pipe is what Linux says to who writes behind the other's FIN: that was
    /// one all the same.
    fn end(&self) -> ProgramEnd {
        match self.broken {
            Some(kind) if kind != ErrorKind::BrokenPipe => ProgramEnd::Broken(kind),
            _ => ProgramEnd::Fin,
        }
    }
}

struct Talk<S> {
    sim: Sim,
    pace: Pace,
    ledger: Ledger,
    state: Arc<Mutex<State<S>>>,
}

impl<S: Socket> Talk<S> {
    /// Sends and reads at the same time, until one of the two has seen the end of it.
    async fn talk(&self, mut rng: Rng) -> ProgramEnd {
        let mut sending = std::pin::pin!(self.send(rng.fork()));
        let mut reading = std::pin::pin!(self.read(rng));
        let mut sent = false;
        poll_fn(|cx| {
            if !sent && let Poll::Ready(left) = sending.as_mut().poll(cx) {
                sent = true;
                if let Some(end) = left {
                    return Poll::Ready(end);
                }
            }
            reading.as_mut().poll(cx)
        })
        .await
    }

    /// Sends what there is; an end if that is what comes of it.
    async fn send(&self, mut rng: Rng) -> Option<ProgramEnd> {
        let (header, ending) = self.with(|state| (state.side.header, state.side.ending));
        let mut piece = Bytes::new();
        loop {
            let sent = self.with(|state| state.side.sent);
            if let Ending::Abort(after) = ending
                && sent >= after
            {
                self.with(|state| state.socket.abort());
                return Some(ProgramEnd::Left);
            }
            if sent == header.upload {
                break;
            }
            self.pause(&mut rng).await;
            if piece.is_empty() {
                let left = usize::try_from(header.upload - sent).unwrap_or(usize::MAX);
                let len = rng.within(1..=self.pace.piece).min(left);
                piece = header.upload(sent, len).into();
            }
            let write = |cx: &mut Context<'_>| {
                self.poll(cx, |state, cx| {
                    let slices = [IoSlice::new(&piece)];
                    let written = std::task::ready!(state.socket.poll_write_vectored(cx, &slices))?;
                    piece.advance(written);
                    state.side.sent += written as u64;
                    Poll::Ready(io::Result::Ok(()))
                })
            };
            if let Err(error) = poll_fn(write).await {
                // Told once: the reader would take what follows for an end.
                self.with(|state| state.broken = Some(error.kind()));
                return None;
            }
        }
        if ending == Ending::Finish {
            let finish = |cx: &mut Context<'_>| {
                self.poll(cx, |state, cx| state.socket.poll_shutdown_write(cx))
            };
            // Refused where the connection is gone, as the reader will see.
            poll_fn(finish).await.ok()?;
            self.with(|state| state.side.sent_fin = true);
        }
        None
    }

    /// Reads until the end, every byte looked at.
    async fn read(&self, mut rng: Rng) -> ProgramEnd {
        let (header, manner) = self.with(|state| (state.side.header, state.side.manner));
        let ending = self.with(|state| state.side.ending);
        if !self.pace.deaf.is_zero() {
            self.sim.sleep(self.pace.deaf).await;
            self.ledger.note_held(&self.sim, header.program, Way::Down);
        }
        loop {
            let received = self.with(|state| state.side.received);
            if let Ending::Close(after) = ending
                && received >= after
            {
                return ProgramEnd::Left;
            }
            self.pause(&mut rng).await;
            let mut memory = BytesMut::new();
            let max = rng.pick(&[100, 4_000, 64 * 1024]);
            let read = self.patiently(|cx| {
                self.poll(cx, |state, cx| {
                    state.socket.poll_read(cx, &mut ReadBuf::new(&mut memory, max))
                })
            });
            match read.await {
                None => return ProgramEnd::GaveUp,
                Some(Err(error)) => return ProgramEnd::Broken(error.kind()),
                Some(Ok(0)) => return self.with(|state| state.end()),
                Some(Ok(_)) => {}
            }
            let right = manner.says(header, received, memory.len());
            assert!(memory == right, "program {} misread behind {received}", header.program);
            self.with(|state| state.side.received += memory.len() as u64);
        }
    }

    /// Waits for as long as anything moves, in either direction, and a while longer.
    async fn patiently<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
        loop {
            let deadline = self.with(|state| state.stirred) + PATIENCE;
            if deadline <= self.sim.elapsed() {
                return None;
            }
            let left = deadline - self.sim.elapsed();
            if let Ok(output) = until(&self.sim, self.sim.now() + left, poll_fn(&mut poll)).await {
                return Some(output);
            }
        }
    }

    async fn pause(&self, rng: &mut Rng) {
        if rng.one_in(4) {
            self.sim.sleep(rng.time(Duration::ZERO..=self.pace.pause)).await;
        }
    }

    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut State<S>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.with(|state| {
            let polled = act(state, cx);
            if polled.is_ready() {
                state.stirred = self.sim.elapsed();
                self.ledger.note_program(&state.side);
            }
            polled
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State<S>) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A stream in this process, as a program's connection.
#[derive(Debug)]
pub(super) struct InProcess(pub(super) PortStream);

impl Socket for InProcess {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        buf.poll_fill(|space| Pin::new(&mut self.0).poll_read(cx, space))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }

    fn abort(&mut self) {
        self.0.reset();
    }
}
