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

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [(&str, &str); 3] =
        [("port", "8080"), ("requestid", "0"), ("streamtype", "error")];
    const SECOND: [(&str, &str); 3] =
        [("port", "8080"), ("requestid", "0"), ("streamtype", "data")];

    fn bytes(hex: &str) -> Vec<u8> {
        hex.split_ascii_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    fn pairs(headers: &Headers) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        headers.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    /// A block's content: names and values as they are.
    fn content(count: u32, texts: &[&[u8]]) -> Vec<u8> {
        let mut content = count.to_be_bytes().to_vec();
        for text in texts {
            content.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            content.extend(*text);
        }
        content
    }

    fn stored(content: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::from(&ZLIB_HEADER[..]);
        Stored { out: &mut out, left: content.len(), of_block: 0 }.put(content);
        [&out, &SYNC_FLUSH[..]].concat()
    }

    fn decode(limits: Limits, content: &[u8]) -> Result<Headers, SpdyViolation> {
        let mut decoder = HeaderDecoder::new(limits);
        let result = decoder.decode(&stored(content));
        if result.is_err() {
            assert_eq!(decoder.decode(&SYNC_FLUSH), result, "latched");
            assert_eq!(decoder.inflate.capacity(), 0, "nothing is held after the end");
        }
        result
    }

    fn refused(content: &[u8]) -> SpdyViolation {
        decode(Limits::new(), content).unwrap_err()
    }

    /// protocol.md C.4: what a Go client sends for one forward.
    #[test]
    fn deflated_vectors() {
        let mut decoder = HeaderDecoder::new(Limits::new());
        let first = bytes(
            "78 f9 e3 c6 a7 c2 02 25 3a 48 f9 5b 04 4e ea 16 06 16 06 40 9a b3 08 12 5f 99 a0 74 \
             cc 68 00 4e 89 25 45 a9 89 b9 d0 c2 86 35 15 14 15 00 00 00 00 ff ff",
        );
        assert_eq!(pairs(&decoder.decode(&first).unwrap()), FIRST);
        let second = bytes("22 53 33 a8 a4 4a 04 00 00 00 ff ff");
        let headers = decoder.decode(&second).unwrap();
        assert_eq!(pairs(&headers), SECOND);
        assert_eq!((headers.len(), headers.is_empty()), (3, false));
        assert_eq!(headers.get("streamtype"), Some(&b"data"[..]));
        assert_eq!(headers.get("streamType"), None);

        let mut decoder = HeaderDecoder::new(Limits::new());
        let first = bytes("78 f9 e3 c6 a7 c2 02 a6 23 06 00 00 00 00 ff ff");
        assert!(decoder.decode(&first).unwrap().is_empty());
        let second = bytes("02 01 00 00 00 00 ff ff");
        assert!(decoder.decode(&second).unwrap().is_empty());
    }

    /// protocol.md C.4: the same from an encoder without a compressor.
    #[test]
    fn stored_vectors() {
        let text = bytes(
            "00 00 00 03 00 00 00 04 70 6f 72 74 00 00 00 04 38 30 38 30 00 00 00 09 72 65 71 75 \
             65 73 74 69 64 00 00 00 01 30 00 00 00 0a 73 74 72 65 61 6d 74 79 70 65 00 00 00 05 \
             65 72 72 6f 72",
        );
        let (mut encoder, mut decoder) = (HeaderEncoder::new(), HeaderDecoder::new(Limits::new()));
        let mut out = BytesMut::from(&b"before"[..]);
        encoder.encode(&FIRST, &mut out);
        assert_eq!(out.split_to(6), b"before"[..], "a block is appended");
        let start = bytes("78 bb e3 c6 a7 c2 00 3d 00 c2 ff");
        assert_eq!(out, [&start, &text[..], &SYNC_FLUSH].concat());
        assert_eq!(pairs(&decoder.decode(&out).unwrap()), FIRST);
        out.clear();
        encoder.encode(&SECOND, &mut out);
        assert_eq!(out[..5], bytes("00 3c 00 c3 ff"));
        assert_eq!((out.len(), &out[65..]), (70, &SYNC_FLUSH[..]));
        assert_eq!(pairs(&decoder.decode(&out).unwrap()), SECOND);

        let (mut encoder, mut decoder) = (HeaderEncoder::new(), HeaderDecoder::new(Limits::new()));
        for expected in [
            "78 bb e3 c6 a7 c2 00 04 00 fb ff 00 00 00 00 00 00 00 ff ff",
            "00 04 00 fb ff 00 00 00 00 00 00 00 ff ff",
        ] {
            out.clear();
            encoder.encode(&[], &mut out);
            assert_eq!(out, bytes(expected));
            assert!(decoder.decode(&out).unwrap().is_empty());
        }
    }

    #[test]
    fn a_long_block_is_split() {
        for (length, blocks) in [(65_535 - 13, 1), (65_536 - 13, 2), (3 * 65_535, 4)] {
            let value = "v".repeat(length);
            let mut out = BytesMut::new();
            HeaderEncoder::new().encode(&[("n", &value)], &mut out);
            assert_eq!(out.len(), 6 + 5 * blocks + 13 + length + 5);
            let limits = Limits::new().with_header_block(1 << 20).with_value(1 << 20);
            let headers = HeaderDecoder::new(limits).decode(&out).unwrap();
            assert_eq!(pairs(&headers), [("n", &*value)]);
        }
    }

    #[test]
    fn names_are_sent_in_lower_case() {
        let mut out = BytesMut::new();
        HeaderEncoder::new().encode(&[("streamType", "Data")], &mut out);
        let headers = HeaderDecoder::new(Limits::new()).decode(&out).unwrap();
        assert_eq!(pairs(&headers), [("streamtype", "Data")]);
    }

    #[test]
    fn values_are_any_bytes() {
        let texts: [&[u8]; 4] = [b"a", b"one\0two", b"!~", b"\xff\n"];
        let headers = decode(Limits::new(), &content(2, &texts)).unwrap();
        assert_eq!(headers.get("a"), Some(&b"one\0two"[..]));
        assert_eq!(headers.get("!~"), Some(&b"\xff\n"[..]));
        assert!(decode(Limits::new(), &content(1, &[b"connection", b""])).is_ok(), "liberal");
    }

    #[test]
    fn names_are_lower_case_ascii_and_not_empty() {
        assert_eq!(refused(&content(1, &[b"", b"v"])), SpdyViolation::EmptyName);
        for byte in [b'A', b'Z', b' ', b'\0', b'\n', 0x7f, 0x80, 0xff] {
            let name = [b'a', byte, b'b'];
            let violation = SpdyViolation::BadName { byte };
            assert_eq!(refused(&content(1, &[&name, b"v"])), violation);
        }
    }

    #[test]
    fn names_are_unique() {
        let twice = content(3, &[b"a", b"1", b"b", b"2", b"a", b"3"]);
        assert_eq!(refused(&twice), SpdyViolation::DuplicateName);
        assert_eq!(refused(&content(2, &[b"a", b"1", b"a", b"1"])), SpdyViolation::DuplicateName);
        assert!(decode(Limits::new(), &content(2, &[b"a", b"1", b"aa", b"1"])).is_ok());
    }

    #[test]
    fn a_block_is_as_long_as_it_says() {
        let whole = content(2, &[b"one", b"1", b"two", b"2"]);
        assert!(decode(Limits::new(), &whole).is_ok());
        for cut in 0..whole.len() {
            let violation = refused(&whole[..cut]);
            assert!(matches!(violation, SpdyViolation::ShortBlock { .. }), "{cut}: {violation}");
        }
        let longer = [&whole[..], b"x"].concat();
        assert_eq!(refused(&longer), SpdyViolation::LongBlock { left: 1 });
        assert_eq!(refused(&[0; 5]), SpdyViolation::LongBlock { left: 1 });
    }

    #[test]
    fn limits_are_exact() {
        let block = content(2, &[b"name", b"value..", b"x", b""]);
        assert_eq!(block.len(), 4 + 16 + 12);
        let limits = Limits::new().with_header_block(32).with_headers(2).with_name(4).with_value(7);
        assert!(decode(limits, &block).is_ok());
        for (limits, violation) in [
            (limits.with_header_block(31), SpdyViolation::BlockTooBig { limit: 31 }),
            (limits.with_headers(1), SpdyViolation::TooManyHeaders { count: 2, limit: 1 }),
            (limits.with_name(3), SpdyViolation::NameTooLong { length: 4, limit: 3 }),
            (limits.with_value(6), SpdyViolation::ValueTooLong { length: 7, limit: 6 }),
        ] {
            assert_eq!(decode(limits, &block), Err(violation));
        }
    }

    /// CVE-2026-35469: a count or a length of 32 bits that nothing stands behind.
    #[test]
    fn a_promise_takes_no_memory() {
        let limits = Limits::new().with_headers(usize::MAX).with_name(usize::MAX);
        let limits = limits.with_value(usize::MAX);
        let decode = |content: &[u8]| decode(limits, content);
        let needed = u64::from(u32::MAX);
        assert_eq!(
            decode(&[0xff; 4]),
            Err(SpdyViolation::ShortBlock { needed: needed * 8, left: 0 })
        );
        let name = [&[0, 0, 0, 1][..], &[0xff; 8]].concat();
        assert_eq!(decode(&name), Err(SpdyViolation::ShortBlock { needed, left: 4 }));
        let value = [&content(1, &[b"a"])[..], &[0xff; 4]].concat();
        assert_eq!(decode(&value), Err(SpdyViolation::ShortBlock { needed, left: 0 }));
    }

    #[test]
    fn a_thousand_headers_are_taken_by_default() {
        let names: Vec<String> = (0..1001).map(|number| format!("name-{number}")).collect();
        let texts: Vec<&[u8]> = names.iter().flat_map(|name| [name.as_bytes(), b""]).collect();
        let headers = decode(Limits::default(), &content(1000, &texts[..2000])).unwrap();
        assert_eq!((headers.len(), headers.iter().count()), (1000, 1000));
        assert_eq!(headers.get("name-999"), Some(&b""[..]));
        let violation = SpdyViolation::TooManyHeaders { count: 1001, limit: 1000 };
        assert_eq!(refused(&content(1001, &texts)), violation);
    }
}
