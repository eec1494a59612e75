use std::time::Instant;

use bytes::Bytes;

use crate::core::Core;
use crate::spdy::{Spdy, status};
use crate::stream::SendState;
use crate::v4::V4;
use crate::{
    CloseReason, ConfigError, Kind, OpenError, Port, Retired, Reuse, Side, StreamId, Transmit,
    Violation, WireForm,
};

/// How streams are put on the wire. The session knows two ways, and nothing of either.
#[derive(Debug)]
pub(super) enum Mux {
    V4(V4),
    Spdy(Box<Spdy>),
}

impl Mux {
    pub(super) fn new(
        core: &mut Core,
        form: WireForm,
        ports: &[Port],
    ) -> Result<Self, ConfigError> {
        match form {
            WireForm::V4 | WireForm::V4Base64 => Ok(Self::V4(V4::new(core, form, ports)?)),
            WireForm::Tunnel | WireForm::Spdy => {
                core.ready();
                core.liveness.set_workers(Spdy::WORKERS);
                Ok(Self::Spdy(Box::new(Spdy::new(core))))
            }
        }
    }

    // -- inputs

    pub(super) fn open(&mut self, core: &mut Core, port: Port) -> Result<StreamId, OpenError> {
        match self {
            Self::V4(mux) => mux.open(core, port),
            Self::Spdy(mux) => mux.open(core, port),
        }
    }

    pub(super) fn handle_data(
        &mut self,
        core: &mut Core,
        bytes: Bytes,
        end: bool,
        now: Instant,
    ) -> Result<(), Violation> {
        match self {
            Self::V4(mux) => mux.handle_data(core, bytes, end, now),
            // A stream of bytes: where messages end means nothing.
            Self::Spdy(mux) => mux.handle_data(core, bytes, now),
        }
    }

    /// A WebSocket pong: of the first hop, which on SPDY is not the peer we ask.
    pub(super) fn handle_pong(&mut self, core: &mut Core, payload: &[u8], now: Instant) {
        if let Self::V4(_) = self {
            core.stats.pongs += 1;
            if let Ok(number) = payload.try_into() {
                core.note_pong(u32::from_be_bytes(number), now);
            }
        }
    }

    /// The application has no more to do with the stream; `send` is where its sending half stood.
    pub(super) fn released(&mut self, core: &mut Core, id: StreamId, send: SendState) {
        match self {
            Self::V4(_) => {}
            Self::Spdy(mux) => mux.released(core, id, send),
        }
    }

    pub(super) fn open_timeout(&mut self, core: &mut Core, id: StreamId, now: Instant) {
        match self {
            Self::V4(_) => {}
            Self::Spdy(mux) => mux.open_timeout(core, id, now),
        }
    }

    pub(super) fn settle_timeout(&mut self, core: &mut Core, id: StreamId, now: Instant) {
        match self {
            Self::V4(_) => core.end_recv(id, None, now),
            Self::Spdy(mux) => mux.conclude(core, id, now),
        }
    }

    pub(super) fn retire(&mut self, why: CloseReason) {
        match self {
            // No stream can be added, and the last one ends it.
            Self::V4(_) => {}
            Self::Spdy(mux) => mux.retire(why),
        }
    }

    pub(super) fn check_timeout(&mut self) {
        match self {
            Self::V4(_) => {}
            Self::Spdy(mux) => mux.check_timeout(),
        }
    }

    /// Nothing comes from the peer any more, and nothing is to be said to it but a goodbye.
    pub(super) fn settle(&mut self, core: &mut Core, now: Instant) {
        match self {
            Self::V4(_) => {}
            Self::Spdy(mux) => mux.settle(core, now),
        }
    }

    // -- outputs

    /// What goes before everything else.
    pub(super) fn control(&mut self, core: &mut Core) -> Option<Transmit> {
        match self {
            Self::V4(mux) => mux.prologue(core),
            Self::Spdy(mux) => mux.control(core),
        }
    }

    /// Asks the peer whether it is there.
    pub(super) fn ping(&self, side: Side, number: u32) -> Transmit {
        match self {
            Self::V4(_) => Transmit::new(Kind::Ping, Bytes::copy_from_slice(&number.to_be_bytes())),
            // Answered by the far end of the chain, and not by the first hop.
            Self::Spdy(_) => Spdy::ping(side, number),
        }
    }

    /// What moves the peer's idle deadline, where a ping does not.
    pub(super) fn keep_alive(&self, side: Side) -> Option<Transmit> {
        match self {
            // To a client an empty message would only be something it does not know.
            Self::V4(mux) => (side == Side::Client).then(|| mux.keep_alive()),
            Self::Spdy(_) => None,
        }
    }

    /// The next message of a stream whose turn it is.
    pub(super) fn transmit(
        &mut self,
        core: &mut Core,
        id: StreamId,
        now: Instant,
    ) -> Option<Transmit> {
        match self {
            Self::V4(mux) => mux.transmit(core, id, now),
            Self::Spdy(mux) => mux.transmit(core, id, now),
        }
    }

    /// What is said before the Close message.
    pub(super) fn goodbye(&mut self, reason: &CloseReason) -> Option<Transmit> {
        match self {
            Self::V4(_) => None,
            Self::Spdy(mux) => {
                let fault = matches!(reason, CloseReason::Violation(_));
                mux.goodbye(if fault { status::GOAWAY_PROTOCOL_ERROR } else { status::GOAWAY_OK })
            }
        }
    }

    // -- what can be said of it

    /// Rulings: v4 clients take text only where the form is text; v4 servers do not look at the
    /// opcode, as the reference does not. In the tunnel text is fatal to both.
    pub(super) fn takes_text(&self, side: Side) -> bool {
        match self {
            Self::V4(mux) => side == Side::Server || mux.is_text(),
            Self::Spdy(_) => false,
        }
    }

    /// Every message means that something moved. If not, the mux says when.
    pub(super) const fn every_message_counts(&self) -> bool {
        matches!(self, Self::V4(_))
    }

    /// What comes from the peer is answered as fast as it comes.
    pub(super) fn takes_more(&self) -> bool {
        match self {
            Self::V4(_) => true,
            Self::Spdy(mux) => mux.takes_more(),
        }
    }

    /// A stream would be cut off by the end of the transport, however friendly.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::V4(_) => false,
            Self::Spdy(mux) => mux.is_busy(),
        }
    }

    /// Why the session ends by itself now, if it does.
    pub(super) fn over(&self, core: &Core) -> Option<CloseReason> {
        match self {
            Self::V4(mux) => mux.is_over(core).then_some(CloseReason::Done),
            Self::Spdy(mux) => mux.over(),
        }
    }

    pub(super) fn reusable(&mut self, core: &mut Core, now: Instant) -> Reuse {
        match self {
            Self::V4(_) => Reuse::No(Retired::Fixed),
            Self::Spdy(mux) => mux.reusable(core, now),
        }
    }
}
