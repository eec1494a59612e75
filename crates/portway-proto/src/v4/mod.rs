//! `v4.channel.k8s.io` and its base64 twin: a channel byte in front of every message, two channels a
//! port, and the port itself in the server's first message on each (protocol.md B).

mod codec;

use std::time::Instant;

use bytes::{Buf, Bytes};

use crate::core::Core;
use crate::stream::Stream;
use crate::{ConfigError, OpenError, Port, Side, StreamId, Transmit, Violation, WireForm};
use codec::Codec;

/// The channels of one session.
#[derive(Debug)]
pub(crate) struct V4 {
    codec: Codec,
    pairs: Vec<Pair>,
    /// Where the rest of the message goes of which a piece came last.
    message: Option<Target>,
    /// Server: prefix messages handed to the transport so far.
    announced: usize,
}

/// The two channels of one port: data on `2i`, error text on `2i + 1`.
#[derive(Debug)]
struct Pair {
    port: Port,
    /// Stale once the application released it.
    stream: StreamId,
    prefixed: [bool; 2],
}

/// What the message that is coming in is.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// The first message of a channel; up to two bytes of it.
    Prefix {
        pair: usize,
        lane: Lane,
        bytes: [u8; 2],
        len: usize,
    },
    Payload {
        pair: usize,
        lane: Lane,
    },
    /// A channel that was never asked for.
    Unknown,
}

/// Which of the two channels of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Data = 0,
    Error = 1,
}

impl V4 {
    pub(crate) fn new(
        core: &mut Core,
        form: WireForm,
        ports: &[Port],
    ) -> Result<Self, ConfigError> {
        if ports.is_empty() {
            return Err(ConfigError::NoPort(form));
        }
        // A server takes what fits a channel byte; a client keeps off the reserved channel 255.
        let extra = usize::from(core.side == Side::Server && form == WireForm::V4);
        let limit = Codec::max_ports(form) + extra;
        if ports.len() > limit {
            return Err(ConfigError::TooManyPorts { form, given: ports.len(), limit });
        }
        if core.side == Side::Client {
            let mut seen = std::collections::BTreeSet::new();
            if let Some(port) = ports.iter().find(|port| !seen.insert(**port)) {
                return Err(ConfigError::DuplicatePort(*port));
            }
        }
        let prefixed = [core.side == Side::Server; 2];
        let pairs = ports.iter().map(|port| {
            let stream = core.store.insert(Stream::new(*port, &core.config, ports.len()));
            if core.side == Side::Server {
                core.opened(stream);
            }
            Pair { port: *port, stream, prefixed }
        });
        let pairs = pairs.collect();
        Ok(Self { codec: Codec::new(form), pairs, message: None, announced: 0 })
    }

    /// The stream of that port; it exists since the upgrade.
    pub(crate) fn open(&self, core: &Core, port: Port) -> Result<StreamId, OpenError> {
        let pair = self.pairs.iter().find(|pair| pair.port == port);
        let id = pair.ok_or(OpenError::NotRequested(port))?.stream;
        let free = core.store.get(id).is_some_and(|stream| !stream.claimed);
        if free { Ok(id) } else { Err(OpenError::AlreadyOpen(port)) }
    }

    pub(crate) fn handle_data(
        &mut self,
        core: &mut Core,
        mut bytes: Bytes,
        end: bool,
        now: Instant,
    ) -> Result<(), Violation> {
        let target = match self.message.take() {
            Some(target) => target,
            None if bytes.is_empty() && end => {
                core.stats.ignored_empty += 1;
                return Ok(());
            }
            None if bytes.is_empty() => return Ok(()),
            None => {
                core.stats.messages_in += 1;
                self.target(core, bytes.get_u8())
            }
        };
        let target = if let Target::Unknown = target {
            core.stats.ignored_channel += u64::from(end);
            target
        } else {
            let payload = self
                .codec
                .decode(bytes, end)
                .map_err(|codec::NotBase64| Violation::Base64 { channel: target.channel() })?;
            self.deliver(core, target, payload, end, now)?
        };
        if !end {
            self.message = Some(target);
        }
        Ok(())
    }

    /// What goes out before anything else: the server's announcement of the ports.
    pub(crate) fn prologue(&mut self, core: &Core) -> Option<Transmit> {
        if core.side == Side::Client {
            return None;
        }
        let pair = self.pairs.get(self.announced / 2)?;
        let prefix = Bytes::copy_from_slice(&pair.port.get().to_le_bytes());
        let channel = channel(self.announced / 2, self.announced % 2);
        self.announced += 1;
        Some(self.codec.encode(channel, prefix))
    }

    pub(crate) const fn is_text(&self) -> bool {
        matches!(self.codec, Codec::Base64(_))
    }

    /// What moves the server's idle deadline and means nothing else.
    pub(crate) fn keep_alive(&self) -> Transmit {
        self.codec.empty()
    }

    /// The next message of a stream whose turn it is.
    pub(crate) fn transmit(
        &mut self,
        core: &mut Core,
        id: StreamId,
        now: Instant,
    ) -> Option<Transmit> {
        let pair = self.pairs.iter().position(|pair| pair.stream == id)?;
        let max = core.config.max_payload();
        let stream = core.store.get_mut(id)?;
        if let Some(bytes) = stream.send_buf.pop(max) {
            core.count_out(id, bytes.len());
            core.after_send(id, now);
            return Some(self.codec.encode(channel(pair, 0), bytes));
        }
        let text = stream.farewell.take()?;
        core.after_send(id, now);
        Some(self.codec.encode(channel(pair, 1), text))
    }

    /// The session is over once none of its streams has anything to say: v4 knows no other way to
    /// end one, and cannot add any.
    pub(crate) fn is_over(&self, core: &Core) -> bool {
        self.pairs.iter().filter_map(|pair| core.store.get(pair.stream)).all(|stream| {
            match core.side {
                // An error text that settles may be followed by data that it overtook.
                Side::Client => stream.send.is_over() && stream.error_text.is_empty(),
                Side::Server => stream.is_done(),
            }
        })
    }

    fn target(&self, core: &Core, first: u8) -> Target {
        let channel = usize::from(self.codec.channel(first));
        let lane = if channel % 2 == 0 { Lane::Data } else { Lane::Error };
        let index = channel / 2;
        let Some(pair) = self.pairs.get(index) else { return Target::Unknown };
        debug_assert!(core.side == Side::Client || pair.prefixed == [true; 2]);
        match pair.prefixed.get(lane as usize) {
            Some(true) => Target::Payload { pair: index, lane },
            _ => Target::Prefix { pair: index, lane, bytes: [0; 2], len: 0 },
        }
    }

    /// Hands a payload on; returns where the rest of its message goes.
    fn deliver(
        &mut self,
        core: &mut Core,
        target: Target,
        mut payload: Bytes,
        end: bool,
        now: Instant,
    ) -> Result<Target, Violation> {
        match target {
            Target::Unknown => Ok(target),
            Target::Prefix { pair, lane, mut bytes, mut len } => {
                while len < 2 && payload.has_remaining() {
                    if let Some(slot) = bytes.get_mut(len) {
                        *slot = payload.get_u8();
                    }
                    len += 1;
                }
                if len < 2 && end {
                    return Err(Violation::ShortPrefix { channel: target.channel(), len });
                }
                if len < 2 {
                    return Ok(Target::Prefix { pair, lane, bytes, len });
                }
                self.announce(core, pair, lane, u16::from_le_bytes(bytes))?;
                self.deliver(core, Target::Payload { pair, lane }, payload, end, now)
            }
            Target::Payload { pair, lane } => {
                let id = self.pairs.get(pair).map(|pair| pair.stream);
                match (id, lane, core.side) {
                    (Some(id), Lane::Data, _) => core.receive(id, payload, now),
                    (Some(id), Lane::Error, Side::Client) => {
                        core.receive_error(id, &payload, end, now);
                    }
                    _ => core.stats.ignored_late += payload.len() as u64,
                }
                Ok(target)
            }
        }
    }

    /// Client: a prefix is complete.
    fn announce(
        &mut self,
        core: &mut Core,
        index: usize,
        lane: Lane,
        actual: u16,
    ) -> Result<(), Violation> {
        let Some(pair) = self.pairs.get_mut(index) else { return Ok(()) };
        if actual != pair.port.get() {
            let channel = channel(index, lane as usize);
            return Err(Violation::WrongPort { channel, expected: pair.port, actual });
        }
        if let Some(prefixed) = pair.prefixed.get_mut(lane as usize) {
            *prefixed = true;
        }
        if pair.prefixed == [true; 2] {
            core.opened(pair.stream);
        }
        if self.pairs.iter().all(|pair| pair.prefixed == [true; 2]) {
            core.ready();
        }
        Ok(())
    }
}

impl Target {
    fn channel(self) -> u8 {
        match self {
            Self::Prefix { pair, lane, .. } | Self::Payload { pair, lane } => {
                channel(pair, lane as usize)
            }
            Self::Unknown => u8::MAX,
        }
    }
}

/// The limits on the number of ports keep this within a byte.
fn channel(pair: usize, lane: usize) -> u8 {
    u8::try_from(pair * 2 + lane).unwrap_or(u8::MAX)
}
