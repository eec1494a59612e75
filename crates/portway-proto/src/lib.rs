//! Kubernetes port-forward as a pure state machine: both sides, no I/O, no clock, no tasks.
//!
//! A [`Session`] is one upgraded connection to an API server, a kubelet or a container runtime, seen
//! from either [`Side`]; its streams are one forwarded TCP connection each. The caller owns the
//! transport, the local sockets and the time: it pushes in what happened (`handle_*`, with `now` as
//! the last argument) and pulls out what to do (`poll_*`). No call blocks, nothing is spawned, and
//! every buffer is bounded by a number in [`Config`]. What a peer does wrong never comes back as an
//! `Err` of your call: it ends a stream or the session, once, as an [`Event`]. What you do wrong is
//! always a typed `Err` and never a panic. Beside it stand [`handshake`], which makes and judges the
//! HTTP upgrade, and [`ws`], which turns bytes into messages and back; each can be used alone. What is
//! known of the wire, and by which test, is in `docs/PROTOCOL.md`.
//!
//! ```text
//!    the wire                       portway-proto                        the application
//!  ────────────     ┌───────────────────────────────────────────┐     ─────────────────────
//!   bytes ─▶ ws ─▶  │ handle_incoming ─▶ mux ─▶ receive buffers │ ─▶  read() ─▶ local socket
//!     ▲ only while  │                                 ▲         │
//!       wants_read  │ wants_read ◀── limits ◀─────────┴──────── │ ◀─  consumed(n), once it took them
//!                   │                                           │
//!   bytes ◀─ ws ◀─  │ poll_transmit ◀─ fair turns ◀─ send bufs  │ ◀─  write(Bytes) ◀─ local socket
//!     ▲ only while  │                                 │         │       ▲ only while
//!       it has room │                                 └──────── │ ─▶      capacity() > 0, Writable
//!                   │                                           │
//!   clock ───────▶  │ handle_timeout ─▶ timers ─▶ poll_timeout  │
//!                   │ streams, halves, ends ─▶ poll_event       │ ─▶  Readable, Failed, Closed ...
//!                   └───────────────────────────────────────────┘
//! ```
//!
//! # The contract
//!
//! **After every `handle_*` call and after every call on a stream half: poll events to `None`; poll
//! transmits while the transport is ready; re-read `poll_timeout` and `wants_read`.**
//!
//! The rest follows from it. Events are edges: `Readable` means read until `Blocked`. A message taken
//! by [`Session::poll_transmit`] is the caller's, so take one only when it can be written: what stays
//! in the session is what its limits count, and is how a slow transport slows the writers down.
//! Whoever does not read while [`Session::wants_read`] is false slows the peer down in the same way.
//! A transport that holds what it was given before it is written says so to [`Session::handle_flush`],
//! or a slow peer loses the last of it when the session ends.
//!
//! # The run loop
//!
//! Two sessions over a transport in memory: a client asks, a pod answers and hangs up.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use bytes::{BufMut, Bytes, BytesMut};
//! use portway_proto::ws::{Decoder, encode, encode_masked};
//! use portway_proto::{CloseReason, Config, Event, Port, Session, Side, StreamEvent, WireForm};
//!
//! /// What a driver owns: the session, the codec, and the two ends of the transport.
//! struct Driver {
//!     side: Side,
//!     session: Session,
//!     decoder: Decoder,
//!     input: BytesMut,
//!     output: BytesMut,
//! }
//!
//! impl Driver {
//!     fn new(side: Side, session: Session) -> Self {
//!         let decoder = Decoder::new(side, 1 << 20);
//!         Self { side, session, decoder, input: BytesMut::new(), output: BytesMut::new() }
//!     }
//!
//!     /// Once around; a real driver sleeps behind it until the transport or the clock wakes it.
//!     fn turn(&mut self, now: Instant, mut app: impl FnMut(&mut Session, Event)) {
//!         // 1. Time, decided by the clock and not by who woke us.
//!         if self.session.poll_timeout().is_some_and(|at| at <= now) {
//!             self.session.handle_timeout(now);
//!         }
//!         // 2. Inbound, only while a consumer can take it.
//!         while self.session.wants_read() {
//!             match self.decoder.decode(&mut self.input) {
//!                 Ok(Some(piece)) => self.session.handle_incoming(piece, now),
//!                 Ok(None) => break,
//!                 Err(violation) => self.session.handle_violation(violation, now),
//!             }
//!         }
//!         // 3. Events to `None`. The application reads and writes as they say.
//!         while let Some(event) = self.session.poll_event() {
//!             app(&mut self.session, event);
//!         }
//!         // 4. Outbound, only while the transport has room.
//!         while self.output.len() < 64 * 1024
//!             && let Some(transmit) = self.session.poll_transmit(now)
//!         {
//!             match self.side {
//!                 Side::Server => self.output.put(encode(transmit)),
//!                 // The mask is random in a real driver.
//!                 Side::Client => encode_masked(&transmit, [1, 2, 3, 4], &mut self.output),
//!             }
//!         }
//!         // 5. Sleep until `poll_timeout()`, until the transport has more (if `wants_read()`), or
//!         //    until it has room again (if something waits).
//!     }
//! }
//!
//! // The port was named in the upgrade request, which has been answered with 101.
//! let (now, ports) = (Instant::now(), ["8080".parse::<Port>()?]);
//! let session = Session::client(Arc::new(Config::client()), WireForm::V4, &ports, now)?;
//! let mut client = Driver::new(Side::Client, session);
//! let session = Session::server(Arc::new(Config::server()), WireForm::V4, &ports, now)?;
//! let mut server = Driver::new(Side::Server, session);
//!
//! let request = client.session.open(ports[0], now)?;
//! client.session.send(request)?.write(Bytes::from_static(b"ping"))?;
//! let connection = server.session.accept().expect("one stream a port");
//!
//! let (mut answer, mut ended) = (Vec::new(), None);
//! while ended.is_none() {
//!     client.turn(now, |session, event| match event {
//!         Event::Stream { id, event: StreamEvent::Readable } => {
//!             let mut half = session.recv(id).expect("not released");
//!             while let Ok(Some(bytes)) = half.read() {
//!                 answer.extend_from_slice(&bytes);
//!                 // The local socket has taken them.
//!                 half.consumed(bytes.len(), now);
//!             }
//!         }
//!         Event::Closed(reason) => ended = Some(reason),
//!         _ => {}
//!     });
//!     server.turn(now, |session, event| match event {
//!         Event::Stream { id, event: StreamEvent::Readable } if id == connection => {
//!             let Ok(Some(bytes)) = session.recv(id).expect("not released").read() else { return };
//!             assert_eq!(bytes, b"ping"[..]);
//!             // The pod answers and closes its connection.
//!             let mut half = session.send(id).expect("not released");
//!             half.write(Bytes::from_static(b"pong")).expect("there is room");
//!             half.finish(now).expect("once");
//!             session.recv(id).expect("not released").stop(now);
//!         }
//!         _ => {}
//!     });
//!     server.input.unsplit(client.output.split());
//!     client.input.unsplit(server.output.split());
//! }
//! assert_eq!(answer, b"pong");
//! assert_eq!(ended, Some(CloseReason::Done));
//! assert_eq!(client.session.recv(request)?.read(), Ok(None), "the clean end, and no failure");
//! assert!(server.session.is_closed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the wire can say
//!
//! The forms of port-forward differ in what they can express. Ask [`Session::capabilities`], never
//! which form it is:
//!
//! | [`Capabilities`] | v4, base64 | tunnel, SPDY | where it is true | where it is false |
//! |---|---|---|---|---|
//! | `half_close` | no | yes | `finish()` reaches the peer, and the answer can still come | nothing is said; the [`HalfClose`] policy decides when the session is closed instead |
//! | `reset` | no | yes | `reset()` reaches the peer and frees the pod's connection | bytes of the stream are ignored from then on; the session closes with its last stream |
//! | `dynamic_open` | no | yes | a port can be opened at any time, any number of times | each port of the upgrade request is one stream, dialled at once: open it right after the upgrade |
//! | `remote_eof` | no | yes | the pod's end of one stream shows while others go on | it shows only when the session ends; a failure still shows at once, by its error text |
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::expect_used))]
#![deny(clippy::cast_possible_truncation)]

mod chunks;
mod config;
mod core;
mod error;
mod event;
pub mod handshake;
mod message;
mod port;
mod recv_buf;
mod sched;
mod session;
mod side;
pub mod spdy;
mod stats;
mod store;
mod stream;
mod text;
mod timer;
mod v4;
mod wire;
pub mod ws;

pub use config::{Config, HalfClose, OverflowPolicy};
pub use error::{
    CloseReason, ConfigError, OpenError, ReadError, RemoteText, Retired, Reuse, StreamError,
    UnknownStream, Violation, WriteError,
};
pub use event::{Event, StreamEvent};
pub use message::{CloseFrame, Incoming, Kind, Transmit};
pub use port::{InvalidPort, Port};
pub use session::{RecvHalf, SendHalf, Session};
pub use side::Side;
pub use stats::Stats;
pub use store::StreamId;
pub use text::{Printable, printable};
pub use timer::Timer;
pub use wire::{Capabilities, WireForm};
