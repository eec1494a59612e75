//! An application that keeps to the contract.

use std::time::Instant;

use bytes::Bytes;
use portway_proto::{Event, ReadError, Side, StreamEvent, StreamId, WriteError};

use crate::invariants::Subject;
use crate::model::{Account, Ending, byte};
use crate::ops::{Action, is_spdy};

/// An application at one end of a session. It keeps to the contract: it reads and writes only when
/// events said that it can, so that an event that is missing shows.
#[derive(Debug)]
pub struct App {
    side: Side,
    /// Streams are opened as it goes.
    dynamic: bool,
    streams: Vec<Held>,
}

/// The port of the first stream that is opened as it goes; each has its own.
const FIRST_PORT: u16 = 1000;

/// One stream, as the application knows it.
#[derive(Debug)]
struct Held {
    id: StreamId,
    /// What the two ends call it.
    key: usize,
    account: Account,
    /// `Readable` came, and `read` was not blocked since.
    readable: bool,
    /// `write` was blocked, and `Writable` did not come since.
    blocked: bool,
    released: bool,
    /// Read and not consumed.
    in_hand: usize,
}

impl App {
    /// An application that has opened or accepted all streams.
    pub fn new(subject: &mut Subject, ports: &[portway_proto::Port], now: Instant) -> Self {
        let side = subject.side();
        if is_spdy(subject.form()) {
            return Self { side, dynamic: true, streams: Vec::new() };
        }
        let streams = ports.iter().enumerate().map(|(key, port)| {
            let id = match side {
                Side::Client => subject.session().open(*port, now).unwrap(),
                Side::Server => subject.session().accept().unwrap(),
            };
            assert_eq!(subject.session().port(id), Some(*port));
            subject.watch(id);
            Held::new(id, key)
        });
        let app = Self { side, dynamic: false, streams: streams.collect() };
        assert_eq!(subject.session().accept(), None, "a stream too many");
        app
    }

    /// What happened to a stream.
    pub fn account(&self, stream: usize) -> &Account {
        &self.streams[stream].account
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// The stream that the other end calls so too.
    pub fn find(&self, key: usize) -> Option<usize> {
        self.streams.iter().position(|held| held.key == key)
    }

    /// What the other end calls it too.
    pub fn key(&self, stream: usize) -> usize {
        self.streams[stream].key
    }

    /// It was released.
    pub fn is_released(&self, stream: usize) -> bool {
        self.streams[stream].released
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Its id.
    pub fn id(&self, stream: usize) -> StreamId {
        self.streams[stream].id
    }

    /// Hears all events, and fails when one is missing.
    pub fn listen(&mut self, subject: &mut Subject) {
        while self.dynamic
            && self.side == Side::Server
            && let Some(id) = subject.session().accept()
        {
            let port = subject.look().port(id).expect("accepted and unknown").get();
            subject.watch(id);
            self.streams.push(Held::new(id, usize::from(port.wrapping_sub(FIRST_PORT))));
        }
        for event in subject.events() {
            let Event::Stream { id, event } = event else { continue };
            let held = self.streams.iter_mut().find(|held| held.id == id).unwrap();
            match event {
                StreamEvent::Readable => held.readable = true,
                StreamEvent::Writable => {
                    assert!(held.blocked, "Writable and nobody was blocked");
                    held.blocked = false;
                }
                _ => {}
            }
        }
        let enough = subject.config().send_buffer().div_ceil(2);
        for held in &mut self.streams {
            if held.released {
                continue;
            }
            let failure = subject.look().failure(held.id);
            held.account.gave_up |= failure.is_some();
            if held.account.ending.is_none() && !held.readable {
                let readable = subject.session().recv(held.id).unwrap().is_readable();
                assert!(!readable, "something to read and Readable did not come");
            }
            if held.blocked {
                let capacity = subject.session().send(held.id).unwrap().capacity();
                assert!(capacity < enough, "{capacity} bytes are free and Writable did not come");
                let open = subject.session().send(held.id).unwrap().is_open();
                assert!(open, "nothing is taken any more and Writable did not come");
            }
        }
    }

    /// Does something.
    pub fn act(&mut self, subject: &mut Subject, action: &Action, now: Instant) {
        self.listen(subject);
        if self.dynamic {
            let action = self.latest(action.clone());
            if self.open(subject, &action, now) {
                subject.check();
                self.listen(subject);
                return;
            }
            self.act_on(subject, &action, now);
        } else {
            self.act_on(subject, action, now);
        }
    }

    /// Opens a stream if that is what is to be done; true also where there is none to do it to.
    fn open(&mut self, subject: &mut Subject, action: &Action, now: Instant) -> bool {
        match action {
            Action::Open => {
                let key = self.streams.len();
                let port = portway_proto::Port::new(FIRST_PORT + key as u16).unwrap();
                if self.side == Side::Client
                    && let Ok(id) = subject.session().open(port, now)
                {
                    subject.watch(id);
                    self.streams.push(Held::new(id, key));
                }
                true
            }
            Action::Close(_) | Action::Abort => false,
            _ => self.streams.is_empty(),
        }
    }

    /// The same, done to one of the latest streams.
    fn latest(&self, mut action: Action) -> Action {
        let len = self.streams.len();
        match &mut action {
            Action::Write { stream, .. }
            | Action::Finish { stream }
            | Action::Reset { stream }
            | Action::Fail { stream, .. }
            | Action::Read { stream }
            | Action::Consume { stream, .. }
            | Action::Stop { stream }
            | Action::Release { stream }
            | Action::HalfClose { stream, .. }
            | Action::Overflow { stream, .. }
            | Action::WantWritable { stream } => {
                *stream = len.saturating_sub(1 + *stream % len.clamp(1, 8));
            }
            Action::Close(_) | Action::Abort | Action::Open => {}
        }
        action
    }

    fn act_on(&mut self, subject: &mut Subject, action: &Action, now: Instant) {
        let direction = usize::from(self.side == Side::Server);
        let unsent = |subject: &Subject, id| !subject.look().is_done(id);
        match *action {
            Action::Write { stream, len } => {
                let Held { id, key, ref mut account, ref mut blocked, released, .. } =
                    self.streams[stream];
                let Ok(mut half) = subject.session().send(id) else {
                    assert!(released);
                    return;
                };
                let from = account.sent.len();
                let bytes: Vec<u8> =
                    (from..from + len).map(|at| byte(2 * key + direction, at)).collect();
                let bytes = Bytes::from(bytes);
                let capacity = half.capacity();
                match half.write(bytes.clone()) {
                    Ok(()) => {
                        assert!(len <= capacity, "{len} bytes were taken where {capacity} fit");
                        account.sent.extend_from_slice(&bytes);
                    }
                    Err(WriteError::Blocked(rest)) => {
                        assert_eq!(len - rest.len(), capacity, "blocked with room left");
                        assert!(bytes.ends_with(&rest));
                        account.sent.extend_from_slice(&bytes[..capacity]);
                        *blocked = true;
                    }
                    Err(_) => assert_eq!(capacity, 0, "room where nothing is taken"),
                }
            }
            Action::Finish { stream } => {
                if let Ok(mut half) = subject.session().send(self.streams[stream].id) {
                    let first = half.finish(now).is_ok();
                    self.streams[stream].account.finished |= first;
                    if let Ok(mut half) = subject.session().send(self.streams[stream].id) {
                        assert!(half.finish(now).is_err(), "finished twice, {first}");
                    }
                }
            }
            Action::Reset { stream } => {
                let Held { id, ref mut account, .. } = self.streams[stream];
                if unsent(subject, id) {
                    account.gave_up = true;
                    account.ending = account.ending.take().or(Some(Ending::Stopped));
                }
                if let Ok(mut half) = subject.session().send(id) {
                    half.reset(now);
                    assert!(subject.look().is_done(id), "a stream goes on after a reset");
                }
            }
            Action::Fail { stream, len } => {
                let text: String = ('a'..='z').cycle().take(len).collect();
                let Held { id, ref mut account, .. } = self.streams[stream];
                if let Ok(mut half) = subject.session().send(id)
                    && half.fail(&text, now).is_ok()
                {
                    assert_eq!(self.side, Side::Server, "a client fails a stream");
                    let sent = len.min(subject.config().error_text());
                    // Without text nothing is said at all.
                    account.failed_with = (sent > 0).then(|| text[..sent].to_owned());
                    account.ending = account.ending.take().or(Some(Ending::Stopped));
                }
            }
            Action::Read { stream } => self.read(subject, stream),
            Action::Consume { stream, len } => {
                let Held { id, ref mut in_hand, .. } = self.streams[stream];
                let len = len.min(*in_hand);
                *in_hand -= len;
                if let Ok(mut half) = subject.session().recv(id) {
                    half.consumed(len, now);
                }
            }
            Action::Stop { stream } => {
                let Held { id, ref mut account, .. } = self.streams[stream];
                if let Ok(mut half) = subject.session().recv(id) {
                    half.stop(now);
                    account.ending = account.ending.take().or(Some(Ending::Stopped));
                }
            }
            Action::Release { stream } => {
                let held = &mut self.streams[stream];
                held.account.gave_up |= unsent(subject, held.id);
                held.account.ending = held.account.ending.take().or(Some(Ending::Stopped));
                held.released = true;
                subject.session().release(held.id, now);
                assert!(subject.session().send(held.id).is_err());
                assert!(subject.session().recv(held.id).is_err());
            }
            Action::HalfClose { stream, policy } => {
                if let Ok(mut half) = subject.session().send(self.streams[stream].id) {
                    half.set_half_close(policy, now);
                }
            }
            Action::Overflow { stream, policy } => {
                if let Ok(mut half) = subject.session().recv(self.streams[stream].id) {
                    half.set_overflow(policy, now);
                }
            }
            Action::WantWritable { stream } => {
                let held = &mut self.streams[stream];
                if !held.released && !subject.look().is_closed() {
                    subject.session().send(held.id).unwrap().want_writable();
                    held.blocked = true;
                }
            }
            Action::Close(ref reason) => subject.session().close(reason.clone(), now),
            Action::Abort => {
                subject.session().abort(now);
                assert!(subject.look().is_closed(), "open after an abort");
            }
            Action::Open => {}
        }
        subject.check();
        self.listen(subject);
    }

    /// Says the end of every stream.
    pub fn finish_all(&mut self, subject: &mut Subject, now: Instant) {
        self.listen(subject);
        for stream in 0..self.streams.len() {
            self.act_on(subject, &Action::Finish { stream }, now);
        }
    }

    /// Reads and lets go of everything that there is.
    pub fn read_all(&mut self, subject: &mut Subject, now: Instant) {
        self.listen(subject);
        for stream in 0..self.streams.len() {
            while self.streams[stream].readable {
                self.read(subject, stream);
            }
            if self.streams[stream].in_hand > 0 {
                self.act_on(subject, &Action::Consume { stream, len: usize::MAX }, now);
            }
        }
    }

    /// Reads once, if there is something.
    fn read(&mut self, subject: &mut Subject, stream: usize) {
        let held = &mut self.streams[stream];
        let Ok(mut half) = subject.session().recv(held.id) else {
            assert!(held.released);
            held.readable = false;
            return;
        };
        let over = held.account.ending.is_some();
        match half.read() {
            Ok(Some(bytes)) => {
                assert!(held.readable, "{} bytes to read and Readable did not come", bytes.len());
                assert!(!over, "bytes after the end");
                assert!(!bytes.is_empty(), "nothing was read");
                held.account.received.extend_from_slice(&bytes);
                held.in_hand += bytes.len();
                return;
            }
            Err(ReadError::Blocked) => assert!(!over, "blocked after the end"),
            Ok(None) => {
                assert!(over || held.readable, "the end to read and Readable did not come");
                assert!(!matches!(held.account.ending, Some(Ending::Failed(_))));
                assert_eq!(subject.look().failure(held.id), None, "a clean end of a failed stream");
                held.account.ending = held.account.ending.take().or(Some(Ending::Clean));
            }
            Err(ReadError::Failed) => {
                let failure = subject.look().failure(held.id).expect("failed without a failure");
                assert!(over || held.readable, "{failure:?} and Readable did not come");
                held.account.ending =
                    held.account.ending.take().or_else(|| Some(Ending::Failed(failure.clone())));
            }
            Err(_) => {
                let stopped = matches!(held.account.ending, Some(Ending::Stopped));
                assert!(stopped, "stopped by nobody");
            }
        }
        held.readable = false;
    }
}

impl Held {
    fn new(id: StreamId, key: usize) -> Self {
        let account = Account::default();
        Self { id, key, account, readable: false, blocked: false, released: false, in_hand: 0 }
    }
}
