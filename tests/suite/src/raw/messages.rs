//! The messages of a session, read and written by hand (protocol.md B.2, C.1, C.3; RFC 6455).

use std::collections::VecDeque;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portway_driver::proto::Side;
use portway_driver::{Socket, WireForm};
use portway_testkit::spdy::{Frame, Reader, Writer};

use crate::pipe::Pipe;

/// Something that is said in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Message {
    /// v4: a channel and what is said on it.
    Channel(u8, Vec<u8>),
    /// v4: a message without a byte, not even that of the channel.
    Empty,
    /// SPDY.
    Spdy(Frame),
    /// A WebSocket ping.
    Ping(Vec<u8>),
    /// A WebSocket pong.
    Pong(Vec<u8>),
    /// A WebSocket Close: 1005 is one that says no code.
    Close(u16, String),
}

/// One side of a session.
#[derive(Debug)]
pub struct Raw<S> {
    /// The connection below it.
    pub pipe: Pipe<S>,
    form: WireForm,
    side: Side,
    writer: Writer,
    reader: Reader,
    /// What was read of a fragmented message.
    fragments: Option<(u8, Vec<u8>)>,
    ready: VecDeque<Message>,
}

impl<S: Socket> Raw<S> {
    /// The side of an upgraded connection.
    pub fn new(pipe: Pipe<S>, form: WireForm, side: Side) -> Self {
        Self {
            pipe,
            form,
            side,
            writer: Writer::default(),
            reader: Reader::default(),
            fragments: None,
            ready: VecDeque::new(),
        }
    }

    /// Says something, with the next read at the latest.
    pub fn push(&mut self, message: &Message) {
        match message {
            Message::Channel(channel, bytes) => {
                let (opcode, payload) = self.channel_message(*channel, bytes);
                self.push_frame(opcode, true, &payload);
            }
            Message::Empty => self.push_frame(2, true, b""),
            Message::Spdy(frame) => {
                let bytes = self.writer.frame(frame);
                self.push_bytes(&bytes);
            }
            Message::Ping(bytes) => self.push_frame(9, true, bytes),
            Message::Pong(bytes) => self.push_frame(10, true, bytes),
            Message::Close(code, reason) => {
                self.push_frame(8, true, &[&code.to_be_bytes()[..], reason.as_bytes()].concat());
            }
        }
    }

    /// v4: opcode and payload of the message that says something on a channel.
    pub fn channel_message(&self, channel: u8, bytes: &[u8]) -> (u8, Vec<u8>) {
        match self.form {
            WireForm::V4Base64 => {
                let text = STANDARD.encode(bytes);
                (1, [&[b'0' + channel][..], text.as_bytes()].concat())
            }
            _ => (2, [&[channel], bytes].concat()),
        }
    }

    /// SPDY: bytes of the connection, in a message of their own where there are any.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        match self.form.subprotocol() {
            Some(_) => self.push_frame(2, true, bytes),
            None => self.pipe.push(bytes),
        }
    }

    /// The bytes of a SPDY frame, to be pushed as one likes.
    pub fn encode(&mut self, frame: &Frame) -> Vec<u8> {
        self.writer.frame(frame)
    }

    /// One WebSocket frame; a client's is masked.
    pub fn push_frame(&mut self, opcode: u8, fin: bool, payload: &[u8]) {
        const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
        let masked = if self.side == Side::Client { 0x80 } else { 0 };
        let mut head = vec![opcode | if fin { 0x80 } else { 0 }];
        match payload.len() {
            short @ 0..126 => head.push(masked | short as u8),
            medium @ 126..0x1_0000 => {
                head.push(masked | 126);
                head.extend((medium as u16).to_be_bytes());
            }
            long => {
                head.push(masked | 127);
                head.extend((long as u64).to_be_bytes());
            }
        }
        self.pipe.push(&head);
        if masked == 0 {
            return self.pipe.push(payload);
        }
        self.pipe.push(&MASK);
        let mut payload = payload.to_vec();
        mask(&mut payload, MASK);
        self.pipe.push(&payload);
    }

    /// Says something and waits until it is on its way.
    ///
    /// # Errors
    /// What the system says.
    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        self.push(message);
        self.pipe.flush().await
    }

    /// The next that the other side says; `None` is the end of the transport.
    ///
    /// # Errors
    /// What the system says.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
            if !self.decode() && self.pipe.fill().await? == 0 {
                assert!(self.pipe.bytes().is_empty(), "the transport ended within a frame");
                return Ok(None);
            }
        }
    }

    /// Takes what is whole; false if nothing is.
    fn decode(&mut self) -> bool {
        if self.form.subprotocol().is_none() {
            let bytes = self.pipe.bytes().split();
            self.ready.extend(self.reader.take(&bytes).into_iter().map(Message::Spdy));
            return !bytes.is_empty();
        }
        let Some((opcode, fin, payload)) = self.take_frame() else { return false };
        match opcode {
            0 => {
                let (_, all) = self.fragments.as_mut().expect("a message to continue");
                all.extend(payload);
                if fin {
                    let (opcode, all) = self.fragments.take().expect("it was there");
                    self.take_message(opcode, all);
                }
            }
            1 | 2 if fin => self.take_message(opcode, payload),
            1 | 2 => self.fragments = Some((opcode, payload)),
            8 => {
                let (code, reason) = payload.split_first_chunk().unwrap_or((&[0x03, 0xed], b""));
                let reason = String::from_utf8(reason.to_vec()).expect("a reason in UTF-8");
                self.ready.push_back(Message::Close(u16::from_be_bytes(*code), reason));
            }
            9 => self.ready.push_back(Message::Ping(payload)),
            10 => self.ready.push_back(Message::Pong(payload)),
            _ => panic!("opcode {opcode}"),
        }
        true
    }

    fn take_frame(&mut self) -> Option<(u8, bool, Vec<u8>)> {
        let bytes = self.pipe.bytes();
        let [first, second] = *bytes.first_chunk()?;
        assert_eq!(first & 0x70, 0, "reserved bits");
        let (start, len) = match second & 0x7f {
            126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()))),
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize),
            short => (2, usize::from(short)),
        };
        let masked = second & 0x80 != 0;
        assert_eq!(masked, self.side == Side::Server, "a client masks, a server does not");
        let key: Option<[u8; 4]> = match masked {
            true => Some(bytes.get(start..start + 4)?.try_into().unwrap()),
            false => None,
        };
        let start = if masked { start + 4 } else { start };
        if bytes.len() < start + len {
            return None;
        }
        let frame = bytes.split_to(start + len);
        let mut payload = frame[start..].to_vec();
        if let Some(key) = key {
            mask(&mut payload, key);
        }
        Some((first & 0x0f, first & 0x80 != 0, payload))
    }

    fn take_message(&mut self, opcode: u8, payload: Vec<u8>) {
        let text = self.form == WireForm::V4Base64;
        // An empty message means the same in any codec.
        assert!(payload.is_empty() || opcode == if text { 1 } else { 2 }, "opcode {opcode}");
        if self.form.capabilities().dynamic_open {
            return self.ready.extend(self.reader.take(&payload).into_iter().map(Message::Spdy));
        }
        let Some((channel, rest)) = payload.split_first() else {
            return self.ready.push_back(Message::Empty);
        };
        self.ready.push_back(match text {
            true => Message::Channel(channel - b'0', STANDARD.decode(rest).expect("base64")),
            false => Message::Channel(*channel, rest.to_vec()),
        });
    }
}

/// Masks, or takes the mask off; long stretches at a time, because tests are not optimized.
fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]);
    let (stretches, rest) = bytes.as_chunks_mut();
    for stretch in stretches {
        *stretch = (u128::from_ne_bytes(*stretch) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}
