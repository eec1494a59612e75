//! SPDY read a second time: frames by a naive reader that has all bytes before it starts, header
//! blocks by zlib.

use std::iter;

use bytes::{Bytes, BytesMut};
use portway_proto::spdy::{
    Decoder, Frame, HeaderDecoder, HeaderEncoder, Headers, Limits, SpdyViolation, data_head,
    put_go_away, put_ping, put_rst_stream, put_syn_reply, put_syn_stream,
};
use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateError, InflateFlush};

use crate::transcript::{Entry, Seen, Transcript};

/// The dictionary of protocol.md C.4, made by other code than ours.
pub const DICTIONARY: &[u8] = include_bytes!("spdy_dictionary.bin");

/// What our decoder made of some bytes. Equal for equal bytes, however they were cut.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Reading {
    /// The frames, pieces of one DATA frame put together.
    pub frames: Vec<Frame>,
    /// Why it stopped, if it did.
    pub violation: Option<SpdyViolation>,
    /// What [`Decoder::is_idle`] says at the end.
    pub idle: bool,
}

impl Reading {
    fn push(&mut self, frame: Frame) {
        let Frame::Data { stream, bytes, fin, end } = frame else { return self.frames.push(frame) };
        assert!(end || !fin, "a FIN before the end of its frame");
        match self.frames.last_mut() {
            Some(Frame::Data { stream: of, bytes: all, fin: fins, end: ends @ false }) => {
                assert_eq!(*of, stream, "a frame of two streams");
                assert!(!bytes.is_empty(), "an empty piece of a frame that is not");
                *all = [&all[..], &bytes].concat().into();
                (*fins, *ends) = (fin, end);
            }
            _ => {
                assert!(end || !bytes.is_empty(), "an empty piece that ends nothing");
                self.frames.push(Frame::Data { stream, bytes, fin, end });
            }
        }
    }
}

/// Our decoder over `wire`, which comes in chunks as long as `cut` of what is left says.
pub fn read(limits: Limits, wire: &Bytes, mut cut: impl FnMut(&[u8]) -> usize) -> Reading {
    let mut decoder = Decoder::new(limits);
    let mut reading = Reading { frames: Vec::new(), violation: None, idle: false };
    let mut rest = wire.clone();
    while !rest.is_empty() {
        let chunk = rest.split_to(cut(&rest).clamp(1, rest.len()));
        // An empty message behind each chunk, as Go sends them.
        for mut input in [chunk, Bytes::new()] {
            loop {
                match decoder.decode(&mut input) {
                    Ok(Some(frame)) => {
                        assert_eq!(reading.violation, None, "{frame:?} after the end");
                        reading.push(frame);
                    }
                    Ok(None) => {
                        assert_eq!(reading.violation, None, "the violation did not latch");
                        assert!(input.is_empty(), "{} bytes are left", input.len());
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
    }
    reading.idle = decoder.is_idle();
    reading
}

/// Reads `wire` whole, byte by byte and in chunks of lengths from `seed`: all must give the same, and
/// what the naive reader makes of it. What we have an encoder for must read the same encoded again.
pub fn judge(limits: Limits, wire: &[u8], seed: u64) -> Reading {
    let bytes = Bytes::copy_from_slice(wire);
    let whole = read(limits, &bytes, <[u8]>::len);
    let mut cuts = Cuts::new(seed);
    assert_eq!(whole, read(limits, &bytes, |_| cuts.next()), "whole, and in chunks");
    if wire.len() <= 8192 {
        assert_eq!(whole, read(limits, &bytes, |_| 1), "whole, and byte by byte");
    }
    assert_eq!(whole, naive(limits, wire), "our reading, and the naive one");
    let mut again = BytesMut::new();
    let encoded = whole.frames.iter().filter(|frame| encode(frame, &mut again)).cloned().collect();
    let encoded = Reading { frames: encoded, violation: None, idle: true };
    assert_eq!(encoded, read(limits, &again.freeze(), |_| cuts.next()), "read, and sent again");
    whole
}

/// Appends a frame, if it is one that we ever send.
pub fn encode(frame: &Frame, out: &mut BytesMut) -> bool {
    match frame {
        Frame::Data { stream, bytes, fin, end: true } => {
            out.extend_from_slice(&data_head(*stream, bytes.len(), *fin));
            out.extend_from_slice(bytes);
        }
        Frame::SynStream { stream, associated: 0, fin, block } => {
            put_syn_stream(out, *stream, *fin, block);
        }
        Frame::SynReply { stream, fin, block } => put_syn_reply(out, *stream, *fin, block),
        Frame::RstStream { stream, status } => put_rst_stream(out, *stream, *status),
        Frame::Ping { id } => put_ping(out, *id),
        Frame::GoAway { last, status } => put_go_away(out, *last, *status),
        _ => return false,
    }
    true
}

/// What `wire` means, read with all of it at hand.
pub fn naive(limits: Limits, wire: &[u8]) -> Reading {
    let mut frames = Vec::new();
    let mut rest = wire;
    while rest.len() >= 8 {
        let length = number(&[&[0], &rest[5..8]].concat()) as usize;
        let payload = &rest[8..rest.len().min(8 + length)];
        match naive_frame(limits, &rest[..8], payload, length) {
            Ok(frame) => frames.extend(frame),
            Err(violation) => return Reading { frames, violation: Some(violation), idle: false },
        }
        if payload.len() < length {
            return Reading { frames, violation: None, idle: false };
        }
        rest = &rest[8 + length..];
    }
    Reading { frames, violation: None, idle: rest.is_empty() }
}

/// A frame of whose payload only the front may have come; `None` until there is enough to tell.
pub(crate) fn naive_frame(
    limits: Limits,
    head: &[u8],
    payload: &[u8],
    length: usize,
) -> Result<Option<Frame>, SpdyViolation> {
    let fin = head[4] % 2 == 1;
    let whole = payload.len() == length;
    let bytes = Bytes::copy_from_slice(payload);
    if head[0] < 0x80 {
        let stream = number(&head[..4]);
        if stream == 0 {
            return Err(SpdyViolation::StreamZero { frame: "DATA" });
        }
        let frame = Frame::Data { stream, bytes, fin: fin && whole, end: whole };
        return Ok((whole || !payload.is_empty()).then_some(frame));
    }
    let (version, kind) = (number(&head[..2]) as u16 & 0x7fff, number(&head[2..4]) as u16);
    if version != 3 {
        return Err(SpdyViolation::Version { version });
    }
    // Name, fields, whether a block follows, what the length is to be.
    let (frame, fields, block, expected) = match kind {
        1 => ("SYN_STREAM", 10, true, "at least 10"),
        2 => ("SYN_REPLY", 4, true, "at least 4"),
        3 => ("RST_STREAM", 8, false, "8"),
        4 => ("SETTINGS", 4, false, "4 and 8 for each entry"),
        6 => ("PING", 4, false, "4"),
        7 => ("GOAWAY", 8, false, "8"),
        8 => ("HEADERS", 4, true, "at least 4"),
        9 => ("WINDOW_UPDATE", 8, false, "8"),
        kind => return Ok(whole.then_some(Frame::Unknown { kind })),
    };
    let fits = match kind {
        4 => length >= 4 && length % 8 == 4,
        _ if block => length >= fields,
        _ => length == fields,
    };
    if !fits {
        return Err(SpdyViolation::Length { frame, length, expected });
    }
    let limit = limits.control_frame();
    if block && length > limit {
        return Err(SpdyViolation::FrameTooBig { frame, length, limit });
    }
    let (room, limit) = (length / 8, limits.settings());
    if kind == 4 && room > limit {
        return Err(SpdyViolation::TooManySettings { entries: room, limit });
    }
    if payload.len() < fields {
        return Ok(None);
    }
    let first = number(&payload[..4]);
    let second = if fields >= 8 { number(&payload[4..8]) } else { 0 };
    let (stream, low) = (first & 0x7fff_ffff, second & 0x7fff_ffff);
    match kind {
        1 | 2 | 3 | 8 if stream == 0 => return Err(SpdyViolation::StreamZero { frame }),
        3 if second == 0 => return Err(SpdyViolation::StatusZero),
        4 if first as usize != room => {
            return Err(SpdyViolation::SettingsCount { count: first, room });
        }
        6 if first == 0 => return Err(SpdyViolation::PingZero),
        _ => {}
    }
    let block = bytes.slice(fields..);
    let frame = match kind {
        1 => Frame::SynStream { stream, associated: low, fin, block },
        2 => Frame::SynReply { stream, fin, block },
        3 => Frame::RstStream { stream, status: second },
        4 => Frame::Settings { entries: first },
        6 => Frame::Ping { id: first },
        7 => Frame::GoAway { last: stream, status: second },
        8 => Frame::Headers { stream, fin, block },
        _ => Frame::WindowUpdate { stream, delta: low },
    };
    Ok(whole.then_some(frame))
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Lengths of chunks, most of them short.
#[derive(Debug)]
pub struct Cuts(u64);

impl Cuts {
    /// Lengths that `seed` decides.
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// At least 1.
    #[allow(clippy::should_implement_trait, reason = "there is no end of them")]
    pub fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bits = (self.0 >> 60) as u32;
        1 + (self.0 >> 8) as usize % (1 << bits)
    }
}

/// zlib's side of a header stream that we read.
#[allow(missing_debug_implementations, reason = "zlib's has none")]
pub struct Compressor(Deflate);

impl Compressor {
    /// Go uses level 9.
    pub fn new(level: i32) -> Self {
        let mut deflate = Deflate::new(level, true, 15);
        assert_eq!(deflate.set_dictionary(DICTIONARY), Ok(0xe3c6_a7c2));
        Self(deflate)
    }

    /// The next block, for its content.
    pub fn block(&mut self, content: &[u8]) -> Vec<u8> {
        let mut out = vec![0; content.len() * 2 + 1024];
        let (start, end) = (self.0.total_in(), self.0.total_out());
        self.0.compress(content, &mut out, DeflateFlush::SyncFlush).unwrap();
        assert_eq!(self.0.total_in() - start, content.len() as u64);
        out.truncate((self.0.total_out() - end) as usize);
        out
    }
}

/// zlib's side of a header stream that we write.
#[allow(missing_debug_implementations, reason = "zlib's has none")]
pub struct Decompressor {
    inflate: Inflate,
    out: Vec<u8>,
}

impl Decompressor {
    /// For a stream from its start on.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { inflate: Inflate::new(true, 15), out: Vec::new() }
    }

    /// What the next block inflates to; `None` if it does not, or to more than `limit`.
    pub fn block(&mut self, block: &[u8], limit: usize) -> Option<Vec<u8>> {
        let Self { inflate, out } = self;
        out.resize(out.len().max(limit + 1), 0);
        let (start, end) = (inflate.total_in(), inflate.total_out());
        let done = |inflate: &Inflate| {
            ((inflate.total_in() - start) as usize, (inflate.total_out() - end) as usize)
        };
        loop {
            let (read, written) = done(inflate);
            let (rest, room) = (&block[read..], &mut out[written..=limit]);
            match inflate.decompress(rest, room, InflateFlush::SyncFlush) {
                Ok(_) => break,
                Err(InflateError::NeedDict { .. }) => inflate.set_dictionary(DICTIONARY).ok()?,
                Err(_) => return None,
            };
        }
        let (read, written) = done(inflate);
        (read == block.len() && written <= limit).then(|| out[..written].to_vec())
    }
}

/// A block's content as it is before compression.
pub fn content<'a>(headers: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut content = (headers.len() as u32).to_be_bytes().to_vec();
    for text in headers.flat_map(|(name, value)| [name, value]) {
        content.extend((text.len() as u32).to_be_bytes());
        content.extend(text);
    }
    content
}

/// The content that these headers were read from.
pub fn content_of(headers: &Headers) -> Vec<u8> {
    let all: Vec<_> = headers.iter().collect();
    assert_eq!(all.len(), headers.len());
    content(all.into_iter())
}

/// Any blocks, one after the other: what we take, zlib reads alike, within the limits; and after a
/// refusal nothing is taken.
pub fn judge_blocks<'a>(limits: Limits, blocks: impl Iterator<Item = &'a [u8]>) -> usize {
    let (mut ours, mut zlib) = (HeaderDecoder::new(limits), Decompressor::new());
    let mut taken = 0;
    for block in blocks {
        let reference = zlib.block(block, limits.header_block());
        match ours.decode(block) {
            Ok(headers) => {
                assert_eq!(Some(content_of(&headers)), reference, "ours, and zlib's");
                assert!(headers.len() <= limits.headers());
                for (name, value) in headers.iter() {
                    assert!(name.len() <= limits.name() && value.len() <= limits.value());
                }
                taken += 1;
            }
            Err(violation) => {
                for block in [block, b"\0\x04\0\xfb\xff\0\0\0\0\0\0\0\xff\xff"] {
                    assert_eq!(ours.decode(block), Err(violation.clone()), "not latched");
                }
                break;
            }
        }
    }
    taken
}

/// Blocks of headers from our encoder and from zlib's at `level`: we read either, and zlib reads ours.
pub fn round_trip(level: i32, blocks: &[Vec<(String, String)>]) {
    let limits = Limits::new().with_header_block(1 << 20).with_value(1 << 20);
    let (mut encoder, mut compressor) = (HeaderEncoder::new(), Compressor::new(level));
    let mut of_ours = HeaderDecoder::new(limits);
    let (mut of_zlib, mut zlib) = (HeaderDecoder::new(limits), Decompressor::new());
    let mut out = BytesMut::new();
    for block in blocks {
        let pairs: Vec<_> = block.iter().map(|(name, value)| (&**name, &**value)).collect();
        let meant = content(pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        out.clear();
        encoder.encode(&pairs, &mut out);
        assert_eq!(zlib.block(&out, meant.len()).as_ref(), Some(&meant), "ours, read by zlib");
        let ours = of_ours.decode(&out).expect("ours");
        assert_eq!(content_of(&ours), meant, "ours, read by us");
        for (name, value) in &pairs {
            assert_eq!(ours.get(name), Some(value.as_bytes()));
        }
        let compressed = compressor.block(&meant);
        let theirs = of_zlib.decode(&compressed).expect("zlib's");
        assert_eq!(content_of(&theirs), meant, "zlib's, read by us");
    }
}

/// All bytes that one side sent in a recorded tunnel.
pub fn recorded(transcript: &Transcript, from_client: bool) -> Vec<u8> {
    let of_side = transcript.entries.iter().filter(|entry| entry.from_client == from_client);
    let payloads = of_side.filter_map(|Entry { what, .. }| match what {
        Seen::Frame { opcode: 0 | 2, payload, .. } | Seen::Bytes(payload) => Some(payload),
        _ => None,
    });
    payloads.flatten().copied().collect()
}

/// The header blocks in some frames.
pub fn blocks(frames: &[Frame]) -> impl Iterator<Item = &[u8]> {
    let mut frames = frames.iter();
    iter::from_fn(move || {
        frames.find_map(|frame| match frame {
            Frame::SynStream { block, .. }
            | Frame::SynReply { block, .. }
            | Frame::Headers { block, .. } => Some(&block[..]),
            _ => None,
        })
    })
}
