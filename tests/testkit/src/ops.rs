//! Operations from bytes.

use std::time::Duration;

use portway_proto::{CloseReason, Config, HalfClose, OverflowPolicy, Port, Side, WireForm};

use crate::link::Rule;
use crate::source::Source;

/// What an application can do to its session.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_enums, missing_docs)]
pub enum Action {
    Write {
        stream: usize,
        len: usize,
    },
    Finish {
        stream: usize,
    },
    Reset {
        stream: usize,
    },
    Fail {
        stream: usize,
        len: usize,
    },
    /// Reads once.
    Read {
        stream: usize,
    },
    /// Lets go of some of what was read.
    Consume {
        stream: usize,
        len: usize,
    },
    Stop {
        stream: usize,
    },
    Release {
        stream: usize,
    },
    HalfClose {
        stream: usize,
        policy: HalfClose,
    },
    Overflow {
        stream: usize,
        policy: OverflowPolicy,
    },
    WantWritable {
        stream: usize,
    },
    Close(CloseReason),
    Abort,
    /// Opens a stream, where the form does that as it goes.
    Open,
}

/// What happens to a pair of honest sessions.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_enums, missing_docs)]
pub enum Op {
    Act {
        side: Side,
        action: Action,
    },
    /// The pair goes on by so many steps, at the same time of day or later.
    Step(usize),
    /// The pair goes on until so much time has passed.
    Wait(Duration),
    Link {
        from: Side,
        rule: Rule,
    },
}

/// Everything that is decided before a session starts.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, missing_docs)]
pub struct Setup {
    pub form: WireForm,
    pub ports: Vec<Port>,
    pub client: Config,
    pub server: Config,
}

impl Action {
    /// The next action on one of `streams`.
    pub fn read(source: &mut Source<'_>, streams: usize) -> Self {
        let kind = source.byte();
        let stream = usize::from(kind >> 5) % streams.max(1);
        match kind & 31 {
            0..=6 => Self::Write { stream, len: length(source) },
            7..=14 => Self::Read { stream },
            15..=19 => Self::Consume { stream, len: length(source) },
            20 | 21 => Self::Finish { stream },
            22 => Self::Reset { stream },
            23 => Self::Fail { stream, len: source.below(300) },
            24 => Self::Stop { stream },
            25 => Self::Release { stream },
            26 => Self::HalfClose { stream, policy: half_close(source) },
            27 => Self::Overflow { stream, policy: overflow(source) },
            28 => Self::WantWritable { stream },
            29 => Self::Close(reason(source)),
            30 if source.below(4) == 0 => Self::Abort,
            31 => Self::Open,
            _ => Self::Read { stream },
        }
    }
}

impl Op {
    /// The next op of a pair with `streams` streams.
    pub fn read(source: &mut Source<'_>, streams: usize) -> Self {
        match source.byte() {
            0..=99 => Self::Act { side: Side::Client, action: Action::read(source, streams) },
            100..=199 => Self::Act { side: Side::Server, action: Action::read(source, streams) },
            kind @ 200..=229 => Self::Step(usize::from(kind - 199)),
            230..=245 => Self::Wait(duration(source)),
            246.. => {
                let from = if source.flag() { Side::Client } else { Side::Server };
                let rule = match source.below(12) {
                    0..=4 => Rule::Pass,
                    5..=7 => Rule::Delay(duration(source)),
                    8 | 9 => Rule::Throttle(u32::from(source.byte())),
                    10 => Rule::Stall,
                    _ => Rule::Cut,
                };
                Self::Link { from, rule }
            }
        }
    }

    /// A pair in which nothing of this kind happens, and nobody is too slow, delivers everything.
    pub const fn is_fault(&self) -> bool {
        match self {
            Self::Act { action, .. } => !matches!(
                action,
                Action::Write { .. }
                    | Action::Finish { .. }
                    | Action::Read { .. }
                    | Action::Consume { .. }
                    | Action::HalfClose { .. }
                    | Action::WantWritable { .. }
                    | Action::Open
            ),
            Self::Step(_) | Self::Wait(_) => false,
            Self::Link { rule, .. } => !matches!(rule, Rule::Pass),
        }
    }
}

impl Setup {
    /// A setup with any limits and waits, sane or not.
    pub fn hostile(source: &mut Source<'_>) -> Self {
        let (form, ports) = (form(source), ports(source));
        let mut config = |side| {
            let waits = [Duration::from_secs(1), Duration::ZERO, Duration::MAX];
            limits(source, side)
                .with_overflow(overflow(source))
                .with_open_timeout(source.pick(&waits))
                .with_error_settle(source.pick(&waits))
                .with_close_timeout(source.pick(&[waits[0], waits[1]]))
                .with_keep_alive(source.pick(&[
                    None,
                    Some(waits[0]),
                    Some(waits[1]),
                    Some(waits[2]),
                ]))
                .with_keep_alive_misses(u32::from(source.byte() % 4))
                .with_idle_timeout(source.pick(&[
                    None,
                    Some(waits[0]),
                    Some(waits[1]),
                    Some(waits[2]),
                ]))
        };
        let client = config(Side::Client);
        Self { client, server: config(Side::Server), form, ports }
    }

    /// As [`Self::hostile`], for SPDY: at most so many streams.
    pub fn hostile_spdy(source: &mut Source<'_>, streams: usize) -> Self {
        let mut setup = Self::hostile(source);
        setup.form = spdy_form(source);
        setup.ports = Vec::new();
        let waits = [Duration::from_secs(1), Duration::ZERO, Duration::MAX];
        for config in [&mut setup.client, &mut setup.server] {
            *config = config
                .clone()
                .with_max_streams(streams)
                .with_error_grace(source.pick(&waits))
                .with_pair_timeout(source.pick(&waits))
                .with_check_timeout(source.pick(&waits));
        }
        setup
    }

    /// As [`Self::honest`], for SPDY.
    pub fn honest_spdy(source: &mut Source<'_>) -> Self {
        let mut setup = Self::honest(source);
        setup.form = spdy_form(source);
        setup.ports = Vec::new();
        setup.client = setup.client.with_max_streams(8);
        // The server may hear later than the client that a stream is over.
        setup.server = setup.server.with_max_streams(1000).with_idle_timeout(None);
        setup
    }

    /// A setup that lets two honest sides understand each other.
    pub fn honest(source: &mut Source<'_>) -> Self {
        let (form, ports) = (form(source), ports(source));
        let mut config = |side| {
            let config = limits(source, side);
            let config = match source.below(4) {
                0 => config.with_overflow(OverflowPolicy::Reset),
                1 => config.with_overflow(OverflowPolicy::PauseThenReset(Duration::from_secs(3))),
                _ => config.with_overflow(OverflowPolicy::Pause),
            };
            let second = Duration::from_secs(1);
            config.with_keep_alive(source.pick(&[Some(second), None, Some(30 * second)]))
        };
        let client = config(Side::Client);
        Self { client, server: config(Side::Server), form, ports }
    }
}

fn limits(source: &mut Source<'_>, side: Side) -> Config {
    Config::of(side)
        .with_recv_buffer(source.pick(&[1, 7, 64, 500, 4096, 70_000]))
        .with_send_buffer(source.pick(&[1, 7, 64, 500, 4096, 70_000]))
        .with_max_payload(source.pick(&[20, 5, 100, 4096, 65_536]))
        .with_error_text(source.pick(&[300, 0, 5]))
        .with_half_close(half_close(source))
}

/// The forms in which streams are opened as it goes.
pub const fn is_spdy(form: WireForm) -> bool {
    matches!(form, WireForm::Tunnel | WireForm::Spdy)
}

/// A form with channels.
pub fn form(source: &mut Source<'_>) -> WireForm {
    if source.flag() { WireForm::V4Base64 } else { WireForm::V4 }
}

/// A form in which streams are opened as it goes.
pub fn spdy_form(source: &mut Source<'_>) -> WireForm {
    if source.flag() { WireForm::Spdy } else { WireForm::Tunnel }
}

/// One to four ports.
pub fn ports(source: &mut Source<'_>) -> Vec<Port> {
    (0..=source.below(4) as u16).map(|index| Port::new(8080 + index).unwrap()).collect()
}

/// A time that matters to some timer, or nearly.
pub fn duration(source: &mut Source<'_>) -> Duration {
    let milliseconds: u64 =
        source.pick(&[0, 1, 5, 50, 199, 200, 201, 1000, 1001, 2000, 3000, 5000, 10_000, 60_000]);
    Duration::from_millis(milliseconds)
}

fn length(source: &mut Source<'_>) -> usize {
    match source.byte() {
        short @ 0..=199 => usize::from(short),
        long => usize::from(long - 199) * 100,
    }
}

fn half_close(source: &mut Source<'_>) -> HalfClose {
    let second = Duration::from_secs(1);
    let idle = |unanswered, answered| HalfClose::WhenIdle { unanswered, answered };
    source.pick(&[
        HalfClose::DEFAULT,
        HalfClose::Immediate,
        HalfClose::Never,
        idle(Duration::ZERO, Duration::ZERO),
        idle(Duration::MAX, second),
    ])
}

fn overflow(source: &mut Source<'_>) -> OverflowPolicy {
    source.pick(&[
        OverflowPolicy::Pause,
        OverflowPolicy::Reset,
        OverflowPolicy::PauseThenReset(Duration::ZERO),
        OverflowPolicy::PauseThenReset(Duration::from_secs(3)),
        OverflowPolicy::PauseThenReset(Duration::MAX),
    ])
}

fn reason(source: &mut Source<'_>) -> CloseReason {
    match source.below(4) {
        0 => CloseReason::Done,
        1 => CloseReason::Shutdown,
        _ => CloseReason::Local,
    }
}
