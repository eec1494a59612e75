use bytes::BufMut;

use super::WsViolation;
use crate::Kind;

/// The most bytes that a frame adds to its payload: 2, a 64-bit length and a masking key.
pub const MAX_OVERHEAD: usize = 14;

/// The most payload of a control frame, in bytes (RFC 6455 section 5.5).
pub(super) const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// In place of a length of 7 bits: it follows in 16 bits.
const LENGTH_16: u8 = 126;
/// In place of a length of 7 bits: it follows in 64 bits.
const LENGTH_64: u8 = 127;

/// What a frame is (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Data(Data),
    Control(Control),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Continuation,
    Text,
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn parse(number: u8) -> Result<Self, WsViolation> {
        match number {
            0 => Ok(Self::Data(Data::Continuation)),
            1 => Ok(Self::Data(Data::Text)),
            2 => Ok(Self::Data(Data::Binary)),
            8 => Ok(Self::Control(Control::Close)),
            9 => Ok(Self::Control(Control::Ping)),
            10 => Ok(Self::Control(Control::Pong)),
            reserved => Err(WsViolation::ReservedOpcode(reserved)),
        }
    }
}

/// The header of a frame as it came in (RFC 6455 section 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) key: Option<[u8; 4]>,
    /// Bytes of payload. At most 63 bits, and not held against any limit yet.
    pub(super) length: u64,
}

impl Header {
    /// The header at the front of `input` and what follows it; `None` while it is not all there.
    ///
    /// A length in more bytes than it needs is taken. The RFC forbids it, no reader minds.
    pub(super) fn parse(input: &[u8]) -> Result<Option<(Self, &[u8])>, WsViolation> {
        let [first, second, rest @ ..] = input else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err(WsViolation::ReservedBits);
        }
        let opcode = Opcode::parse(first & 0x0f)?;
        let Some((length, rest)) = parse_length(second & !MASKED, rest) else { return Ok(None) };
        if length.leading_zeros() == 0 {
            return Err(WsViolation::BadLength);
        }
        let (key, rest) = if second & MASKED == 0 {
            (None, rest)
        } else {
            let Some((key, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (Some(*key), rest)
        };
        Ok(Some((Self { fin: first & FIN != 0, opcode, key, length }, rest)))
    }
}

fn parse_length(short: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    match short {
        LENGTH_16 => {
            let (length, rest) = rest.split_first_chunk()?;
            Some((u16::from_be_bytes(*length).into(), rest))
        }
        LENGTH_64 => {
            let (length, rest) = rest.split_first_chunk()?;
            Some((u64::from_be_bytes(*length), rest))
        }
        _ => Some((short.into(), rest)),
    }
}

/// Writes the header of an unfragmented frame: at most [`MAX_OVERHEAD`] bytes, 4 less without a key.
pub(super) fn put(kind: Kind, length: usize, key: Option<[u8; 4]>, out: &mut impl BufMut) {
    let opcode = match kind {
        Kind::Text => 1,
        Kind::Binary => 2,
        Kind::Close => 8,
        Kind::Ping => 9,
        Kind::Pong => 10,
    };
    let masked = if key.is_some() { MASKED } else { 0 };
    out.put_u8(FIN | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..LENGTH_16), _) => out.put_u8(masked | short),
        (_, Ok(medium)) => {
            out.put_u8(masked | LENGTH_16);
            out.put_u16(medium);
        }
        _ => {
            out.put_u8(masked | LENGTH_64);
            out.put_u64(length as u64);
        }
    }
    if let Some(key) = key {
        out.put_slice(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_fewest_bytes() {
        for (length, expected) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            put(Kind::Binary, length, None, &mut out);
            assert_eq!(out, expected, "{length}");
            let (header, rest) = Header::parse(&out).unwrap().unwrap();
            assert_eq!((header.length, rest), (length as u64, &[][..]));
        }
    }

    #[test]
    fn no_header_is_longer_than_promised() {
        let mut out = Vec::new();
        put(Kind::Binary, usize::MAX, Some([1, 2, 3, 4]), &mut out);
        assert_eq!(out.len(), MAX_OVERHEAD);
    }

    #[test]
    fn a_header_is_taken_only_whole() {
        let whole = [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4];
        for cut in 0..whole.len() {
            assert_eq!(Header::parse(&whole[..cut]), Ok(None), "{cut} bytes");
        }
        let header = Header {
            fin: true,
            opcode: Opcode::Data(Data::Binary),
            key: Some([1, 2, 3, 4]),
            length: 65_536,
        };
        assert_eq!(Header::parse(&whole), Ok(Some((header, &[][..]))));
    }
}
