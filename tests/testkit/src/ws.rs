//! Our WebSocket frames against tungstenite's: each reads what the other wrote, and both judge the
//! same bytes.

use std::io::{self, Cursor, Read, Write};

use bytes::{Buf, Bytes, BytesMut};
use portway_proto::ws::{Decoder, WsViolation, encode, encode_masked};
use portway_proto::{Incoming, Kind, Side, Transmit};
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

/// A whole message. Text is bytes here, because our decoder does not look whether it is UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Message {
    /// A binary message.
    Binary(Vec<u8>),
    /// A text message.
    Text(Vec<u8>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A Close: status code and reason.
    Close(Option<(u16, String)>),
}

impl Message {
    fn closes(&self) -> bool {
        matches!(self, Self::Close(_))
    }
}

/// What our decoder made of some bytes. Equal for equal bytes, however they were cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Reading {
    /// The pieces, those of one message put together where nothing stands between them.
    pub pieces: Vec<Incoming>,
    /// How many pieces were empty.
    pub empty: usize,
    /// Why it stopped, if it did.
    pub violation: Option<WsViolation>,
    /// What [`Decoder::is_idle`] says at the end.
    pub idle: bool,
    /// Bytes at the end of the input that it waits to see more of.
    pub left: usize,
}

impl Reading {
    /// The messages in the order in which they ended, and the one whose end is missing.
    pub fn messages(&self) -> (Vec<Message>, Option<Message>) {
        let mut whole = Vec::new();
        let mut partial: Option<Message> = None;
        for piece in &self.pieces {
            let (text, bytes, end) = match piece {
                Incoming::Binary { bytes, end } => (false, bytes, *end),
                Incoming::Text { bytes, end } => (true, bytes, *end),
                Incoming::Ping(bytes) => {
                    whole.push(Message::Ping(bytes.to_vec()));
                    continue;
                }
                Incoming::Pong(bytes) => {
                    whole.push(Message::Pong(bytes.to_vec()));
                    continue;
                }
                Incoming::Close(frame) => {
                    let frame = frame.as_ref().map(|frame| (frame.code, frame.reason.clone()));
                    whole.push(Message::Close(frame));
                    continue;
                }
                unknown => panic!("{unknown:?}"),
            };
            let empty = if text { Message::Text } else { Message::Binary };
            let mut message = partial.take().unwrap_or_else(|| empty(Vec::new()));
            match (&mut message, text) {
                (Message::Text(all), true) | (Message::Binary(all), false) => all.extend(bytes),
                (other, _) => panic!("{piece:?} inside of {other:?}"),
            }
            if end {
                whole.push(message);
            } else {
                partial = Some(message);
            }
        }
        (whole, partial)
    }

    fn push(&mut self, piece: Incoming) {
        if let Incoming::Binary { bytes, end } | Incoming::Text { bytes, end } = &piece
            && bytes.is_empty()
        {
            assert!(end, "an empty piece that ends nothing");
            self.empty += 1;
        }
        match (self.pieces.last_mut(), piece) {
            (
                Some(Incoming::Binary { bytes, end: end @ false }),
                Incoming::Binary { bytes: more, end: now },
            )
            | (
                Some(Incoming::Text { bytes, end: end @ false }),
                Incoming::Text { bytes: more, end: now },
            ) => {
                *bytes = [&bytes[..], &more[..]].concat().into();
                *end = now;
            }
            (_, piece) => self.pieces.push(piece),
        }
    }
}

/// Our decoder at `side` over `data`, which comes in chunks as long as `cut` of what is left says.
pub fn read(side: Side, limit: usize, data: &[u8], mut cut: impl FnMut(&[u8]) -> usize) -> Reading {
    let mut decoder = Decoder::new(side, limit);
    let mut reading =
        Reading { pieces: Vec::new(), empty: 0, violation: None, idle: false, left: 0 };
    let mut input = BytesMut::new();
    let mut rest = data;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(cut(rest).clamp(1, rest.len()));
        rest = after;
        input.extend_from_slice(chunk);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(piece)) => {
                    let ended = matches!(reading.pieces.last(), Some(Incoming::Close(_)));
                    assert!(!ended && reading.violation.is_none(), "{piece:?} after the end");
                    reading.push(piece);
                }
                Ok(None) => {
                    assert_eq!(reading.violation, None, "the violation did not latch");
                    break;
                }
                Err(violation) => {
                    assert!(input.is_empty(), "input is left after {violation:?}");
                    let first = reading.violation.get_or_insert_with(|| violation.clone());
                    assert_eq!(*first, violation, "the violation did not latch");
                    break;
                }
            }
        }
    }
    reading.idle = decoder.is_idle();
    reading.left = input.len();
    reading
}

/// Reads `data` whole, byte by byte and in chunks of lengths from `seed`: all must give the same.
pub fn read_with_cuts(side: Side, limit: usize, data: &[u8], seed: u64) -> Reading {
    let whole = read(side, limit, data, <[u8]>::len);
    let mut cuts = Cuts::new(seed);
    let random = read(side, limit, data, |_| cuts.next());
    assert_same(&whole, &random, "in chunks");
    if data.len() <= 8192 {
        let bytes = read(side, limit, data, |_| 1);
        assert_same(&whole, &bytes, "byte by byte");
    }
    whole
}

/// How many pieces are empty must not depend on the cuts either.
fn assert_same(whole: &Reading, cut: &Reading, how: &str) {
    assert_eq!(whole, cut, "whole on the left, {how} on the right");
}

/// Lengths of chunks, most of them short.
#[derive(Debug)]
struct Cuts(u64);

impl Cuts {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bits = (self.0 >> 60) as u32;
        1 + (self.0 >> 8) as usize % (1 << bits)
    }
}

/// What tungstenite says at the end of the messages it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Verdict {
    /// It would read on.
    More,
    /// A Close came.
    Closed,
    /// The peer broke the protocol or a limit.
    Refused,
    /// A text or the reason of a Close is not UTF-8.
    NotUtf8,
}

/// The messages that tungstenite at `side` reads from `data`.
pub fn read_by_tungstenite(side: Side, limit: usize, data: &[u8]) -> (Vec<Message>, Verdict) {
    let role = match side {
        Side::Client => Role::Client,
        Side::Server => Role::Server,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .accept_unmasked_frames(false)
        .max_message_size(Some(limit))
        // It holds this against control frames too, whose limit is their own.
        .max_frame_size(Some(limit.max(125)));
    let mut socket = WebSocket::from_raw_socket(ReadOnly(Cursor::new(data)), role, Some(config));
    let mut messages = Vec::new();
    loop {
        let message = match socket.read() {
            Ok(message) => message,
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return (messages, Verdict::More);
            }
            Err(Error::Protocol(_) | Error::Capacity(_)) => return (messages, Verdict::Refused),
            Err(Error::Utf8(_)) => return (messages, Verdict::NotUtf8),
            Err(other) => panic!("tungstenite: {other}"),
        };
        messages.push(match message {
            tungstenite::Message::Binary(bytes) => Message::Binary(bytes.to_vec()),
            tungstenite::Message::Text(text) => Message::Text(text.as_bytes().to_vec()),
            tungstenite::Message::Ping(bytes) => Message::Ping(bytes.to_vec()),
            tungstenite::Message::Pong(bytes) => Message::Pong(bytes.to_vec()),
            tungstenite::Message::Close(frame) => {
                let frame = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                messages.push(Message::Close(frame));
                return (messages, Verdict::Closed);
            }
            frame @ tungstenite::Message::Frame(_) => panic!("{frame:?}"),
        });
    }
}

/// Reads `data` at `side` as we do and as tungstenite does: both must understand the same messages and
/// refuse at the same place.
///
/// The exceptions, each of them wanted:
/// * tungstenite judges a frame once it is all there, we judge its header: a last frame that was cut off
///   is filled up with zeros first;
/// * tungstenite refuses text that is not UTF-8, we do not look: then only what came before counts.
pub fn judge(side: Side, limit: usize, data: &[u8]) {
    let data = fill_up(data, limit);
    let reading = read(side, limit, &data, <[u8]>::len);
    let (ours, partial) = reading.messages();
    let (theirs, verdict) = read_by_tungstenite(side, limit, &data);
    if verdict == Verdict::NotUtf8 && reading.violation != Some(WsViolation::BadCloseReason) {
        assert!(ours.starts_with(&theirs), "ours {ours:?}, theirs {theirs:?}");
        let bad_text = |message: &Message| matches!(message, Message::Text(bytes) if std::str::from_utf8(bytes).is_err());
        let mut after = ours[theirs.len()..].iter().chain(&partial);
        assert!(after.any(bad_text), "tungstenite misses UTF-8 in {after:?}");
        return;
    }
    if verdict == Verdict::NotUtf8 && ours.len() > theirs.len() {
        // Bad text, which we took, and then a bad reason.
        assert!(ours.starts_with(&theirs), "ours {ours:?}, theirs {theirs:?}");
        return;
    }
    assert_eq!(ours, theirs, "ours on the left; {:?} and {verdict:?}", reading.violation);
    let ours = match (&reading.violation, ours.last().is_some_and(Message::closes)) {
        (None, false) => Verdict::More,
        (None, true) => Verdict::Closed,
        (Some(WsViolation::BadCloseReason), false) => Verdict::NotUtf8,
        (Some(_), false) => Verdict::Refused,
        (Some(violation), true) => panic!("{violation:?} after a Close"),
    };
    assert_eq!(ours, verdict, "ours on the left: {:?}", reading.violation);
}

/// `data` with its last frame filled up with zeros, unless that takes more than `limit` bytes.
fn fill_up(data: &[u8], limit: usize) -> Vec<u8> {
    let mut data = data.to_vec();
    let mut start = 0;
    while start < data.len() {
        let mut cursor = Cursor::new(&data[start..]);
        match FrameHeader::parse(&mut cursor) {
            Ok(Some((_, length))) => {
                let Ok(length) = usize::try_from(length) else { break };
                if length > limit.max(125) {
                    break;
                }
                start += cursor.position() as usize + length;
                data.resize(data.len().max(start), 0);
            }
            Ok(None) => data.push(0),
            Err(_) => break,
        }
    }
    data
}

/// A message to send, and the masking key should a client send it.
pub type ToSend = (Transmit, [u8; 4]);

/// Sends messages from `sender`: the bytes must be tungstenite's, and what the other side reads, by our
/// decoder however it is cut and by tungstenite, must be what was meant. At most one Close, at the end.
pub fn round_trip(sender: Side, messages: &[ToSend], seed: u64) {
    let mut wire = BytesMut::new();
    let mut reference = Vec::new();
    let mut meant = Vec::new();
    for (transmit, key) in messages {
        let payload = payload(transmit);
        let start = wire.len();
        let mask = match sender {
            Side::Client => {
                encode_masked(transmit, *key, &mut wire);
                Some(*key)
            }
            Side::Server => {
                let mut frame = encode(transmit.clone());
                wire.extend_from_slice(frame.head());
                wire.extend_from_slice(frame.body());
                let as_buf = frame.copy_to_bytes(frame.remaining());
                assert_eq!(as_buf, wire[start..], "frame as a Buf on the left");
                None
            }
        };
        let header = FrameHeader { opcode: opcode(transmit.kind()), mask, ..Default::default() };
        Frame::from_payload(header, payload.clone()).format(&mut reference).unwrap();
        meant.push(meaning(transmit.kind(), &payload));
    }
    assert!(wire == reference, "not the bytes of tungstenite");
    let receiver = match sender {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    };
    let limit = messages.iter().map(|(transmit, _)| transmit.len()).max().unwrap_or(0);
    let reading = read_with_cuts(receiver, limit, &wire, seed);
    assert_eq!(reading.violation, None);
    assert!(reading.idle && reading.left == 0, "something is left");
    assert_eq!(reading.messages(), (meant.clone(), None));
    assert_eq!(read_by_tungstenite(receiver, limit, &wire).0, meant);
}

/// What of a message has to reach the other side: a control message is cut at 125 bytes.
fn payload(transmit: &Transmit) -> Bytes {
    let mut payload = [transmit.head(), transmit.body()].concat();
    match transmit.kind() {
        Kind::Binary | Kind::Text => {}
        Kind::Ping | Kind::Pong => payload.truncate(125),
        Kind::Close => {
            payload.truncate(125);
            while payload.get(2..).is_some_and(|reason| std::str::from_utf8(reason).is_err()) {
                payload.pop();
            }
        }
        unknown => panic!("{unknown:?}"),
    }
    payload.into()
}

fn meaning(kind: Kind, payload: &[u8]) -> Message {
    match kind {
        Kind::Binary => Message::Binary(payload.to_vec()),
        Kind::Text => Message::Text(payload.to_vec()),
        Kind::Ping => Message::Ping(payload.to_vec()),
        Kind::Pong => Message::Pong(payload.to_vec()),
        Kind::Close => Message::Close(payload.split_first_chunk().map(|(code, reason)| {
            (u16::from_be_bytes(*code), String::from_utf8(reason.to_vec()).unwrap())
        })),
        unknown => panic!("{unknown:?}"),
    }
}

fn opcode(kind: Kind) -> OpCode {
    match kind {
        Kind::Binary => OpCode::Data(Data::Binary),
        Kind::Text => OpCode::Data(Data::Text),
        Kind::Ping => OpCode::Control(Control::Ping),
        Kind::Pong => OpCode::Control(Control::Pong),
        Kind::Close => OpCode::Control(Control::Close),
        unknown => panic!("{unknown:?}"),
    }
}

/// Bytes to read; what is written is dropped.
struct ReadOnly<'a>(Cursor<&'a [u8]>);

impl Read for ReadOnly<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.read(to)
    }
}

impl Write for ReadOnly<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
