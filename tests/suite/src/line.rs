//! One forwarded connection with our half in its middle.

use std::io;
use std::time::Duration;

use portway_driver::{Events, ListenEvent, Listening, Net, RelayReport, Runtime, Socket};
use portway_server::Serving;

use crate::env::Env;
use crate::pipe::Pipe;
use crate::raw::{RawStream, Seen};

/// A forwarded connection, by its two ends.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs)]
pub struct Line<S> {
    /// Where the local program is.
    pub program: End<S>,
    /// Where the pod is.
    pub pod: End<S>,
    /// What is tested.
    pub ours: Ours,
}

/// The half of a forward that is tested.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, clippy::large_enum_variant)]
pub enum Ours {
    /// Our driver, and what it tells.
    Client(Listening, Events),
    /// Our server.
    Server(Serving),
}

/// One end: a real connection, or a stream on the wire that a hand-written peer holds.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, clippy::large_enum_variant)]
pub enum End<S> {
    /// A connection.
    Socket(Pipe<S>),
    /// A stream.
    Wire(RawStream<S>),
}

impl<S: Socket> Line<S> {
    /// How the connection went, once our driver says that it is over.
    pub async fn report(&mut self) -> RelayReport {
        let Ours::Client(_, events) = &mut self.ours else { panic!("a server has no events") };
        loop {
            match events.next().await.expect("the listener lives") {
                ListenEvent::Ended { report, .. } => return report,
                ListenEvent::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    }

    /// The end that is on the wire.
    pub fn wire(&mut self) -> &mut RawStream<S> {
        match (&mut self.program, &mut self.pod) {
            (End::Wire(stream), _) | (_, End::Wire(stream)) => stream,
            _ => panic!("one end is on the wire"),
        }
    }

    /// How the end that is not on the wire ends, while the other end takes part without a word; `None`
    /// if it does not within that time.
    pub async fn end_at_ours<R: Runtime + Net>(
        &mut self,
        time: Duration,
        env: &Env<R>,
    ) -> Option<Seen> {
        let ((End::Wire(wire), left) | (left, End::Wire(wire))) =
            (&mut self.program, &mut self.pod)
        else {
            panic!("one end is on the wire")
        };
        let attending = async {
            wire.attend(|_| false).await;
            std::future::pending().await
        };
        let reading = async { left.read_to_end().await.1 };
        env.within(time, futures_lite::future::or(reading, attending)).await.ok()
    }

    /// Cuts the connection below the session, and returns the other end.
    pub fn cut(self) -> End<S> {
        match (self.program, self.pod) {
            (End::Wire(stream), left) | (left, End::Wire(stream)) => {
                stream.cut();
                left
            }
            _ => panic!("one end is on the wire"),
        }
    }

    /// Why it failed, in our driver's words.
    pub async fn failure(&mut self) -> String {
        self.report().await.failure.expect("a failure").to_string()
    }
}

impl<S: Socket> End<S> {
    /// Writes all of it.
    pub async fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).await.expect("the bytes are taken");
    }

    /// Writes all of it, or as much as the other side lets.
    ///
    /// # Errors
    /// What the system says.
    pub async fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.push(bytes);
        match self {
            Self::Socket(pipe) => pipe.flush().await,
            Self::Wire(stream) => stream.pipe.flush().await,
        }
    }

    /// Writes until nothing more is taken for a while, or ever, and returns how much it has begun to
    /// write: the rest goes with the next flush.
    pub async fn flood<R: Runtime + Net>(&mut self, env: &Env<R>) -> usize {
        /// More than the buffers of the system hold on any way, and ours.
        const TOO_MUCH: usize = 48 * 1024 * 1024;
        static PIECE: [u8; 64 * 1024] = [1; 64 * 1024];
        let mut begun = PIECE.len();
        while let Ok(Ok(())) = env.within(Duration::from_millis(600), self.try_write(&PIECE)).await
        {
            begun += PIECE.len();
            assert!(begun < TOO_MUCH, "there is no end of what is taken");
        }
        begun
    }

    /// Says that nothing more comes from here.
    pub async fn finish(&mut self) {
        let finished = match self {
            Self::Socket(pipe) => pipe.finish().await,
            Self::Wire(stream) => {
                stream.push_end();
                stream.pipe.flush().await
            }
        };
        finished.expect("the end is taken");
    }

    /// Gives the connection up, and waits for nothing.
    pub async fn reset(self) -> Option<RawStream<S>> {
        match self {
            Self::Socket(pipe) => {
                pipe.reset();
                None
            }
            Self::Wire(mut stream) => {
                stream.push_reset();
                stream.pipe.flush().await.expect("the reset is taken");
                Some(stream)
            }
        }
    }

    /// Sends what was pushed.
    pub async fn flush(&mut self) {
        self.try_write(b"").await.expect("the bytes are taken");
    }

    /// What comes next; an end is told again and again.
    pub async fn read(&mut self) -> Seen {
        match self {
            Self::Socket(pipe) => {
                if pipe.bytes().is_empty() {
                    match pipe.fill().await {
                        Ok(0) => return Seen::End,
                        Ok(_) => {}
                        Err(error) => {
                            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
                            return Seen::Reset;
                        }
                    }
                }
                Seen::Bytes(pipe.bytes().split().to_vec())
            }
            Self::Wire(stream) => stream.read().await,
        }
    }

    /// These bytes come next, in any pieces.
    pub async fn expect(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.read().await {
                Seen::Bytes(some) => {
                    let fits = rest.starts_with(&some);
                    assert!(fits, "{:?} instead of {:?}", Short(&some), Short(rest));
                    rest = &rest[some.len()..];
                }
                end => panic!("{end:?}, and {} of {} bytes are missing", rest.len(), bytes.len()),
            }
        }
    }

    /// Everything up to the end, and the end.
    pub async fn read_to_end(&mut self) -> (Vec<u8>, Seen) {
        let mut all = Vec::new();
        loop {
            match self.read().await {
                Seen::Bytes(bytes) => all.extend(bytes),
                end => return (all, end),
            }
        }
    }

    /// Sends back what comes, until the end comes.
    pub async fn echo(&mut self) -> Seen {
        loop {
            match self.read().await {
                Seen::Bytes(bytes) => self.push(&bytes),
                end => return end,
            }
        }
    }

    /// Sends bytes and gets the same back meanwhile.
    pub async fn expect_echo(&mut self, bytes: &[u8]) {
        self.push(bytes);
        self.expect(bytes).await;
    }

    /// The stream of a hand-written peer.
    pub fn wire(&mut self) -> &mut RawStream<S> {
        match self {
            Self::Wire(stream) => stream,
            Self::Socket(_) => panic!("this end is not on the wire"),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Socket(pipe) => pipe.push(bytes),
            Self::Wire(stream) => stream.push_data(bytes),
        }
    }
}

/// The front of some bytes.
struct Short<'a>(&'a [u8]);

impl std::fmt::Debug for Short<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let front = &self.0[..self.0.len().min(40)];
        write!(f, "{} bytes \"{}…\"", self.0.len(), front.escape_ascii())
    }
}
