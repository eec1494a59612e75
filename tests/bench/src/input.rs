use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;

/// What a client sends: an HTTP request, and behind it bytes as they are or in masked messages. It
/// unmasks only what is looked at.
pub(crate) struct Input {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Of the message that is being read; without messages there is no end.
    left: usize,
    key: [u8; 4],
}

impl Input {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let buffer = vec![0; 16 * 1024];
        Self { stream, buffer, start: 0, end: 0, left: usize::MAX, key: [0; 4] }
    }

    /// Everything up to the empty line.
    pub(crate) fn head(&mut self) -> io::Result<String> {
        let end = loop {
            let seen = &self.buffer[..self.end];
            if let Some(at) = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        self.start = end;
        Ok(String::from_utf8_lossy(&self.buffer[..end]).into_owned())
    }

    /// From here on there are messages.
    pub(crate) fn in_messages(&mut self) {
        self.left = 0;
    }

    /// Room for what the upload ends in.
    pub(crate) fn enlarge(&mut self) {
        self.buffer.resize(512 * 1024, 0);
    }

    /// Of the message that is being read; 0 between two of them.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// Begins the next message, which may be empty; false if it is a Close.
    pub(crate) fn next_message(&mut self) -> io::Result<bool> {
        self.fill_to(2)?;
        let opcode = self.buffer[self.start] & 15;
        let short = self.buffer[self.start + 1] & 0x7f;
        let extra = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        self.fill_to(2 + extra + 4)?;
        let bytes = &self.buffer[self.start + 2..self.start + 2 + extra + 4];
        let (long, key) = bytes.split_at(extra);
        let long = long.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        self.left = if extra == 0 { usize::from(short) } else { long };
        self.key.copy_from_slice(key);
        self.start += 2 + extra + 4;
        if opcode == 8 {
            return Ok(false);
        }
        assert!(opcode == 2, "the forwarder sent opcode {opcode}");
        Ok(true)
    }

    /// Reads what is at hand of a message, at least a byte; 0 at its end.
    pub(crate) fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let key = self.key;
        let taken = self.take(to.len())?;
        let from = &self.buffer[taken];
        let n = from.len();
        for ((to, from), key) in to.iter_mut().zip(from).zip(key.iter().cycle()) {
            *to = from ^ key;
        }
        Ok(n)
    }

    /// Takes what is at hand of a message, at most so many bytes, and does not look at them.
    pub(crate) fn skip(&mut self, most: usize) -> io::Result<usize> {
        self.take(most).map(|taken| taken.len())
    }

    /// Takes everything until the client is gone.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        while self.stream.read(&mut self.buffer)? > 0 {}
        Ok(())
    }

    fn take(&mut self, most: usize) -> io::Result<std::ops::Range<usize>> {
        if most.min(self.left) > 0 {
            self.fill_to(1)?;
        }
        let n = most.min(self.left).min(self.end - self.start);
        let taken = self.start..self.start + n;
        self.start += n;
        if self.left < usize::MAX {
            self.left -= n;
            self.key.rotate_left(n % 4);
        }
        Ok(taken)
    }

    fn fill_to(&mut self, bytes: usize) -> io::Result<()> {
        while self.end - self.start < bytes {
            self.fill()?;
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let read = self.stream.read(&mut self.buffer[self.end..])?;
        self.end += read;
        if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}
