use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};

use crate::{Kind, Transmit, WireForm};

/// How a channel number and its payload become one message: as they are, or in base64 text
/// (protocol.md B.2).
#[derive(Debug)]
pub(super) enum Codec {
    Binary,
    Base64(Base64),
}

/// Base64 text, decoded as it arrives. The scratch memory is used again once nobody holds the last
/// message any more.
#[derive(Debug, Default)]
pub(super) struct Base64 {
    scratch: BytesMut,
    /// Characters of the message that do not make a group of four yet.
    partial: [u8; 4],
    partial_len: usize,
    padded: bool,
}

/// The text was not base64.
#[derive(Debug)]
pub(super) struct NotBase64;

impl Codec {
    pub(super) fn new(form: WireForm) -> Self {
        if form == WireForm::V4Base64 { Self::Base64(Base64::default()) } else { Self::Binary }
    }

    /// Most ports that fit the channel numbers (protocol.md B.4): 255 is reserved in binary, and
    /// base64 has the channels whose `'0' + channel` is one byte of UTF-8.
    pub(super) const fn max_ports(form: WireForm) -> usize {
        if matches!(form, WireForm::V4Base64) { 40 } else { 127 }
    }

    /// The payload of a piece of a message behind its channel byte.
    pub(super) fn decode(&mut self, bytes: Bytes, end: bool) -> Result<Bytes, NotBase64> {
        match self {
            Self::Binary => Ok(bytes),
            Self::Base64(base64) => base64.decode(bytes, end),
        }
    }

    pub(super) const fn channel(&self, first: u8) -> u8 {
        match self {
            Self::Binary => first,
            Self::Base64(_) => first.wrapping_sub(b'0'),
        }
    }

    pub(super) fn encode(&mut self, channel: u8, payload: Bytes) -> Transmit {
        match self {
            Self::Binary => Transmit::with_head(Kind::Binary, [channel], payload),
            Self::Base64(base64) => base64.encode(channel, &payload),
        }
    }

    /// A message that carries nothing, not even a channel: it moves the server's idle deadline.
    pub(super) fn empty(&self) -> Transmit {
        let kind = match self {
            Self::Binary => Kind::Binary,
            Self::Base64(_) => Kind::Text,
        };
        Transmit::new(kind, Bytes::new())
    }
}

impl Base64 {
    fn decode(&mut self, mut text: Bytes, end: bool) -> Result<Bytes, NotBase64> {
        self.scratch.clear();
        if self.partial_len > 0 {
            while self.partial_len < 4 && text.has_remaining() {
                if let Some(slot) = self.partial.get_mut(self.partial_len) {
                    *slot = text.get_u8();
                }
                self.partial_len += 1;
            }
            if self.partial_len == 4 {
                self.partial_len = 0;
                let group = self.partial;
                self.decode_groups(&group)?;
            }
        }
        let whole = text.len() / 4 * 4;
        let groups = text.split_to(whole);
        self.decode_groups(&groups)?;
        for (slot, byte) in self.partial.iter_mut().zip(&text) {
            *slot = *byte;
            self.partial_len += 1;
        }
        if end {
            self.padded = false;
            if std::mem::take(&mut self.partial_len) != 0 {
                return Err(NotBase64);
            }
        }
        Ok(self.scratch.split().freeze())
    }

    fn decode_groups(&mut self, groups: &[u8]) -> Result<(), NotBase64> {
        if groups.is_empty() {
            return Ok(());
        }
        if self.padded {
            return Err(NotBase64);
        }
        self.padded = groups.ends_with(b"=");
        let start = self.scratch.len();
        self.scratch.resize(start + groups.len() / 4 * 3, 0);
        let room = self.scratch.get_mut(start..).unwrap_or_default();
        let decoded = STANDARD.decode_slice(groups, room).map_err(|_| NotBase64)?;
        self.scratch.truncate(start + decoded);
        Ok(())
    }

    fn encode(&mut self, channel: u8, payload: &[u8]) -> Transmit {
        self.scratch.clear();
        self.scratch.resize(1 + payload.len().div_ceil(3) * 4, b'0'.wrapping_add(channel));
        let room = self.scratch.get_mut(1..).unwrap_or_default();
        let written = STANDARD.encode_slice(payload, room);
        debug_assert!(written.is_ok(), "the room was computed from the payload");
        Transmit::new(Kind::Text, self.scratch.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder() -> Codec {
        Codec::new(WireForm::V4Base64)
    }

    #[test]
    fn vectors_of_the_protocol() {
        let mut codec = decoder();
        let prefix = codec.encode(0, Bytes::from_static(&[0x90, 0x1f]));
        assert_eq!((prefix.kind(), prefix.body().as_ref()), (Kind::Text, b"0kB8=".as_ref()));
        assert_eq!(codec.encode(0, Bytes::from_static(b"GET")).body().as_ref(), b"0R0VU");
        assert_eq!(codec.encode(10, Bytes::new()).body().as_ref(), b":");
    }

    #[test]
    fn decodes_whatever_the_cuts() {
        let text = Bytes::from_static(b"aGVsbG8sIHdvcmxkIQ==");
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut codec = decoder();
                let mut out = Vec::new();
                for (piece, end) in [
                    (text.slice(..first), false),
                    (text.slice(first..second), false),
                    (text.slice(second..), true),
                ] {
                    out.extend_from_slice(&codec.decode(piece, end).unwrap());
                }
                assert_eq!(out, b"hello, world!");
            }
        }
    }

    #[test]
    fn refuses_what_is_not_base64_whole_or_cut() {
        for bad in ["a", "ab=", "ab==cd==", "a b=", "====", "ab=c", "aGk=aGk="] {
            let text = Bytes::from_static(bad.as_bytes());
            assert!(decoder().decode(text.clone(), true).is_err(), "{bad:?} whole");
            let mut codec = decoder();
            let result = (0..text.len()).try_for_each(|at| {
                codec.decode(text.slice(at..=at), at + 1 == text.len()).map(drop)
            });
            assert!(result.is_err(), "{bad:?} byte by byte");
        }
        let mut codec = decoder();
        assert!(codec.decode(Bytes::from_static(b"aGk="), true).is_ok());
        assert!(codec.decode(Bytes::from_static(b"aGk="), true).is_ok(), "padding ends a message");
    }
}
