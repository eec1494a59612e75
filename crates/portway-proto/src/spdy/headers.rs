use bytes::{BufMut, BytesMut};

use super::dictionary::DICTIONARY_ID;
use super::inflate::Inflate;
use super::{Limits, SpdyViolation};

/// Makes the header blocks of one direction of a connection.
///
/// There is one for the life of the connection, because all blocks of a direction are one zlib stream.
/// It compresses nothing: a stored deflate block is valid for every decoder, and 60 bytes are not worth
/// a compressor's 256 KiB (protocol.md C.4).
#[derive(Debug, Default)]
pub struct HeaderEncoder {
    started: bool,
}

impl HeaderEncoder {
    /// For a connection that has sent no block yet.
    pub const fn new() -> Self {
        Self { started: false }
    }

    /// Appends the next block to `out`: for each header its name and its value. Send blocks in the
    /// order in which they were made, each exactly once.
    ///
    /// Names are written in lower case, because a Go peer ends the connection over an upper-case letter
    /// (protocol.md trap 19). The caller sees to it that none is empty or there twice, and that none is
    /// `connection`, `host`, `keep-alive`, `proxy-connection` or `transfer-encoding`, over which Go
    /// ends it too.
    pub fn encode(&mut self, headers: &[(&str, &str)], out: &mut BytesMut) {
        let texts = headers.iter().map(|(name, value)| 8 + name.len() + value.len());
        let length = 4 + texts.sum::<usize>();
        out.reserve(ZLIB_HEADER.len() + length + (length / MAX_STORED + 2) * 5);
        if !self.started {
            self.started = true;
            out.put_slice(&ZLIB_HEADER);
        }
        let mut stored = Stored { out, left: length, of_block: 0 };
        stored.put_length(headers.len());
        for (name, value) in headers {
            stored.put_length(name.len());
            for byte in name.bytes() {
                stored.put(&[byte.to_ascii_lowercase()]);
            }
            stored.put_length(value.len());
            stored.put(value.as_bytes());
        }
        out.put_slice(&SYNC_FLUSH);
    }
}

/// Reads the header blocks of one direction of a connection.
///
/// There is one for the life of the connection, and it has to see every block, also those of streams
/// that nobody wants: a block may refer to all that came before it. For this it keeps up to 33 KiB, and
/// under 2 KiB at first.
#[derive(Debug)]
pub struct HeaderDecoder {
    limits: Limits,
    inflate: Inflate,
    failed: Option<SpdyViolation>,
}

impl HeaderDecoder {
    /// For a connection that has received no block yet.
    pub const fn new(limits: Limits) -> Self {
        Self { limits, inflate: Inflate::new(), failed: None }
    }

    /// What the next block says.
    ///
    /// Names are visible ASCII without upper-case letters, not empty, and each there once, as Go and
    /// the draft want it. Names that Go refuses as out of place (`connection` and others) are taken.
    /// There is nothing behind the last header, and the block ends with a sync flush; more than one in
    /// it, or a block without the dictionary, is fine.
    ///
    /// # Errors
    ///
    /// What is wrong with the block. The stream's state is lost then, so the error latches: every later
    /// call gives the same.
    pub fn decode(&mut self, block: &[u8]) -> Result<Headers, SpdyViolation> {
        if let Some(violation) = &self.failed {
            return Err(violation.clone());
        }
        let limits = &self.limits;
        let read = |block: &[u8]| Headers::parse(block, limits);
        let result = self.inflate.block(block, limits.header_block(), read);
        let result = result.and_then(|headers| headers);
        if let Err(violation) = &result {
            self.failed = Some(violation.clone());
            self.inflate = Inflate::new();
        }
        result
    }
}

/// The headers of one block, in the order they came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// Name, value, name, value ...: each with its length in front, in 4 bytes, as it came in. Known to
    /// be whole.
    texts: Box<[u8]>,
    len: usize,
}

impl Headers {
    /// The value of the header with that name, which is in lower case. Several values are one, with a
    /// NUL between them.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(is, _)| *is == name.as_bytes()).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &*self.texts;
        std::iter::from_fn(move || {
            let name = take_text(&mut rest)?;
            Some((name, take_text(&mut rest)?))
        })
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// There is none, as in every SYN_REPLY of Kubernetes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn parse(block: &[u8], limits: &Limits) -> Result<Self, SpdyViolation> {
        let mut rest = block;
        let count = take_length(&mut rest)?;
        let limit = limits.headers();
        let len = within(count, limit).ok_or(SpdyViolation::TooManyHeaders { count, limit })?;
        let texts = rest;
        // A header has two lengths at least: what a count promises is there before anything is made
        // for it.
        let needed = u64::from(count) * 8;
        if needed > rest.len() as u64 {
            return Err(SpdyViolation::ShortBlock { needed, left: rest.len() });
        }
        let mut names = Vec::with_capacity(len);
        for _ in 0..len {
            let name = take_name(&mut rest, limits.name())?;
            let limit = limits.value();
            take_limited(&mut rest, limit, |length| SpdyViolation::ValueTooLong { length, limit })?;
            names.push(name);
        }
        if !rest.is_empty() {
            return Err(SpdyViolation::LongBlock { left: rest.len() });
        }
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return Err(SpdyViolation::DuplicateName);
        }
        Ok(Self { texts: texts.into(), len })
    }
}

/// FDICT, for a window of 32 KiB, and the dictionary's id.
const ZLIB_HEADER: [u8; 6] = {
    let [a, b, c, d] = DICTIONARY_ID;
    [0x78, 0xbb, a, b, c, d]
};

/// A stored deflate block without content.
const SYNC_FLUSH: [u8; 5] = [0, 0, 0, 0xff, 0xff];

/// The most content of a stored deflate block, in bytes (RFC 1951 section 3.2.4).
const MAX_STORED: usize = 0xffff;

/// Puts content of a known length into as few stored deflate blocks as it takes.
struct Stored<'a> {
    out: &'a mut BytesMut,
    /// Bytes to come, the current block's included.
    left: usize,
    /// Bytes to come in the current block.
    of_block: usize,
}

impl Stored<'_> {
    fn put_length(&mut self, length: usize) {
        self.put(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }

    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.of_block == 0 {
                let length = u16::try_from(self.left).unwrap_or(u16::MAX);
                self.out.put_u8(0);
                self.out.put_u16_le(length);
                self.out.put_u16_le(!length);
                self.of_block = length.into();
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.of_block));
            self.out.put_slice(now);
            self.of_block -= now.len();
            self.left -= now.len();
            bytes = later;
        }
    }
}

fn take_name<'a>(rest: &mut &'a [u8], limit: usize) -> Result<&'a [u8], SpdyViolation> {
    let name = take_limited(rest, limit, |length| SpdyViolation::NameTooLong { length, limit })?;
    if name.is_empty() {
        return Err(SpdyViolation::EmptyName);
    }
    match name.iter().find(|byte| !byte.is_ascii_graphic() || byte.is_ascii_uppercase()) {
        Some(&byte) => Err(SpdyViolation::BadName { byte }),
        None => Ok(name),
    }
}

fn take_limited<'a>(
    rest: &mut &'a [u8],
    limit: usize,
    too_long: impl FnOnce(u32) -> SpdyViolation,
) -> Result<&'a [u8], SpdyViolation> {
    let length = take_length(rest)?;
    let length = within(length, limit).ok_or_else(|| too_long(length))?;
    match rest.split_at_checked(length) {
        Some((text, after)) => {
            *rest = after;
            Ok(text)
        }
        None => Err(SpdyViolation::ShortBlock { needed: length as u64, left: rest.len() }),
    }
}

/// A text whose length is known to be right.
fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    take_limited(rest, usize::MAX, |_| SpdyViolation::EmptyName).ok()
}

fn take_length(rest: &mut &[u8]) -> Result<u32, SpdyViolation> {
    let (length, after) = rest
        .split_first_chunk()
        .ok_or(SpdyViolation::ShortBlock { needed: 4, left: rest.len() })?;
    *rest = after;
    Ok(u32::from_be_bytes(*length))
}

/// A length from the wire as a length in memory.
fn within(length: u32, limit: usize) -> Option<usize> {
    usize::try_from(length).ok().filter(|length| *length <= limit)
}
