use std::time::Duration;

use portway_driver::proto::{HalfClose, OverflowPolicy};
use portway_driver::{Config, Options, Protocol, RelayRules, Sessions, WireForm, WsTransport};

use crate::{Link, Rng, SimSocket};

/// What a run is like, all of it drawn.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) protocol: Protocol,
    pub(super) forms: &'static [WireForm],
    pub(super) sessions: Sessions,
    pub(super) half_close: HalfClose,
    pub(super) overflow: Option<OverflowPolicy>,
    /// The server does what today's runtimes do.
    pub(super) todays: bool,
    pub(super) buffers: Buffers,
    pub(super) keep_alive: Duration,
    pub(super) keeping: Keeping,
    pub(super) max_sessions: usize,
    pub(super) max_lingering: usize,
    /// Sessions that the server allows.
    pub(super) server_sessions: usize,
    pub(super) local: Link,
    pub(super) hop: Link,
    pub(super) pod: Link,
    pub(super) faulty: bool,
    pub(super) programs: usize,
    pub(super) streams: usize,
    pub(super) finale: Finale,
    pub(super) poll_cost: Duration,
}

/// Bytes that each part may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffers {
    pub(super) client: usize,
    pub(super) server: usize,
    pub(super) read: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Keeping {
    pub(super) spare: bool,
    pub(super) max_idle: usize,
    pub(super) idle_time: Duration,
    pub(super) max_age: Duration,
}

/// How it comes to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finale {
    /// Everybody finishes, and then the listener.
    AllDone,
    /// The listener is shut down in the middle, with so much time for who is there.
    ShutDown(Duration),
    /// The listener is dropped in the middle.
    Dropped,
    /// The server is shut down in the middle, and the listener then.
    ServerFirst,
}

impl Setup {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        const MS: Duration = Duration::from_millis(1);
        const ALL: &[WireForm] =
            &[WireForm::Tunnel, WireForm::V4, WireForm::V4Base64, WireForm::Spdy];
        let protocol = rng.pick(&[
            Protocol::Tunnel,
            Protocol::Tunnel,
            Protocol::V4,
            Protocol::V4Base64,
            Protocol::Spdy,
            Protocol::Auto,
            Protocol::Auto,
        ]);
        let forms = match protocol {
            Protocol::Auto => rng.pick(&[ALL, &[WireForm::V4], &[WireForm::Spdy]]),
            _ => ALL,
        };
        let todays = rng.one_in(2);
        // What closes early where the runtime cuts a second later, or the wire says no end, is cut.
        let strict = !todays && matches!(protocol, Protocol::Tunnel | Protocol::Spdy);
        let half_close = match rng.below(4) {
            0 if strict => HalfClose::Immediate,
            1 => HalfClose::Never,
            _ => HalfClose::DEFAULT,
        };
        let sessions = match rng.below(3) {
            0 => Sessions::Shared { max_streams: rng.within(2..=4) },
            _ => Sessions::Exclusive,
        };
        let overflow = match rng.below(8) {
            0 => Some(OverflowPolicy::Reset),
            1 => Some(OverflowPolicy::PauseThenReset(MS * 500)),
            _ => None,
        };
        let faulty = !rng.one_in(3);
        let finale = match rng.below(8) {
            0 => Finale::ShutDown(MS * 500),
            1 => Finale::ShutDown(Duration::ZERO),
            2 => Finale::Dropped,
            3 => Finale::ServerFirst,
            _ => Finale::AllDone,
        };
        Self {
            protocol,
            forms,
            sessions,
            half_close,
            overflow,
            todays,
            buffers: Buffers {
                client: rng.pick(&[1_000, 8_000, 64_000, 512_000]),
                server: rng.pick(&[1_000, 8_000, 64_000, 512_000]),
                read: rng.pick(&[8_192, 65_536, 524_288]),
            },
            keep_alive: rng.pick(&[MS * 2_000, MS * 30_000]),
            keeping: Keeping {
                spare: rng.one_in(2),
                max_idle: rng.pick(&[0, 1, 64]),
                idle_time: rng.pick(&[MS * 300, MS * 60_000]),
                max_age: rng.pick(&[MS * 1_000, MS * 600_000]),
            },
            max_sessions: rng.pick(&[1, 3, 1_000, 1_000]),
            max_lingering: rng.pick(&[1, 64]),
            server_sessions: if faulty && rng.one_in(6) { 2 } else { 1_000 },
            local: link(rng, MS),
            hop: link(rng, MS * 30),
            pod: link(rng, MS),
            faulty,
            programs: rng.within(2..=9),
            streams: if rng.one_in(3) { rng.within(1..=3) } else { 0 },
            finale,
            poll_cost: rng.pick(&[Duration::ZERO, Duration::from_micros(30)]),
        }
    }

    /// For the listener and the streams in this process.
    pub(super) fn options(&self) -> Options {
        let mut config = Config::client()
            .with_recv_buffer(self.buffers.client)
            .with_send_buffer(self.buffers.client)
            .with_half_close(self.half_close)
            .with_keep_alive(Some(self.keep_alive));
        if let Some(overflow) = self.overflow {
            config = config.with_overflow(overflow);
        }
        Options::new()
            .with_protocol(self.protocol)
            .with_session(config)
            .with_read_size(self.buffers.read)
            .with_sessions(self.sessions)
            .with_spare(self.keeping.spare)
            .with_max_idle(self.keeping.max_idle)
            .with_idle_time(self.keeping.idle_time)
            .with_max_age(self.keeping.max_age)
            .with_max_sessions(self.max_sessions)
            .with_max_lingering(self.max_lingering)
    }

    /// For the server.
    pub(super) fn server_session(&self) -> Config {
        Config::server()
            .with_recv_buffer(self.buffers.server)
            .with_send_buffer(self.buffers.server)
            .with_keep_alive(Some(self.keep_alive))
    }

    /// The most that portway may hold of what goes one way through a connection: what one half has read and
    /// sends, and what the other has read and passes on.
    pub(super) fn worst_case(&self) -> u64 {
        /// Before it is encoded.
        const MESSAGE: usize = 64 * 1024;
        let Buffers { client, server, read } = self.buffers;
        let sends = 2 * read + client.max(server) + WsTransport::<SimSocket>::WRITE_BATCH + MESSAGE;
        // Over its buffer goes the one piece that did not fit.
        let passes_on = 2 * read + client.max(server) + read;
        (sends + passes_on) as u64
    }

    pub(super) fn rules(&self) -> RelayRules {
        let mut rules = if self.todays { RelayRules::RUNTIME } else { RelayRules::FAITHFUL };
        rules.read_size = self.buffers.read;
        rules
    }
}

/// Up to this latency, sometimes narrow; never so that what is written takes long to arrive, or every
/// pod would look silent.
fn link(rng: &mut Rng, latency: Duration) -> Link {
    let low = rng.time(Duration::ZERO..=latency / 2);
    let latency = if rng.one_in(3) { Duration::ZERO..=Duration::ZERO } else { low..=latency };
    let capacity = rng.pick(&[700, 16_000, 16_000, 200_000]);
    let link = Link::new().with_latency(latency).with_capacity(capacity);
    if rng.one_in(4) {
        link.with_bytes_per_second((capacity as u64 * 10).max(20_000))
    } else {
        link
    }
}
