//! "Zero-copy" and "no allocations" as gates instead of slogans, and the sizes of what is moved
//! around.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

use std::mem::size_of;
use std::sync::Arc;
use std::time::Instant;

use allocation_counter::measure;
use bytes::Bytes;
use portway_proto::{
    Config, Event, HalfClose, Incoming, Kind, Port, ReadError, Session, Side, StreamEvent,
    StreamId, Transmit, WireForm, WriteError,
};
use portway_testkit::rig::{Rig, data_piece, encode};

const MESSAGES: usize = 10_000;
const BOTH: [WireForm; 2] = [WireForm::V4, WireForm::V4Base64];

struct Open {
    session: Session,
    id: StreamId,
    now: Instant,
    form: WireForm,
}

/// A session with one open stream, past its prefixes.
fn open(side: Side, form: WireForm, config: Config) -> Open {
    let mut rig = Rig::new(side, form, config, &[8080]);
    if side == Side::Client {
        rig.announce();
    }
    rig.sent();
    rig.events();
    let now = rig.now();
    let id = rig.session.accept().unwrap_or_else(|| rig.open(8080));
    Open { session: rig.session, id, now, form }
}

/// Shared already, as what a transport splits off its read buffer is: the first clone of a `Bytes`
/// made from a `Vec` allocates.
fn shared(bytes: Vec<u8>) -> Bytes {
    let bytes = Bytes::from(bytes);
    drop(bytes.clone());
    bytes
}

/// Payloads to try: base64 of large ones takes an unoptimised test many seconds.
const fn sizes(form: WireForm) -> [usize; 3] {
    if matches!(form, WireForm::V4Base64) { [1, 100, 3000] } else { [1, 1000, 32 * 1024] }
}

/// How often `messages` calls allocate after `messages / 100` to warm up.
fn allocations(messages: usize, mut each: impl FnMut()) -> u64 {
    (0..messages / 100).for_each(|_| each());
    measure(|| (0..messages).for_each(|_| each())).count_total
}

impl Open {
    /// One message from the peer, handed in as `pieces`, read and consumed.
    fn receive(&mut self, pieces: &[Bytes]) {
        let last = pieces.len() - 1;
        for (at, piece) in pieces.iter().enumerate() {
            let piece = data_piece(self.form, piece.clone(), at == last);
            self.session.handle_incoming(piece, self.now);
            while self.session.poll_event().is_some() {}
            self.read();
        }
    }

    fn read(&mut self) {
        let mut half = self.session.recv(self.id).unwrap();
        loop {
            match half.read() {
                Ok(Some(bytes)) => half.consumed(bytes.len(), self.now),
                Err(ReadError::Blocked) => return,
                other => panic!("{other:?}"),
            }
        }
    }

    fn send(&mut self, body: &Bytes) {
        self.session.send(self.id).unwrap().write(body.clone()).unwrap();
        while let Some(transmit) = self.session.poll_transmit(self.now) {
            assert!(transmit.len() > transmit.head().len());
        }
        while self.session.poll_event().is_some() {}
        assert!(self.session.poll_timeout().is_some());
    }
}

#[test]
fn receiving_allocates_nothing_per_message() {
    for side in [Side::Client, Side::Server] {
        for form in BOTH {
            for size in sizes(form) {
                let message = shared(encode(form, 0, &vec![7; size]));
                let mut open = open(side, form, Config::of(side));
                let count = allocations(MESSAGES, || open.receive(std::slice::from_ref(&message)));
                assert_eq!(count, 0, "{side:?} {form} {size} bytes");
                assert!(open.session.stats().bytes_in >= (MESSAGES * size) as u64);
            }
        }
    }
}

#[test]
fn receiving_in_pieces_allocates_nothing_per_piece() {
    for form in BOTH {
        let message = shared(encode(form, 0, &[7; 2000]));
        let cuts = [0, 1, 2, 99, 1000, message.len()];
        let pieces: Vec<_> = cuts.windows(2).map(|cut| message.slice(cut[0]..cut[1])).collect();
        let mut open = open(Side::Client, form, Config::client());
        assert_eq!(allocations(MESSAGES, || open.receive(&pieces)), 0, "{form}");
    }
}

#[test]
fn sending_allocates_nothing_per_message() {
    for side in [Side::Client, Side::Server] {
        for form in BOTH {
            for size in sizes(form) {
                let body = shared(vec![7; size]);
                let mut open = open(side, form, Config::of(side));
                let count = allocations(MESSAGES, || open.send(&body));
                assert_eq!(count, 0, "{side:?} {form} {size} bytes");
                assert!(open.session.stats().messages_out >= MESSAGES as u64);
            }
        }
    }
}

#[test]
fn a_write_that_is_cut_into_messages_allocates_nothing_per_message() {
    let body = shared(vec![7; 200_000]);
    let config = Config::client().with_max_payload(1000);
    let mut open = open(Side::Client, WireForm::V4, config);
    assert_eq!(allocations(MESSAGES / 100, || open.send(&body)), 0);
    assert!(open.session.stats().messages_out >= 200 * (MESSAGES / 100) as u64);
}

#[test]
fn base64_allocates_only_while_its_last_message_is_still_held() {
    // The scratch buffer is used again once nobody holds the message before: a transport that
    // copies each message at once (as masking does) costs nothing, one that queues them costs two
    // allocations a message.
    let body = shared(vec![7; 1000]);
    let mut open = open(Side::Client, WireForm::V4Base64, Config::client());
    let mut held: Option<Transmit> = None;
    let count = allocations(MESSAGES, || {
        open.session.send(open.id).unwrap().write(body.clone()).unwrap();
        held = open.session.poll_transmit(open.now);
    });
    assert!(held.is_some());
    assert!((1..=2 * MESSAGES as u64).contains(&count), "{count}");
}

#[test]
fn ignored_messages_allocate_nothing() {
    for side in [Side::Client, Side::Server] {
        let mut open = open(side, WireForm::V4, Config::of(side));
        let unknown = Bytes::from_static(b"\x09what");
        let ping = Bytes::from_static(b"ping");
        let count = allocations(MESSAGES, || {
            for bytes in [unknown.clone(), Bytes::new()] {
                open.session.handle_incoming(Incoming::Binary { bytes, end: true }, open.now);
            }
            open.session.handle_incoming(Incoming::Ping(ping.clone()), open.now);
            open.session.handle_timeout(open.now);
            assert_eq!(open.session.poll_transmit(open.now).unwrap().kind(), Kind::Pong);
        });
        assert_eq!(count, 0, "{side:?}");
    }
}

#[test]
fn small_messages_behind_a_slow_reader_cost_one_allocation_in_many() {
    // They are gathered into chunks of 32 KiB, so that none of them keeps a whole read buffer alive.
    let message = Bytes::from_static(&[0; 101]);
    let mut open = open(Side::Client, WireForm::V4, Config::client());
    let count = allocations(MESSAGES, || {
        let piece = Incoming::Binary { bytes: message.clone(), end: true };
        open.session.handle_incoming(piece, open.now);
        if !open.session.wants_read() {
            open.read();
        }
    });
    assert!(count * 50 < MESSAGES as u64, "{count} allocations for {MESSAGES} messages");
}

fn lies_within(inner: &Bytes, outer: &Bytes) -> bool {
    outer.as_ptr_range().contains(&inner.as_ptr())
        && inner.as_ptr_range().end <= outer.as_ptr_range().end
}

#[test]
fn what_is_read_lies_where_the_transport_put_it() {
    for side in [Side::Client, Side::Server] {
        let mut open = open(side, WireForm::V4, Config::of(side));
        let message = Bytes::from(encode(WireForm::V4, 0, &[7; 30_000]));
        // In one piece, and in two, with a reader that is behind.
        for cut in [0, 15_000] {
            let mut rest = message.clone();
            if cut > 0 {
                let bytes = rest.split_to(cut);
                open.session.handle_incoming(Incoming::Binary { bytes, end: false }, open.now);
            }
            open.session.handle_incoming(Incoming::Binary { bytes: rest, end: true }, open.now);
            let mut total = 0;
            while let Ok(Some(bytes)) = open.session.recv(open.id).unwrap().read() {
                assert!(lies_within(&bytes, &message));
                assert_eq!(bytes.as_ptr(), message[1 + total..].as_ptr());
                total += bytes.len();
            }
            assert_eq!(total, 30_000);
        }
    }
}

#[test]
fn a_small_message_on_its_own_is_not_copied_either() {
    let mut open = open(Side::Client, WireForm::V4, Config::client());
    let message = Bytes::from(b"\0x".to_vec());
    open.session.handle_incoming(Incoming::Binary { bytes: message.clone(), end: true }, open.now);
    let read = open.session.recv(open.id).unwrap().read().unwrap().unwrap();
    assert_eq!(read.as_ptr(), message[1..].as_ptr());
}

#[test]
fn what_is_sent_lies_where_the_application_put_it() {
    for side in [Side::Client, Side::Server] {
        let mut open = open(side, WireForm::V4, Config::of(side).with_max_payload(1000));
        let body = Bytes::from(vec![7; 2500]);
        open.session.send(open.id).unwrap().write(body.clone()).unwrap();
        for at in [0, 1000, 2000] {
            let transmit = open.session.poll_transmit(open.now).unwrap();
            assert_eq!(transmit.head(), [0]);
            assert_eq!(transmit.body().as_ptr(), body[at..].as_ptr());
        }
    }
}

#[test]
fn what_is_moved_around_is_small() {
    let limits = [
        ("Event", size_of::<Event>(), 48),
        ("StreamEvent", size_of::<StreamEvent>(), 4),
        ("WriteError", size_of::<WriteError>(), 40),
        ("ReadError", size_of::<ReadError>(), 1),
        ("StreamId", size_of::<StreamId>(), 8),
        ("Option<Port>", size_of::<Option<Port>>(), 2),
        ("Incoming", size_of::<Incoming>(), 40),
        ("Option<Transmit>", size_of::<Option<Transmit>>(), 48),
        ("HalfClose", size_of::<HalfClose>(), 32),
        // A driver's task holds it inline and is moved once or twice before it is spawned.
        ("Session", size_of::<Session>(), 1024),
    ];
    for (name, size, limit) in limits {
        assert!(size <= limit, "{name} is {size} bytes, {limit} at most");
    }
}

#[test]
fn a_session_without_streams_that_wait_costs_little() {
    let config = Arc::new(Config::client());
    let ports = [Port::new(8080).unwrap()];
    let now = Rig::client(&[1]).now();
    let info = measure(|| {
        drop(Session::client(Arc::clone(&config), WireForm::V4, &ports, now).unwrap());
    });
    assert!(info.bytes_max < 2048, "an idle session allocates {} bytes", info.bytes_max);
}
