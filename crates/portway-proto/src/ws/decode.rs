use std::str;

use bytes::{Buf, Bytes, BytesMut};

use super::WsViolation;
use super::header::{Control, Data, Header, MAX_CONTROL, Opcode};
use super::mask::Mask;
use crate::{CloseFrame, Incoming, Side};

/// Takes the bytes that the transport read apart into pieces of messages.
///
/// A piece is a slice of the memory it was read into: nothing is copied, gathered or allocated, and a
/// mask is taken off where the bytes are. So the memory of a read stays in use until its pieces are
/// dropped.
///
/// What the decoder needs from its caller: read into `input`, at least 139 bytes of room (a control
/// frame is taken only whole), then [`decode`](Self::decode) until it says `Ok(None)`.
///
/// What it leaves to its caller: text is not checked to be UTF-8. The one wire form with text messages
/// is base64, whose reader says itself what is wrong with other bytes.
#[derive(Debug)]
pub struct Decoder {
    side: Side,
    max_message: usize,
    state: State,
    /// The data message whose last fragment has not been taken to its end yet.
    message: Option<Message>,
}

#[derive(Debug)]
enum State {
    /// The header of a frame comes next.
    Header,
    /// Payload of a text, binary or continuation frame comes next, at least a byte.
    Data { fin: bool, left: usize, mask: Option<Mask> },
    /// Payload of a control frame comes next, to be taken whole.
    Control { control: Control, length: usize, mask: Option<Mask> },
    /// The peer said goodbye.
    Closed,
    /// The peer broke the protocol. Latched.
    Failed(WsViolation),
}

#[derive(Debug, Clone, Copy)]
struct Message {
    text: bool,
    /// Bytes of payload in the frames so far, the current one included.
    length: usize,
}

impl Decoder {
    /// A decoder for what comes in at our side: a client takes frames without a mask, a server frames
    /// with one (RFC 6455 section 5.1), and either refuses the other's.
    ///
    /// `max_message` is the most payload of one text or binary message, in bytes, summed over its
    /// fragments. It costs no memory, as messages are not gathered.
    pub const fn new(side: Side, max_message: usize) -> Self {
        Self { side, max_message, state: State::Header, message: None }
    }

    /// Takes the next piece off the front of `input`. `Ok(None)`: it needs more bytes.
    ///
    /// A data message comes in as many pieces as it takes; the last has `end: true`. A piece is empty
    /// only if the frame that ends the message is. A ping, a pong and a Close come whole, and may stand
    /// between the pieces of a data message (section 5.4).
    ///
    /// A Close whose status code may not be sent (section 7.4: below 1000, 1004 to 1006, 1014 to 2999,
    /// from 5000 on) is passed on as 1002 with the reason "Protocol violation", so that it can be
    /// echoed. After a Close nothing is decoded: `input` is emptied and the answer is `Ok(None)`.
    ///
    /// # Errors
    ///
    /// What the peer did wrong, as soon as its header shows it. The error latches: every later call
    /// empties `input` and gives the same. Pieces taken before it are good, though the last message
    /// may lack its end.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, WsViolation> {
        let result = self.next(input);
        if let Err(violation) = &result {
            self.state = State::Failed(violation.clone());
            input.clear();
        }
        result
    }

    /// No message and no frame has been taken in part. A transport that ends while this is false, or
    /// with bytes left in the input, cut something off; so did a Close after which this is false.
    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Header | State::Closed) && self.message.is_none()
    }

    fn next(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, WsViolation> {
        loop {
            match &mut self.state {
                State::Header => {
                    let Some((header, rest)) = Header::parse(input)? else { return Ok(None) };
                    let taken = input.len() - rest.len();
                    self.state = self.begin(header)?;
                    input.advance(taken);
                    // The only frame without payload that says anything is a message's last.
                    if let State::Data { fin, left: 0, .. } = self.state {
                        self.state = State::Header;
                        if fin {
                            return Ok(self.piece(Bytes::new(), true));
                        }
                    }
                }
                State::Data { .. } if input.is_empty() => return Ok(None),
                State::Data { fin, left, mask } => {
                    let bytes = take(input, input.len().min(*left), mask);
                    *left -= bytes.len();
                    let ended = *left == 0;
                    let end = ended && *fin;
                    if ended {
                        self.state = State::Header;
                    }
                    return Ok(self.piece(bytes, end));
                }
                State::Control { length, .. } if input.len() < *length => return Ok(None),
                State::Control { control, length, mask } => {
                    let control = *control;
                    let payload = take(input, *length, mask);
                    self.state = State::Header;
                    return match control {
                        Control::Ping => Ok(Some(Incoming::Ping(payload))),
                        Control::Pong => Ok(Some(Incoming::Pong(payload))),
                        Control::Close => {
                            let frame = parse_close(&payload)?;
                            self.state = State::Closed;
                            input.clear();
                            Ok(Some(Incoming::Close(frame)))
                        }
                    };
                }
                State::Closed => {
                    input.clear();
                    return Ok(None);
                }
                State::Failed(violation) => return Err(violation.clone()),
            }
        }
    }

    /// Holds a header against the role, the message it stands in and the limits.
    fn begin(&mut self, header: Header) -> Result<State, WsViolation> {
        match (self.side, header.key) {
            (Side::Server, None) => return Err(WsViolation::Unmasked),
            (Side::Client, Some(_)) => return Err(WsViolation::Masked),
            (Side::Server, Some(_)) | (Side::Client, None) => {}
        }
        let mask = header.key.map(Mask::new);
        match header.opcode {
            Opcode::Control(control) => {
                if !header.fin {
                    return Err(WsViolation::FragmentedControl);
                }
                let length = within(header.length, MAX_CONTROL).ok_or(WsViolation::LongControl)?;
                Ok(State::Control { control, length, mask })
            }
            Opcode::Data(data) => {
                let before = match (data, self.message) {
                    (Data::Continuation, None) => return Err(WsViolation::UnexpectedContinuation),
                    (Data::Continuation, Some(message)) => message,
                    (Data::Text | Data::Binary, Some(_)) => {
                        return Err(WsViolation::InterruptedMessage);
                    }
                    (Data::Text, None) => Message { text: true, length: 0 },
                    (Data::Binary, None) => Message { text: false, length: 0 },
                };
                let limit = self.max_message;
                let left = within(header.length, limit - before.length)
                    .ok_or(WsViolation::MessageTooBig { limit })?;
                self.message = Some(Message { length: before.length + left, ..before });
                Ok(State::Data { fin: header.fin, left, mask })
            }
        }
    }

    fn piece(&mut self, bytes: Bytes, end: bool) -> Option<Incoming> {
        let message = if end { self.message.take() } else { self.message };
        message.map(|Message { text, .. }| {
            if text { Incoming::Text { bytes, end } } else { Incoming::Binary { bytes, end } }
        })
    }
}

/// A length from the wire as a length in memory.
fn within(length: u64, limit: usize) -> Option<usize> {
    usize::try_from(length).ok().filter(|length| *length <= limit)
}

fn take(input: &mut BytesMut, length: usize, mask: &mut Option<Mask>) -> Bytes {
    if length == 0 {
        return Bytes::new();
    }
    let mut bytes = input.split_to(length);
    if let Some(mask) = mask {
        mask.apply(&mut bytes);
    }
    bytes.freeze()
}

/// The payload of a Close: nothing, or a status code and a reason (RFC 6455 section 5.5.1).
fn parse_close(payload: &[u8]) -> Result<Option<CloseFrame>, WsViolation> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [_] => return Err(WsViolation::BadClose),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    let reason = str::from_utf8(reason).map_err(|_| WsViolation::BadCloseReason)?;
    Ok(Some(match code {
        1000..=1003 | 1007..=1013 | 3000..=4999 => CloseFrame::new(code, reason),
        _ => CloseFrame::new(CloseFrame::PROTOCOL_ERROR, "Protocol violation"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_all(side: Side, limit: usize, wire: &[u8]) -> (Vec<Incoming>, Option<WsViolation>) {
        let mut decoder = Decoder::new(side, limit);
        let mut input = BytesMut::from(wire);
        let mut pieces = Vec::new();
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(piece)) => pieces.push(piece),
                Ok(None) => return (pieces, None),
                Err(violation) => return (pieces, Some(violation)),
            }
        }
    }

    fn client(wire: &[u8]) -> Vec<Incoming> {
        let (pieces, violation) = decode_all(Side::Client, 1 << 20, wire);
        assert_eq!(violation, None);
        pieces
    }

    fn refused(side: Side, wire: &[u8]) -> WsViolation {
        let (pieces, violation) = decode_all(side, 100, wire);
        assert_eq!(pieces, []);
        violation.expect("refused")
    }

    fn binary(bytes: &[u8], end: bool) -> Incoming {
        Incoming::Binary { bytes: Bytes::copy_from_slice(bytes), end }
    }

    fn text(bytes: &[u8], end: bool) -> Incoming {
        Incoming::Text { bytes: Bytes::copy_from_slice(bytes), end }
    }

    /// RFC 6455 section 5.7.
    #[test]
    fn rfc_examples() {
        assert_eq!(client(b"\x81\x05Hello"), [text(b"Hello", true)]);
        let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        assert_eq!(decode_all(Side::Server, 5, masked), (vec![text(b"Hello", true)], None));
        assert_eq!(
            client(b"\x01\x03Hel\x80\x02lo"),
            [text(b"Hel", false), text(b"lo", true)],
            "fragmented"
        );
        assert_eq!(client(b"\x89\x05Hello"), [Incoming::Ping(Bytes::from_static(b"Hello"))]);
        let masked = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let pong = Incoming::Pong(Bytes::from_static(b"Hello"));
        assert_eq!(decode_all(Side::Server, 5, masked), (vec![pong], None));
        let medium = [&[0x82, 0x7e, 1, 0][..], &[7; 256]].concat();
        assert_eq!(client(&medium), [binary(&[7; 256], true)]);
        let long = [&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0][..], &[7; 65_536]].concat();
        assert_eq!(client(&long), [binary(&[7; 65_536], true)]);
    }

    /// protocol.md B.2.
    #[test]
    fn kubernetes_examples() {
        assert_eq!(
            client(b"\x82\x03\0\x90\x1f\x82\x03\x01\x90\x1f\x82\x04\0GET\x88\x02\x03\xe8"),
            [
                binary(b"\0\x90\x1f", true),
                binary(b"\x01\x90\x1f", true),
                binary(b"\0GET", true),
                Incoming::Close(Some(CloseFrame::new(CloseFrame::NORMAL, ""))),
            ]
        );
        assert_eq!(
            client(b"\x81\x050kB8=\x81\x050R0VU"),
            [text(b"0kB8=", true), text(b"0R0VU", true)]
        );
        let masked = b"\x82\x84\x37\xfa\x21\x3d\x37\xbd\x64\x69";
        assert_eq!(decode_all(Side::Server, 4, masked), (vec![binary(b"\0GET", true)], None));
    }

    #[test]
    fn a_frame_comes_in_the_pieces_it_arrives_in() {
        let mut decoder = Decoder::new(Side::Server, 10);
        let mut input = BytesMut::from(&b"\x82\x87\x01\x02\x03\x04"[..]);
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert!(!decoder.is_idle());
        input.extend_from_slice(&[b'a' ^ 1]);
        assert_eq!(decoder.decode(&mut input), Ok(Some(binary(b"a", false))));
        assert_eq!(decoder.decode(&mut input), Ok(None));
        input.extend_from_slice(&[b'b' ^ 2, b'c' ^ 3, b'd' ^ 4, b'e' ^ 1, b'f' ^ 2]);
        assert_eq!(decoder.decode(&mut input), Ok(Some(binary(b"bcdef", false))));
        input.extend_from_slice(&[b'g' ^ 3]);
        assert_eq!(decoder.decode(&mut input), Ok(Some(binary(b"g", true))));
        assert!(decoder.is_idle());
    }

    #[test]
    fn control_frames_stand_between_the_pieces() {
        assert_eq!(
            client(b"\x02\x01a\x89\x00\x00\x01b\x8a\x01x\x80\x01c\x82\x01d"),
            [
                binary(b"a", false),
                Incoming::Ping(Bytes::new()),
                binary(b"b", false),
                Incoming::Pong(Bytes::from_static(b"x")),
                binary(b"c", true),
                binary(b"d", true),
            ]
        );
    }

    #[test]
    fn a_control_frame_comes_whole() {
        let mut decoder = Decoder::new(Side::Client, 0);
        let mut input = BytesMut::from(&b"\x89\x02h"[..]);
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert_eq!((&input[..], decoder.is_idle()), (&b"h"[..], false));
        input.extend_from_slice(b"i");
        let ping = Incoming::Ping(Bytes::from_static(b"hi"));
        assert_eq!(decoder.decode(&mut input), Ok(Some(ping)));
        assert!(decoder.is_idle());
    }

    /// gorilla ends every message over 8 KiB with an empty fragment (protocol.md C.1).
    #[test]
    fn only_an_empty_last_fragment_is_an_empty_piece() {
        assert_eq!(client(b"\x82\0"), [binary(b"", true)]);
        assert_eq!(client(b"\x02\0\0\0\x80\0"), [binary(b"", true)]);
        assert_eq!(client(b"\x02\x01a\0\0\x80\0"), [binary(b"a", false), binary(b"", true)]);
        assert_eq!(client(b"\x01\0\x00\x01a\x80\x01b"), [text(b"a", false), text(b"b", true)]);
    }

    #[test]
    fn lengths_may_take_more_bytes_than_they_need() {
        assert_eq!(client(b"\x82\x7e\0\x01a"), [binary(b"a", true)]);
        assert_eq!(client(b"\x82\x7f\0\0\0\0\0\0\0\x01a"), [binary(b"a", true)]);
        assert_eq!(client(b"\x89\x7e\0\x01a"), [Incoming::Ping(Bytes::from_static(b"a"))]);
    }

    #[test]
    fn text_need_not_be_utf_8() {
        assert_eq!(client(b"\x81\x01\xff"), [text(b"\xff", true)]);
    }

    #[test]
    fn each_violation() {
        for bits in [0x10, 0x20, 0x40] {
            assert_eq!(refused(Side::Client, &[0x82 | bits, 0]), WsViolation::ReservedBits);
        }
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            let violation = WsViolation::ReservedOpcode(opcode);
            assert_eq!(refused(Side::Client, &[0x80 | opcode, 0]), violation);
        }
        assert_eq!(refused(Side::Server, b"\x82\x01a"), WsViolation::Unmasked);
        assert_eq!(refused(Side::Server, b"\x89\x00"), WsViolation::Unmasked);
        assert_eq!(refused(Side::Client, b"\x82\x81\x01\x02\x03\x04a"), WsViolation::Masked);
        for control in [8, 9, 10] {
            assert_eq!(refused(Side::Client, &[control, 0]), WsViolation::FragmentedControl);
            let long = [0x80 | control, 126, 0, 126];
            assert_eq!(refused(Side::Client, &long), WsViolation::LongControl);
        }
        assert_eq!(refused(Side::Client, b"\x80\x00"), WsViolation::UnexpectedContinuation);
        assert_eq!(refused(Side::Client, b"\x00\x00"), WsViolation::UnexpectedContinuation);
        assert_eq!(refused(Side::Client, b"\x02\x00\x82\x01a"), WsViolation::InterruptedMessage);
        assert_eq!(refused(Side::Client, b"\x02\x00\x01\x01a"), WsViolation::InterruptedMessage);
        assert_eq!(refused(Side::Client, b"\x82\x65"), WsViolation::MessageTooBig { limit: 100 });
        let top_bit = b"\x82\x7f\x80\0\0\0\0\0\0\x01a";
        assert_eq!(refused(Side::Client, top_bit), WsViolation::BadLength);
        assert_eq!(refused(Side::Client, b"\x88\x01\x03"), WsViolation::BadClose);
        assert_eq!(refused(Side::Client, b"\x88\x03\x03\xe8\xff"), WsViolation::BadCloseReason);
    }

    #[test]
    fn the_limit_is_on_the_sum_of_the_fragments() {
        let (pieces, violation) = decode_all(Side::Client, 3, b"\x02\x02ab\x00\x01c\x80\0");
        assert_eq!((pieces.len(), violation), (3, None));
        let (pieces, violation) = decode_all(Side::Client, 3, b"\x02\x02ab\x00\x01c\x80\x01d");
        assert_eq!((pieces.len(), violation.is_some()), (2, true));
        let wire = b"\x02\x02ab\x89\0\x80\x02cd";
        let (pieces, violation) = decode_all(Side::Client, 3, wire);
        assert_eq!(pieces, [binary(b"ab", false), Incoming::Ping(Bytes::new())]);
        assert_eq!(violation, Some(WsViolation::MessageTooBig { limit: 3 }));
        let (pieces, violation) = decode_all(Side::Client, 3, b"\x82\x03abc\x82\x03def");
        assert_eq!((pieces.len(), violation), (2, None), "each message counts for itself");
        let most = b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff";
        let (_, violation) = decode_all(Side::Client, 3, most);
        assert_eq!(violation, Some(WsViolation::MessageTooBig { limit: 3 }));
    }

    #[test]
    fn a_violation_latches() {
        let mut decoder = Decoder::new(Side::Client, 3);
        let mut input = BytesMut::from(&b"\x82\x04abcd"[..]);
        let violation = Err(WsViolation::MessageTooBig { limit: 3 });
        assert_eq!(decoder.decode(&mut input), violation);
        assert!(input.is_empty());
        input.extend_from_slice(b"\x82\x01a");
        assert_eq!(decoder.decode(&mut input), violation);
        assert!(input.is_empty());
        assert!(!decoder.is_idle());
    }

    #[test]
    fn after_a_close_nothing_is_decoded() {
        let mut decoder = Decoder::new(Side::Client, 3);
        let mut input = BytesMut::from(&b"\x88\x00\x82\x01a"[..]);
        assert_eq!(decoder.decode(&mut input), Ok(Some(Incoming::Close(None))));
        assert!(input.is_empty() && decoder.is_idle());
        input.extend_from_slice(b"\xff\xff\xff");
        assert_eq!(decoder.decode(&mut input), Ok(None));
        assert!(input.is_empty());
    }

    #[test]
    fn a_close_inside_of_a_message_is_no_clean_end() {
        let mut decoder = Decoder::new(Side::Client, 3);
        let mut input = BytesMut::from(&b"\x02\x01a\x88\x00"[..]);
        assert_eq!(decoder.decode(&mut input), Ok(Some(binary(b"a", false))));
        assert_eq!(decoder.decode(&mut input), Ok(Some(Incoming::Close(None))));
        assert!(!decoder.is_idle());
    }

    #[test]
    fn close_codes() {
        let close =
            |code: u16| match &client(&[&[0x88, 3], &code.to_be_bytes()[..], b"x"].concat())[..] {
                [Incoming::Close(Some(frame))] => (frame.code, frame.reason.clone()),
                other => panic!("{other:?}"),
            };
        for good in [1000, 1003, 1007, 1008, 1011, 1013, 3000, 4999] {
            assert_eq!(close(good), (good, "x".to_owned()));
        }
        for bad in [0, 999, 1004, 1005, 1006, 1014, 1015, 1016, 2999, 5000, 65_535] {
            assert_eq!(close(bad), (1002, "Protocol violation".to_owned()), "{bad}");
        }
    }

    #[test]
    fn pieces_lie_in_the_memory_that_was_read_into() {
        let wire =
            b"\x02\x82\x01\x02\x03\x04ab\x89\x81\x01\x02\x03\x04c\x80\x83\x01\x02\x03\x04def";
        let mut input = BytesMut::from(&wire[..]);
        let memory = input.as_ptr_range();
        let mut decoder = Decoder::new(Side::Server, 100);
        let mut at = Vec::new();
        while let Some(piece) = decoder.decode(&mut input).unwrap() {
            if let Incoming::Binary { bytes, .. } | Incoming::Ping(bytes) = piece {
                at.push(bytes.as_ptr() as usize - memory.start as usize);
            }
        }
        assert_eq!(at, [6, 14, 21]);
    }
}
