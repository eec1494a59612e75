use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::peer::{BLOCK, Pipe};

/// Payload of one data message behind its channel byte, as Kubernetes sends them.
const PIECE: usize = 32 * 1024;
const HEADER: usize = 4;

/// A server's end of a v4 connection: blocking, written for this and nothing else, so that it costs
/// little. It unmasks only what it has to look at.
pub(crate) struct WsPipe {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Payload left in the frame.
    left: usize,
    key: [u8; 4],
    /// Messages for [`BLOCK`] bytes, one behind the other.
    prebuilt: &'static [u8],
}

impl WsPipe {
    /// Answers the upgrade; returns the port that is asked for.
    pub(crate) fn accept(stream: TcpStream, prebuilt: &'static [u8]) -> io::Result<(Self, u16)> {
        let mut pipe = Self {
            stream,
            buffer: vec![0; 16 * 1024],
            start: 0,
            end: 0,
            left: 0,
            key: [0; 4],
            prebuilt,
        };
        let head_end = loop {
            let seen = &pipe.buffer[..pipe.end];
            if let Some(at) = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            pipe.fill()?;
        };
        let head = String::from_utf8_lossy(&pipe.buffer[..head_end]).into_owned();
        pipe.start = head_end;
        let port = head.split_once("ports=").map_or("", |(_, rest)| rest);
        let port = port.split(|c: char| !c.is_ascii_digit()).next().and_then(|p| p.parse().ok());
        let port: u16 = port.ok_or(ErrorKind::InvalidData)?;
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
        });
        let key = key.ok_or(ErrorKind::InvalidData)?;
        let accept = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
        let accept = STANDARD.encode(accept);
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"
        )
        .into_bytes();
        for channel in [0, 1] {
            answer.extend_from_slice(&[0x82, 3, channel]);
            answer.extend_from_slice(&port.to_le_bytes());
        }
        pipe.stream.write_all(&answer)?;
        Ok((pipe, port))
    }

    /// What the upload ends in.
    pub(crate) fn large_buffer(mut self) -> Self {
        self.buffer.resize(512 * 1024, 0);
        self
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = self.stream.read(&mut self.buffer[self.end..])?;
        self.end += read;
        if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Makes sure that there is payload to take; false at the Close.
    fn payload(&mut self) -> io::Result<bool> {
        while self.left == 0 {
            while self.end - self.start < 2 {
                self.fill()?;
            }
            let opcode = self.buffer[self.start] & 15;
            let short = self.buffer[self.start + 1] & 0x7f;
            let extra = match short {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            // With the channel byte, of which only an empty message has none.
            let header = 2 + extra + 4 + usize::from(short > 0);
            while self.end - self.start < header {
                self.fill()?;
            }
            let bytes = &self.buffer[self.start..self.start + header];
            let long = bytes[2..2 + extra].iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
            let length = if extra == 0 { usize::from(short) } else { long };
            let key = [bytes[2 + extra], bytes[3 + extra], bytes[4 + extra], bytes[5 + extra]];
            if opcode == 8 {
                return Ok(false);
            }
            assert!(opcode == 2, "the forwarder sent opcode {opcode}");
            self.start += header;
            self.left = length.saturating_sub(1);
            // The channel byte had the first of the key.
            self.key = key;
            self.key.rotate_left(1);
        }
        if self.start == self.end {
            self.fill()?;
        }
        Ok(true)
    }

    fn take(&mut self, most: usize) -> std::ops::Range<usize> {
        let n = most.min(self.left).min(self.end - self.start);
        let taken = self.start..self.start + n;
        self.start += n;
        self.left -= n;
        taken
    }
}

/// The messages of [`BLOCK`] bytes, to be sent again and again.
pub(crate) fn prebuilt() -> &'static [u8] {
    let mut bytes = Vec::new();
    for _ in 0..BLOCK / PIECE {
        put_header(PIECE, &mut bytes);
        bytes.resize(bytes.len() + PIECE, b'x');
    }
    bytes.leak()
}

fn put_header(payload: usize, to: &mut Vec<u8>) {
    let length = payload + 1;
    to.push(0x82);
    if length < 126 {
        to.push(length.try_into().unwrap());
    } else {
        to.push(126);
        to.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    }
    to.push(0);
}

impl Pipe for WsPipe {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if !self.payload()? {
            return Ok(0);
        }
        let taken = self.take(to.len());
        let n = taken.len();
        for ((to, from), key) in to.iter_mut().zip(&self.buffer[taken]).zip(self.key.iter().cycle())
        {
            *to = from ^ key;
        }
        self.key.rotate_left(n % 4);
        Ok(n)
    }

    fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        while bytes > 0 {
            if !self.payload()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            bytes -= self.take(bytes).len();
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut message = Vec::with_capacity(bytes.len() + 16);
        for piece in bytes.chunks(PIECE) {
            put_header(piece.len(), &mut message);
            message.extend_from_slice(piece);
        }
        self.stream.write_all(&message)
    }

    fn blast(&mut self, mut bytes: usize) -> io::Result<()> {
        while bytes >= BLOCK {
            self.stream.write_all(self.prebuilt)?;
            bytes -= BLOCK;
        }
        let whole = bytes / PIECE;
        self.stream.write_all(&self.prebuilt[..whole * (HEADER + 1 + PIECE)])?;
        let rest = vec![b'x'; bytes % PIECE];
        self.write(&rest)
    }

    fn close(&mut self) -> io::Result<()> {
        self.stream.write_all(&[0x88, 2, 3, 0xe8])?;
        self.stream.shutdown(Shutdown::Write)?;
        while self.stream.read(&mut self.buffer)? > 0 {}
        Ok(())
    }
}
