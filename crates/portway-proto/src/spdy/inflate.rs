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
