use bytes::{Buf, Bytes, BytesMut};

use super::frame::{CONTROL, FIN, ID, VERSION, kind};
use super::{Frame, Limits, SpdyViolation};

/// Takes the bytes of one direction of a connection apart into frames, wherever reads or WebSocket
/// messages cut them.
///
/// DATA is passed on as it arrives, in slices of the input. A SYN_STREAM, SYN_REPLY or HEADERS is
/// gathered if it comes in parts, up to a limit; a SETTINGS or a frame of an unknown type is skipped as
/// it arrives. Nothing is allocated for a length that the peer only promises.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The 8 bytes in front of a frame come next.
    Head(Small),
    /// Payload of a DATA frame comes next, at least a byte.
    Data { stream: u32, fin: bool, left: usize },
    /// The fixed fields of a control frame come next.
    Fields { control: Control, fields: Small, length: usize },
    /// A header block comes next, which may be empty.
    Block { carrier: Carrier, gathered: BytesMut, left: usize },
    /// Bytes that nobody reads come next, and then there was this frame.
    Skip { frame: Frame, left: usize },
    /// The peer broke the protocol. Latched.
    Failed(SpdyViolation),
}

/// Control frames whose fields are looked at.
#[derive(Debug, Clone, Copy)]
enum Control {
    SynStream { fin: bool },
    SynReply { fin: bool },
    RstStream,
    Settings,
    Ping,
    GoAway,
    Headers { fin: bool },
    WindowUpdate,
}

/// Frames with a header block, before it.
#[derive(Debug, Clone, Copy)]
enum Carrier {
    SynStream { stream: u32, associated: u32, fin: bool },
    SynReply { stream: u32, fin: bool },
    Headers { stream: u32, fin: bool },
}

impl Decoder {
    /// A decoder for what the peer sends from the first byte on.
    pub const fn new(limits: Limits) -> Self {
        Self { limits, state: State::Head(Small::EMPTY) }
    }

    /// Takes the next frame, or piece of a DATA frame, off the front of `input`. `Ok(None)`: `input` is
    /// used up, and more is needed. An empty `input` is normal and says nothing (protocol.md trap 8).
    ///
    /// # Errors
    ///
    /// What the peer did wrong, as soon as it shows. The error latches: every later call empties
    /// `input` and gives the same. Frames taken before it are good, though the last DATA frame may lack
    /// its end.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Option<Frame>, SpdyViolation> {
        let result = self.next(input);
        if let Err(violation) = &result {
            self.state = State::Failed(violation.clone());
            input.clear();
        }
        result
    }

    /// No frame has been taken in part. A transport that ends while this is false cut one off.
    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Head(Small { have: 0, .. }))
    }

    fn next(&mut self, input: &mut Bytes) -> Result<Option<Frame>, SpdyViolation> {
        loop {
            match &mut self.state {
                State::Head(head) => {
                    let Some(head) = head.fill(8, input) else { return Ok(None) };
                    self.state = self.begin(head)?;
                    // A frame without payload says something too: a FIN, or nothing.
                    if let State::Data { stream, fin, left: 0 } = self.state {
                        self.state = State::Head(Small::EMPTY);
                        return Ok(Some(Frame::Data {
                            stream,
                            bytes: Bytes::new(),
                            fin,
                            end: true,
                        }));
                    }
                }
                State::Data { .. } if input.is_empty() => return Ok(None),
                State::Data { stream, fin, left } => {
                    let (stream, fin) = (*stream, *fin);
                    let bytes = input.split_to(input.len().min(*left));
                    *left -= bytes.len();
                    let end = *left == 0;
                    if end {
                        self.state = State::Head(Small::EMPTY);
                    }
                    return Ok(Some(Frame::Data { stream, bytes, fin: fin && end, end }));
                }
                State::Fields { control, fields, length } => {
                    let need = control.fields();
                    let Some(fields) = fields.fill(need, input) else { return Ok(None) };
                    self.state = control.read(fields, *length - need)?;
                }
                State::Block { carrier, gathered, left } => {
                    let part = input.split_to(input.len().min(*left));
                    *left -= part.len();
                    let block = match (*left, gathered.is_empty()) {
                        (0, true) => part,
                        (left, _) => {
                            gathered.extend_from_slice(&part);
                            if left > 0 {
                                return Ok(None);
                            }
                            gathered.split().freeze()
                        }
                    };
                    let frame = carrier.with(block);
                    self.state = State::Head(Small::EMPTY);
                    return Ok(Some(frame));
                }
                State::Skip { frame, left } => {
                    let skipped = input.len().min(*left);
                    input.advance(skipped);
                    *left -= skipped;
                    if *left > 0 {
                        return Ok(None);
                    }
                    let frame = frame.clone();
                    self.state = State::Head(Small::EMPTY);
                    return Ok(Some(frame));
                }
                State::Failed(violation) => return Err(violation.clone()),
            }
        }
    }

    /// Holds what stands in front of a frame against what it may be, before any of it is taken.
    fn begin(&self, [a, b, c, d, flags, e, f, g, ..]: [u8; ROOM]) -> Result<State, SpdyViolation> {
        let first = u16::from_be_bytes([a, b]);
        let (fin, length) = (flags & FIN != 0, u32::from_be_bytes([0, e, f, g]) as usize);
        if first & CONTROL == 0 {
            let stream = nonzero(u32::from_be_bytes([a, b, c, d]), "DATA")?;
            return Ok(State::Data { stream, fin, left: length });
        }
        let version = first & !CONTROL;
        if version != VERSION {
            return Err(SpdyViolation::Version { version });
        }
        let control = match u16::from_be_bytes([c, d]) {
            kind::SYN_STREAM => Control::SynStream { fin },
            kind::SYN_REPLY => Control::SynReply { fin },
            kind::RST_STREAM => Control::RstStream,
            kind::SETTINGS => Control::Settings,
            kind::PING => Control::Ping,
            kind::GO_AWAY => Control::GoAway,
            kind::HEADERS => Control::Headers { fin },
            kind::WINDOW_UPDATE => Control::WindowUpdate,
            kind => return Ok(State::Skip { frame: Frame::Unknown { kind }, left: length }),
        };
        control.check_length(length, &self.limits)?;
        Ok(State::Fields { control, fields: Small::EMPTY, length })
    }
}

impl Control {
    const fn name(self) -> &'static str {
        match self {
            Self::SynStream { .. } => "SYN_STREAM",
            Self::SynReply { .. } => "SYN_REPLY",
            Self::RstStream => "RST_STREAM",
            Self::Settings => "SETTINGS",
            Self::Ping => "PING",
            Self::GoAway => "GOAWAY",
            Self::Headers { .. } => "HEADERS",
            Self::WindowUpdate => "WINDOW_UPDATE",
        }
    }

    /// Bytes of fields at the front of the payload.
    const fn fields(self) -> usize {
        match self {
            Self::SynStream { .. } => 10,
            Self::SynReply { .. } | Self::Headers { .. } | Self::Settings | Self::Ping => 4,
            Self::RstStream | Self::GoAway | Self::WindowUpdate => 8,
        }
    }

    /// Go reads the fields and trusts the length (protocol.md trap 23): we hold one against the other.
    const fn check_length(self, length: usize, limits: &Limits) -> Result<(), SpdyViolation> {
        let rest = length.checked_sub(self.fields());
        let (good, expected) = match (self, rest) {
            (Self::SynStream { .. }, rest) => (rest.is_some(), "at least 10"),
            (Self::SynReply { .. } | Self::Headers { .. }, rest) => (rest.is_some(), "at least 4"),
            (Self::Settings, Some(entries)) => (entries % SETTING == 0, "4 and 8 for each entry"),
            (Self::Settings, None) => (false, "4 and 8 for each entry"),
            (Self::Ping, rest) => (matches!(rest, Some(0)), "4"),
            (Self::RstStream | Self::GoAway | Self::WindowUpdate, rest) => {
                (matches!(rest, Some(0)), "8")
            }
        };
        let frame = self.name();
        if !good {
            return Err(SpdyViolation::Length { frame, length, expected });
        }
        match (self, rest) {
            (Self::SynStream { .. } | Self::SynReply { .. } | Self::Headers { .. }, _)
                if length > limits.control_frame() =>
            {
                Err(SpdyViolation::FrameTooBig { frame, length, limit: limits.control_frame() })
            }
            (Self::Settings, Some(rest)) if rest / SETTING > limits.settings() => {
                let (entries, limit) = (rest / SETTING, limits.settings());
                Err(SpdyViolation::TooManySettings { entries, limit })
            }
            _ => Ok(()),
        }
    }

    /// What the fields say, and what follows them: `rest` bytes.
    fn read(self, fields: [u8; ROOM], rest: usize) -> Result<State, SpdyViolation> {
        let [a, b, c, d, e, f, g, h, ..] = fields;
        let (first, second) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        let frame = match self {
            Self::SynStream { fin } => {
                let (stream, associated) = (nonzero(first, self.name())?, second & ID);
                return Ok(State::block(Carrier::SynStream { stream, associated, fin }, rest));
            }
            Self::SynReply { fin } => {
                let stream = nonzero(first, self.name())?;
                return Ok(State::block(Carrier::SynReply { stream, fin }, rest));
            }
            Self::Headers { fin } => {
                let stream = nonzero(first, self.name())?;
                return Ok(State::block(Carrier::Headers { stream, fin }, rest));
            }
            Self::RstStream => {
                let stream = nonzero(first, self.name())?;
                if second == 0 {
                    return Err(SpdyViolation::StatusZero);
                }
                Frame::RstStream { stream, status: second }
            }
            Self::Settings => {
                let room = rest / SETTING;
                if usize::try_from(first) != Ok(room) {
                    return Err(SpdyViolation::SettingsCount { count: first, room });
                }
                Frame::Settings { entries: first }
            }
            Self::Ping if first == 0 => return Err(SpdyViolation::PingZero),
            Self::Ping => Frame::Ping { id: first },
            Self::GoAway => Frame::GoAway { last: first & ID, status: second },
            Self::WindowUpdate => Frame::WindowUpdate { stream: first & ID, delta: second & ID },
        };
        Ok(State::Skip { frame, left: rest })
    }
}

impl State {
    fn block(carrier: Carrier, left: usize) -> Self {
        Self::Block { carrier, gathered: BytesMut::new(), left }
    }
}

impl Carrier {
    const fn with(self, block: Bytes) -> Frame {
        match self {
            Self::SynStream { stream, associated, fin } => {
                Frame::SynStream { stream, associated, fin, block }
            }
            Self::SynReply { stream, fin } => Frame::SynReply { stream, fin, block },
            Self::Headers { stream, fin } => Frame::Headers { stream, fin, block },
        }
    }
}

/// The most bytes that are looked at as a whole: the fields of a SYN_STREAM.
const ROOM: usize = 10;

/// Bytes of an entry of SETTINGS.
const SETTING: usize = 8;

/// A few bytes that may come in parts.
#[derive(Debug)]
struct Small {
    bytes: [u8; ROOM],
    have: usize,
}

impl Small {
    const EMPTY: Self = Self { bytes: [0; ROOM], have: 0 };

    /// All of them, once there are `need`; what is beyond is 0.
    fn fill(&mut self, need: usize, input: &mut Bytes) -> Option<[u8; ROOM]> {
        let room = self.bytes.get_mut(self.have..need).unwrap_or_default();
        let count = room.len().min(input.len());
        input.copy_to_slice(room.get_mut(..count).unwrap_or_default());
        self.have += count;
        (self.have >= need).then_some(self.bytes)
    }
}

fn nonzero(id: u32, frame: &'static str) -> Result<u32, SpdyViolation> {
    match id & ID {
        0 => Err(SpdyViolation::StreamZero { frame }),
        stream => Ok(stream),
    }
}
