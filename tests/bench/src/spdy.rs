use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};

use crate::input::Input;
use crate::peer::{BLOCK, PIECE};
use crate::site::{ECHO, SINK, SOURCE};
use crate::ws;

/// A server's end of a SPDY session, in the tunnel or plain: blocking, written for this and nothing
/// else, so that it costs little. It knows the frames that portway sends, and header blocks that are
/// stored; of uploads it looks at the heads of the frames.
pub(crate) struct SpdySession {
    input: Input,
    output: TcpStream,
    tunnelled: bool,
    /// Those whose data may still come, by the number of the data stream. Several, because a
    /// connection that only waits for its end takes no room.
    streams: BTreeMap<u32, Program>,
    /// A header block was sent.
    started: bool,
}

/// A program of the pod, as far as it has come.
enum Program {
    Echo,
    /// What of its line with the number has come.
    Sink(usize),
    /// What the line said, and what of that is still to come.
    Sinking(usize, usize),
    Source(usize),
}

const HEAD: usize = 8;

impl SpdySession {
    pub(crate) fn new(input: Input, output: TcpStream, tunnelled: bool) -> Self {
        Self { input, output, tunnelled, streams: BTreeMap::new(), started: false }
    }

    /// Until the client says its end.
    pub(crate) fn serve(mut self) -> io::Result<()> {
        while self.frame()? {}
        if self.tunnelled {
            self.output.write_all(&[0x88, 2, 3, 0xe8])?;
        }
        self.output.shutdown(Shutdown::Write)?;
        self.input.drain()
    }

    /// Does what the next frame asks for; false at the end of all of them.
    fn frame(&mut self) -> io::Result<bool> {
        let mut head = [0; HEAD];
        if !self.read_exact(&mut head)? {
            return Ok(false);
        }
        let [a, b, c, d, flags, length @ ..] = head;
        let first = u32::from_be_bytes([a, b, c, d]);
        let length = u32::from_be_bytes([0, length[0], length[1], length[2]]) as usize;
        if first < 0x8000_0000 {
            self.data(first, length)?;
            if flags & 1 != 0 && self.streams.contains_key(&first) {
                self.end(first)?;
            }
            return Ok(true);
        }
        let mut body = vec![0; length];
        self.read_exact(&mut body)?;
        let number = |at: usize| u32::from_be_bytes(body[at..at + 4].try_into().unwrap());
        match first {
            0x8003_0001 => self.open(number(0), &body[10..])?,
            0x8003_0003 => drop(self.streams.remove(&number(0))),
            0x8003_0006 => self.send(&[&head[..], &body].concat())?,
            0x8003_0007 => return Ok(false),
            _ => panic!("the forwarder sent a frame {first:08x}"),
        }
        Ok(true)
    }

    fn open(&mut self, stream: u32, block: &[u8]) -> io::Result<()> {
        let headers = headers(block);
        let value = |name| headers.iter().find(|(of, _)| of == name).map(|(_, value)| &**value);
        if value("streamtype") == Some("data") {
            let port = value("port").and_then(|port| port.parse().ok());
            let program = match port.ok_or(ErrorKind::InvalidData)? {
                ECHO => Program::Echo,
                SINK => {
                    self.input.enlarge();
                    Program::Sink(0)
                }
                SOURCE => Program::Source(0),
                _ => return Err(ErrorKind::InvalidData.into()),
            };
            self.streams.insert(stream, program);
        }
        // An empty header block, stored.
        let start: &[u8] = if self.started { &[] } else { ZLIB };
        let block = [start, &[0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0], FLUSH].concat();
        self.started = true;
        let length = u32::try_from(4 + block.len()).unwrap().to_be_bytes();
        let head = [[0x80, 3, 0, 2], length, stream.to_be_bytes()];
        self.send(&[head.as_flattened(), &block].concat())
    }

    /// `left` bytes come for a program, or for one that is over.
    fn data(&mut self, stream: u32, mut left: usize) -> io::Result<()> {
        while left > 0 {
            let Some(program) = self.streams.get_mut(&stream) else {
                return self.skip_exact(left);
            };
            match program {
                Program::Echo => {
                    let mut buffer = vec![0; left.min(PIECE)];
                    left -= buffer.len();
                    self.read_exact(&mut buffer)?;
                    self.send_data(stream, &buffer)?;
                }
                Program::Sink(number) | Program::Source(number) => {
                    let so_far = *number;
                    let mut byte = [0];
                    self.read_exact(&mut byte)?;
                    left -= 1;
                    match byte {
                        [b'\n'] => self.ordered(stream, so_far)?,
                        [digit] => self.counted(stream, so_far * 10 + usize::from(digit - b'0')),
                    }
                }
                Program::Sinking(bytes, missing) => {
                    let (bytes, now) = (*bytes, left.min(*missing));
                    *missing -= now;
                    let all = *missing == 0;
                    self.skip_exact(now)?;
                    left -= now;
                    if all {
                        self.send_data(stream, format!("{bytes}\n").as_bytes())?;
                        self.end(stream)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The line has gone on.
    fn counted(&mut self, stream: u32, number: usize) {
        if let Some(Program::Sink(of) | Program::Source(of)) = self.streams.get_mut(&stream) {
            *of = number;
        }
    }

    /// The line has ended.
    fn ordered(&mut self, stream: u32, bytes: usize) -> io::Result<()> {
        if let Some(Program::Source(_)) = self.streams.get(&stream) {
            self.blast(stream, bytes)?;
            return self.end(stream);
        }
        self.streams.insert(stream, Program::Sinking(bytes, bytes));
        Ok(())
    }

    /// Sends that many of any bytes, from frames that are built once.
    fn blast(&mut self, stream: u32, mut bytes: usize) -> io::Result<()> {
        let mut block = Vec::with_capacity(BLOCK + BLOCK / PIECE * 16);
        for _ in 0..BLOCK / PIECE {
            self.put_data(stream, &[b'x'; PIECE], &mut block);
        }
        while bytes >= BLOCK {
            self.output.write_all(&block)?;
            bytes -= BLOCK;
        }
        let frame = block.len() / (BLOCK / PIECE);
        self.output.write_all(&block[..bytes / PIECE * frame])?;
        self.send_data(stream, &vec![b'x'; bytes % PIECE])
    }

    /// The end of a stream as a runtime tells it: that of the data, then that of the errors.
    fn end(&mut self, stream: u32) -> io::Result<()> {
        self.streams.remove(&stream);
        let fin = |stream: u32| [stream.to_be_bytes(), [1, 0, 0, 0]];
        let ends = [fin(stream), fin(stream - 2)];
        self.send(ends.as_flattened().as_flattened())
    }

    fn send_data(&mut self, stream: u32, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut frame = Vec::with_capacity(bytes.len() + 16);
        self.put_data(stream, bytes, &mut frame);
        self.output.write_all(&frame)
    }

    /// At most [`PIECE`] bytes, which with their heads fit a message.
    fn put_data(&self, stream: u32, bytes: &[u8], to: &mut Vec<u8>) {
        if self.tunnelled {
            ws::put_head(HEAD + bytes.len(), to);
        }
        to.extend_from_slice(&stream.to_be_bytes());
        to.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
        to.extend_from_slice(bytes);
    }

    fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        let mut message = Vec::with_capacity(frames.len() + 4);
        if self.tunnelled {
            ws::put_head(frames.len(), &mut message);
        }
        message.extend_from_slice(frames);
        self.output.write_all(&message)
    }

    /// False at the end of the session, where there is nothing to read.
    fn read_exact(&mut self, mut to: &mut [u8]) -> io::Result<bool> {
        while !to.is_empty() {
            if !self.message()? {
                return Ok(false);
            }
            let read = self.input.read(to)?;
            to = &mut to[read..];
        }
        Ok(true)
    }

    fn skip_exact(&mut self, mut bytes: usize) -> io::Result<()> {
        while bytes > 0 && self.message()? {
            bytes -= self.input.skip(bytes)?;
        }
        Ok(())
    }

    /// Makes sure that there is something of a message; false at the Close.
    fn message(&mut self) -> io::Result<bool> {
        while self.input.left() == 0 {
            if !self.input.next_message()? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What a header stream starts with.
const ZLIB: &[u8] = &[0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2];
/// What a header block ends in.
const FLUSH: &[u8] = &[0, 0, 0, 0xff, 0xff];

/// The headers of a block that is stored.
fn headers(block: &[u8]) -> Vec<(String, String)> {
    let block = if block.starts_with(&[0x78]) { &block[ZLIB.len()..] } else { block };
    assert!(block[0] == 0 && block.ends_with(FLUSH), "a header block that is not stored");
    // Behind the length of the stored block and its complement.
    let mut rest = &block[5..block.len() - FLUSH.len()];
    let number = |rest: &mut &[u8]| {
        let (number, after) = rest.split_first_chunk().expect("a number");
        *rest = after;
        u32::from_be_bytes(*number) as usize
    };
    let count = number(&mut rest);
    let mut text = || {
        let length = number(&mut rest);
        let (text, after) = rest.split_at(length);
        rest = after;
        String::from_utf8_lossy(text).into_owned()
    };
    (0..count).map(|_| (text(), text())).collect()
}
