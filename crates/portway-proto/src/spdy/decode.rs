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

#[cfg(test)]
mod tests {
    use super::super::status;
    use super::*;

    fn decode_all(limits: Limits, wire: &[u8]) -> (Vec<Frame>, Option<SpdyViolation>) {
        let mut decoder = Decoder::new(limits);
        let mut input = Bytes::copy_from_slice(wire);
        let mut frames = Vec::new();
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => {
                    assert!(input.is_empty());
                    return (frames, None);
                }
                Err(violation) => {
                    assert_eq!(decoder.decode(&mut input), Err(violation.clone()));
                    return (frames, Some(violation));
                }
            }
        }
    }

    fn frames(wire: &[u8]) -> Vec<Frame> {
        let (frames, violation) = decode_all(Limits::new(), wire);
        assert_eq!(violation, None);
        frames
    }

    fn refused(wire: &[u8]) -> SpdyViolation {
        let (frames, violation) = decode_all(Limits::new(), wire);
        assert_eq!(frames, []);
        violation.expect("refused")
    }

    fn control(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[0x80, 3, 0, kind, flags], &length[1..], payload].concat()
    }

    /// Only the 8 bytes in front of a control frame.
    fn head(kind: u8, length: u32) -> Vec<u8> {
        [&[0x80, 3, 0, kind, 0], &length.to_be_bytes()[1..]].concat()
    }

    fn data(stream: u32, bytes: &'static [u8], fin: bool) -> Frame {
        Frame::Data { stream, bytes: Bytes::from_static(bytes), fin, end: true }
    }

    /// The fixed examples of protocol.md C.3.
    #[test]
    fn kubernetes_examples() {
        let wire = b"\0\0\0\x03\0\0\0\x03GET\0\0\0\x03\x01\0\0\0\
            \x80\x03\0\x03\0\0\0\x08\0\0\0\x03\0\0\0\x05\
            \x80\x03\0\x06\0\0\0\x04\0\0\0\x01\
            \x80\x03\0\x07\0\0\0\x08\0\0\0\0\0\0\0\0";
        let expected = [
            data(3, b"GET", false),
            data(3, b"", true),
            Frame::RstStream { stream: 3, status: status::CANCEL },
            Frame::Ping { id: 1 },
            Frame::GoAway { last: 0, status: status::GOAWAY_OK },
        ];
        assert_eq!(frames(wire), expected);
    }

    #[test]
    fn each_kind_is_read() {
        let block = Bytes::from_static(b"block");
        assert_eq!(
            frames(&control(1, 1, b"\0\0\0\x03\0\0\0\x07\xe0\0block")),
            [Frame::SynStream { stream: 3, associated: 7, fin: true, block: block.clone() }]
        );
        assert_eq!(
            frames(&control(2, 0, b"\0\0\0\x03block")),
            [Frame::SynReply { stream: 3, fin: false, block: block.clone() }]
        );
        assert_eq!(
            frames(&control(8, 1, b"\0\0\0\x03block")),
            [Frame::Headers { stream: 3, fin: true, block }]
        );
        assert_eq!(
            frames(&control(2, 1, b"\0\0\0\x03")),
            [Frame::SynReply { stream: 3, fin: true, block: Bytes::new() }]
        );
        assert_eq!(
            frames(&control(9, 0, b"\0\0\0\0\0\0\0\x09")),
            [Frame::WindowUpdate { stream: 0, delta: 9 }]
        );
        assert_eq!(frames(&control(4, 1, b"\0\0\0\0")), [Frame::Settings { entries: 0 }]);
        assert_eq!(
            frames(&control(4, 0, b"\0\0\0\x02\0\0\0\x04\0\0\0\x64\0\0\0\x07\0\0\0\x01")),
            [Frame::Settings { entries: 2 }]
        );
        assert_eq!(frames(&control(5, 0, b"")), [Frame::Unknown { kind: 5 }]);
        assert_eq!(
            frames(&[&control(10, 7, b"credential")[..], &control(6, 0, b"\0\0\0\x02")].concat()),
            [Frame::Unknown { kind: 10 }, Frame::Ping { id: 2 }]
        );
    }

    #[test]
    fn reserved_bits_and_flags_without_a_meaning_are_ignored() {
        assert_eq!(frames(b"\0\0\0\x03\xfe\0\0\x01x"), [data(3, b"x", false)]);
        assert_eq!(
            frames(&control(3, 0xff, b"\x80\0\0\x03\0\0\0\x05")),
            [Frame::RstStream { stream: 3, status: 5 }]
        );
        assert_eq!(
            frames(&control(9, 0xff, b"\x80\0\0\x03\x80\0\0\x05")),
            [Frame::WindowUpdate { stream: 3, delta: 5 }]
        );
        assert_eq!(
            frames(&control(1, 2, b"\x80\0\0\x03\x80\0\0\0\0\0")),
            [Frame::SynStream { stream: 3, associated: 0, fin: false, block: Bytes::new() }],
            "unidirectional"
        );
        assert_eq!(
            frames(&control(7, 0, b"\x80\0\0\x03\0\0\0\x01")),
            [Frame::GoAway { last: 3, status: 1 }]
        );
        assert_eq!(frames(&control(6, 1, b"\x80\0\0\x03")), [Frame::Ping { id: 0x8000_0003 }]);
    }

    #[test]
    fn data_comes_in_the_pieces_it_arrives_in() {
        let mut decoder = Decoder::new(Limits::new());
        let mut decode = |wire: &'static [u8]| {
            let mut input = Bytes::from_static(wire);
            let frame = decoder.decode(&mut input);
            assert!(input.is_empty());
            (frame.unwrap(), decoder.is_idle())
        };
        let piece = |bytes: &'static [u8], end: bool| {
            Some(Frame::Data { stream: 3, bytes: Bytes::from_static(bytes), fin: end, end })
        };
        assert_eq!(decode(b""), (None, true), "an empty message says nothing");
        assert_eq!(decode(b"\0\0\0"), (None, false));
        assert_eq!(decode(b"\x03\x01\0\0\x05"), (None, false), "no piece without bytes");
        assert_eq!(decode(b""), (None, false));
        assert_eq!(decode(b"ab"), (piece(b"ab", false), false));
        assert_eq!(decode(b"c"), (piece(b"c", false), false));
        assert_eq!(decode(b"de"), (piece(b"de", true), true));
    }

    #[test]
    fn nothing_is_copied_that_came_in_one_part() {
        let wire =
            [&b"\0\0\0\x03\0\0\0\x03GET"[..], &control(1, 0, b"\0\0\0\x03\0\0\0\0\0\0block")]
                .concat();
        let mut input = Bytes::from(wire);
        let whole = input.as_ptr() as usize;
        let mut decoder = Decoder::new(Limits::new());
        let Some(Frame::Data { bytes, .. }) = decoder.decode(&mut input).unwrap() else {
            panic!("no data");
        };
        assert_eq!(bytes.as_ptr() as usize, whole + 8);
        let Some(Frame::SynStream { block, .. }) = decoder.decode(&mut input).unwrap() else {
            panic!("no stream");
        };
        assert_eq!(block.as_ptr() as usize, whole + 11 + 18);
    }

    #[test]
    fn a_block_that_comes_in_parts_is_gathered() {
        let wire = Bytes::from(control(2, 0, b"\0\0\0\x03block"));
        let block = Bytes::from_static(b"block");
        let reply = Frame::SynReply { stream: 3, fin: false, block };
        for (one, two) in (1..wire.len()).flat_map(|two| (0..two).map(move |one| (one, two))) {
            let mut decoder = Decoder::new(Limits::new());
            assert_eq!(decoder.decode(&mut wire.slice(..one)), Ok(None));
            assert_eq!(decoder.decode(&mut wire.slice(one..two)), Ok(None));
            assert_eq!(decoder.decode(&mut wire.slice(two..)), Ok(Some(reply.clone())));
            assert!(decoder.is_idle());
        }
    }

    #[test]
    fn a_wrong_length_is_refused_before_the_payload_comes() {
        for (kind, frame, good, bad) in [
            (1, "SYN_STREAM", &[10, 11, 65_536][..], &[0, 9][..]),
            (2, "SYN_REPLY", &[4, 5, 65_536], &[0, 3]),
            (3, "RST_STREAM", &[8], &[0, 7, 9, 16]),
            (4, "SETTINGS", &[4, 12, 8004], &[0, 3, 5, 8, 11, 13]),
            (6, "PING", &[4], &[0, 3, 5, 8]),
            (7, "GOAWAY", &[8], &[0, 7, 9, 16]),
            (8, "HEADERS", &[4, 5, 65_536], &[0, 3]),
            (9, "WINDOW_UPDATE", &[8], &[0, 7, 9, 16]),
        ] {
            for length in good {
                assert_eq!(decode_all(Limits::new(), &head(kind, *length)), (vec![], None));
            }
            for length in bad {
                let violation = refused(&head(kind, *length));
                let SpdyViolation::Length { frame: of, length: is, .. } = violation else {
                    panic!("{frame} of {length}: {violation}");
                };
                assert_eq!((of, is), (frame, *length as usize));
            }
        }
    }

    #[test]
    fn a_frame_over_a_limit_is_refused_before_the_payload_comes() {
        let limits = Limits::new().with_control_frame(100).with_settings(2);
        for (kind, frame) in [(1, "SYN_STREAM"), (2, "SYN_REPLY"), (8, "HEADERS")] {
            assert_eq!(decode_all(limits, &head(kind, 100)), (vec![], None));
            let violation = SpdyViolation::FrameTooBig { frame, length: 101, limit: 100 };
            assert_eq!(decode_all(limits, &head(kind, 101)), (vec![], Some(violation)));
        }
        assert_eq!(decode_all(limits, &head(4, 4 + 16)), (vec![], None));
        let violation = SpdyViolation::TooManySettings { entries: 3, limit: 2 };
        assert_eq!(decode_all(limits, &head(4, 4 + 24)), (vec![], Some(violation)));
        let greatest =
            SpdyViolation::FrameTooBig { frame: "SYN_STREAM", length: 0xff_ffff, limit: 64 * 1024 };
        assert_eq!(refused(&head(1, 0xff_ffff)), greatest);
    }

    #[test]
    fn settings_say_how_many_they_are() {
        for count in [0, 1, 3, u32::MAX] {
            let wire = [&head(4, 4 + 16)[..], &count.to_be_bytes()].concat();
            assert_eq!(refused(&wire), SpdyViolation::SettingsCount { count, room: 2 });
        }
    }

    #[test]
    fn ids_and_statuses_of_zero_are_refused() {
        for (kind, frame, length) in
            [(1, "SYN_STREAM", 10), (2, "SYN_REPLY", 4), (3, "RST_STREAM", 8), (8, "HEADERS", 4)]
        {
            for top in [0, 0x80] {
                let mut payload = vec![top, 0, 0, 0, 0, 0, 0, 5, 0, 0];
                payload.truncate(length);
                let violation = SpdyViolation::StreamZero { frame };
                assert_eq!(refused(&control(kind, 0, &payload)), violation);
            }
        }
        let violation = SpdyViolation::StreamZero { frame: "DATA" };
        assert_eq!(refused(b"\0\0\0\0\0\0\0\x01"), violation);
        assert_eq!(refused(&control(6, 0, b"\0\0\0\0")), SpdyViolation::PingZero);
        let wire = control(3, 0, b"\0\0\0\x03\0\0\0\0");
        assert_eq!(refused(&wire), SpdyViolation::StatusZero);
    }

    #[test]
    fn another_version_is_refused() {
        for version in [0_u16, 2, 4, 0x7fff] {
            let [high, low] = (0x8000 | version).to_be_bytes();
            let wire = [high, low, 0, 6, 0, 0, 0, 4];
            assert_eq!(refused(&wire), SpdyViolation::Version { version });
        }
    }

    /// 16 MiB - 1 of a frame nobody knows go by without a byte held.
    #[test]
    fn an_unknown_frame_is_skipped_whatever_its_length() {
        let mut decoder = Decoder::new(Limits::new().with_control_frame(0));
        let chunk = Bytes::from(vec![0xff; 0x1_0000]);
        assert_eq!(decoder.decode(&mut Bytes::from(head(11, 0xff_ffff))), Ok(None));
        for _ in 0..0xff {
            assert_eq!(decoder.decode(&mut chunk.clone()), Ok(None));
            let State::Skip { left, .. } = &decoder.state else { panic!("{decoder:?}") };
            assert!(*left > 0);
        }
        let mut last = chunk.slice(..0xffff);
        assert_eq!(decoder.decode(&mut last), Ok(Some(Frame::Unknown { kind: 11 })));
        assert!(decoder.is_idle());
    }

    /// Gathering takes the memory that came, not the memory that was promised.
    #[test]
    fn a_promise_of_a_block_takes_no_memory() {
        let mut decoder = Decoder::new(Limits::new());
        let mut wire = Bytes::from([&head(1, 0x1_0000)[..], &[0, 0, 0, 1], &[0; 9]].concat());
        assert_eq!(decoder.decode(&mut wire), Ok(None));
        let State::Block { gathered, left, .. } = &decoder.state else { panic!("{decoder:?}") };
        assert_eq!((gathered.len(), *left), (3, 0x1_0000 - 13));
        assert!(gathered.capacity() <= 64, "{}", gathered.capacity());
    }

    #[test]
    fn a_violation_ends_everything() {
        let mut decoder = Decoder::new(Limits::new());
        let mut wire =
            Bytes::from_static(b"\x80\x03\0\x06\0\0\0\x04\0\0\0\x01\0\0\0\0\0\0\0\0rest");
        assert_eq!(decoder.decode(&mut wire), Ok(Some(Frame::Ping { id: 1 })));
        let violation = Err(SpdyViolation::StreamZero { frame: "DATA" });
        assert_eq!(decoder.decode(&mut wire), violation);
        assert!(wire.is_empty() && !decoder.is_idle());
        let mut good = Bytes::from_static(b"\x80\x03\0\x06\0\0\0\x04\0\0\0\x01");
        assert_eq!(decoder.decode(&mut good), violation);
        assert!(good.is_empty());
    }
}
