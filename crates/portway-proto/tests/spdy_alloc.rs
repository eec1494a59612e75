//! "Zero-copy" and "no allocations" over SPDY, and what an idle session holds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

use std::time::Instant;

use allocation_counter::measure;
use bytes::Bytes;
use portway_proto::{Config, Incoming, Kind, ReadError, Reuse, Session, Side, StreamId};
use portway_testkit::spdy::{Spdy, Writer, data, fin};

const MESSAGES: usize = 10_000;
const SIZES: [usize; 3] = [1, 1000, 32 * 1024];

struct Open {
    session: Session,
    id: StreamId,
    now: Instant,
}

/// A session with one open stream, 3 on the wire.
fn open(side: Side, config: Config) -> Open {
    let (spdy, id) = match side {
        Side::Client => Spdy::opened(config),
        Side::Server => Spdy::accepted(config),
    };
    let rig = spdy.into_rig();
    let now = rig.now();
    Open { session: rig.session, id, now }
}

/// Shared already, as what a transport splits off its read buffer is.
fn shared(bytes: Vec<u8>) -> Bytes {
    let bytes = Bytes::from(bytes);
    drop(bytes.clone());
    bytes
}

fn frame(payload: &[u8]) -> Bytes {
    shared(Writer::default().frame(&data(3, payload)))
}

fn allocations(messages: usize, mut each: impl FnMut()) -> u64 {
    (0..messages / 100).for_each(|_| each());
    measure(|| (0..messages).for_each(|_| each())).count_total
}

impl Open {
    fn receive(&mut self, pieces: &[Bytes]) {
        for bytes in pieces {
            let piece = Incoming::Binary { bytes: bytes.clone(), end: true };
            self.session.handle_incoming(piece, self.now);
            while self.session.poll_event().is_some() {}
            let mut half = self.session.recv(self.id).unwrap();
            loop {
                match half.read() {
                    Ok(Some(bytes)) => half.consumed(bytes.len(), self.now),
                    Err(ReadError::Blocked) => break,
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(self.session.poll_transmit(self.now).is_none());
    }

    fn send(&mut self, body: &Bytes) {
        self.session.send(self.id).unwrap().write(body.clone()).unwrap();
        while let Some(transmit) = self.session.poll_transmit(self.now) {
            assert_eq!(transmit.head().len(), 8);
        }
        while self.session.poll_event().is_some() {}
    }
}

#[test]
fn receiving_allocates_nothing_per_message() {
    for side in [Side::Client, Side::Server] {
        for size in SIZES {
            let message = frame(&vec![7; size]);
            let mut open = open(side, Config::of(side));
            let count = allocations(MESSAGES, || open.receive(std::slice::from_ref(&message)));
            assert_eq!(count, 0, "{side:?} {size} bytes");
            assert!(open.session.stats().bytes_in >= (MESSAGES * size) as u64);
        }
    }
}

#[test]
fn receiving_in_pieces_allocates_nothing_per_piece() {
    let message = frame(&[7; 2000]);
    // Also inside of the header.
    let cuts = [0, 3, 8, 9, 1000, message.len()];
    let pieces: Vec<_> = cuts.windows(2).map(|cut| message.slice(cut[0]..cut[1])).collect();
    let mut open = open(Side::Client, Config::client());
    assert_eq!(allocations(MESSAGES, || open.receive(&pieces)), 0);
}

#[test]
fn sending_allocates_nothing_per_message() {
    for side in [Side::Client, Side::Server] {
        for size in SIZES {
            let body = shared(vec![7; size]);
            let mut open = open(side, Config::of(side));
            assert_eq!(allocations(MESSAGES, || open.send(&body)), 0, "{side:?} {size} bytes");
            assert!(open.session.stats().messages_out >= MESSAGES as u64);
        }
    }
}

#[test]
fn a_write_that_is_cut_into_frames_allocates_nothing_per_frame() {
    let body = shared(vec![7; 200_000]);
    let mut open = open(Side::Client, Config::client().with_max_payload(1000));
    assert_eq!(allocations(MESSAGES / 100, || open.send(&body)), 0);
}

#[test]
fn what_is_read_lies_where_the_transport_put_it() {
    for side in [Side::Client, Side::Server] {
        let mut open = open(side, Config::of(side));
        let message = frame(&[7; 30_000]);
        // In one piece, and in two, with a reader that is behind.
        for cut in [0, 15_000] {
            let mut rest = message.clone();
            if cut > 0 {
                let bytes = rest.split_to(cut);
                open.session.handle_incoming(Incoming::Binary { bytes, end: true }, open.now);
            }
            open.session.handle_incoming(Incoming::Binary { bytes: rest, end: true }, open.now);
            let mut total = 0;
            while let Ok(Some(bytes)) = open.session.recv(open.id).unwrap().read() {
                assert_eq!(bytes.as_ptr(), message[8 + total..].as_ptr());
                total += bytes.len();
            }
            assert_eq!(total, 30_000);
        }
    }
}

#[test]
fn what_is_sent_lies_where_the_application_put_it() {
    for side in [Side::Client, Side::Server] {
        let mut open = open(side, Config::of(side).with_max_payload(1000));
        let body = Bytes::from(vec![7; 2500]);
        open.session.send(open.id).unwrap().write(body.clone()).unwrap();
        for (at, len) in [(0, 1000), (1000, 1000), (2000, 500)] {
            let transmit = open.session.poll_transmit(open.now).unwrap();
            assert_eq!(transmit.kind(), Kind::Binary);
            assert_eq!(transmit.body().as_ptr(), body[at..].as_ptr());
            assert_eq!(transmit.body().len(), len);
        }
    }
}

#[test]
fn a_session_without_streams_costs_little() {
    let start = Spdy::client(Config::client()).into_rig().now();
    let config = std::sync::Arc::new(Config::client());
    let new = |side| {
        let config = std::sync::Arc::clone(&config);
        let form = portway_proto::WireForm::Tunnel;
        match side {
            Side::Client => Session::client(config, form, &[], start).unwrap(),
            Side::Server => Session::server(config, form, &[], start).unwrap(),
        }
    };
    for side in [Side::Client, Side::Server] {
        let info = measure(|| drop(new(side)));
        assert!(info.bytes_max < 1280, "{side:?}: a new session holds {} bytes", info.bytes_max);
    }
}

#[test]
fn a_session_that_was_used_and_is_kept_warm_holds_little_more() {
    let mut kept = None;
    let info = measure(|| {
        let mut rig = Spdy::client(Config::client());
        for number in 0..50 {
            let error = 1 + 4 * number;
            let id = rig.open_replied(8080, error);
            rig.write(id, &[7; 100_000]);
            rig.frames();
            rig.data(error + 2, vec![7; 100_000]);
            assert_eq!(rig.read_all(id).0.len(), 100_000);
            rig.peer_all(&[fin(error + 2), fin(error)]);
            rig.events();
            rig.release(id);
            rig.frames();
            assert_eq!(rig.reusable(), Reuse::Checking);
            for ping in rig.frames() {
                rig.peer(&ping);
            }
            assert_eq!(rig.reusable(), Reuse::Ready);
        }
        kept = Some(rig.into_rig().session);
    });
    assert!(info.bytes_current < 8 * 1024, "it holds {} bytes", info.bytes_current);
}
