use std::time::Duration;

use bytes::Bytes;
use portway_proto::{
    CloseReason, Incoming, Kind, OpenError, Port, Reuse, Session, Side, StreamError, StreamId,
    Timer, WireForm, WriteError,
};

use super::spdy::{Peer, STREAMS};
use super::{announcement, encode};
use crate::clock::Clock;
use crate::cuts::Cuts;
use crate::invariants::Subject;
use crate::message::Message;
use crate::ops::{self, Setup, is_spdy};
use crate::source::Source;
use crate::spdy::Reader;

/// No call panics, whatever is called when and with which id; a call that is refused changes nothing
/// that can be seen.
///
/// Side (bit 0) and whether it is SPDY (bit 1), [`Setup`]; then calls.
pub fn api_misuse(data: &[u8]) {
    let mut source = Source::new(data);
    let kind = source.byte();
    let side = if kind & 1 == 0 { Side::Client } else { Side::Server };
    let setup = if kind & 2 == 0 {
        Setup::hostile(&mut source)
    } else {
        Setup::hostile_spdy(&mut source, STREAMS)
    };
    let mut clock = Clock::default();
    let config = if side == Side::Client { &setup.client } else { &setup.server };
    let mut subject = Subject::new(side, setup.form, config.clone(), &setup.ports, clock.now());
    let mut wire = Wire::new(side, &setup);
    let mut ids = foreign_ids(&clock);
    for _ in 0..300 {
        if source.is_empty() {
            break;
        }
        let call = source.byte();
        subject.events();
        if call & 0x80 == 0 {
            wire.flush(&mut subject, &clock);
        }
        match call & 0x7f {
            call @ 0..=15 => {
                for message in wire.say(call, &mut source) {
                    hand(&mut subject, message, &clock);
                }
            }
            16 => subject.hand(Incoming::Close(None), clock.now()),
            17 => subject.disconnect(clock.now()),
            18..=25 => {
                clock.advance(ops::duration(&mut source));
                subject.time(clock.now());
            }
            26 => {
                subject.session().close(CloseReason::Local, clock.now());
            }
            27 => {
                subject.session().abort(clock.now());
            }
            28..=30 => wire.flush(&mut subject, &clock),
            31 => {
                let left = source.pick(&[0, 1, 2, 500_000, usize::MAX]);
                subject.flushed(left, clock.now());
            }
            32..=39 => {
                let port = Port::new(8080 + u16::from(call & 7)).unwrap();
                let before = State::of(&mut subject, &ids);
                let streams = subject.look().streams();
                match subject.session().open(port, clock.now()) {
                    Ok(id) => ids.push(id),
                    Err(error) => {
                        let right = match error {
                            OpenError::NotAClient => side == Side::Server,
                            OpenError::NotRequested(_) => {
                                !is_spdy(setup.form) && !setup.ports.contains(&port)
                            }
                            OpenError::AlreadyOpen(_) => !is_spdy(setup.form),
                            OpenError::TooManyStreams { limit } => streams == limit,
                            _ => true,
                        };
                        assert!(right, "{error}");
                        before.is_still(&mut subject, &ids);
                    }
                }
            }
            40..=47 => {
                let before = State::of(&mut subject, &ids);
                match subject.session().accept() {
                    Some(id) => ids.push(id),
                    None => before.is_still(&mut subject, &ids),
                }
            }
            116..=118 => {
                let before = State::of(&mut subject, &ids);
                let reuse = subject.session().reusable(clock.now());
                // Only a check that begins is something new.
                if reuse != Reuse::Checking {
                    before.is_still(&mut subject, &ids);
                }
            }
            119 => subject.session().retire(CloseReason::Idle, clock.now()),
            call => {
                let id = ids[source.below(ids.len())];
                call_stream(&mut subject, &ids, id, call, &mut source, &clock);
            }
        }
        subject.check();
    }
    let mut now = clock.now();
    subject.session().close(CloseReason::Local, now);
    subject.drain(&mut now);
}

/// The other side.
enum Wire {
    Channels {
        form: WireForm,
        ports: Vec<Port>,
    },
    /// It knows which streams there are.
    Spdy(Box<(Peer, Reader)>),
}

impl Wire {
    fn new(side: Side, setup: &Setup) -> Self {
        if is_spdy(setup.form) {
            return Self::Spdy(Box::new((Peer::new(side), Reader::default())));
        }
        Self::Channels { form: setup.form, ports: setup.ports.clone() }
    }

    fn say(&mut self, call: u8, source: &mut Source<'_>) -> Vec<Message> {
        match self {
            Self::Channels { form, ports } if call < 8 => announcement(*form, ports),
            Self::Channels { form, .. } => vec![encode(*form, call & 7, &[b'x'; 30])],
            Self::Spdy(spdy) => vec![Message::binary(spdy.0.say(source))],
        }
    }

    fn flush(&mut self, subject: &mut Subject, clock: &Clock) {
        for message in subject.flush(clock.now()) {
            if let Self::Spdy(spdy) = self
                && message.kind == Kind::Binary
            {
                let (peer, reader) = &mut **spdy;
                peer.hear(&reader.take(&message.payload));
            }
        }
    }
}

/// Calls something on a stream, or on what was one.
fn call_stream(
    subject: &mut Subject,
    ids: &[StreamId],
    id: StreamId,
    call: u8,
    source: &mut Source<'_>,
    clock: &Clock,
) {
    let now = clock.now();
    let before = State::of(subject, ids);
    let session = subject.session();
    let known = session.port(id).is_some();
    assert_eq!(session.send(id).is_ok(), known);
    assert_eq!(session.recv(id).is_ok(), known);
    if !known {
        assert_eq!(session.failure(id), None);
        assert!(session.is_done(id));
        session.release(id, now);
        before.is_still(subject, ids);
        return;
    }
    let done = session.is_done(id);
    let mut refused = false;
    match call {
        48..=63 => {
            let capacity = session.send(id).unwrap().capacity();
            let bytes = Bytes::from(vec![7; source.below(300)]);
            refused = match session.send(id).unwrap().write(bytes) {
                Ok(()) => false,
                Err(WriteError::Blocked(_)) => capacity == 0,
                Err(_) => true,
            };
        }
        64..=71 => refused = session.send(id).unwrap().finish(now).is_err(),
        72..=75 => {
            session.send(id).unwrap().reset(now);
            refused = done;
        }
        76..=83 => refused = session.send(id).unwrap().fail("no\u{e9}\u{1b}", now).is_err(),
        84..=91 => {
            // Being told that there is nothing yet is no event.
            refused = session.recv(id).unwrap().read().is_err();
        }
        92..=99 => session.recv(id).unwrap().consumed(source.below(1000), now),
        100..=103 => {
            session.recv(id).unwrap().stop(now);
            refused = done;
        }
        104..=107 => {
            session.release(id, now);
            assert_eq!(session.port(id), None);
        }
        108..=111 => {
            let policy = portway_proto::HalfClose::Immediate;
            session.send(id).unwrap().set_half_close(policy, now);
            refused = done;
        }
        112..=115 => {
            let policy = portway_proto::OverflowPolicy::PauseThenReset(Duration::MAX);
            session.recv(id).unwrap().set_overflow(policy, now);
            refused = done;
        }
        _ => session.send(id).unwrap().want_writable(),
    }
    // The failure is read as an end too: that is something new.
    if refused && done == subject.look().is_done(id) {
        before.is_still(subject, ids);
    }
}

fn hand(subject: &mut Subject, message: Message, clock: &Clock) {
    for piece in Cuts::new(0).pieces(message) {
        subject.hand(piece, clock.now());
    }
}

/// Ids of another session, with more streams than any of ours. Those that name no stream of ours too.
fn foreign_ids(clock: &Clock) -> Vec<StreamId> {
    let ports: Vec<Port> = (1..=20).map(|port| Port::new(port).unwrap()).collect();
    let config = std::sync::Arc::new(portway_proto::Config::server());
    let mut other = Session::server(config, WireForm::V4, &ports, clock.now()).unwrap();
    std::iter::from_fn(|| other.accept()).skip(16).collect()
}

/// All that can be seen of a session without changing it.
#[derive(Debug, PartialEq)]
struct State {
    stats: portway_proto::Stats,
    wants_read: bool,
    timeout: Option<std::time::Instant>,
    reason: Option<Timer>,
    is_closed: bool,
    streams: usize,
    each: Vec<Option<StreamState>>,
}

#[derive(Debug, PartialEq)]
struct StreamState {
    port: Option<Port>,
    capacity: usize,
    is_flushed: bool,
    lingering: Option<std::time::Instant>,
    settled: Option<std::time::Instant>,
    is_done: bool,
    failure: Option<StreamError>,
}

impl State {
    fn of(subject: &mut Subject, ids: &[StreamId]) -> Self {
        // What is reported already is not new.
        subject.events();
        let session = subject.session();
        let each = ids.iter().map(|id| {
            let send = session.send(*id).ok()?;
            let (capacity, is_flushed) = (send.capacity(), send.is_flushed());
            let (lingering, settled) = (send.lingering(), send.settled());
            Some(StreamState {
                capacity,
                is_flushed,
                lingering,
                settled,
                port: session.port(*id),
                is_done: session.is_done(*id),
                failure: session.failure(*id).cloned(),
            })
        });
        let each = each.collect();
        Self {
            stats: session.stats(),
            wants_read: session.wants_read(),
            timeout: session.poll_timeout(),
            reason: session.timeout_reason(),
            is_closed: session.is_closed(),
            streams: session.streams(),
            each,
        }
    }

    fn is_still(&self, subject: &mut Subject, ids: &[StreamId]) {
        let events = subject.events();
        assert!(events.is_empty(), "{events:?} of a call that was refused");
        assert_eq!(*self, Self::of(subject, ids));
    }
}
