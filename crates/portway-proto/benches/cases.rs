//! The core alone, one path a case: shared by the timings and the instruction counts.
#![allow(unreachable_pub, reason = "part of two programs")]

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use portway_proto::ws::{Decoder, MAX_OVERHEAD, encode, encode_masked};
use portway_proto::{Config, Incoming, Port, Session, Side, StreamId, Transmit, WireForm};

/// Bytes of payload of one message.
pub const SIZES: [usize; 4] = [64, 1024, 32 * 1024, 64 * 1024];

/// One path of the core, to be run again and again.
pub struct Case {
    /// `path/side/form/size`.
    pub name: String,
    /// Messages of one run.
    pub messages: usize,
    /// Bytes of payload of one run.
    pub bytes: usize,
    /// One run.
    pub run: Box<dyn FnMut()>,
}

/// All of them.
pub fn cases(now: Instant) -> Vec<Case> {
    let mut cases = Vec::new();
    let forms =
        [(WireForm::V4, "v4"), (WireForm::V4Base64, "v4-base64"), (WireForm::Tunnel, "tunnel")];
    for (form, form_name) in forms {
        for size in SIZES {
            for (side, side_name) in [(Side::Client, "client"), (Side::Server, "server")] {
                let case = |path: &str, turns: usize, run| {
                    let messages = batch(size) * turns;
                    let name = format!("{path}/{side_name}/{form_name}/{size}");
                    Case { name, messages, bytes: messages * size, run }
                };
                cases.push(case("receive", 1, receive(side, form, size, now)));
                cases.push(case("send", 1, send(side, form, size, now)));
                if side == Side::Client {
                    cases.push(case("pair", 2, pair(form, size, now)));
                }
            }
        }
    }
    cases
}

/// Messages that one read brings: what fits 256 KiB, but not thousands.
fn batch(size: usize) -> usize {
    (256 * 1024 / size).min(64)
}

/// Bytes off the wire to bytes in the application's hands. The copy into the read buffer stands for
/// the socket's.
fn receive(side: Side, form: WireForm, size: usize, now: Instant) -> Box<dyn FnMut()> {
    let (mut us, mut them) = End::pair(side, form, now);
    them.write(batch(size), &Bytes::from(vec![b'x'; size]));
    them.transmit(now);
    let wire = them.outbox.split().freeze();
    Box::new(move || {
        // In blocks, as a long copy between some alignments is ten times slower than others.
        for block in wire.chunks(1024) {
            us.inbox.extend_from_slice(block);
        }
        assert_eq!(us.receive(now), batch(size) * size);
    })
}

/// Bytes from the application to bytes for the socket.
fn send(side: Side, form: WireForm, size: usize, now: Instant) -> Box<dyn FnMut()> {
    let (mut us, _) = End::pair(side, form, now);
    us.gathers = false;
    let message = Bytes::from(vec![b'x'; size]);
    Box::new(move || {
        us.write(batch(size), &message);
        assert!(us.transmit(now) >= batch(size) * size);
        us.outbox.clear();
    })
}

/// Both ways between a client and a server.
fn pair(form: WireForm, size: usize, now: Instant) -> Box<dyn FnMut()> {
    let (mut client, mut server) = End::pair(Side::Client, form, now);
    let message = Bytes::from(vec![b'x'; size]);
    Box::new(move || {
        for _ in 0..2 {
            client.write(batch(size), &message);
            client.transmit(now);
            std::mem::swap(&mut client.outbox, &mut server.inbox);
            assert_eq!(server.receive(now), batch(size) * size);
            std::mem::swap(&mut client, &mut server);
        }
    })
}

/// One end of a connection without sockets.
struct End {
    side: Side,
    session: Session,
    stream: StreamId,
    decoder: Decoder,
    inbox: BytesMut,
    outbox: BytesMut,
    /// A pair has to gather what a server alone hands to the socket where it is.
    gathers: bool,
}

impl End {
    /// An end and its peer, past the announcement of the port or the opening of the stream.
    fn pair(side: Side, form: WireForm, now: Instant) -> (Self, Self) {
        let port = Port::new(80).expect("not zero");
        let mut server =
            Session::server(Arc::new(Config::server()), form, &[port], now).expect("one port fits");
        let mut client =
            Session::client(Arc::new(Config::client()), form, &[port], now).expect("one port fits");
        let at_client = client.open(port, now).expect("asked for");
        // A v4 server has its streams from the start, one in a tunnel hears of them.
        let at_server = server.accept().unwrap_or_else(|| {
            while let Some(opening) = client.poll_transmit(now) {
                let bytes = [opening.head(), opening.body()].concat().into();
                server.handle_incoming(Incoming::Binary { bytes, end: true }, now);
            }
            server.accept().expect("a stream was opened")
        });
        let mut client = Self::new(Side::Client, client, at_client);
        let mut server = Self::new(Side::Server, server, at_server);
        server.gathers = true;
        server.transmit(now);
        client.inbox = server.outbox.split();
        client.receive(now);
        if side == Side::Client { (client, server) } else { (server, client) }
    }

    fn new(side: Side, session: Session, stream: StreamId) -> Self {
        Self {
            side,
            session,
            stream,
            decoder: Decoder::new(side, 1 << 20),
            inbox: BytesMut::with_capacity(512 * 1024),
            outbox: BytesMut::with_capacity(512 * 1024),
            gathers: false,
        }
    }

    fn write(&mut self, messages: usize, message: &Bytes) {
        let mut half = self.session.send(self.stream).expect("not released");
        for _ in 0..messages {
            half.write(message.clone()).expect("a batch fits the send buffer");
        }
    }

    /// Everything there is to send; returns how many bytes that is on the wire.
    fn transmit(&mut self, now: Instant) -> usize {
        let mut sent = 0;
        while let Some(transmit) = self.session.poll_transmit(now) {
            sent += transmit.len();
            self.encode(transmit);
        }
        while self.session.poll_event().is_some() {}
        sent
    }

    fn encode(&mut self, transmit: Transmit) {
        match self.side {
            Side::Client => {
                self.outbox.reserve(MAX_OVERHEAD + transmit.len());
                encode_masked(&transmit, [0x37, 0xfa, 0x21, 0x3d], &mut self.outbox);
            }
            Side::Server => {
                let frame = encode(transmit);
                if self.gathers {
                    self.outbox.extend_from_slice(frame.head());
                    self.outbox.extend_from_slice(frame.body());
                } else {
                    std::hint::black_box(frame.remaining());
                }
            }
        }
    }

    /// Everything that has come; returns how many bytes of payload that is.
    fn receive(&mut self, now: Instant) -> usize {
        while let Some(piece) = self.decoder.decode(&mut self.inbox).expect("our own frames") {
            self.session.handle_incoming(piece, now);
        }
        let mut half = self.session.recv(self.stream).expect("not released");
        let mut received = 0;
        while let Ok(Some(bytes)) = half.read() {
            received += bytes.len();
            half.consumed(bytes.len(), now);
        }
        while self.session.poll_event().is_some() {}
        received
    }
}
