//! SPDY/3.1 by hand, and a [`Rig`] whose peer speaks it.
//!
//! Shares nothing with the code under test but the specification (protocol.md C): what it says is put
//! together by hand, and what it hears is read by the naive reader and zlib of [`spdy_oracle`].
//!
//! [`spdy_oracle`]: crate::spdy_oracle

use std::ops::{Deref, DerefMut};

use portway_proto::spdy::{self, Limits};
use portway_proto::{Config, Incoming, Kind, Side, Transmit, WireForm};

use crate::rig::{Rig, close_frame, payload};
use crate::spdy_oracle::{Decompressor, content, naive_frame};

/// Something on the wire: a SPDY frame, or a WebSocket control message between them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, missing_docs)]
pub enum Frame {
    Syn { id: u32, fin: bool, headers: Vec<(String, String)> },
    Reply { id: u32, fin: bool, headers: Vec<(String, String)> },
    Headers { id: u32, fin: bool, headers: Vec<(String, String)> },
    Data { id: u32, bytes: Vec<u8>, fin: bool },
    Rst { id: u32, status: u32 },
    Ping(u32),
    GoAway { last: u32, status: u32 },
    Other { kind: u16, body: Vec<u8> },
    WsPing(Vec<u8>),
    WsPong(Vec<u8>),
    Close(u16, String),
}

/// DATA.
pub fn data(id: u32, bytes: impl AsRef<[u8]>) -> Frame {
    Frame::Data { id, bytes: bytes.as_ref().to_vec(), fin: false }
}

/// An empty DATA with FIN.
pub const fn fin(id: u32) -> Frame {
    Frame::Data { id, bytes: Vec::new(), fin: true }
}

/// RST_STREAM CANCEL.
pub const fn cancel(id: u32) -> Frame {
    Frame::Rst { id, status: 5 }
}

/// RST_STREAM REFUSED_STREAM.
pub const fn refused(id: u32) -> Frame {
    Frame::Rst { id, status: 3 }
}

/// An empty SYN_REPLY.
pub const fn reply(id: u32) -> Frame {
    Frame::Reply { id, fin: false, headers: Vec::new() }
}

/// GOAWAY.
pub const fn go_away(last: u32, status: u32) -> Frame {
    Frame::GoAway { last, status }
}

/// A SYN_STREAM of a pair as clients of Kubernetes have it.
pub fn syn(id: u32, kind: &str, port: u16, request: &str) -> Frame {
    let headers = pair_headers(kind, port, request);
    Frame::Syn { id, fin: false, headers }
}

/// A WebSocket Close without words.
pub const fn close(code: u16) -> Frame {
    Frame::Close(code, String::new())
}

fn pair_headers(kind: &str, port: u16, request: &str) -> Vec<(String, String)> {
    let headers = [("port", &*port.to_string()), ("requestid", request), ("streamtype", kind)];
    headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Writes one direction of a connection.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    started: bool,
}

impl Writer {
    /// The bytes of a frame.
    pub fn frame(&mut self, frame: &Frame) -> Vec<u8> {
        match frame {
            Frame::Syn { id, fin, headers } => {
                let block = self.block(headers);
                control(1, u8::from(*fin), &[&id.to_be_bytes(), &[0; 6], &block])
            }
            Frame::Reply { id, fin, headers } => {
                let block = self.block(headers);
                control(2, u8::from(*fin), &[&id.to_be_bytes(), &block])
            }
            Frame::Headers { id, fin, headers } => {
                let block = self.block(headers);
                control(8, u8::from(*fin), &[&id.to_be_bytes(), &block])
            }
            Frame::Data { id, bytes, fin } => {
                let len = u32::try_from(bytes.len()).unwrap() | u32::from(*fin) << 24;
                [&id.to_be_bytes()[..], &len.to_be_bytes(), bytes].concat()
            }
            Frame::Rst { id, status } => control(3, 0, &[&id.to_be_bytes(), &status.to_be_bytes()]),
            Frame::Ping(id) => control(6, 0, &[&id.to_be_bytes()]),
            Frame::GoAway { last, status } => {
                control(7, 0, &[&last.to_be_bytes(), &status.to_be_bytes()])
            }
            Frame::Other { kind, body } => control(*kind, 0, &[body]),
            other => panic!("{other:?} is no SPDY frame"),
        }
    }

    /// A header block in one stored block (protocol.md C.4).
    pub fn block(&mut self, headers: &[(String, String)]) -> Vec<u8> {
        let texts = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let plain = content(texts);
        let start: &[u8] = &[0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2];
        let start = if std::mem::replace(&mut self.started, true) { &[] } else { start };
        let stored: Vec<u8> = plain.chunks(0xffff).flat_map(stored).collect();
        [start, &stored, &[0, 0, 0, 0xff, 0xff]].concat()
    }
}

/// Reads one direction of a connection, and panics at what no peer should send.
#[derive(Default)]
pub struct Reader {
    bytes: Vec<u8>,
    /// The header stream, once it has begun.
    blocks: Option<Decompressor>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Reader {
    /// The frames that are whole now.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.bytes.extend_from_slice(bytes);
        let mut frames = Vec::new();
        while self.bytes.len() >= 8 {
            let length = u32::from_be_bytes([0, self.bytes[5], self.bytes[6], self.bytes[7]]);
            let end = 8 + length as usize;
            if self.bytes.len() < end {
                break;
            }
            let frame: Vec<u8> = self.bytes.drain(..end).collect();
            frames.push(self.read(&frame));
        }
        frames
    }

    /// No part of a frame is left.
    pub fn is_idle(&self) -> bool {
        self.bytes.is_empty()
    }

    fn read(&mut self, frame: &[u8]) -> Frame {
        let (head, body) = frame.split_at(8);
        let read = naive_frame(Limits::new(), head, body, body.len());
        let read = read.expect("a frame that is right").expect("all of it");
        let other = |kind| Frame::Other { kind, body: body.to_vec() };
        match read {
            spdy::Frame::Data { stream, bytes, fin, .. } => {
                Frame::Data { id: stream, bytes: bytes.to_vec(), fin }
            }
            spdy::Frame::SynStream { stream, fin, block, .. } => {
                assert_eq!(body[4..10], [0; 6], "no associated stream, priority 0");
                Frame::Syn { id: stream, fin, headers: self.headers(&block) }
            }
            spdy::Frame::SynReply { stream, fin, block } => {
                Frame::Reply { id: stream, fin, headers: self.headers(&block) }
            }
            spdy::Frame::Headers { stream, fin, block } => {
                Frame::Headers { id: stream, fin, headers: self.headers(&block) }
            }
            spdy::Frame::Settings { .. } => other(4),
            spdy::Frame::WindowUpdate { .. } => other(9),
            spdy::Frame::Unknown { kind } => other(kind),
            spdy::Frame::RstStream { stream, status } if head[4] == 0 => {
                Frame::Rst { id: stream, status }
            }
            spdy::Frame::Ping { id } if head[4] == 0 => Frame::Ping(id),
            spdy::Frame::GoAway { last, status } if head[4] == 0 => Frame::GoAway { last, status },
            odd => panic!("flags where there are none: {odd:?}"),
        }
    }

    fn headers(&mut self, block: &[u8]) -> Vec<(String, String)> {
        assert!(block.ends_with(&[0, 0, 0xff, 0xff]), "no sync flush: {block:02x?}");
        let blocks = self.blocks.get_or_insert_with(|| {
            assert_eq!(block[2..6], [0xe3, 0xc6, 0xa7, 0xc2], "the dictionary's id");
            Decompressor::new()
        });
        let plain = blocks.block(block, 64 * 1024).expect("a block that zlib inflates");
        parse_headers(&plain)
    }
}

fn parse_headers(plain: &[u8]) -> Vec<(String, String)> {
    let mut rest = plain;
    let number = |rest: &mut &[u8]| {
        let (first, after) = rest.split_first_chunk().expect("a length");
        *rest = after;
        u32::from_be_bytes(*first) as usize
    };
    let count = number(&mut rest);
    let mut text = || {
        let len = number(&mut rest);
        let (text, after) = rest.split_at(len);
        rest = after;
        String::from_utf8(text.to_vec()).unwrap()
    };
    let mut headers: Vec<_> = (0..count).map(|_| (text(), text())).collect();
    assert!(rest.is_empty(), "bytes after the last header");
    headers.sort();
    headers
}

fn control(kind: u16, flags: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = be(body.len()).map(|byte| byte);
    let kind = kind.to_be_bytes();
    let head = [0x80, 3, kind[0], kind[1], flags, length[1], length[2], length[3]];
    [&head[..], &body].concat()
}

fn stored(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes(), bytes].concat()
}

fn be(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_be_bytes()
}

/// A [`Rig`] in the tunnel, and the other side's frames.
#[derive(Debug)]
pub struct Spdy {
    rig: Rig,
    writer: Writer,
    reader: Reader,
}

impl Deref for Spdy {
    type Target = Rig;

    fn deref(&self) -> &Rig {
        &self.rig
    }
}

impl DerefMut for Spdy {
    fn deref_mut(&mut self) -> &mut Rig {
        &mut self.rig
    }
}

impl Spdy {
    /// A client in the tunnel; the test is the server.
    pub fn client(config: Config) -> Self {
        Self::new(Side::Client, WireForm::Tunnel, config)
    }

    /// A server in the tunnel; the test is the client.
    pub fn server(config: Config) -> Self {
        Self::new(Side::Server, WireForm::Tunnel, config)
    }

    /// Either, in either form. Events so far are dropped.
    pub fn new(side: Side, form: WireForm, config: Config) -> Self {
        let mut rig = Rig::new(side, form, config, &[]);
        assert_eq!(rig.events(), [portway_proto::Event::Ready]);
        Self { rig, writer: Writer::default(), reader: Reader::default() }
    }

    /// The session and its clock alone.
    pub fn into_rig(self) -> Rig {
        self.rig
    }

    /// The peer sends a frame, in one message.
    pub fn peer(&mut self, frame: &Frame) {
        let bytes = self.writer.frame(frame);
        self.bytes(&bytes);
    }

    /// The peer sends frames, in one message.
    pub fn peer_all(&mut self, frames: &[Frame]) {
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| self.writer.frame(frame)).collect();
        self.bytes(&bytes);
    }

    /// The bytes that [`Self::peer`] would send.
    pub fn encode(&mut self, frame: &Frame) -> Vec<u8> {
        self.writer.frame(frame)
    }

    /// The peer sends a message.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.rig.feed(Incoming::Binary { bytes: bytes.to_vec().into(), end: true });
    }

    /// The peer sends DATA.
    pub fn data(&mut self, id: u32, bytes: impl AsRef<[u8]>) {
        self.peer(&data(id, bytes));
    }

    /// The peer says its end of a stream.
    pub fn fin(&mut self, id: u32) {
        self.peer(&fin(id));
    }

    /// The peer cancels a stream.
    pub fn rst(&mut self, id: u32) {
        self.peer(&cancel(id));
    }

    /// The peer opens both streams of a pair, the error stream first.
    pub fn syn_pair(&mut self, error: u32, port: u16, request: &str) {
        self.peer(&syn(error, "error", port, request));
        self.peer(&fin(error));
        self.peer(&syn(error + 2, "data", port, request));
    }

    /// A server with a stream that was opened as 1 and 3 and accepted; what it said is dropped.
    pub fn accepted(config: Config) -> (Self, portway_proto::StreamId) {
        let mut rig = Self::server(config);
        rig.syn_pair(1, 8080, "0");
        let id = rig.session.accept().expect("a pair");
        rig.frames();
        rig.events();
        (rig, id)
    }

    /// A client with a stream that was opened as 1 and 3 and replied to; events and what it said
    /// are dropped.
    pub fn opened(config: Config) -> (Self, portway_proto::StreamId) {
        let mut rig = Self::client(config);
        let id = rig.open_replied(8080, 1);
        rig.events();
        (rig, id)
    }

    /// Opens a stream that is `error` and `error + 2` on the wire, and replies.
    pub fn open_replied(&mut self, port: u16, error: u32) -> portway_proto::StreamId {
        let id = self.rig.open(port);
        let frames = self.frames();
        assert!(matches!(frames[..], [Frame::Syn { .. }, Frame::Syn { .. }, _]), "{frames:?}");
        self.peer_all(&[reply(error), reply(error + 2)]);
        id
    }

    /// All that goes out now.
    pub fn frames(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(message) = self.message() {
            frames.extend(message);
        }
        frames
    }

    /// The frames of the next message that goes out.
    pub fn message(&mut self) -> Option<Vec<Frame>> {
        let transmit = self.rig.transmit()?;
        Some(self.decode(&transmit))
    }

    /// The frames of a message.
    pub fn decode(&mut self, transmit: &Transmit) -> Vec<Frame> {
        let bytes = payload(transmit);
        match transmit.kind() {
            Kind::Binary => {
                assert!(!bytes.is_empty(), "an empty message");
                let frames = self.reader.take(&bytes);
                assert!(self.reader.is_idle(), "a message ends inside of a frame");
                for frame in &frames {
                    let never = matches!(frame, Frame::Headers { .. } | Frame::Other { .. });
                    assert!(!never, "{frame:?} is never sent");
                }
                frames
            }
            Kind::Ping => vec![Frame::WsPing(bytes.to_vec())],
            Kind::Pong => vec![Frame::WsPong(bytes.to_vec())],
            Kind::Close => {
                let frame = close_frame(&bytes).unwrap();
                vec![Frame::Close(frame.code, frame.reason)]
            }
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_specification_are_read() {
        let hex = |text: &str| -> Vec<u8> {
            text.split_ascii_whitespace().map(|b| u8::from_str_radix(b, 16).unwrap()).collect()
        };
        let first = hex(
            "80 03 00 01 00 00 00 3d 00 00 00 01 00 00 00 00 00 00 78 f9 e3 c6 a7 c2 02 25 3a 48 f9 \
             5b 04 4e ea 16 06 16 06 40 9a b3 08 12 5f 99 a0 74 cc 68 00 4e 89 25 45 a9 89 b9 d0 c2 \
             86 35 15 14 15 00 00 00 00 ff ff",
        );
        let second = hex(
            "80 03 00 01 00 00 00 16 00 00 00 03 00 00 00 00 00 00 22 53 33 a8 a4 4a 04 00 00 00 ff ff",
        );
        let mut reader = Reader::default();
        let frames = reader.take(&[first, second].concat());
        assert_eq!(frames, [syn(1, "error", 8080, "0"), syn(3, "data", 8080, "0")]);
    }

    #[test]
    fn what_is_written_is_read() {
        let frames = [
            syn(1, "error", 1, "x"),
            reply(2),
            data(7, b"abc"),
            fin(7),
            cancel(9),
            Frame::Ping(77),
            go_away(3, 1),
            Frame::Other { kind: 4, body: vec![0; 4] },
        ];
        let mut writer = Writer::default();
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| writer.frame(frame)).collect();
        let mut reader = Reader::default();
        let read: Vec<Frame> = bytes.chunks(3).flat_map(|piece| reader.take(piece)).collect();
        assert_eq!(read, frames);
    }
}
