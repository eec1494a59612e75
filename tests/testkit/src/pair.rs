//! Two sessions and what is between them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use portway_proto::{Incoming, Side};

use crate::app::App;
use crate::clock::Clock;
use crate::cuts::Cuts;
use crate::invariants::Subject;
use crate::link::{Link, Rule};
use crate::message::Message;
use crate::model::Direction;
use crate::ops::{Action, Op, Setup};

/// Two sessions, the links between them, an application at each end, and one virtual clock.
#[derive(Debug)]
pub struct Pair {
    clock: Clock,
    client: End,
    server: End,
    cuts: Cuts,
}

/// One end of a pair.
#[derive(Debug)]
struct End {
    subject: Subject,
    app: App,
    /// To the other end.
    out: Link<Message>,
    /// Pieces of a message that the transport has read and the session was not ready for.
    inbox: VecDeque<Incoming>,
}

/// What is next.
#[derive(Debug, Clone, Copy)]
enum Next {
    Arrival(Side),
    Timeout(Side),
}

impl Pair {
    /// A pair whose links take `capacity` bytes each, and whose messages are cut as `seed` decides.
    pub fn new(setup: &Setup, capacity: usize, seed: u64) -> Self {
        let clock = Clock::default();
        let end = |side, config: &portway_proto::Config| {
            let mut subject =
                Subject::new(side, setup.form, config.clone(), &setup.ports, clock.now());
            let app = App::new(&mut subject, &setup.ports, clock.now());
            End { subject, app, out: Link::new(capacity), inbox: VecDeque::new() }
        };
        let client = end(Side::Client, &setup.client);
        let server = end(Side::Server, &setup.server);
        Self { client, server, clock, cuts: Cuts::new(seed) }
    }

    /// What time it is.
    pub const fn now(&self) -> Instant {
        self.clock.now()
    }

    /// One of the sessions.
    pub const fn subject(&self, side: Side) -> &Subject {
        match side {
            Side::Client => &self.client.subject,
            Side::Server => &self.server.subject,
        }
    }

    /// One of the applications.
    pub const fn app(&self, side: Side) -> &App {
        match side {
            Side::Client => &self.client.app,
            Side::Server => &self.server.app,
        }
    }

    /// `Event::Closed` came at both ends.
    pub const fn is_closed(&self) -> bool {
        self.client.subject.closed().is_some() && self.server.subject.closed().is_some()
    }

    /// Does what an op says, and checks everything.
    pub fn apply(&mut self, op: &Op) {
        let until = self.now();
        match op {
            Op::Act { side, action } => self.act(*side, action),
            Op::Step(steps) => {
                let until = until + Duration::from_secs(10);
                (0..*steps).take_while(|_| self.step(until)).count();
            }
            Op::Wait(time) => self.drive(until + *time),
            Op::Link { from, rule } => self.rule(*from, *rule),
        }
        self.check();
    }

    /// An application does something.
    pub fn act(&mut self, side: Side, action: &Action) {
        let now = self.now();
        let end = self.end(side);
        end.app.act(&mut end.subject, action, now);
    }

    /// What happens from now on to messages from that side. A cut cuts both directions.
    pub fn rule(&mut self, from: Side, rule: Rule) {
        self.end(from).out.apply(rule);
        if rule == Rule::Cut {
            self.client.out.apply(rule);
            self.server.out.apply(rule);
        }
    }

    /// Both applications read and let go of everything that there is.
    pub fn read_all(&mut self) {
        let now = self.now();
        for end in [&mut self.client, &mut self.server] {
            end.app.read_all(&mut end.subject, now);
        }
    }

    /// Moves what can move, or goes on to whatever is next: an arrival or a timeout. False when
    /// there is nothing before `until`, and then it is `until`.
    pub fn step(&mut self, until: Instant) -> bool {
        if self.move_now(Side::Client) | self.move_now(Side::Server) {
            return true;
        }
        match self.next() {
            Some((at, next)) if at <= until => {
                self.clock.advance_to(at);
                match next {
                    Next::Arrival(side) => self.arrive(side),
                    Next::Timeout(side) => {
                        let now = self.now();
                        self.end(side).subject.time(now);
                    }
                }
                true
            }
            _ => {
                self.clock.advance_to(until);
                false
            }
        }
    }

    /// Goes on until then. The applications do nothing.
    pub fn drive(&mut self, until: Instant) {
        self.drive_bounded(100_000, until, |_| {});
    }

    /// Goes on until then, or until both ends are closed; `each` is what the applications do after
    /// every step. Fails when that takes more than `most` steps.
    pub fn drive_bounded(&mut self, most: usize, until: Instant, each: impl Fn(&mut Self)) {
        for _ in 0..most {
            each(self);
            if !self.step(until) || self.is_closed() {
                return;
            }
        }
        let timers = [&self.client, &self.server].map(|end| end.subject.look().timeout_reason());
        panic!("{most} steps and no end: {timers:?}");
    }

    /// What must be true between the two at any time.
    pub fn check(&mut self) {
        for end in [&mut self.client, &mut self.server] {
            end.app.listen(&mut end.subject);
        }
        for stream in 0..self.client.app.len() {
            for side in [Side::Client, Side::Server] {
                if let Some(direction) = self.direction(side, stream) {
                    direction.check();
                }
            }
        }
    }

    /// What one side writes and the other reads of a stream of the client's, if the server has it.
    pub fn direction(&self, from: Side, stream: usize) -> Option<Direction<'_>> {
        let client = self.client.app.account(stream);
        let other = self.server.app.find(self.client.app.key(stream))?;
        let server = self.server.app.account(other);
        let (writer, reader, end) = match from {
            Side::Client => (client, server, &self.server),
            Side::Server => (server, client, &self.client),
        };
        Some(Direction { writer, reader, reader_closed_first: end.subject.said_close_first() })
    }

    /// An application says the end of all its streams.
    pub fn finish_all(&mut self, side: Side) {
        let now = self.now();
        let end = self.end(side);
        end.app.finish_all(&mut end.subject, now);
    }

    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Takes messages while the link has room, hands in pieces while they are wanted.
    fn move_now(&mut self, side: Side) -> bool {
        let now = self.now();
        let End { subject, out, inbox, .. } = self.end(side);
        let mut moved = false;
        while out.has_room()
            && let Some(message) = subject.send(now)
        {
            out.send(message, now);
            moved = true;
        }
        subject.flushed(out.under_way(), now);
        while subject.look().wants_read()
            && let Some(piece) = inbox.pop_front()
        {
            subject.hand(piece, now);
            moved = true;
        }
        if subject.look().is_closed() {
            inbox.clear();
            out.close();
        }
        moved
    }

    fn next(&self) -> Option<(Instant, Next)> {
        let now = self.now();
        let sides = [
            (Side::Client, &self.client, &self.server.out),
            (Side::Server, &self.server, &self.client.out),
        ];
        let arrivals = sides.iter().filter_map(|(side, end, link)| {
            let session = end.subject.look();
            let reads = session.wants_read() && end.inbox.is_empty() || session.is_closed();
            Some((link.next_arrival(now)?, Next::Arrival(*side))).filter(|_| reads)
        });
        let timeouts = sides.iter().filter_map(|(side, end, _)| {
            Some((end.subject.look().poll_timeout()?, Next::Timeout(*side)))
        });
        arrivals.chain(timeouts).min_by_key(|(at, _)| *at)
    }

    fn arrive(&mut self, side: Side) {
        let now = self.now();
        let (end, link) = match side {
            Side::Client => (&mut self.client, &mut self.server.out),
            Side::Server => (&mut self.server, &mut self.client.out),
        };
        if let Some(message) = link.receive(now) {
            if !end.subject.look().is_closed() {
                end.inbox.extend(self.cuts.pieces(message));
            }
        } else if link.receive_end() {
            end.subject.disconnect(now);
        }
    }
}
