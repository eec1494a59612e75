//! SPDY/3.1 frames and header blocks: bytes in and frames out, and back.
//!
//! ```text
//!   wire                         spdy                             mux
//!  ───────     ┌────────────────────────────────────────┐       ───────
//!  Bytes   ──▶ │ Decoder::decode ─▶ Frame ─┬─ DATA ...  │ ──▶
//!              │                           └─ block     │
//!              │         HeaderDecoder::decode ◀┘       │ ──▶  Headers
//!              │                                        │
//!  BytesMut ◀─ │ put_syn_stream ◀─ HeaderEncoder        │ ◀──  names, values
//!  BytesMut ◀─ │ put_rst_stream, put_ping, data_head .. │ ◀──
//!              └────────────────────────────────────────┘
//! ```
//!
//! The same bytes run in the `SPDY/3.1+portforward.k8s.io` tunnel, cut into binary messages at random,
//! and on an `Upgrade: SPDY/3.1` connection. DATA is passed on in pieces as it arrives and never
//! gathered; what is gathered or inflated is bounded by [`Limits`]. There are no streams here and no
//! policy: frames of streams that do not exist are handed on, and windows are nobody's business
//! (protocol.md trap 21).
//!
//! ```
//! use bytes::{Bytes, BytesMut};
//! use portway_proto::spdy::{
//!     Decoder, Frame, HeaderDecoder, HeaderEncoder, Limits, data_head, put_syn_stream,
//! };
//!
//! // One encoder and one decoder of headers for the life of a connection.
//! let (mut block, mut wire) = (BytesMut::new(), BytesMut::new());
//! HeaderEncoder::new().encode(&[("streamtype", "data"), ("port", "8080")], &mut block);
//! put_syn_stream(&mut wire, 3, false, &block);
//! wire.extend_from_slice(&data_head(3, 3, false));
//! wire.extend_from_slice(b"GET");
//!
//! let mut decoder = Decoder::new(Limits::new());
//! let mut input = wire.freeze();
//! let Some(Frame::SynStream { stream: 3, block, .. }) = decoder.decode(&mut input)? else {
//!     panic!("a stream was opened");
//! };
//! let headers = HeaderDecoder::new(Limits::new()).decode(&block)?;
//! assert_eq!(headers.get("port"), Some(&b"8080"[..]));
//! let get = Bytes::from_static(b"GET");
//! let data = Frame::Data { stream: 3, bytes: get, fin: false, end: true };
//! assert_eq!(decoder.decode(&mut input)?, Some(data));
//! assert!(decoder.is_idle() && input.is_empty());
//! # Ok::<(), portway_proto::spdy::SpdyViolation>(())
//! ```

mod check;
mod decode;
mod dictionary;
mod encode;
mod frame;
mod headers;
mod inflate;
mod limits;
mod mux;
mod pair;
pub mod status;
mod violation;

pub use decode::Decoder;
pub use encode::{data_head, put_go_away, put_ping, put_rst_stream, put_syn_reply, put_syn_stream};
pub use frame::{Frame, MAX_PAYLOAD};
pub use headers::{HeaderDecoder, HeaderEncoder, Headers};
pub use limits::Limits;
pub(crate) use mux::Spdy;
pub use violation::SpdyViolation;
