//! RFC 6455 frames, both roles: bytes in and pieces out, messages in and bytes out.
//!
//! ```text
//!   wire                          ws                               Session
//!  ──────      ┌──────────────────────────────────────┐           ─────────
//!  BytesMut ─▶ │ Decoder::decode ─▶ Incoming (pieces) │ ─▶ handle_incoming
//!              │                                      │
//!  BytesMut ◀─ │ encode_masked   (client: copy, mask) │ ◀─ poll_transmit
//!  IoSlice  ◀─ │ encode -> Frame (server: no copy)    │
//!              └──────────────────────────────────────┘
//! ```
//!
//! What comes in is passed on in pieces as it arrives: a long frame or a fragmented message is never
//! gathered, a piece is a slice of the memory the transport read into, and a length from the wire
//! leads to no allocation. What goes out is one unfragmented frame a message, because a Kubernetes v4
//! server takes every frame for a message (protocol.md B.6).
//!
//! There is no opening handshake here, and no policy: a ping is handed on and not answered, a Close is
//! handed on and not echoed. Extensions are not negotiated, so reserved bits are a violation.
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use portway_proto::ws::{Decoder, encode_masked};
//! use portway_proto::{Incoming, Kind, Side, Transmit};
//!
//! let mut wire = BytesMut::new();
//! let message = Transmit::with_head(Kind::Binary, [0], Bytes::from_static(b"GET"));
//! encode_masked(&message, [0x37, 0xfa, 0x21, 0x3d], &mut wire);
//! assert_eq!(wire[..], [0x82, 0x84, 0x37, 0xfa, 0x21, 0x3d, 0x37, 0xbd, 0x64, 0x69]);
//!
//! let mut decoder = Decoder::new(Side::Server, 1 << 20);
//! let piece = decoder.decode(&mut wire)?;
//! assert_eq!(piece, Some(Incoming::Binary { bytes: Bytes::from_static(b"\0GET"), end: true }));
//! assert!(decoder.is_idle() && wire.is_empty());
//! # Ok::<(), portway_proto::ws::WsViolation>(())
//! ```

mod decode;
mod encode;
mod header;
mod mask;
mod violation;

pub use decode::Decoder;
pub use encode::{Frame, encode, encode_masked};
pub use header::MAX_OVERHEAD;
pub use violation::WsViolation;
