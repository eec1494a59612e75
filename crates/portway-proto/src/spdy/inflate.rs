use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY,
    TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::SpdyViolation;
use super::dictionary::{DICTIONARY, DICTIONARY_ID};

/// One direction's zlib stream, which lives as long as the connection (protocol.md C.4).
///
/// At a sync flush the stream is at a byte and between two deflate blocks, so what was inflated before
/// is all the state there is: tables and bit buffer live on the stack for one header block. What is
/// kept grows with what came, from nothing over the dictionary to the 32 KiB that a distance reaches.
#[derive(Debug)]
pub(super) struct Inflate {
    /// What came before, oldest first: the end of the dictionary and of the blocks.
    history: Vec<u8>,
    started: bool,
}

impl Inflate {
    pub(super) const fn new() -> Self {
        Self { history: Vec::new(), started: false }
    }

    /// Inflates the next block to at most `limit` bytes and gives them to `read`.
    pub(super) fn block<T>(
        &mut self,
        block: &[u8],
        limit: usize,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, SpdyViolation> {
        let deflated = if self.started { block } else { self.start(block)? };
        let before = self.history.len();
        self.inflate(deflated, limit)?;
        let result = read(self.history.get(before..).unwrap_or_default());
        self.forget();
        Ok(result)
    }

    /// Bytes held.
    #[cfg(test)]
    pub(super) const fn capacity(&self) -> usize {
        self.history.capacity()
    }

    /// Takes the zlib header off the first block. The size of the window that it announces is not
    /// looked at, as in Go: whatever it says, 32 KiB are kept.
    fn start<'a>(&mut self, block: &'a [u8]) -> Result<&'a [u8], SpdyViolation> {
        let (&[method, flags], rest) =
            block.split_first_chunk().ok_or(SpdyViolation::NotFlushed)?;
        let header = u16::from_be_bytes([method, flags]);
        if header % 31 != 0 || method & 0x0f != DEFLATE || method >> 4 > MAX_WINDOW {
            return Err(SpdyViolation::ZlibHeader(header));
        }
        self.started = true;
        if flags & WITH_DICTIONARY == 0 {
            return Ok(rest);
        }
        let (id, rest) = rest.split_first_chunk().ok_or(SpdyViolation::NotFlushed)?;
        if *id != DICTIONARY_ID {
            return Err(SpdyViolation::Dictionary(u32::from_be_bytes(*id)));
        }
        self.history.reserve_exact(DICTIONARY.len() + STEP);
        self.history.extend_from_slice(&DICTIONARY);
        Ok(rest)
    }

    /// Appends what `input` inflates to. The history lies in front of it in one piece, so a distance
    /// that reaches beyond what came before reaches beyond the buffer, and is refused.
    fn inflate(&mut self, input: &[u8], limit: usize) -> Result<(), SpdyViolation> {
        let before = self.history.len();
        let mut end = before;
        let mut state = DecompressorOxide::new();
        let mut rest = input;
        // Whether the last deflate block was stored and empty: a sync flush.
        let mut flushed = false;
        while let Some(next) = rest.first() {
            let header = next_header(&state, *next);
            if header & FINAL != 0 {
                return Err(SpdyViolation::FinalBlock);
            }
            let start = end;
            loop {
                let (status, read, written) =
                    decompress(&mut state, rest, &mut self.history, end, FLAGS);
                rest = rest.get(read..).unwrap_or_default();
                end += written;
                // There is always room for a byte over the limit.
                if end - before > limit {
                    return Err(SpdyViolation::BlockTooBig { limit });
                }
                match status {
                    TINFLStatus::BlockBoundary => break,
                    TINFLStatus::HasMoreOutput => {
                        let length = (end - before).max(STEP / 2) * 2;
                        let length = before + length.min(limit.saturating_add(1));
                        self.history.reserve_exact(length - end);
                        self.history.resize(length, 0);
                    }
                    TINFLStatus::NeedsMoreInput => return Err(SpdyViolation::NotFlushed),
                    TINFLStatus::Failed
                    | TINFLStatus::FailedCannotMakeProgress
                    | TINFLStatus::BadParam
                    | TINFLStatus::Adler32Mismatch
                    | TINFLStatus::Done
                    | _ => return Err(SpdyViolation::Deflate),
                }
            }
            flushed = header & TYPE == STORED && end == start;
        }
        self.history.truncate(end);
        if flushed { Ok(()) } else { Err(SpdyViolation::NotFlushed) }
    }

    /// Lets go of what no distance reaches, and of the room that a big block took.
    fn forget(&mut self) {
        let beyond = self.history.len().saturating_sub(WINDOW);
        self.history.drain(..beyond);
        self.history.shrink_to(self.history.len() + STEP);
    }
}

/// How far a distance reaches (RFC 1951 section 2).
const WINDOW: usize = 32 * 1024;

/// Room for what a block inflates to, before it is known to be more: headers in Kubernetes are some
/// 60 bytes.
const STEP: usize = 256;

/// Compression method of RFC 1950 section 2.2.
const DEFLATE: u8 = 8;

/// The greatest window of RFC 1950, 32 KiB.
const MAX_WINDOW: u8 = 7;

/// FDICT of RFC 1950.
const WITH_DICTIONARY: u8 = 0x20;

/// BFINAL and BTYPE of a deflate block (RFC 1951 section 3.2.3).
const FINAL: u16 = 0b001;
const TYPE: u16 = 0b110;
const STORED: u16 = 0b000;

const FLAGS: u32 = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
    | TINFL_FLAG_HAS_MORE_INPUT
    | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;

/// The 3 bits that the next deflate block starts with, and some more: what is left of the last byte,
/// and the next byte.
fn next_header(state: &DecompressorOxide, next: u8) -> u16 {
    let left = state.block_boundary_state().unwrap_or_default();
    u16::from(left.bit_buf) | u16::from(next) << left.num_bits
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 6] = [0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2];
    const FLUSH: [u8; 5] = [0, 0, 0, 0xff, 0xff];
    const LIMIT: usize = 64 * 1024;

    fn stored(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).unwrap();
        [&[0], &length.to_le_bytes()[..], &(!length).to_le_bytes(), bytes].concat()
    }

    fn block(inflate: &mut Inflate, parts: &[&[u8]]) -> Result<Vec<u8>, SpdyViolation> {
        inflate.block(&parts.concat(), LIMIT, <[u8]>::to_vec)
    }

    fn first(parts: &[&[u8]]) -> Result<Vec<u8>, SpdyViolation> {
        block(&mut Inflate::new(), parts)
    }

    /// Bits of deflate, first to last, with a sync flush behind them.
    #[derive(Default)]
    struct Bits(Vec<bool>);

    impl Bits {
        /// The start of a block with fixed codes.
        fn fixed(mut self) -> Self {
            self.0.extend([false, true, false]);
            self
        }

        /// A number, lowest bit first.
        fn number(mut self, number: usize, bits: usize) -> Self {
            self.0.extend((0..bits).map(|bit| number >> bit & 1 != 0));
            self
        }

        /// A code, highest bit first.
        fn code(mut self, code: usize, bits: usize) -> Self {
            self.0.extend((0..bits).rev().map(|bit| code >> bit & 1 != 0));
            self
        }

        /// 3 bytes from `distance` bytes back: 1 to 4, 4097 or 24577 and what is added to them.
        fn three_from(self, distance: usize) -> Self {
            let (code, base, extra) = match distance {
                1..=4 => (distance - 1, distance, 0),
                1025..=1536 => (20, 1025, 9),
                24_577.. => (29, 24_577, 13),
                other => panic!("no code for {other}"),
            };
            self.code(1, 7).code(code, 5).number(distance - base, extra)
        }

        fn end(self) -> Self {
            self.code(0, 7)
        }

        fn flushed(mut self) -> Vec<u8> {
            self.0.extend([false; 3]);
            let bytes = self.0.chunks(8);
            let bytes = bytes.map(|bits| {
                bits.iter().enumerate().map(|(at, bit)| u8::from(*bit) << at).sum::<u8>()
            });
            bytes.chain([0, 0, 0xff, 0xff]).collect()
        }
    }

    #[test]
    fn blocks_are_one_stream() {
        let mut inflate = Inflate::new();
        assert_eq!(block(&mut inflate, &[&HEADER, &stored(b"abcd"), &FLUSH]), Ok(b"abcd".to_vec()));
        let back = Bits::default().fixed().three_from(4).end().flushed();
        assert_eq!(block(&mut inflate, &[&back]), Ok(b"abc".to_vec()));
        assert_eq!(block(&mut inflate, &[&back]), Ok(b"dab".to_vec()));
        assert_eq!(block(&mut inflate, &[&FLUSH]), Ok(vec![]), "an empty block");
        let run = Bits::default().fixed().three_from(1).end().flushed();
        assert_eq!(block(&mut inflate, &[&run]), Ok(b"bbb".to_vec()), "over itself");
    }

    #[test]
    fn the_dictionary_lies_in_front_of_the_first_block() {
        let back = |distance| Bits::default().fixed().three_from(distance).end().flushed();
        assert_eq!(first(&[&HEADER, &back(1)]), Ok(b"...".to_vec()));
        assert_eq!(first(&[&HEADER, &back(1423)]), Ok(b"\0\0\0".to_vec()));
        assert_eq!(first(&[&HEADER, &back(1424)]), Err(SpdyViolation::Deflate));
        let mut inflate = Inflate::new();
        let plain = block(&mut inflate, &[&[0x78, 0x01], &stored(b"ab"), &FLUSH]);
        assert_eq!(plain, Ok(b"ab".to_vec()));
        assert_eq!(block(&mut inflate, &[&back(2)]), Ok(b"aba".to_vec()));
        assert_eq!(first(&[&[0x78, 0x01], &back(1)]), Err(SpdyViolation::Deflate));
    }

    #[test]
    fn a_distance_reaches_32_kib_and_not_beyond_the_start() {
        let back = |distance| Bits::default().fixed().three_from(distance).end().flushed();
        let mut inflate = Inflate::new();
        let text: Vec<u8> = (0..31_344_u32).map(|i| (i % 251) as u8).collect();
        block(&mut inflate, &[&HEADER, &stored(&text), &FLUSH]).unwrap();
        assert_eq!(inflate.history.len(), WINDOW - 1);
        let at_start = inflate.clone_of(WINDOW - 1, &back);
        assert_eq!(at_start, Ok(b"\0\0\0".to_vec()), "the dictionary's first length");
        assert_eq!(inflate.clone_of(WINDOW, &back), Err(SpdyViolation::Deflate));
        block(&mut inflate, &[&stored(b"xyz"), &FLUSH]).unwrap();
        assert_eq!(inflate.history.len(), WINDOW);
        assert_eq!(inflate.clone_of(WINDOW, &back), Ok(b"\0\x07o".to_vec()), "two were let go");
    }

    impl Inflate {
        /// What lies `distance` back, without a trace.
        fn clone_of(
            &self,
            distance: usize,
            back: &impl Fn(usize) -> Vec<u8>,
        ) -> Result<Vec<u8>, SpdyViolation> {
            let mut copy = Self { history: self.history.clone(), started: true };
            copy.block(&back(distance), LIMIT, <[u8]>::to_vec)
        }
    }

    #[test]
    fn a_block_ends_at_a_sync_flush() {
        let text = stored(b"ab");
        assert_eq!(first(&[&HEADER, &text, &FLUSH]), Ok(b"ab".to_vec()));
        assert_eq!(first(&[&HEADER, &text, &FLUSH, &text, &FLUSH]), Ok(b"abab".to_vec()));
        assert_eq!(first(&[&HEADER, &text, &FLUSH, &FLUSH]), Ok(b"ab".to_vec()));
        let not_flushed = Err(SpdyViolation::NotFlushed);
        let partial = Bits::default().fixed().end().fixed().end().fixed().end().0;
        let partial: Vec<u8> = Bits(partial).flushed().into_iter().take(4).collect();
        for parts in [
            &[][..],
            &[&HEADER[..1]],
            &[&HEADER[..5]],
            &[&HEADER],
            &[&HEADER, &text],
            &[&HEADER, &text[..6], &FLUSH[..0]],
            &[&HEADER, &text, &FLUSH[..4]],
            &[&HEADER, &text, &FLUSH, &[0]],
            // Content that looks like a flush.
            &[&HEADER, &stored(&FLUSH[1..])],
            // Z_PARTIAL_FLUSH: empty blocks with fixed codes.
            &[&HEADER, &text, &partial],
        ] {
            assert_eq!(first(parts), not_flushed, "{parts:02x?}");
        }
        let mut inflate = Inflate::new();
        block(&mut inflate, &[&HEADER, &FLUSH]).unwrap();
        assert_eq!(block(&mut inflate, &[]), not_flushed);
    }

    #[test]
    fn the_stream_does_not_end() {
        let mut last = stored(b"ab");
        last[0] = 1;
        let ended = Err(SpdyViolation::FinalBlock);
        assert_eq!(first(&[&HEADER, &last]), ended);
        assert_eq!(first(&[&HEADER, &last, &[0, 0, 0, 0]]), ended, "and a trailer");
        assert_eq!(first(&[&HEADER, &stored(b"ab"), &[1, 0, 0, 0xff, 0xff]]), ended);
        // Not at the start of a byte: 3 + 7 bits in, FINAL is bit 2 of the second byte.
        assert_eq!(first(&[&HEADER, &[2, 4, 0, 0, 0xff, 0xff]]), ended);
    }

    #[test]
    fn the_zlib_header_is_looked_at() {
        let flush = |header: &[u8]| first(&[header, &FLUSH]).map(|bytes| bytes.len());
        for flags in [0xf9, 0xbb, 0x7d, 0x20] {
            assert_eq!(flush(&[0x78, flags, 0xe3, 0xc6, 0xa7, 0xc2]), Ok(0), "{flags:x}");
        }
        assert_eq!(flush(&[0x18, 0x19]), Ok(0), "a small window");
        assert_eq!(flush(&[0x78, 0xba]), Err(SpdyViolation::ZlibHeader(0x78ba)), "the check");
        assert_eq!(flush(&[0x79, 0x17]), Err(SpdyViolation::ZlibHeader(0x7917)), "the method");
        assert_eq!(flush(&[0x88, 0x1c]), Err(SpdyViolation::ZlibHeader(0x881c)), "the window");
        assert_eq!(
            flush(&[0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc3]),
            Err(SpdyViolation::Dictionary(0xe3c6_a7c3))
        );
    }

    #[test]
    fn what_is_no_deflate_is_refused() {
        for bad in [
            &[0b110, 0][..],
            &[0, 2, 0, 0xff, 0xff, 0, 0],
            &[0b100, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(first(&[&HEADER, bad, &FLUSH]), Err(SpdyViolation::Deflate), "{bad:x?}");
        }
    }

    #[test]
    fn the_limit_is_exact() {
        let text = stored(&[7; 1000]);
        for (limit, good) in [(1000, true), (999, false), (0, false)] {
            let wire = [&HEADER[..], &text, &FLUSH].concat();
            let result = Inflate::new().block(&wire, limit, <[u8]>::len);
            let expected = if good { Ok(1000) } else { Err(SpdyViolation::BlockTooBig { limit }) };
            assert_eq!(result, expected);
        }
        let mut inflate = Inflate::new();
        assert_eq!(inflate.block(&[&HEADER[..], &FLUSH].concat(), 0, <[u8]>::len), Ok(0));
    }

    /// 258 bytes for each 13 bits: over 8 MiB if it were let.
    #[test]
    fn a_bomb_ends_at_the_limit() {
        let mut bits = Bits::default().fixed();
        for _ in 0..40_000 {
            bits = bits.code(0b1100_0101, 8).code(0, 5);
        }
        let bomb = [&HEADER[..], &bits.end().flushed()].concat();
        assert!(bomb.len() < LIMIT + 1024);
        for limit in [0, 1, 255, 256, 257, LIMIT] {
            let mut inflate = Inflate::new();
            let violation = SpdyViolation::BlockTooBig { limit };
            assert_eq!(inflate.block(&bomb, limit, <[u8]>::len), Err(violation));
            let most = DICTIONARY.len() + STEP + limit + 1;
            assert!(inflate.capacity() <= most, "{} for {limit}", inflate.capacity());
        }
    }

    /// What an idle connection holds, and what it holds at most.
    #[test]
    fn memory_grows_with_what_came() {
        let mut inflate = Inflate::new();
        assert_eq!(inflate.capacity(), 0);
        block(&mut inflate, &[&HEADER, &stored(&[7; 60]), &FLUSH]).unwrap();
        assert!(inflate.capacity() <= 2048, "{}", inflate.capacity());
        for _ in 0..1000 {
            block(&mut inflate, &[&stored(&[7; 60]), &FLUSH]).unwrap();
            assert!(inflate.capacity() <= WINDOW + STEP, "{}", inflate.capacity());
        }
        assert_eq!(inflate.history.len(), WINDOW);
        block(&mut inflate, &[&stored(&[7; 60_000]), &FLUSH]).unwrap();
        assert!(inflate.capacity() <= WINDOW + STEP, "{}", inflate.capacity());
    }
}
