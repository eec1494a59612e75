use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};

use crate::input::Input;
use crate::peer::{BLOCK, PIECE, Pipe};
use crate::ws;

const HEADER: usize = 4;

/// A server's end of a v4 connection: blocking, written for this and nothing else, so that it costs
/// little.
pub(crate) struct V4Pipe {
    input: Input,
    output: TcpStream,
    /// Messages for [`BLOCK`] bytes, one behind the other.
    prebuilt: &'static [u8],
}

impl V4Pipe {
    /// Announces the port.
    pub(crate) fn new(
        input: Input,
        mut output: TcpStream,
        port: u16,
        prebuilt: &'static [u8],
    ) -> io::Result<Self> {
        let mut prefixes = Vec::new();
        for channel in [0, 1] {
            prefixes.extend_from_slice(&[0x82, 3, channel]);
            prefixes.extend_from_slice(&port.to_le_bytes());
        }
        output.write_all(&prefixes)?;
        Ok(Self { input, output, prebuilt })
    }

    /// Makes sure that there is payload to take; false at the Close.
    fn payload(&mut self) -> io::Result<bool> {
        while self.input.left() == 0 {
            if !self.input.next_message()? {
                return Ok(false);
            }
            // The channel byte, which only an empty message lacks.
            self.input.skip(1)?;
        }
        Ok(true)
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
    ws::put_head(payload + 1, to);
    to.push(0);
}

impl Pipe for V4Pipe {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.payload()? { self.input.read(to) } else { Ok(0) }
    }

    fn skip(&mut self, mut bytes: usize) -> io::Result<()> {
        self.input.enlarge();
        while bytes > 0 {
            if !self.payload()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            bytes -= self.input.skip(bytes)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut message = Vec::with_capacity(bytes.len() + 16);
        for piece in bytes.chunks(PIECE) {
            put_header(piece.len(), &mut message);
            message.extend_from_slice(piece);
        }
        self.output.write_all(&message)
    }

    fn blast(&mut self, mut bytes: usize) -> io::Result<()> {
        while bytes >= BLOCK {
            self.output.write_all(self.prebuilt)?;
            bytes -= BLOCK;
        }
        let whole = bytes / PIECE;
        self.output.write_all(&self.prebuilt[..whole * (HEADER + 1 + PIECE)])?;
        let rest = vec![b'x'; bytes % PIECE];
        self.write(&rest)
    }

    fn close(&mut self) -> io::Result<()> {
        self.output.write_all(&[0x88, 2, 3, 0xe8])?;
        self.output.shutdown(Shutdown::Write)?;
        self.input.drain()
    }
}
