use std::collections::VecDeque;

use portway_proto::{
    Config, HalfClose, Incoming, OverflowPolicy, Port, Side, StreamError, WireForm,
};

use super::{announcement, encode};
use crate::app::App;
use crate::clock::Clock;
use crate::cuts::Cuts;
use crate::invariants::Subject;
use crate::ops::{self, Action};
use crate::source::Source;

/// What a slow consumer does to a stream is a matter of policy; the others do not notice, and what is
/// read is the same: all streams under `Pause`, those that did not overflow under `Reset`. Under
/// `Reset` the transport is always read.
///
/// Side, form, ports, size of the buffer, seed of the cuts; then messages of a stream and a length, and reads.
pub fn policy_diff(data: &[u8]) {
    let mut source = Source::new(data);
    let side = if source.flag() { Side::Server } else { Side::Client };
    let form = ops::form(&mut source);
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
    for stream in 0..ports.len() {
        let sent = &pause.sent[stream];
        assert!(pause.app.account(stream).received == *sent, "Pause loses bytes");
        let read = &reset.app.account(stream).received;
        let failure = reset.subject.look().failure(reset.app.id(stream));
        if failure == Some(&StreamError::Overflow) {
            assert!(sent.starts_with(read));
        } else {
            assert!(read == sent, "Reset loses bytes of a stream that did not overflow");
        }
    }
}

/// One session under one policy.
struct Run {
    clock: Clock,
    form: WireForm,
    subject: Subject,
    app: App,
    cuts: Cuts,
    /// What the transport has and the session does not want yet.
    waiting: VecDeque<Incoming>,
    sent: Vec<Vec<u8>>,
    policy: OverflowPolicy,
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
        let mut subject = Subject::new(side, form, config, ports, clock.now());
        let app = App::new(&mut subject, ports, clock.now());
        let waiting = VecDeque::new();
        let sent = vec![Vec::new(); ports.len()];
        let mut run =
            Self { clock, form, subject, app, cuts: Cuts::new(seed), waiting, sent, policy };
        if side == Side::Client {
            let pieces = announcement(form, ports).into_iter().flat_map(|m| Cuts::new(0).pieces(m));
            run.waiting.extend(pieces);
        }
        run
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
                    let channel = (stream * 2) as u8;
                    let message = encode(self.form, channel, &bytes);
                    self.waiting.extend(self.cuts.pieces(message));
                    self.sent[stream].extend(bytes);
                }
                14..=22 => self.act(&Action::Read { stream }),
                23..=27 => self.act(&Action::Consume { stream, len: source.below(600) }),
                _ => self.app.read_all(&mut self.subject, self.clock.now()),
            }
            self.deliver();
        }
        while !self.waiting.is_empty() {
            self.app.read_all(&mut self.subject, self.clock.now());
            self.deliver();
        }
        self.app.read_all(&mut self.subject, self.clock.now());
    }

    fn act(&mut self, action: &Action) {
        self.app.act(&mut self.subject, action, self.clock.now());
    }

    fn deliver(&mut self) {
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
