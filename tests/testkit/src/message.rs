//! A whole message between two sessions.

use bytes::Bytes;
use portway_proto::{CloseFrame, Kind, Transmit};

use crate::link::Weight;

/// One whole message between two sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// All of it.
    pub payload: Bytes,
}

impl Message {
    /// A binary message.
    pub fn binary(payload: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Binary, payload: payload.into() }
    }

    /// A text message.
    pub fn text(payload: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Text, payload: payload.into() }
    }

    /// What a Close message says.
    pub fn close_frame(payload: &[u8]) -> Option<CloseFrame> {
        let (code, reason) = payload.split_first_chunk()?;
        Some(CloseFrame::new(u16::from_be_bytes(*code), &String::from_utf8_lossy(reason)))
    }
}

impl From<Transmit> for Message {
    fn from(transmit: Transmit) -> Self {
        let payload = [transmit.head(), transmit.body()].concat();
        assert_eq!(payload.len(), transmit.len());
        Self { kind: transmit.kind(), payload: payload.into() }
    }
}

impl Weight for Message {
    fn weight(&self) -> usize {
        // A frame header and the payload.
        4 + self.payload.len()
    }
}
