//! One session and a scripted peer, in virtual time.
//!
//! A [`Rig`] is what a driver is to a session, with nothing behind it: the test says what the peer
//! sends and sees what would have gone out. Time stands still unless the test moves it. What must
//! hold after every step whatever the test is about is checked here: see `Rig::check`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use portway_proto::{
    CloseFrame, CloseReason, Config, Event, HalfClose, Incoming, Kind, OpenError, OverflowPolicy,
    Port, ReadError, Reuse, Session, Side, StreamError, StreamEvent, StreamId, Timer, Transmit,
    WireForm, WriteError,
};

/// A session, its clock, and the checks that every step has to pass.
#[derive(Debug)]
pub struct Rig {
    /// The session under test.
    pub session: Session,
    side: Side,
    form: WireForm,
    ports: Vec<Port>,
    config: Arc<Config>,
    start: Instant,
    now: Instant,
    largest_piece: usize,
    obedient: bool,
    closed: bool,
}

/// One message that the session put on the wire, decoded as its form has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sent {
    /// Payload on a channel.
    Data(u8, Vec<u8>),
    /// A message with nothing in it, not even a channel.
    Empty,
    /// A WebSocket ping.
    Ping(Vec<u8>),
    /// A WebSocket pong.
    Pong(Vec<u8>),
    /// A WebSocket Close.
    Close(u16, String),
}

/// How a receiving half stands after everything readable was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// More may come.
    Open,
    /// The clean end.
    Eof,
    /// See `Session::failure`.
    Failed,
    /// We stopped it.
    Stopped,
}

impl Rig {
    /// A binary v4 client with the default config that has just been upgraded.
    pub fn client(ports: &[u16]) -> Self {
        Self::new(Side::Client, WireForm::V4, Config::client(), ports)
    }

    /// A binary v4 client whose ports were announced; events so far are dropped.
    pub fn ready_client(config: Config, ports: &[u16]) -> Self {
        let mut rig = Self::new(Side::Client, WireForm::V4, config, ports);
        rig.announce();
        rig.events();
        rig
    }

    /// A binary v4 server with the default config whose prefixes are on the wire; events so far are
    /// dropped.
    pub fn ready_server(config: Config, ports: &[u16]) -> Self {
        let mut rig = Self::new(Side::Server, WireForm::V4, config, ports);
        rig.events();
        rig.sent();
        rig
    }

    /// Any session that has just been upgraded.
    pub fn new(side: Side, form: WireForm, config: Config, ports: &[u16]) -> Self {
        let start = Instant::now();
        let config = Arc::new(config);
        let ports: Vec<Port> = ports.iter().map(|port| Port::new(*port).unwrap()).collect();
        let session = match side {
            Side::Client => Session::client(Arc::clone(&config), form, &ports, start),
            Side::Server => Session::server(Arc::clone(&config), form, &ports, start),
        };
        Self {
            session: session.unwrap(),
            side,
            form,
            ports,
            config,
            start,
            now: start,
            largest_piece: 0,
            obedient: true,
            closed: false,
        }
    }

    /// The current virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Virtual time since the upgrade.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    // -- the peer

    /// Anything, as the transport would hand it in.
    pub fn feed(&mut self, piece: Incoming) {
        if let Incoming::Binary { bytes, .. } | Incoming::Text { bytes, .. } = &piece {
            self.largest_piece = self.largest_piece.max(bytes.len());
        }
        self.obedient &= self.session.wants_read();
        self.session.handle_incoming(piece, self.now);
        self.check();
    }

    /// One whole data message.
    pub fn message(&mut self, channel: u8, payload: &[u8]) {
        let bytes = encode(self.form, channel, payload);
        self.raw(&bytes, true);
    }

    /// A piece of a data message as the form's opcode carries it.
    pub fn raw(&mut self, bytes: &[u8], end: bool) {
        self.feed(data_piece(self.form, Bytes::copy_from_slice(bytes), end));
    }

    /// One data message, in pieces that begin at `cuts`.
    pub fn pieces(&mut self, channel: u8, payload: &[u8], cuts: &[usize]) {
        let bytes = encode(self.form, channel, payload);
        let mut from = 0;
        for cut in cuts {
            self.raw(&bytes[from..*cut], false);
            from = *cut;
        }
        self.raw(&bytes[from..], true);
    }

    /// The prefix message of one channel.
    pub fn prefix(&mut self, channel: u8) {
        let port = self.ports[usize::from(channel) / 2];
        self.message(channel, &port.get().to_le_bytes());
    }

    /// All prefixes in the order of the reference server.
    pub fn announce(&mut self) {
        for channel in 0..self.ports.len() * 2 {
            self.prefix(u8::try_from(channel).unwrap());
        }
    }

    /// The peer closes with `code` and no words.
    pub fn peer_close(&mut self, code: u16) {
        self.feed(Incoming::Close(Some(CloseFrame::new(code, ""))));
    }

    /// The peer answers the pings among what was sent.
    pub fn peer_answers(&mut self, sent: &[Sent]) {
        for sent in sent {
            if let Sent::Ping(payload) = sent {
                self.feed(Incoming::Pong(payload.clone().into()));
            }
        }
    }

    /// The transport ends.
    pub fn disconnect(&mut self) {
        self.session.handle_disconnect(self.now);
        self.check();
    }

    /// The next message, as it goes to the transport.
    pub fn transmit(&mut self) -> Option<Transmit> {
        let transmit = self.session.poll_transmit(self.now);
        self.check();
        transmit
    }

    /// The transport has written, and so much of what it was given is left.
    pub fn flushed(&mut self, left: usize) {
        self.session.handle_flush(left, self.now);
        self.check();
    }

    /// The next message, decoded.
    pub fn sent_one(&mut self) -> Option<Sent> {
        let form = self.form;
        self.transmit().map(|transmit| decode(form, &transmit))
    }

    /// All that goes out now.
    pub fn sent(&mut self) -> Vec<Sent> {
        std::iter::from_fn(|| self.sent_one()).collect()
    }

    // -- the application

    /// All events so far.
    pub fn events(&mut self) -> Vec<Event> {
        let streams = self.ports.len().max(self.session.streams());
        let events: Vec<_> = std::iter::from_fn(|| self.session.poll_event()).collect();
        for event in &events {
            assert!(!self.closed, "{event:?} after Closed");
            self.closed = matches!(event, Event::Closed(_));
        }
        let limit = 2 + 6 * streams;
        assert!(events.len() <= limit, "{} events were pending: {events:?}", events.len());
        events
    }

    /// The events of one stream; those of others are dropped.
    pub fn events_of(&mut self, id: StreamId) -> Vec<StreamEvent> {
        let mut found = Vec::new();
        for event in self.events() {
            if let Event::Stream { id: of, event } = event
                && of == id
            {
                found.push(event);
            }
        }
        found
    }

    /// Opens the stream of a port (client).
    pub fn open(&mut self, port: u16) -> StreamId {
        self.session.open(Port::new(port).unwrap(), self.now).unwrap()
    }

    /// Opens the stream of a port, or not.
    pub fn try_open(&mut self, port: u16) -> Result<StreamId, OpenError> {
        let result = self.session.open(Port::new(port).unwrap(), self.now);
        self.check();
        result
    }

    /// Forgets a stream.
    pub fn release(&mut self, id: StreamId) {
        self.session.release(id, self.now);
        self.check();
    }

    /// Whether the session can carry another connection.
    pub fn reusable(&mut self) -> Reuse {
        let result = self.session.reusable(self.now);
        self.check();
        result
    }

    /// Begins to close.
    pub fn close(&mut self, why: CloseReason) {
        self.session.close(why, self.now);
        self.check();
    }

    /// Ends the session.
    pub fn abort(&mut self) {
        self.session.abort(self.now);
        self.check();
    }

    /// Accepts all streams (server).
    pub fn accept_all(&mut self) -> Vec<StreamId> {
        std::iter::from_fn(|| self.session.accept()).collect()
    }

    /// Writes all of it; panics if it does not fit.
    pub fn write(&mut self, id: StreamId, bytes: &[u8]) {
        self.try_write(id, bytes).unwrap();
    }

    /// Writes what fits.
    pub fn try_write(&mut self, id: StreamId, bytes: &[u8]) -> Result<(), WriteError> {
        let result = self.session.send(id).unwrap().write(Bytes::copy_from_slice(bytes));
        self.check();
        result
    }

    /// The local end; panics if there was one before.
    pub fn finish(&mut self, id: StreamId) {
        self.try_finish(id).unwrap();
    }

    /// The local end.
    pub fn try_finish(&mut self, id: StreamId) -> Result<(), WriteError> {
        let result = self.session.send(id).unwrap().finish(self.now);
        self.check();
        result
    }

    /// Another half-close policy.
    pub fn set_half_close(&mut self, id: StreamId, policy: HalfClose) {
        self.session.send(id).unwrap().set_half_close(policy, self.now);
        self.check();
    }

    /// Another overflow policy.
    pub fn set_overflow(&mut self, id: StreamId, policy: OverflowPolicy) {
        self.session.recv(id).unwrap().set_overflow(policy, self.now);
        self.check();
    }

    /// Gives a stream up.
    pub fn reset(&mut self, id: StreamId) {
        self.session.send(id).unwrap().reset(self.now);
        self.check();
    }

    /// The error text of a server.
    pub fn fail(&mut self, id: StreamId, text: &str) -> Result<(), WriteError> {
        let result = self.session.send(id).unwrap().fail(text, self.now);
        self.check();
        result
    }

    /// Stops reading a stream.
    pub fn stop(&mut self, id: StreamId) {
        self.session.recv(id).unwrap().stop(self.now);
        self.check();
    }

    /// The next chunk, which stays on the budget.
    pub fn read(&mut self, id: StreamId) -> Result<Option<Bytes>, ReadError> {
        let result = self.session.recv(id).unwrap().read();
        self.check();
        result
    }

    /// Gives bytes back that were read.
    pub fn consumed(&mut self, id: StreamId, n: usize) {
        self.session.recv(id).unwrap().consumed(n, self.now);
        self.check();
    }

    /// Reads and consumes everything.
    pub fn read_all(&mut self, id: StreamId) -> (Vec<u8>, End) {
        let mut all = Vec::new();
        loop {
            match self.read(id) {
                Ok(Some(bytes)) => {
                    all.extend_from_slice(&bytes);
                    self.consumed(id, bytes.len());
                }
                Ok(None) => return (all, End::Eof),
                Err(ReadError::Blocked) => return (all, End::Open),
                Err(ReadError::Failed) => return (all, End::Failed),
                Err(ReadError::Stopped) => return (all, End::Stopped),
                Err(other) => panic!("unknown: {other:?}"),
            }
        }
    }

    /// Why a stream failed, if it did.
    pub fn failure(&self, id: StreamId) -> Option<StreamError> {
        self.session.failure(id).cloned()
    }

    // -- time

    /// Lets time pass, with every timer on the way handled at its time.
    pub fn after(&mut self, wait: Duration) {
        self.run(wait, |_| {});
    }

    /// As [`Self::after`], with something to do after every timer.
    pub fn run(&mut self, wait: Duration, mut each: impl FnMut(&mut Self)) {
        let until = self.now + wait;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.timeout();
            each(self);
        }
        self.now = until;
    }

    /// Lets time pass and nobody look at it, as when a machine sleeps.
    pub fn sleep(&mut self, wait: Duration) {
        self.now += wait;
    }

    /// Calls `handle_timeout`; afterwards no timer may be due, or a driver would spin.
    pub fn timeout(&mut self) {
        self.session.handle_timeout(self.now);
        if let Some(at) = self.session.poll_timeout() {
            assert!(
                at > self.now,
                "{:?} is due after handle_timeout",
                self.session.timeout_reason()
            );
        }
        self.check();
    }

    /// The next timer, and when after now it comes.
    pub fn next_timer(&self) -> Option<(Timer, Duration)> {
        let at = self.session.poll_timeout()?;
        Some((self.session.timeout_reason().unwrap(), at.saturating_duration_since(self.now)))
    }

    // -- checks

    /// Bytes held are bounded as long as the driver obeys `wants_read`; a closed session wants
    /// nothing any more.
    fn check(&mut self) {
        let held = self.session.stats().buffered;
        let bound = self
            .config
            .worst_case(self.ports.len().max(self.session.streams()), self.largest_piece);
        assert!(!self.obedient || held <= bound, "holds {held} bytes, promised are {bound}");
        assert_eq!(self.session.poll_timeout().is_some(), self.session.timeout_reason().is_some());
        if self.session.is_closed() {
            assert!(!self.session.wants_read(), "closed and wants to read");
            assert_eq!(self.session.poll_timeout(), None, "closed and has a timer");
            assert_eq!(
                self.session.poll_transmit(self.now),
                None,
                "closed and has something to say"
            );
        }
    }
}

/// Carries everything that two sessions have to say to each other until neither has any more.
/// Consumes nothing: a reader that does not read stops the sender.
pub fn exchange(left: &mut Rig, right: &mut Rig) {
    assert_ne!(left.side, right.side);
    loop {
        let mut moved = false;
        while right.session.wants_read()
            && let Some(transmit) = left.transmit()
        {
            right.feed(carry(transmit));
            moved = true;
        }
        while left.session.wants_read()
            && let Some(transmit) = right.transmit()
        {
            left.feed(carry(transmit));
            moved = true;
        }
        if !moved {
            return;
        }
    }
}

/// What the other end of a perfect transport reads.
pub fn carry(transmit: Transmit) -> Incoming {
    let kind = transmit.kind();
    let bytes = payload(&transmit);
    match kind {
        Kind::Binary => Incoming::Binary { bytes, end: true },
        Kind::Text => Incoming::Text { bytes, end: true },
        Kind::Ping => Incoming::Ping(bytes),
        Kind::Pong => Incoming::Pong(bytes),
        Kind::Close => Incoming::Close(close_frame(&bytes)),
        other => panic!("unknown kind {other:?}"),
    }
}

/// Head and body as one.
pub fn payload(transmit: &Transmit) -> Bytes {
    [transmit.head(), transmit.body().as_ref()].concat().into()
}

/// Code and reason out of the payload of a Close message.
pub fn close_frame(payload: &[u8]) -> Option<CloseFrame> {
    let (code, reason) = payload.split_first_chunk()?;
    let reason = String::from_utf8(reason.to_vec()).unwrap();
    Some(CloseFrame::new(u16::from_be_bytes(*code), &reason))
}

/// A data message of a v4 form.
pub fn encode(form: WireForm, channel: u8, payload: &[u8]) -> Vec<u8> {
    if form == WireForm::V4Base64 {
        let mut text = vec![b'0' + channel];
        text.extend_from_slice(STANDARD.encode(payload).as_bytes());
        text
    } else {
        [&[channel], payload].concat()
    }
}

/// A piece of a data message with the form's opcode.
pub fn data_piece(form: WireForm, bytes: Bytes, end: bool) -> Incoming {
    if form == WireForm::V4Base64 {
        Incoming::Text { bytes, end }
    } else {
        Incoming::Binary { bytes, end }
    }
}

fn decode(form: WireForm, transmit: &Transmit) -> Sent {
    let bytes = payload(transmit);
    let data = |bytes: &[u8]| match bytes.split_first() {
        None => Sent::Empty,
        Some((first, rest)) if form == WireForm::V4Base64 => {
            Sent::Data(first - b'0', STANDARD.decode(rest).unwrap())
        }
        Some((first, rest)) => Sent::Data(*first, rest.to_vec()),
    };
    match transmit.kind() {
        Kind::Binary | Kind::Text => {
            let text = transmit.kind() == Kind::Text;
            assert_eq!(text, form == WireForm::V4Base64, "wrong opcode for {form}");
            data(&bytes)
        }
        Kind::Ping => Sent::Ping(bytes.to_vec()),
        Kind::Pong => Sent::Pong(bytes.to_vec()),
        Kind::Close => {
            let frame = close_frame(&bytes).unwrap();
            Sent::Close(frame.code, frame.reason)
        }
        other => panic!("unknown kind {other:?}"),
    }
}

/// Shorthand for [`Sent::Data`].
pub fn data(channel: u8, payload: impl AsRef<[u8]>) -> Sent {
    Sent::Data(channel, payload.as_ref().to_vec())
}

/// Shorthand for a [`Sent::Close`] with no words.
pub fn close(code: u16) -> Sent {
    Sent::Close(code, String::new())
}

/// Shorthand for a duration.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Shorthand for a duration.
pub const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The words of a remote failure; panics for every other failure and for none.
pub fn remote_text(failure: Option<&StreamError>) -> &str {
    let Some(StreamError::Remote(text)) = failure else { panic!("not the remote's: {failure:?}") };
    text.as_str()
}
