use std::collections::VecDeque;

use portway_proto::{
    Config, HalfClose, Incoming, OverflowPolicy, Port, Side, StreamError, WireForm,
};

use super::{announcement, encode};
use crate::app::App;
use crate::clock::Clock;
use crate::cuts::Cuts;
use crate::invariants::Subject;
use crate::message::Message;
use crate::model::Ending;
use crate::ops::{self, Action, is_spdy};
use crate::source::Source;
use crate::spdy::{self, Frame, Writer};

/// What a slow consumer does to a stream is a matter of policy; the others do not notice, and what is
/// read is the same: all streams under `Pause`, those that did not overflow under `Reset`. Under
/// `Reset` the transport is always read.
///
/// Side (bit 0) and whether it is SPDY (bit 1), form, ports, size of the buffer, seed of the cuts; then
/// messages of a stream and a length, and reads. Over SPDY there is a stream for each port, and each
/// comes to its end.
pub fn policy_diff(data: &[u8]) {
    let mut source = Source::new(data);
    let kind = source.byte();
    let side = if kind & 1 == 0 { Side::Client } else { Side::Server };
    let form = if kind & 2 == 0 { ops::form(&mut source) } else { ops::spdy_form(&mut source) };
    let ports = ops::ports(&mut source);
    let buffer = source.pick(&[64, 1, 500, 4096]);
    let seed = u64::from(source.byte());
    let run = |policy| {
        let mut side = Run::new(side, form, &ports, buffer, policy, seed);
        side.play(source.clone());
        side
    };
    let (pause, reset) = (run(OverflowPolicy::Pause), run(OverflowPolicy::Reset));
    assert_eq!(pause.subject.look().stats().overflows, 0);
    let ending = is_spdy(form).then_some(Ending::Clean);
    for stream in 0..ports.len() {
        let sent = &pause.sent[stream];
        let paused = pause.app.account(stream);
        assert!(paused.received == *sent, "Pause loses bytes");
        assert_eq!(paused.ending, ending, "Pause loses an end");
        let read = reset.app.account(stream);
        let failure = reset.subject.look().failure(reset.app.id(stream));
        if failure == Some(&StreamError::Overflow) {
            assert!(sent.starts_with(&read.received));
        } else {
            assert!(read.received == *sent, "Reset loses bytes of a stream that did not overflow");
            assert_eq!(
                read.ending, ending,
                "Reset loses the end of a stream that did not overflow"
            );
        }
    }
}

/// One session under one policy.
struct Run {
    clock: Clock,
    wire: Wire,
    subject: Subject,
    app: App,
    cuts: Cuts,
    /// What the transport has and the session does not want yet.
    waiting: VecDeque<Incoming>,
    sent: Vec<Vec<u8>>,
    policy: OverflowPolicy,
}

/// How the other side says what it says.
enum Wire {
    Channels(WireForm),
    Spdy(Writer),
}

impl Run {
    fn new(
        side: Side,
        form: WireForm,
        ports: &[Port],
        buffer: usize,
        policy: OverflowPolicy,
        seed: u64,
    ) -> Self {
        let clock = Clock::default();
        let config = Config::of(side)
            .with_overflow(policy)
            .with_recv_buffer(buffer)
            .with_half_close(HalfClose::Never);
        let (waiting, cuts) = (VecDeque::new(), Cuts::new(seed));
        let sent = vec![Vec::new(); ports.len()];
        if is_spdy(form) {
            let config = config.with_max_streams(ports.len());
            let mut subject = Subject::new(side, form, config, &[], clock.now());
            let app = App::new(&mut subject, &[], clock.now());
            let wire = Wire::Spdy(Writer::default());
            let mut run = Self { clock, wire, subject, app, cuts, waiting, sent, policy };
            run.open_all();
            return run;
        }
        let mut subject = Subject::new(side, form, config, ports, clock.now());
        let app = App::new(&mut subject, ports, clock.now());
        let wire = Wire::Channels(form);
        let mut run = Self { clock, wire, subject, app, cuts, waiting, sent, policy };
        if side == Side::Client {
            let pieces = announcement(form, ports).into_iter().flat_map(|m| Cuts::new(0).pieces(m));
            run.waiting.extend(pieces);
        }
        run
    }

    /// Over SPDY: a stream for each port, whose error stream is [`error_stream`] on the wire.
    fn open_all(&mut self) {
        for stream in 0..self.sent.len() {
            let (error, data) = (error_stream(stream), error_stream(stream) + 2);
            if self.subject.side() == Side::Client {
                self.act(&Action::Open);
                self.subject.flush(self.clock.now());
                self.say(&[spdy::reply(error), spdy::reply(data)]);
            } else {
                let (port, request) = (1000 + stream as u16, stream.to_string());
                self.say(&[
                    spdy::syn(error, "error", port, &request),
                    spdy::fin(error),
                    spdy::syn(data, "data", port, &request),
                ]);
            }
        }
        while let Some(piece) = self.waiting.pop_front() {
            self.subject.hand(piece, self.clock.now());
        }
        self.app.listen(&mut self.subject);
        assert_eq!(self.app.len(), self.sent.len());
    }

    fn play(&mut self, mut source: Source<'_>) {
        while !source.is_empty() {
            let kind = source.byte();
            let stream = usize::from(kind & 7) % self.app.len();
            match kind >> 3 {
                0..=13 => {
                    let len = source.below(256) * if kind >> 3 == 0 { 20 } else { 1 };
                    let from = self.sent[stream].len();
                    let bytes: Vec<u8> = (from..from + len).map(|at| (at * 7) as u8).collect();
                    match &self.wire {
                        Wire::Channels(form) => {
                            let message = encode(*form, (stream * 2) as u8, &bytes);
                            self.waiting.extend(self.cuts.pieces(message));
                        }
                        Wire::Spdy(_) => self.say(&[spdy::data(error_stream(stream) + 2, &bytes)]),
                    }
                    self.sent[stream].extend(bytes);
                }
                14..=22 => self.act(&Action::Read { stream }),
                23..=27 => self.act(&Action::Consume { stream, len: source.below(600) }),
                _ => self.app.read_all(&mut self.subject, self.clock.now()),
            }
            self.deliver();
        }
        if let Wire::Spdy(_) = self.wire {
            for stream in 0..self.sent.len() {
                let error = error_stream(stream);
                self.say(&[spdy::fin(error + 2), spdy::fin(error)]);
            }
        }
        while !self.waiting.is_empty() {
            self.app.read_all(&mut self.subject, self.clock.now());
            self.deliver();
        }
        self.app.read_all(&mut self.subject, self.clock.now());
    }

    /// The other side says frames, in one message.
    fn say(&mut self, frames: &[Frame]) {
        let Wire::Spdy(writer) = &mut self.wire else { return };
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| writer.frame(frame)).collect();
        self.waiting.extend(self.cuts.pieces(Message::binary(bytes)));
    }

    fn act(&mut self, action: &Action) {
        self.app.act(&mut self.subject, action, self.clock.now());
    }

    fn deliver(&mut self) {
        // A session that owes too many answers reads no more.
        self.subject.flush(self.clock.now());
        let mut wanted = self.subject.look().wants_read();
        let over =
            (0..self.app.len()).all(|stream| self.subject.look().is_done(self.app.id(stream)));
        if self.policy == OverflowPolicy::Reset {
            assert!(wanted || over, "Reset keeps the transport waiting");
            if over {
                self.waiting.clear();
            }
        }
        while wanted && let Some(piece) = self.waiting.pop_front() {
            self.subject.hand(piece, self.clock.now());
            wanted = self.subject.look().wants_read();
        }
    }
}

/// Its number on the wire; that of the data stream is two more.
const fn error_stream(stream: usize) -> u32 {
    4 * stream as u32 + 1
}
