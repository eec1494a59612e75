use portway_proto::{CloseFrame, CloseReason, Incoming, Side, WireForm};

use super::{announcement, encode, with_text};
use crate::app::App;
use crate::clock::Clock;
use crate::cuts::Cuts;
use crate::invariants::Subject;
use crate::message::Message;
use crate::model::Ending;
use crate::naive::Naive;
use crate::ops::{self, Action, Setup};
use crate::source::Source;

/// A client keeps its promises whatever the server sends and whatever the application does.
///
/// A [`Setup`], then ops of what the server sends, what the application does, how time goes by, and how
/// much the transport takes.
pub fn session_client(data: &[u8]) {
    hostile(Side::Client, data);
}

/// A server keeps its promises whatever the client sends and whatever the application does.
///
/// The input is that of [`session_client`].
pub fn session_server(data: &[u8]) {
    hostile(Side::Server, data);
}

fn hostile(side: Side, data: &[u8]) {
    let mut source = Source::new(data);
    let setup = Setup::hostile(&mut source);
    let mut attack = Attack::new(side, &setup);
    if source.flag() && side == Side::Client {
        for message in announcement(setup.form, &setup.ports) {
            attack.hand_all(message, 0);
        }
    }
    for _ in 0..400 {
        if source.is_empty() {
            break;
        }
        attack.op(&mut source);
        attack.check();
    }
    attack.end(&mut source);
}

/// A session under attack.
struct Attack {
    clock: Clock,
    form: WireForm,
    subject: Subject,
    app: App,
    naive: Naive,
    /// The application or the transport said that something was wrong.
    denounced: bool,
    /// How much of each stream was read when it was checked last, and whether it had ended.
    checked: Vec<(usize, bool)>,
}

impl Attack {
    fn new(side: Side, setup: &Setup) -> Self {
        let clock = Clock::default();
        let config = if side == Side::Client { &setup.client } else { &setup.server };
        let mut subject = Subject::new(side, setup.form, config.clone(), &setup.ports, clock.now());
        let app = App::new(&mut subject, &setup.ports, clock.now());
        let naive = Naive::new(side, setup.form, &setup.ports);
        let checked = vec![(0, false); app.len()];
        Self { clock, form: setup.form, subject, app, naive, denounced: false, checked }
    }

    fn op(&mut self, source: &mut Source<'_>) {
        match source.byte() {
            0..=69 => {
                let action = Action::read(source, self.app.len());
                self.app.act(&mut self.subject, &action, self.clock.now());
            }
            kind @ 70..=129 => {
                let channel = kind % 10;
                let len = source.below(256) * if kind >= 120 { 300 } else { 1 };
                let payload: Vec<u8> = (0..len).map(|at| at as u8 ^ channel).collect();
                let seed = u64::from(source.byte());
                self.hand_all(encode(self.form, channel, &payload), seed);
            }
            kind @ 130..=159 => {
                let len = source.below(12);
                let message = Message::binary(source.take(len).to_vec());
                let text = (self.form == WireForm::V4Base64) ^ (kind == 159);
                let end = kind % 3 != 0;
                let bytes = with_text(message, text).payload;
                let piece = if text {
                    Incoming::Text { bytes, end }
                } else {
                    Incoming::Binary { bytes, end }
                };
                let force = kind == 158;
                self.hand(piece, force);
            }
            160..=164 => self.hand(Incoming::Ping(vec![1, 2, 3].into()), false),
            165..=169 => self.hand(Incoming::Pong(vec![].into()), false),
            170..=173 => {
                let code = source.pick(&[None, Some(1000), Some(1001), Some(1011)]);
                self.hand(Incoming::Close(code.map(|code| CloseFrame::new(code, "gone"))), false);
            }
            174 => self.subject.disconnect(self.clock.now()),
            175 => {
                self.denounced = true;
                let violation = portway_proto::Violation::TextMessage;
                self.subject.session().handle_violation(violation, self.clock.now());
                self.subject.check();
            }
            176..=199 => {
                self.clock.advance(ops::duration(source));
                self.subject.time(self.clock.now());
            }
            200..=214 => {
                if let Some(at) = self.subject.look().poll_timeout() {
                    self.clock.advance_to(at);
                    self.subject.time(self.clock.now());
                }
            }
            215..=219 => self.clock.advance(ops::duration(source)),
            220..=234 => {
                let some = source.below(8);
                (0..some).take_while(|_| self.subject.send(self.clock.now()).is_some()).count();
            }
            235..=239 => drop(self.subject.flush(self.clock.now())),
            240..=247 => self.app.read_all(&mut self.subject, self.clock.now()),
            248.. => self.app.listen(&mut self.subject),
        }
    }

    fn hand_all(&mut self, message: Message, seed: u64) {
        for piece in Cuts::new(seed).pieces(message) {
            self.hand(piece, false);
        }
    }

    /// Hands a piece to the session and to the naive reader, as long as it listens.
    fn hand(&mut self, piece: Incoming, force: bool) {
        let listens = !self.subject.look().is_closed()
            && !self.subject.heard_close()
            && !self.naive.is_broken()
            && !self.denounced;
        if !(self.subject.look().wants_read() || force && listens) {
            return;
        }
        self.naive.take(&piece);
        self.subject.hand(piece, self.clock.now());
        let broken = self.naive.is_broken();
        assert!(!(broken && self.subject.look().wants_read()), "it goes on behind a violation");
    }

    fn check(&mut self) {
        for stream in 0..self.app.len() {
            let account = self.app.account(stream);
            let seen = (account.received.len(), account.ending.is_some());
            if std::mem::replace(&mut self.checked[stream], seen) == seen {
                continue;
            }
            let data = self.naive.data(stream);
            assert!(data.starts_with(&account.received), "bytes that were not sent");
            if account.ending == Some(Ending::Clean) {
                assert_eq!(account.received, data, "bytes are missing before a clean end");
                assert!(
                    self.naive.text(stream).is_empty(),
                    "a clean end in spite of an error text"
                );
            }
        }
    }

    fn end(&mut self, source: &mut Source<'_>) {
        let close = match source.below(3) {
            0 => Action::Abort,
            1 => Action::Close(CloseReason::Shutdown),
            _ => Action::Close(CloseReason::Local),
        };
        let mut now = self.clock.now();
        self.app.act(&mut self.subject, &close, now);
        if self.subject.closed().is_none() {
            self.subject.drain(&mut now);
        }
        if let Some(CloseReason::Violation(violation)) = self.subject.closed() {
            assert!(self.naive.is_broken() || self.denounced, "{violation} is none");
        }
        self.check();
    }
}
