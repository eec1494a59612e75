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
                let length =
                    within(header.length, MAX_CONTROL).ok_or(WsViolation::LongControl)?;
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
