//! Our WebSocket frames against tungstenite's, in both directions and both roles.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a panic fails the test")]

use bytes::Bytes;
use portway_proto::{CloseFrame, Kind, Side, Transmit};
use portway_testkit::ws::{Message, ToSend, judge, read_with_cuts, round_trip};
use proptest::prelude::*;
use proptest::sample::Index;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

const LIMIT: usize = 1 << 20;

/// What tungstenite sends.
#[derive(Debug, Clone)]
enum Item {
    /// A data message in fragments, with control messages in front of each but the first.
    Data {
        text: bool,
        fragments: Vec<(Vec<Message>, Vec<u8>)>,
    },
    Control(Message),
}

/// Frames of tungstenite on the wire, and what to make of them.
#[derive(Debug, Default)]
struct Wire {
    bytes: Vec<u8>,
    messages: Vec<Message>,
    /// Frames that end a data message and are empty.
    empty: usize,
}

impl Wire {
    fn new(from: Side, items: &[Item], close: Option<&Message>, key: [u8; 4]) -> Self {
        let mut wire = Self::default();
        let mask = (from == Side::Client).then_some(key);
        for item in items {
            match item {
                Item::Control(message) => wire.control(message, mask),
                Item::Data { text, fragments } => {
                    let mut all = Vec::new();
                    for (index, (before, payload)) in fragments.iter().enumerate() {
                        if index > 0 {
                            before.iter().for_each(|message| wire.control(message, mask));
                        }
                        let opcode = match (index, text) {
                            (0, false) => Data::Binary,
                            (0, true) => Data::Text,
                            _ => Data::Continue,
                        };
                        let last = index + 1 == fragments.len();
                        wire.frame(OpCode::Data(opcode), last, payload, mask);
                        wire.empty += usize::from(last && payload.is_empty());
                        all.extend(payload);
                    }
                    let message = if *text { Message::Text(all) } else { Message::Binary(all) };
                    wire.messages.push(message);
                }
            }
        }
        if let Some(message) = close {
            wire.control(message, mask);
        }
        wire
    }

    fn control(&mut self, message: &Message, mask: Option<[u8; 4]>) {
        let (control, payload) = match message {
            Message::Ping(payload) => (Control::Ping, payload.clone()),
            Message::Pong(payload) => (Control::Pong, payload.clone()),
            Message::Close(None) => (Control::Close, Vec::new()),
            Message::Close(Some((code, reason))) => {
                (Control::Close, [&code.to_be_bytes(), reason.as_bytes()].concat())
            }
            other => panic!("{other:?}"),
        };
        self.frame(OpCode::Control(control), true, &payload, mask);
        self.messages.push(message.clone());
    }

    fn frame(&mut self, opcode: OpCode, is_final: bool, payload: &[u8], mask: Option<[u8; 4]>) {
        let header = FrameHeader { is_final, opcode, mask, ..FrameHeader::default() };
        let frame = Frame::from_payload(header, Bytes::copy_from_slice(payload));
        frame.format(&mut self.bytes).unwrap();
    }
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Client), Just(Side::Server)]
}

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![4 => 0..8_usize, 2 => 120..130_usize, 1 => 65_530..65_540_usize];
    (length, any::<u8>())
        .prop_map(|(length, seed)| (0..length).map(|i| i as u8 ^ seed).collect::<Vec<u8>>())
}

fn small() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=125)
}

fn control() -> impl Strategy<Value = Message> {
    prop_oneof![small().prop_map(Message::Ping), small().prop_map(Message::Pong)]
}

fn close() -> impl Strategy<Value = Message> {
    let code = prop_oneof![Just(1000_u16), Just(1001), Just(1011), 3000..5000_u16];
    prop::option::of((code, "[a-zé€]{0,40}")).prop_map(Message::Close)
}

fn item() -> impl Strategy<Value = Item> {
    let fragment = (prop::collection::vec(control(), 0..2), payload());
    prop_oneof![
        3 => (any::<bool>(), prop::collection::vec(fragment, 1..4)).prop_map(
            |(text, mut fragments)| {
                if text {
                    fragments.iter_mut().flat_map(|(_, bytes)| bytes).for_each(|byte| *byte &= 0x7f);
                }
                Item::Data { text, fragments }
            }
        ),
        1 => control().prop_map(Item::Control),
    ]
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    prop::collection::vec(item(), 0..6)
}

fn to_send() -> impl Strategy<Value = ToSend> {
    let transmit = prop_oneof![
        payload().prop_map(|body| Transmit::new(Kind::Binary, body.into())),
        (any::<[u8; 1]>(), payload()).prop_map(|(head, body)| Transmit::with_head(
            Kind::Binary,
            head,
            body.into()
        )),
        (any::<[u8; 8]>(), payload()).prop_map(|(head, body)| Transmit::with_head(
            Kind::Binary,
            head,
            body.into()
        )),
        "[a-z0-9+/é€]{0,200}".prop_map(|text| Transmit::new(Kind::Text, text.into())),
        (any::<[u8; 3]>(), prop::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(head, body)| Transmit::with_head(Kind::Ping, head, body.into())),
        prop::collection::vec(any::<u8>(), 0..200)
            .prop_map(|body| Transmit::new(Kind::Pong, body.into())),
    ];
    (transmit, any::<[u8; 4]>())
}

#[derive(Debug, Clone)]
enum Mutation {
    Set(Index, u8),
    Flip(Index, u8),
    Remove(Index),
    Insert(Index, u8),
    Cut(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        any::<Index>().prop_map(Mutation::Remove),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        any::<Index>().prop_map(Mutation::Cut),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match mutation {
        Mutation::Set(at, byte) => bytes[at.index(length)] = *byte,
        Mutation::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
        Mutation::Remove(at) => drop(bytes.remove(at.index(length))),
        Mutation::Insert(at, byte) => bytes.insert(at.index(length), *byte),
        Mutation::Cut(at) => bytes.truncate(at.index(length)),
    }
}

/// Valid frames, small enough for a mutation to hit a header.
fn small_frames() -> impl Strategy<Value = Vec<Item>> {
    let fragment = (
        prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..3).prop_map(Message::Ping),
            0..2,
        ),
        prop::collection::vec(any::<u8>(), 0..6),
    );
    let item = (any::<bool>(), prop::collection::vec(fragment, 1..4))
        .prop_map(|(text, fragments)| Item::Data { text, fragments });
    prop::collection::vec(item, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn frames_of_tungstenite_mean_what_they_mean_to_tungstenite(
        from in side(),
        items in items(),
        close in prop::option::of(close()),
        key: [u8; 4],
        seed: u64,
    ) {
        let wire = Wire::new(from, &items, close.as_ref(), key);
        let reading = read_with_cuts(other(from), LIMIT, &wire.bytes, seed);
        prop_assert_eq!(&reading.violation, &None);
        prop_assert_eq!(reading.messages(), (wire.messages, None));
        prop_assert_eq!(reading.empty, wire.empty);
        prop_assert!(reading.idle && reading.left == 0);
        judge(other(from), LIMIT, &wire.bytes);
    }

    #[test]
    fn our_frames_mean_to_tungstenite_what_we_meant(
        from in side(),
        mut messages in prop::collection::vec(to_send(), 0..6),
        close in prop::option::of((1000..1004_u16, "[a-zé€]{0,150}", any::<[u8; 4]>())),
        seed: u64,
    ) {
        if let Some((code, reason, key)) = close {
            let mut frame = CloseFrame::new(code, "");
            frame.reason = reason;
            messages.push((Transmit::close(&frame), key));
        }
        round_trip(from, &messages, seed);
    }

    #[test]
    fn both_refuse_the_same_at_the_same_place(
        from in side(),
        items in small_frames(),
        close in prop::option::of(close()),
        key: [u8; 4],
        mutations in prop::collection::vec(mutation(), 0..4),
        limit in prop_oneof![Just(4_usize), Just(8), Just(LIMIT)],
        seed: u64,
    ) {
        let mut bytes = Wire::new(from, &items, close.as_ref(), key).bytes;
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        for side in [Side::Client, Side::Server] {
            read_with_cuts(side, limit, &bytes, seed);
            judge(side, limit, &bytes);
        }
    }

    #[test]
    fn any_bytes_mean_the_same_to_both(
        bytes in prop::collection::vec(
            prop_oneof![0..=255_u8, 0..5_u8, 0x80..0x8c_u8],
            0..60,
        ),
        limit in prop_oneof![Just(0_usize), Just(2), Just(LIMIT)],
        seed: u64,
    ) {
        for side in [Side::Client, Side::Server] {
            read_with_cuts(side, limit, &bytes, seed);
            judge(side, limit, &bytes);
        }
    }
}

#[test]
fn every_close_code_is_treated_as_tungstenite_does() {
    for code in 0..=u16::MAX {
        judge(Side::Client, LIMIT, &[&b"\x88\x03"[..], &code.to_be_bytes(), b"x"].concat());
    }
}

#[test]
fn every_first_two_bytes_are_treated_as_tungstenite_does() {
    for start in [&b""[..], b"\x02\x01a"] {
        for head in 0..=u16::MAX {
            let head = head.to_be_bytes();
            for side in [Side::Client, Side::Server] {
                let start = if side == Side::Client { start } else { b"" };
                judge(side, LIMIT, &[start, &head, &[1; 12]].concat());
            }
        }
    }
}
