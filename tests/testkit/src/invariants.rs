//! A session whose promises are checked at every step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use portway_proto::{
    CloseReason, Config, Event, Incoming, Kind, Port, Session, Side, StreamError, StreamEvent,
    StreamId, WireForm,
};

use crate::message::Message;
use crate::ops::is_spdy;

/// A session whose promises are checked at every step, whoever the peer is and whatever the
/// application does.
#[derive(Debug)]
pub struct Subject {
    session: Session,
    side: Side,
    form: WireForm,
    config: Arc<Config>,
    ports: usize,
    /// The largest piece that was handed in while the session wanted to read.
    piece: usize,
    /// What was handed in against `wants_read`: it is held on top of the limit.
    forced: usize,
    ready: bool,
    closed: Option<CloseReason>,
    was_closed: bool,
    said_close: bool,
    heard_close: bool,
    failures: BTreeMap<StreamId, Option<StreamError>>,
    reported: BTreeMap<StreamId, Vec<StreamEvent>>,
}

impl Subject {
    /// One side of a session. Panics where the ports cannot be.
    pub fn new(side: Side, form: WireForm, config: Config, ports: &[Port], now: Instant) -> Self {
        let config = Arc::new(config);
        let session = match side {
            Side::Client => Session::client(Arc::clone(&config), form, ports, now),
            Side::Server => Session::server(Arc::clone(&config), form, ports, now),
        };
        Self {
            session: session.unwrap(),
            side,
            form,
            ports: if is_spdy(form) { config.max_streams() } else { ports.len() },
            config,
            piece: 0,
            forced: 0,
            ready: false,
            closed: None,
            was_closed: false,
            said_close: false,
            heard_close: false,
            failures: BTreeMap::new(),
            reported: BTreeMap::new(),
        }
    }

    /// Watches the failure of a stream.
    pub fn watch(&mut self, id: StreamId) {
        self.failures.entry(id).or_insert(None);
    }

    /// For calls of the application; [`check`](Self::check) after them.
    pub const fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// For looking.
    pub const fn look(&self) -> &Session {
        &self.session
    }

    /// Which end this is.
    pub const fn side(&self) -> Side {
        self.side
    }

    /// Its wire form.
    pub const fn form(&self) -> WireForm {
        self.form
    }

    /// Its limits.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The reason of `Event::Closed`, once it came.
    pub const fn closed(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// `Event::Ready` came.
    pub const fn is_ready(&self) -> bool {
        self.ready
    }

    /// Our Close went out and the peer's had not come: from then on nothing is promised about what
    /// the peer still sends.
    pub const fn said_close_first(&self) -> bool {
        self.said_close && !self.heard_close
    }

    /// A Close of the peer came in.
    pub const fn heard_close(&self) -> bool {
        self.heard_close
    }

    /// The transport hands in a piece.
    pub fn hand(&mut self, piece: Incoming, now: Instant) {
        let wanted = self.session.wants_read();
        if let Incoming::Binary { bytes, .. } | Incoming::Text { bytes, .. } = &piece {
            if wanted {
                self.piece = self.piece.max(bytes.len());
            } else {
                // Two bytes more: what is left of a group of four, in base64.
                self.forced += bytes.len() + 2;
            }
        }
        if let Incoming::Close(_) = piece {
            // Ours went first only if it did not go in answer.
            self.heard_close |= !self.said_close;
        }
        self.session.handle_incoming(piece, now);
        self.check();
    }

    /// The transport ends.
    pub fn disconnect(&mut self, now: Instant) {
        self.session.handle_disconnect(now);
        assert!(self.session.is_closed(), "open after a disconnect");
        self.check();
    }

    /// The time has come, or not.
    pub fn time(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        if let Some(at) = self.session.poll_timeout() {
            let reason = self.session.timeout_reason();
            assert!(at > now, "{reason:?} is due {:?} ago, after handle_timeout", now - at);
        }
        self.check();
    }

    /// The transport has written, and so much of what it was given is left.
    pub fn flushed(&mut self, left: usize, now: Instant) {
        self.session.handle_flush(left, now);
        self.check();
    }

    /// The next message for the transport.
    pub fn send(&mut self, now: Instant) -> Option<Message> {
        let was_closed = self.session.is_closed();
        let message = Message::from(self.session.poll_transmit(now)?);
        assert!(!was_closed, "{message:?} of a closed session");
        assert!(!self.said_close, "{message:?} behind the Close");
        let text = self.form == WireForm::V4Base64;
        match message.kind {
            Kind::Binary => assert!(!text, "{message:?} on a text form"),
            Kind::Text => assert!(text, "{message:?} on a binary form"),
            Kind::Close => self.said_close = true,
            _ => assert!(message.payload.len() <= 125, "{message:?} is too long"),
        }
        let limit = self.config.max_payload().max(2).max(self.config.error_text());
        let limit = if text { limit.div_ceil(3) * 4 } else { limit };
        // A batch of answers; frames around a text.
        let limit = if is_spdy(self.form) { 64 + limit.max(17 * 1024) } else { limit };
        assert!(message.payload.len() <= 1 + limit.max(125), "{message:?} is over {limit}");
        self.check();
        Some(message)
    }

    /// All messages for a transport that takes everything.
    pub fn flush(&mut self, now: Instant) -> Vec<Message> {
        let most = 2 * self.ports + self.session.stats().buffered + self.ports + 4;
        let messages: Vec<Message> = std::iter::from_fn(|| self.send(now)).take(most + 1).collect();
        assert!(messages.len() <= most, "more than {most} messages to drain");
        messages
    }

    /// All events.
    pub fn events(&mut self) -> Vec<Event> {
        let most = 6 * self.ports + 2;
        let mut events = Vec::new();
        while let Some(event) = self.session.poll_event() {
            assert!(self.closed.is_none(), "{event:?} behind {:?}", self.closed);
            match &event {
                Event::Ready => {
                    assert!(!self.ready, "ready twice");
                    self.ready = true;
                }
                Event::Stream { id, event } => self.stream_event(*id, *event),
                Event::Closed(reason) => {
                    assert!(self.session.is_closed(), "{reason:?} before it is");
                    self.closed = Some(reason.clone());
                }
                other => panic!("no promise about {other:?}"),
            }
            events.push(event);
            assert!(events.len() <= most, "more than {most} events wait: {events:?}");
        }
        assert_eq!(self.session.is_closed(), self.closed.is_some(), "closed and not said so");
        self.check();
        events
    }

    /// Goes on until the session is closed, through all its timeouts, and fails when it is not
    /// within a bounded number of them. `now` is what time it is then.
    pub fn drain(&mut self, now: &mut Instant) {
        for _ in 0..=4 * self.ports + 12 {
            self.flush(*now);
            self.events();
            if self.closed.is_some() {
                return;
            }
            let at = self.session.poll_timeout();
            let at = at.expect("nothing happens any more, and the session is not closed");
            *now = at.max(*now);
            self.time(*now);
        }
        panic!("the session does not end: {:?}", self.session.timeout_reason());
    }

    /// What is true at any time.
    pub fn check(&mut self) {
        let session = &self.session;
        let buffered = session.stats().buffered;
        let most = self.config.worst_case(self.ports, self.piece) + self.forced;
        assert!(buffered <= most, "{buffered} bytes are held, {most} allowed");
        assert!(session.is_closed() || !self.was_closed, "closed and open again");
        self.was_closed = session.is_closed();
        let (timeout, reason) = (session.poll_timeout(), session.timeout_reason());
        assert_eq!(timeout.is_some(), reason.is_some());
        if self.was_closed {
            assert_eq!(reason, None, "a closed session waits");
            assert!(!session.wants_read(), "a closed session wants to read");
        }
        for (id, known) in &mut self.failures {
            let failure = session.failure(*id);
            if session.port(*id).is_none() {
                assert_eq!(failure, None, "a released stream fails");
            } else if known.is_some() {
                assert_eq!(failure, known.as_ref(), "another failure than before");
            } else {
                *known = failure.cloned();
            }
        }
    }

    fn stream_event(&mut self, id: StreamId, event: StreamEvent) {
        assert!(self.session.port(id).is_some(), "{event:?} of a stream that was released");
        self.failures.entry(id).or_insert(None);
        let reported = self.reported.entry(id).or_default();
        match event {
            StreamEvent::Readable | StreamEvent::Writable | StreamEvent::Lingering => return,
            StreamEvent::Failed => {
                assert!(self.session.failure(id).is_some(), "failed without a failure");
            }
            StreamEvent::Done => assert!(self.session.is_done(id), "done and not done"),
            StreamEvent::Opened { port } => assert_eq!(self.session.port(id), Some(port)),
            other => panic!("no promise about {other:?}"),
        }
        assert!(!reported.contains(&event), "{event:?} twice");
        reported.push(event);
    }
}
