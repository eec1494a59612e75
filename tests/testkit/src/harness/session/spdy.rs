use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use portway_proto::{
    CloseFrame, CloseReason, Config, Incoming, Port, Reuse, Side, StreamError, StreamId, WireForm,
};

use crate::app::App;
use crate::clock::Clock;
use crate::cuts::Cuts;
use crate::invariants::Subject;
use crate::message::Message;
use crate::model::{Ending, byte};
use crate::ops::{self, Action, Setup};
use crate::rig::{End, Rig};
use crate::source::Source;
use crate::spdy::{Frame, Reader, Writer};

/// Most streams of a session here.
pub(super) const STREAMS: usize = 6;

/// What is never data of a live stream.
const LATE: u8 = 0xee;

/// A client over SPDY keeps its promises whatever the server sends and whatever the application does.
///
/// A [`Setup`], then ops of what the server sends, what the application does, how time goes by, and how
/// much the transport takes.
pub fn spdy_client(data: &[u8]) {
    hostile(Side::Client, data);
}

/// A server over SPDY keeps its promises whatever the client sends and whatever the application does.
///
/// The input is that of [`spdy_client`].
pub fn spdy_server(data: &[u8]) {
    hostile(Side::Server, data);
}

/// The peer: frames that are right, that are odd, and bytes that are no frames.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    side: Side,
    writer: Writer,
    /// Server under test: the next number.
    next: u32,
    streams: BTreeMap<u32, Wire>,
    /// Something was sent that is no frame: what follows can mean anything.
    garbage: bool,
    /// Its pings that may be answered, once each.
    pings: BTreeMap<u32, usize>,
    /// How often time has passed.
    time: usize,
}

/// What was said on a stream that is open.
#[derive(Debug, Clone, Default)]
struct Wire {
    data: Vec<u8>,
    is_error: bool,
    fin: bool,
    over: bool,
    /// Its error stream had a text when its data ended.
    tainted: bool,
    /// It had one when it ended, after the data.
    late_text: bool,
    /// How often time had passed then.
    at: usize,
}

impl Peer {
    pub(super) fn new(side: Side) -> Self {
        let writer = Writer::default();
        let (streams, pings) = (BTreeMap::new(), BTreeMap::new());
        Self { side, writer, next: 1, streams, garbage: false, pings, time: 0 }
    }

    /// Our session said something.
    pub(super) fn hear(&mut self, frames: &[Frame]) {
        for frame in frames {
            if let Frame::Ping(id) = frame
                && (id % 2 == 0) == (self.side == Side::Client)
                && !self.garbage
            {
                let owed = self.pings.get_mut(id).filter(|owed| **owed > 0);
                *owed.expect("a ping is answered that nobody sent") -= 1;
            }
            if let (Side::Client, Frame::Syn { id, headers, .. }) = (self.side, frame) {
                let is_error = headers.iter().any(|(_, value)| value == "error");
                self.streams.insert(*id, Wire { is_error, ..Wire::default() });
            }
        }
    }

    /// The bytes of what it says next.
    pub(super) fn say(&mut self, source: &mut Source<'_>) -> Vec<u8> {
        let kind = source.byte();
        let id = self.pick(source);
        match kind {
            0..=79 => {
                let len = source.below(if kind < 70 { 40 } else { 2000 });
                self.data(id, len, kind % 8 == 7)
            }
            80..=99 => self.data(id, 0, true),
            100..=114 => {
                self.end(id, false);
                self.writer.frame(&Frame::Rst { id, status: 1 + u32::from(kind % 11) })
            }
            115..=134 => self.writer.frame(&Frame::Reply { id, fin: false, headers: vec![] }),
            135..=189 => self.syn(source, kind),
            190..=204 => {
                let ping = 1 + source.below(20) as u32;
                *self.pings.entry(ping).or_default() += 1;
                self.writer.frame(&Frame::Ping(ping))
            }
            205..=207 => self.writer.frame(&Frame::GoAway { last: id, status: 0 }),
            208..=211 => {
                let headers = vec![("x".to_owned(), "y".repeat(source.below(100)))];
                self.writer.frame(&Frame::Headers { id, fin: false, headers })
            }
            212..=215 => self
                .writer
                .frame(&Frame::Other { kind: 4, body: vec![0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0] }),
            216..=219 => {
                let body = [&id.to_be_bytes()[..], &[0, 0, 0, 1]].concat();
                self.writer.frame(&Frame::Other { kind: 9, body })
            }
            220..=223 => {
                let body = vec![7; source.below(50)];
                self.writer.frame(&Frame::Other { kind: 10 + u16::from(kind), body })
            }
            224 => {
                self.garbage = true;
                let len = source.below(30);
                source.take(len).to_vec()
            }
            _ => {
                self.end(id, false);
                self.writer.frame(&Frame::Rst { id, status: 5 })
            }
        }
    }

    fn pick(&self, source: &mut Source<'_>) -> u32 {
        let known: Vec<u32> = self.streams.keys().rev().take(8).copied().collect();
        match source.below(12) {
            index if index < known.len() => known[index],
            // What the session may open before it arrives is not for us to judge.
            other if self.side == Side::Client => {
                (2 + 2 * other as u32) | u32::from(other == 11) << 20
            }
            other => 1 + other as u32,
        }
    }

    fn data(&mut self, id: u32, len: usize, fin: bool) -> Vec<u8> {
        let bytes = match self.streams.get_mut(&id) {
            Some(wire) if !wire.over => {
                let from = wire.data.len();
                wire.data.extend((from..from + len).map(|at| byte(id as usize, at)));
                wire.data[from..].to_vec()
            }
            Some(_) | None => vec![LATE; len],
        };
        if fin {
            self.end(id, true);
        }
        self.writer.frame(&Frame::Data { id, bytes, fin })
    }

    fn end(&mut self, id: u32, fin: bool) {
        let text = id
            .checked_sub(2)
            .and_then(|error| self.streams.get(&error))
            .is_some_and(|wire| wire.is_error && !wire.data.is_empty());
        let tainted = text && self.side == Side::Client;
        let at = self.time;
        if let Some(wire) = self.streams.get_mut(&id).filter(|wire| !wire.over) {
            (wire.over, wire.fin, wire.tainted, wire.at) = (true, fin, tainted, at);
            let text = wire.is_error && !wire.data.is_empty() && self.side == Side::Client;
            let data = id.checked_add(2).and_then(|id| self.streams.get_mut(&id));
            if let Some(data) = data.filter(|data| text && data.over && data.at == at) {
                data.late_text = true;
            }
        }
    }

    fn syn(&mut self, source: &mut Source<'_>, kind: u8) -> Vec<u8> {
        let honest = kind < 175 && self.side == Side::Server;
        let id = if honest { self.next } else { self.pick(source) };
        let shape = source.byte();
        let stream_type = match shape & 15 {
            15 => "stdin",
            even if even % 2 == 0 => "error",
            _ => "data",
        };
        // Pairs of neighbours, mostly.
        let request = if shape & 16 == 0 { self.next / 4 } else { u32::from(shape >> 6) };
        let mut headers = vec![("port".to_owned(), (1000 + request).to_string())];
        headers.push(("streamtype".to_owned(), stream_type.to_owned()));
        if shape & 0xe0 != 0xe0 {
            headers.push(("requestid".to_owned(), request.to_string()));
        }
        let fin = kind.is_multiple_of(16);
        match self.streams.get_mut(&id) {
            // The session resets it.
            Some(wire) if self.side == Side::Server => wire.over = true,
            None if self.side == Side::Server && id >= self.next => {
                let is_error = stream_type != "data";
                let wire = Wire { is_error, over: fin, fin, ..Wire::default() };
                self.streams.insert(id, wire);
                self.next = id + 2 - u32::from(id % 2 == 0);
            }
            _ => {}
        }
        self.writer.frame(&Frame::Syn { id, fin, headers })
    }

    /// Whether those bytes are the first of some stream; `clean`: all of them, and it ended well.
    fn explains(&self, received: &[u8], clean: bool, closed: bool) -> bool {
        self.streams.iter().any(|(id, wire)| {
            if clean {
                // A client waits for the end of the error stream, or for so long.
                let error = id.checked_sub(2).and_then(|error| self.streams.get(&error));
                let waited = self.side == Side::Server
                    || closed
                    || wire.at < self.time
                    || error.is_some_and(|error| error.over);
                let text = wire.tainted || wire.late_text && !closed;
                wire.fin && !text && waited && wire.data == received
            } else {
                wire.data.starts_with(received)
            }
        }) || received.is_empty() && !clean
    }
}

fn hostile(side: Side, data: &[u8]) {
    let mut source = Source::new(data);
    let setup = Setup::hostile_spdy(&mut source, STREAMS);
    let mut attack = Attack::new(side, &setup);
    for _ in 0..400 {
        if source.is_empty() {
            break;
        }
        attack.op(&mut source);
        attack.check();
    }
    attack.end(&mut source);
}

/// A session under attack.
struct Attack {
    clock: Clock,
    subject: Subject,
    app: App,
    peer: Peer,
    reader: Reader,
    /// What the transport has and the session does not want yet.
    waiting: VecDeque<Incoming>,
    denounced: bool,
}

impl Attack {
    fn new(side: Side, setup: &Setup) -> Self {
        let clock = Clock::default();
        let config = if side == Side::Client { &setup.client } else { &setup.server };
        let mut subject = Subject::new(side, setup.form, config.clone(), &[], clock.now());
        let app = App::new(&mut subject, &[], clock.now());
        let (peer, reader) = (Peer::new(side), Reader::default());
        Self { clock, subject, app, peer, reader, waiting: VecDeque::new(), denounced: false }
    }

    fn op(&mut self, source: &mut Source<'_>) {
        match source.byte() {
            0..=69 => {
                let action = Action::read(source, 8);
                self.app.act(&mut self.subject, &action, self.clock.now());
            }
            kind @ 70..=159 => {
                let frames = 1 + usize::from(kind % 4);
                let bytes: Vec<u8> = (0..frames).flat_map(|_| self.peer.say(source)).collect();
                let seed = if kind % 3 == 0 { 0 } else { u64::from(source.byte()) };
                self.waiting.extend(Cuts::new(seed).pieces(Message::binary(bytes)));
                self.deliver();
            }
            160..=164 => self.hand(Incoming::Ping(vec![1, 2, 3].into())),
            165..=167 => self.hand(Incoming::Pong(vec![0, 0, 0, source.byte()].into())),
            168 => {
                self.peer.garbage = true;
                self.waiting.push_back(Incoming::Text { bytes: Bytes::new(), end: true });
                self.deliver();
            }
            169..=170 => {
                let code = source.pick(&[None, Some(1000), Some(1001), Some(1011)]);
                let close = Incoming::Close(code.map(|code| CloseFrame::new(code, "gone")));
                self.waiting.push_back(close);
                self.deliver();
            }
            171 => self.subject.disconnect(self.clock.now()),
            172 => {
                self.denounced = true;
                let violation = portway_proto::Violation::TextMessage;
                self.subject.session().handle_violation(violation, self.clock.now());
                self.subject.check();
            }
            173..=179 => {
                let now = self.clock.now();
                let reuse = self.subject.session().reusable(now);
                let used = self.subject.look().streams() > self.settled();
                assert!(!(used && matches!(reuse, Reuse::Ready | Reuse::Checking)), "{reuse:?}");
                self.subject.check();
            }
            180..=199 => {
                self.peer.time += 1;
                self.clock.advance(ops::duration(source));
                self.subject.time(self.clock.now());
            }
            200..=214 => {
                if let Some(at) = self.subject.look().poll_timeout() {
                    self.peer.time += 1;
                    self.clock.advance_to(at);
                    self.subject.time(self.clock.now());
                }
            }
            215..=229 => {
                for _ in 0..source.below(8) {
                    let Some(message) = self.subject.send(self.clock.now()) else { break };
                    self.said(&message);
                }
            }
            230..=237 => self.flush(),
            238..=247 => self.app.read_all(&mut self.subject, self.clock.now()),
            248.. => self.app.listen(&mut self.subject),
        }
        self.deliver();
    }

    /// Streams that only wait for their end: the next need not wait for them.
    fn settled(&mut self) -> usize {
        let session = self.subject.session();
        (0..self.app.len())
            .filter(|stream| {
                let half = session.send(self.app.id(*stream));
                half.is_ok_and(|half| half.settled().is_some())
            })
            .count()
    }

    fn flush(&mut self) {
        for message in self.subject.flush(self.clock.now()) {
            self.said(&message);
        }
    }

    /// What goes out is whole frames that are allowed here.
    fn said(&mut self, message: &Message) {
        if message.kind != portway_proto::Kind::Binary {
            return;
        }
        let frames = self.reader.take(&message.payload);
        assert!(self.reader.is_idle(), "a message ends inside of a frame");
        for frame in &frames {
            let never = matches!(frame, Frame::Headers { .. } | Frame::Other { .. });
            assert!(!never, "{frame:?} is never sent");
        }
        self.peer.hear(&frames);
    }

    fn deliver(&mut self) {
        while self.subject.look().wants_read()
            && let Some(piece) = self.waiting.pop_front()
        {
            self.hand(piece);
        }
    }

    fn hand(&mut self, piece: Incoming) {
        if self.subject.look().wants_read() {
            self.subject.hand(piece, self.clock.now());
        }
    }

    fn check(&self) {
        let streams = self.subject.look().streams();
        assert!(streams <= STREAMS, "{streams} streams");
        if self.peer.garbage {
            return;
        }
        let session = self.subject.look();
        let closed = self.denounced || self.subject.heard_close() || session.is_closed();
        for stream in 0..self.app.len() {
            let account = self.app.account(stream);
            let clean = account.ending == Some(Ending::Clean);
            let explained = self.peer.explains(&account.received, clean, closed);
            let closed = self.subject.closed();
            assert!(explained, "{account:?}, {closed:?}, of {:?}", self.peer.streams);
        }
    }

    fn end(&mut self, source: &mut Source<'_>) {
        let close = match source.below(3) {
            0 => Action::Abort,
            1 => Action::Close(CloseReason::Shutdown),
            _ => Action::Close(CloseReason::Local),
        };
        let mut now = self.clock.now();
        self.app.act(&mut self.subject, &close, now);
        if self.subject.closed().is_none() {
            self.subject.drain(&mut now);
        }
        if let Some(CloseReason::Violation(violation)) = self.subject.closed() {
            assert!(self.peer.garbage || self.denounced, "{violation} is none");
        }
        self.check();
    }
}

/// A byte stream means the same wherever messages cut it, to either side.
///
/// Side, seed of the cuts; then what the peer of [`spdy_client`] says.
pub fn pair_chunking(data: &[u8]) {
    let mut source = Source::new(data);
    let side = if source.flag() { Side::Server } else { Side::Client };
    let seed = u64::from(source.byte()) | 1;
    let mut peer = Peer::new(side);
    let (mut rig, _) = chunking_rig(side);
    let mut reader = Reader::default();
    while let Some(transmit) = rig.transmit() {
        peer.hear(&reader.take(&crate::rig::payload(&transmit)));
    }
    let mut bytes = Vec::new();
    while !source.is_empty() && bytes.len() < 3000 {
        bytes.extend(peer.say(&mut source));
    }
    let whole = trace(side, std::iter::once(&bytes[..]));
    let each = trace(side, bytes.chunks(1));
    assert_eq!(each, whole, "byte by byte");
    let mut pieces = Vec::new();
    let (mut rest, mut state) = (&bytes[..], seed);
    while !rest.is_empty() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        let (piece, after) = rest.split_at(rest.len().min((state >> 59) as usize));
        pieces.push(piece);
        rest = after;
    }
    assert_eq!(trace(side, pieces.into_iter()), whole, "in pieces");
}

/// Port, what was read, how it ended and of what it failed.
type Fate = (Option<Port>, Vec<u8>, End, Option<StreamError>);

/// All that can be seen of a run.
#[derive(Debug, PartialEq)]
struct Trace {
    streams: Vec<Fate>,
    sent: Vec<Bytes>,
    stats: portway_proto::Stats,
    goes_on: bool,
}

fn chunking_rig(side: Side) -> (Rig, Vec<StreamId>) {
    let config = Config::of(side).with_max_streams(STREAMS).with_recv_buffer(1 << 20);
    let mut rig = Rig::new(side, WireForm::Tunnel, config, &[]);
    let ids =
        if side == Side::Client { [1, 2, 3].map(|port| rig.open(port)).into() } else { vec![] };
    (rig, ids)
}

fn trace<'a>(side: Side, pieces: impl Iterator<Item = &'a [u8]>) -> Trace {
    let (mut rig, mut ids) = chunking_rig(side);
    while rig.transmit().is_some() {}
    let mut received: Vec<Vec<u8>> = vec![Vec::new(); ids.len()];
    for (at, piece) in pieces.enumerate() {
        if !rig.session.wants_read() {
            break;
        }
        rig.feed(Incoming::Binary { bytes: Bytes::copy_from_slice(piece), end: at % 3 != 0 });
        ids.extend(rig.accept_all());
        received.resize(ids.len(), Vec::new());
        for (id, received) in ids.iter().zip(&mut received) {
            received.extend(rig.read_all(*id).0);
        }
    }
    let goes_on = rig.session.wants_read();
    let streams = ids.iter().zip(received).map(|(id, received)| {
        let (port, end) = (rig.session.port(*id), rig.read_all(*id).1);
        (port, received, end, rig.failure(*id))
    });
    let streams = streams.collect();
    // A session that closes takes some answers with it, and which depends on when it heard of what.
    let sent = std::iter::from_fn(|| rig.transmit()).map(|it| crate::rig::payload(&it));
    let sent = sent.filter(|_| goes_on).collect();
    Trace { streams, sent, stats: rig.session.stats(), goes_on }
}
