use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};

use super::check::Check;
use super::pair::{Answer, End, Half, Lane, Pair};
use super::{
    Decoder, Frame, HeaderDecoder, HeaderEncoder, Headers, data_head, put_go_away, put_ping,
    put_syn_stream, status,
};
use crate::core::Core;
use crate::stream::{SendState, Stream};
use crate::timer::{Owner, Timer};
use crate::{
    CloseReason, Kind, OpenError, Port, Retired, Reuse, Side, StreamError, StreamId, Transmit,
    Violation,
};

/// The stream pairs of one SPDY connection, tunnelled or plain.
#[derive(Debug)]
pub(crate) struct Spdy {
    decoder: Decoder,
    headers_in: HeaderDecoder,
    headers_out: HeaderEncoder,
    /// Which pair a number on the wire belongs to. What is not here is over, or never was.
    wires: BTreeMap<u32, (StreamId, Lane)>,
    /// By stream, until nothing more is heard of it or said.
    pairs: BTreeMap<StreamId, Pair>,
    /// Server: pairs of which one half is there.
    waiting: BTreeMap<Box<[u8]>, StreamId>,
    answers: VecDeque<Answer>,
    /// Client: the next number for a stream; odd.
    next_stream: u32,
    next_request: u64,
    /// The highest number that the peer gave a stream.
    last_of_peer: u32,
    check: Check,
    retired: Option<Retired>,
    /// Why the session closes once its streams are over.
    ending: Option<CloseReason>,
    /// Nothing but a goodbye is sent any more.
    mute: bool,
    goodbye_said: bool,
}

/// The highest stream number: they do not wrap (protocol.md C.5).
const LAST_STREAM: u32 = 0x7fff_ffff;

/// So many answers that wait to be sent make a session stop reading: a peer that asks faster than it
/// listens is slowed down to its own pace.
const ENOUGH_ANSWERS: usize = 1024;

/// What one read may bring on top of that: a MiB of pings, the shortest thing to be answered. More
/// comes only from a peer that is read in spite of it.
const MOST_ANSWERS: usize = 96 * 1024;

/// Most bytes of one DATA frame.
const MAX_DATA: usize = 0xff_ffff;

/// Most bytes of a request id: Kubernetes counts in decimal. It is kept until the pair is whole, and
/// said in error texts.
const MAX_REQUEST: usize = 256;

impl Spdy {
    /// What a Go peer deals the frames of a session to (protocol.md C.8).
    pub(crate) const WORKERS: u32 = Check::PINGS;

    pub(crate) fn new(core: &Core) -> Self {
        let limits = core.config.spdy_limits();
        Self {
            decoder: Decoder::new(limits),
            headers_in: HeaderDecoder::new(limits),
            headers_out: HeaderEncoder::new(),
            wires: BTreeMap::new(),
            pairs: BTreeMap::new(),
            waiting: BTreeMap::new(),
            answers: VecDeque::new(),
            next_stream: 1,
            next_request: 0,
            last_of_peer: 0,
            check: Check::default(),
            retired: None,
            ending: None,
            mute: false,
            goodbye_said: false,
        }
    }

    // -- inputs

    /// Client: a stream of that port. The server hears of it with the next message.
    pub(crate) fn open(&mut self, core: &mut Core, port: Port) -> Result<StreamId, OpenError> {
        if let Some(why) = self.retired {
            return Err(OpenError::Retired(why));
        }
        let limit = core.config.max_streams();
        if core.store.len() >= limit {
            return Err(OpenError::TooManyStreams { limit });
        }
        // Numbers are given when the opening goes out: on the wire they must rise.
        let unnumbered = || self.pairs.values().filter(|pair| pair.data.is_none()).count();
        let left = (LAST_STREAM - self.next_stream) as usize / 4;
        if left <= self.pairs.len() && left <= unnumbered() {
            self.retired = Some(Retired::Exhausted);
            return Err(OpenError::Retired(Retired::Exhausted));
        }
        let id = core.store.insert(Stream::new(port, &core.config, limit));
        self.pairs.insert(id, Pair::new());
        core.schedule_open(id);
        Ok(id)
    }

    /// Bytes of the connection, cut anywhere.
    pub(crate) fn handle_data(
        &mut self,
        core: &mut Core,
        mut bytes: Bytes,
        now: Instant,
    ) -> Result<(), Violation> {
        while let Some(frame) = self.decoder.decode(&mut bytes)? {
            self.handle_frame(core, frame, now)?;
        }
        Ok(())
    }

    /// Nobody asks for the stream any more. `send` is where its sending half stood.
    pub(crate) fn released(&mut self, core: &mut Core, id: StreamId, send: SendState) {
        let Some(pair) = self.pairs.get_mut(&id) else { return };
        for half in pair.halves_mut() {
            self.answers.extend(match core.side {
                // The end that was reached is still owed.
                Side::Server if half.ours.is_over() => None,
                Side::Server if send == SendState::Finished => half.finish(),
                Side::Client | Side::Server => half.reset(),
            });
        }
        self.forget(core, id);
    }

    /// What a stream was waiting for did not come in time.
    pub(crate) fn open_timeout(&mut self, core: &mut Core, id: StreamId, now: Instant) {
        match core.side {
            Side::Client => {
                // Part of the server may be stuck for good (protocol.md C.8): no more of this.
                self.retired.get_or_insert(Retired::OpenTimeout);
                self.end(core, id, Some(StreamError::OpenTimeout), now);
            }
            Side::Server => {
                let Some(pair) = self.pairs.get_mut(&id) else { return };
                let name = String::from_utf8_lossy(pair.request.as_deref().unwrap_or_default());
                let text = format!("request {name}: timed out waiting for streams");
                if let Some(error) = &mut pair.error {
                    self.answers.push_back(Answer::Text { stream: error.stream, text });
                    self.answers.extend(error.finish());
                }
                self.drop_unpaired(core, id, now);
            }
        }
    }

    /// The connection has ended: what is known of streams by now is all there is to know.
    pub(crate) fn settle(&mut self, core: &mut Core, now: Instant) {
        let ended = |(id, pair): (&StreamId, &Pair)| pair.data_end().is_over().then_some(*id);
        for id in self.pairs.iter().filter_map(ended).collect::<Vec<_>>() {
            if core.side == Side::Client {
                self.conclude(core, id, now);
            }
        }
        for id in std::mem::take(&mut self.waiting).into_values() {
            self.forget(core, id);
            core.discard(id, now);
        }
        self.mute = true;
    }

    pub(crate) fn check_timeout(&mut self) {
        if matches!(self.check, Check::Asked | Check::Sent { .. }) {
            self.retired.get_or_insert(Retired::Unanswered);
        }
    }

    // -- outputs

    /// What goes before the data of streams.
    pub(crate) fn control(&mut self, core: &mut Core) -> Option<Transmit> {
        /// Of one message; the next takes the rest.
        const BATCH: usize = 16 * 1024;
        if self.mute {
            return None;
        }
        let mut out = BytesMut::new();
        while out.len() < BATCH
            && let Some(answer) = self.answers.pop_front()
        {
            answer.put(&mut self.headers_out, &mut out);
        }
        if matches!(self.check, Check::Asked) && self.answers.is_empty() {
            // All in one message: another ping between them would take a worker's turn.
            let first = core.liveness.next_ping();
            put_ping(&mut out, ping_id(core.side, first));
            for _ in 1..Check::PINGS {
                put_ping(&mut out, ping_id(core.side, core.liveness.next_ping()));
            }
            core.stats.pings += u64::from(Check::PINGS);
            self.check = Check::sent(first);
        }
        (!out.is_empty()).then(|| message(out))
    }

    /// The next message of a stream whose turn it is.
    pub(crate) fn transmit(
        &mut self,
        core: &mut Core,
        id: StreamId,
        now: Instant,
    ) -> Option<Transmit> {
        if self.mute {
            return None;
        }
        let max = core.config.max_payload().min(MAX_DATA);
        let pair = self.pairs.get_mut(&id)?;
        let stream = core.store.get_mut(id)?;
        let abandoned = stream.failure.is_some() && stream.recv.is_over();
        let Some(data) = &mut pair.data else {
            if !abandoned && core.side == Side::Client {
                return Some(self.announce(core, id, now));
            }
            // The server never heard of it.
            self.forget(core, id);
            return None;
        };
        if abandoned {
            self.answers.extend(pair.halves_mut().filter_map(Half::reset));
            self.forget(core, id);
            return self.control(core);
        }
        if let Some(bytes) = stream.send_buf.pop(max) {
            let head = data_head(data.stream, bytes.len(), false);
            core.count_out(id, bytes.len());
            core.after_send(id, now);
            return Some(Transmit::with_head(Kind::Binary, head, bytes));
        }
        if let Some(text) = stream.farewell.take() {
            let error = pair.error.as_mut()?;
            let text = text.slice(..text.len().min(MAX_DATA));
            let mut out = BytesMut::with_capacity(text.len() + 40);
            if !error.ours.is_over() {
                out.put_slice(&data_head(error.stream, text.len(), false));
                out.put_slice(&text);
            }
            // The order of protocol.md D.5.
            for reset in [data, error].into_iter().filter_map(Half::reset) {
                reset.put(&mut self.headers_out, &mut out);
            }
            core.after_send(id, now);
            return (!out.is_empty()).then(|| message(out));
        }
        if stream.send == SendState::Finished {
            self.answers.extend(data.finish());
            if core.side == Side::Server {
                self.answers.extend(pair.error.as_mut().and_then(Half::finish));
            }
            return self.control(core);
        }
        None
    }

    /// A keep-alive.
    pub(crate) fn ping(side: Side, number: u32) -> Transmit {
        let mut out = BytesMut::with_capacity(12);
        put_ping(&mut out, ping_id(side, number));
        message(out)
    }

    /// The last that is said: the end of every stream that has none, and of the connection.
    pub(crate) fn goodbye(&mut self, status: u32) -> Option<Transmit> {
        if std::mem::replace(&mut self.goodbye_said, true) {
            return None;
        }
        let mut out = BytesMut::new();
        if !self.mute {
            for reset in self.pairs.values_mut().flat_map(Pair::halves_mut).filter_map(Half::reset)
            {
                reset.put(&mut self.headers_out, &mut out);
            }
        }
        put_go_away(&mut out, self.last_of_peer, status);
        self.mute = true;
        Some(message(out))
    }

    // -- what can be said of it

    /// The answers that wait leave room for more of what asks for them.
    pub(crate) fn takes_more(&self) -> bool {
        self.answers.len() < ENOUGH_ANSWERS
    }

    /// Some stream would be cut off by the end of the connection.
    pub(crate) fn is_busy(&self) -> bool {
        self.pairs.values().any(|pair| !pair.data_end().is_over())
    }

    /// Why the session ends by itself, if it does.
    pub(crate) fn over(&self) -> Option<CloseReason> {
        self.ending.clone().filter(|_| self.pairs.is_empty())
    }

    /// No more streams; the session closes with the last of those that are there.
    pub(crate) fn retire(&mut self, why: CloseReason) {
        self.retired.get_or_insert(Retired::Closing);
        self.ending.get_or_insert(why);
    }

    pub(crate) fn reusable(&mut self, core: &mut Core, now: Instant) -> Reuse {
        if let Some(why) = self.retired {
            return Reuse::No(why);
        }
        // A stream that only waits for its end sends no data that a stuck worker could be behind.
        if !core.all_settled() {
            return Reuse::InUse;
        }
        match self.check {
            Check::Passed => Reuse::Ready,
            Check::Due => {
                // From here, and not from when the pings go out: a server may take nothing any more.
                core.timers.arm(Owner::Session, Timer::Check, core.config.check_timeout(), now);
                self.check = Check::Asked;
                Reuse::Checking
            }
            Check::Asked | Check::Sent { .. } => Reuse::Checking,
        }
    }

    // -- frames

    fn handle_frame(
        &mut self,
        core: &mut Core,
        frame: Frame,
        now: Instant,
    ) -> Result<(), Violation> {
        if let Frame::Ping { id } = frame
            && let Some(number) = ping_number(core.side, id)
        {
            self.handle_pong(core, number, now);
            return Ok(());
        }
        // The answers to our own pings are no news; everything else is.
        core.note_activity(now);
        match frame {
            Frame::Data { stream, bytes, fin, end } => {
                core.stats.messages_in += u64::from(end);
                self.handle_bytes(core, stream, bytes, now);
                if fin {
                    self.handle_end(core, stream, End::Fin, now);
                }
            }
            Frame::SynStream { stream, fin, block, .. } => {
                // Also that of a stream which is refused: the next needs what it leaves behind.
                let headers = self.headers_in.decode(&block)?;
                let taken = self.handle_syn(core, stream, &headers, now);
                if fin && taken {
                    self.handle_end(core, stream, End::Fin, now);
                }
            }
            Frame::SynReply { stream, fin, block } => {
                self.headers_in.decode(&block)?;
                self.handle_reply(core, stream);
                if fin {
                    self.handle_end(core, stream, End::Fin, now);
                }
            }
            Frame::Headers { block, .. } => {
                self.headers_in.decode(&block)?;
                core.stats.ignored_frames += 1;
            }
            Frame::RstStream { stream, .. } => self.handle_end(core, stream, End::Reset, now),
            Frame::Ping { id } => self.answers.push_back(Answer::Pong { id }),
            Frame::GoAway { last, .. } => self.handle_go_away(core, last, now),
            Frame::Settings { .. } | Frame::WindowUpdate { .. } | Frame::Unknown { .. } => {
                core.stats.ignored_frames += 1;
            }
        }
        let waiting = self.answers.len();
        if waiting > MOST_ANSWERS { Err(Violation::Flood { waiting }) } else { Ok(()) }
    }

    fn handle_bytes(&mut self, core: &mut Core, stream: u32, bytes: Bytes, now: Instant) {
        let half = self.wires.get(&stream).and_then(|(id, lane)| {
            let half = self.pairs.get(id)?.half(*lane)?;
            (!half.theirs.is_over()).then_some((*id, *lane))
        });
        match half {
            Some((id, Lane::Data)) if self.is_too_early(core, id, bytes.len()) => {
                self.drop_unpaired(core, id, now);
            }
            Some((id, Lane::Data)) => core.receive(id, bytes, now),
            Some((id, Lane::Error)) if core.side == Side::Client => {
                core.receive_error(id, &bytes, false, now);
                // The ends of both streams follow a text, from servers that say them (trap 32).
                self.expect_end(core, id, now);
            }
            // Late, as Go peers are (protocol.md C.7), or a word of the client's on an error stream.
            Some((_, Lane::Error)) | None => core.stats.ignored_late += bytes.len() as u64,
        }
    }

    /// Server: data for a stream that is not whole would fill its buffer. Nobody can read it yet, and
    /// what would make it whole may come behind it: to wait would be for ever.
    fn is_too_early(&self, core: &Core, id: StreamId, more: usize) -> bool {
        core.side == Side::Server
            && self.pairs.get(&id).is_some_and(|pair| !pair.is_whole())
            && core.store.get(id).map_or(0, Stream::held) + more >= core.config.recv_buffer()
    }

    fn handle_reply(&mut self, core: &mut Core, stream: u32) {
        let Some((id, lane)) = self.wires.get(&stream).copied() else { return };
        let Some(pair) = self.pairs.get_mut(&id) else { return };
        if let Some(half) = pair.half_mut(lane) {
            half.replied = true;
        }
        if core.side == Side::Client && pair.is_replied() {
            core.disarm(id, Timer::Open);
            core.opened(id);
        }
    }

    /// The peer has ended its direction of a stream.
    fn handle_end(&mut self, core: &mut Core, stream: u32, how: End, now: Instant) {
        let Some((id, lane)) = self.wires.get(&stream).copied() else { return };
        let Some(pair) = self.pairs.get_mut(&id) else { return };
        let Some(half) = pair.half_mut(lane) else { return };
        // Only a client takes back an end of its own: it lost interest in the answer.
        let again = core.side == Side::Client || half.theirs == End::Reset || how == End::Fin;
        if half.theirs.is_over() && again {
            return;
        }
        half.theirs = how;
        if how == End::Reset {
            half.ours = End::Reset;
        }
        match core.side {
            Side::Client => self.handle_pod_end(core, id, lane, now),
            Side::Server => self.handle_client_end(core, id, lane, now),
        }
    }

    fn handle_pod_end(&mut self, core: &mut Core, id: StreamId, lane: Lane, now: Instant) {
        let Some(pair) = self.pairs.get_mut(&id) else { return };
        let reset = pair.half(lane).is_some_and(|half| half.theirs == End::Reset);
        if reset && !pair.is_replied() {
            self.end(core, id, Some(StreamError::Refused), now);
            return;
        }
        if lane == Lane::Data {
            // At once, and nothing after it: a second frame that comes late wedges a worker of the
            // server for good (protocol.md trap 29).
            self.answers.extend(pair.data.as_mut().and_then(Half::reset));
            core.kill_send(id);
        }
        if pair.data_end().is_over() && pair.error_is_over() {
            self.conclude(core, id, now);
        } else {
            self.expect_end(core, id, now);
        }
    }

    fn handle_client_end(&mut self, core: &mut Core, id: StreamId, lane: Lane, now: Instant) {
        let Some(pair) = self.pairs.get_mut(&id) else { return };
        let end = pair.half(lane).map_or(End::Open, |half| half.theirs);
        match (lane, end) {
            // Before there is a pod to tell: said when there is one.
            (_, End::Fin) if !pair.is_whole() => {}
            (_, End::Reset) if !pair.is_whole() => self.drop_unpaired(core, id, now),
            (Lane::Data, End::Fin) => core.end_recv(id, None, now),
            (Lane::Data, End::Reset) => {
                self.answers.extend(pair.error.as_mut().and_then(Half::finish));
                core.end_recv(id, Some(StreamError::RemoteReset), now);
                core.kill_send(id);
            }
            (Lane::Data, End::Open) | (Lane::Error, _) => {}
        }
    }

    /// Client: the data is over, or an error text has begun. What is missing comes soon or never.
    fn expect_end(&self, core: &mut Core, id: StreamId, now: Instant) {
        let Some(pair) = self.pairs.get(&id) else { return };
        if pair.data_end().is_over() || core.has_error_text(id) {
            core.arm_once(id, Timer::ErrorSettle, core.config.error_grace(), now);
        }
    }

    /// Client: all is known of how a stream went, or was waited for long enough.
    pub(crate) fn conclude(&mut self, core: &mut Core, id: StreamId, now: Instant) {
        let Some(pair) = self.pairs.get(&id) else { return };
        let clean = pair.data_end() == End::Fin;
        self.end(core, id, (!clean).then_some(StreamError::RemoteReset), now);
    }

    /// Client: no more is heard of a stream and no more said. What it received can be read.
    fn end(&mut self, core: &mut Core, id: StreamId, why: Option<StreamError>, now: Instant) {
        let Some(pair) = self.pairs.get_mut(&id) else { return };
        let unfinished = pair.halves_mut().filter(|half| !half.theirs.is_over());
        self.answers.extend(unfinished.filter_map(Half::reset));
        self.forget(core, id);
        core.end_recv(id, why, now);
        core.kill_send(id);
    }

    fn handle_pong(&mut self, core: &mut Core, number: u32, now: Instant) {
        core.stats.pongs += 1;
        core.note_pong(number, now);
        if self.check.pong(number) {
            core.timers.disarm(Owner::Session, Timer::Check);
        }
    }

    fn handle_go_away(&mut self, core: &mut Core, last: u32, now: Instant) {
        self.retired = Some(Retired::GoingAway);
        self.ending.get_or_insert(CloseReason::GoingAway);
        if core.side == Side::Server {
            return;
        }
        let unseen = |(id, pair): (&StreamId, &Pair)| {
            let newest = pair.halves().map(|half| half.stream).max();
            newest.is_none_or(|stream| stream > last).then_some(*id)
        };
        for id in self.pairs.iter().filter_map(unseen).collect::<Vec<_>>() {
            self.forget(core, id);
            core.end_recv(id, Some(StreamError::NotProcessed), now);
            core.kill_send(id);
        }
    }

    /// The peer opens a stream; whether it has one now.
    fn handle_syn(
        &mut self,
        core: &mut Core,
        stream: u32,
        headers: &Headers,
        now: Instant,
    ) -> bool {
        let refuse = |status| Answer::Reset { stream, status };
        if core.side == Side::Client {
            self.answers.push_back(refuse(status::REFUSED_STREAM));
            return false;
        }
        if stream.is_multiple_of(2) || stream <= self.last_of_peer {
            self.answers.push_back(refuse(status::PROTOCOL_ERROR));
            self.handle_end(core, stream, End::Reset, now);
            return false;
        }
        self.last_of_peer = stream;
        if core.closing || self.retired.is_some() {
            return false;
        }
        let Some((lane, port)) = opening(headers) else {
            self.answers.push_back(refuse(status::CANCEL));
            return false;
        };
        let request = request_of(headers, lane, stream);
        let (id, pair) = match self.waiting.get(&request) {
            Some(id) => (*id, self.pairs.entry(*id).or_insert_with(Pair::new)),
            None if core.store.len() >= core.config.max_streams() => {
                self.answers.push_back(refuse(status::REFUSED_STREAM));
                return false;
            }
            None => {
                let streams = core.config.max_streams();
                let id = core.store.insert(Stream::new(port, &core.config, streams));
                core.arm_once(id, Timer::Open, core.config.pair_timeout(), now);
                self.waiting.insert(request.clone(), id);
                (id, self.pairs.entry(id).or_insert_with(Pair::new))
            }
        };
        if pair.half(lane).is_some() {
            let kind = if lane == Lane::Error { "error" } else { "data" };
            let name = String::from_utf8_lossy(&request);
            let text = format!(
                "error processing stream for request {name}: {kind} stream already assigned"
            );
            if let Some(error) = &pair.error {
                self.answers.push_back(Answer::Text { stream: error.stream, text });
            }
            self.answers.push_back(refuse(status::CANCEL));
            return false;
        }
        // Before anything else on the stream: the peer drops what comes earlier (trap 26).
        self.answers.push_back(Answer::Reply { stream });
        *pair.half_mut(lane) = Some(Half::new(stream, port));
        pair.request.get_or_insert_with(|| request.clone());
        self.wires.insert(stream, (id, lane));
        if pair.is_whole() {
            self.waiting.remove(&request);
            self.pair_up(core, id, now);
        }
        true
    }

    /// Server: both streams are there, so the pod can be dialled.
    fn pair_up(&mut self, core: &mut Core, id: StreamId, now: Instant) {
        let Some(pair) = self.pairs.get_mut(&id) else { return };
        pair.request = None;
        core.disarm(id, Timer::Open);
        if let (Some(data), Some(stream)) = (&pair.data, core.store.get_mut(id)) {
            stream.port = data.port;
        }
        core.opened(id);
        if pair.data_end() == End::Fin {
            core.end_recv(id, None, now);
        }
    }

    /// Client: the message that opens a stream on the wire.
    fn announce(&mut self, core: &mut Core, id: StreamId, now: Instant) -> Transmit {
        let mut out = BytesMut::with_capacity(256);
        if let (Some(pair), Some(stream)) = (self.pairs.get_mut(&id), core.store.get(id)) {
            let (port, request) = (stream.port.to_string(), self.next_request.to_string());
            let mut half = |lane, kind| {
                let number = self.next_stream;
                self.next_stream += 2;
                let mut block = BytesMut::new();
                let headers = [("port", &*port), ("requestid", &*request), ("streamtype", kind)];
                self.headers_out.encode(&headers, &mut block);
                put_syn_stream(&mut out, number, false, &block);
                self.wires.insert(number, (id, lane));
                Half::new(number, stream.port)
            };
            // The error stream first, as every client of Kubernetes does it. Nothing is ever written
            // to it: nobody reads there.
            let mut error = half(Lane::Error, "error");
            pair.data = Some(half(Lane::Data, "data"));
            if let Some(fin) = error.finish() {
                fin.put(&mut self.headers_out, &mut out);
            }
            pair.error = Some(error);
        }
        self.next_request += 1;
        self.check = Check::Due;
        core.timers.disarm(Owner::Session, Timer::Check);
        core.arm_once(id, Timer::Open, core.config.open_timeout(), now);
        // What was written meanwhile follows, or the end.
        core.schedule_open(id);
        message(out)
    }

    /// Server: a pair that will not be whole.
    fn drop_unpaired(&mut self, core: &mut Core, id: StreamId, now: Instant) {
        let Some(pair) = self.pairs.get_mut(&id) else { return };
        let unsaid = pair.halves_mut().filter(|half| !half.ours.is_over());
        self.answers.extend(unsaid.filter_map(Half::reset));
        if let Some(request) = pair.request.take() {
            self.waiting.remove(&request);
        }
        self.forget(core, id);
        core.discard(id, now);
    }

    /// Whatever still comes for it is late from now on.
    fn forget(&mut self, core: &mut Core, id: StreamId) {
        let Some(pair) = self.pairs.remove(&id) else { return };
        for half in pair.halves() {
            self.wires.remove(&half.stream);
        }
        core.disarm(id, Timer::Open);
        core.disarm(id, Timer::ErrorSettle);
    }
}

fn message(out: BytesMut) -> Transmit {
    Transmit::new(Kind::Binary, out.freeze())
}

/// What a stream is for, if it says so in the way that Kubernetes understands (protocol.md C.5).
fn opening(headers: &Headers) -> Option<(Lane, Port)> {
    let port = std::str::from_utf8(headers.get("port")?).ok()?.parse().ok()?;
    headers.get("requestid").is_none_or(|name| name.len() <= MAX_REQUEST).then_some(())?;
    match headers.get("streamtype")? {
        b"error" => Some((Lane::Error, port)),
        b"data" => Some((Lane::Data, port)),
        _ => None,
    }
}

/// What both streams of a pair have in common. Old clients do not name it: their data stream comes
/// right after the error stream.
fn request_of(headers: &Headers, lane: Lane, stream: u32) -> Box<[u8]> {
    if let Some(name) = headers.get("requestid") {
        return name.into();
    }
    let error = if lane == Lane::Error { stream } else { stream.saturating_sub(2) };
    error.to_string().into_bytes().into()
}

/// Pings of a client are odd, those of a server even (protocol.md C.5).
const fn ping_id(side: Side, number: u32) -> u32 {
    match side {
        Side::Client => number.wrapping_mul(2).wrapping_sub(1),
        Side::Server => number.wrapping_mul(2),
    }
}

/// Which of our pings that is, if it is one.
const fn ping_number(side: Side, id: u32) -> Option<u32> {
    match side {
        Side::Client if id % 2 == 1 => Some(id / 2 + 1),
        Side::Server if id.is_multiple_of(2) => Some(id / 2),
        Side::Client | Side::Server => None,
    }
}
