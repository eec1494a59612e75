//! WebSocket frames. The oracle is tungstenite.

use bytes::Bytes;
use portway_proto::{CloseFrame, Kind, Side, Transmit};

use crate::ws::{ToSend, judge, read_with_cuts, round_trip};

/// Limits worth a try: nothing, a short length, the next, one that a 64-bit length is needed for.
const LIMITS: [usize; 4] = [0, 125, 1000, 70_000];

/// Any bytes mean to our decoder what they mean to tungstenite, wherever the reads cut them.
///
/// The first byte: role (1 bit), limit (2 bits), seed of the cuts (5 bits). The rest is the wire.
pub fn decode(data: &[u8]) {
    let Some((&first, wire)) = data.split_first() else { return };
    let limit = LIMITS[usize::from(first >> 1) % LIMITS.len()];
    read_with_cuts(side(first), limit, wire, u64::from(first >> 3));
    judge(side(first), limit, wire);
}

/// What we encode is what tungstenite encodes, and both read it as it was meant.
///
/// The first byte: role (1 bit), seed of the cuts (7 bits). Then messages of `MESSAGE` bytes: kind,
/// length of the head and of the whole, content, masking key.
pub fn roundtrip(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let mut messages: Vec<ToSend> = Vec::new();
    let mut room = 200_000;
    for &[kind, head, high, low, fill, key @ ..] in rest.as_chunks::<MESSAGE>().0 {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let length = match head & 0x80 {
            0 => length % 1500,
            _ => LENGTHS[length % LENGTHS.len()],
        };
        if length > room {
            break;
        }
        room -= length;
        let transmit = match kind % 5 {
            0 => message(Kind::Binary, head, length, |i| (i as u8).wrapping_mul(fill)),
            1 => message(Kind::Text, head, length, |i| (i as u8 ^ fill) & 0x7f),
            2 => message(Kind::Ping, head, length, |i| i as u8 ^ fill),
            3 => message(Kind::Pong, head, length, |i| i as u8 ^ fill),
            _ => {
                let mut frame = CloseFrame::new(1000, "");
                frame.reason = CHARACTERS[usize::from(fill) % 4].repeat(length.min(200));
                Transmit::close(&frame)
            }
        };
        let closes = transmit.kind() == Kind::Close;
        messages.push((transmit, key));
        if closes {
            break;
        }
    }
    round_trip(side(first), &messages, u64::from(first >> 1));
}

/// Bytes of input for a message of [`roundtrip`].
const MESSAGE: usize = 9;

/// Lengths of payload around which the form of a header changes.
const LENGTHS: [usize; 10] = [0, 1, 2, 124, 125, 126, 127, 65_535, 65_536, 65_537];

/// For reasons of a Close, which are cut between characters.
const CHARACTERS: [&str; 4] = ["e", "é", "€", "😀"];

fn side(first: u8) -> Side {
    if first & 1 == 0 { Side::Client } else { Side::Server }
}

fn message(kind: Kind, head: u8, length: usize, byte: impl Fn(usize) -> u8) -> Transmit {
    let payload: Vec<u8> = (0..length).map(byte).collect();
    let head = usize::from(head & 0x7f) % 9;
    match (head, payload.split_first_chunk::<1>(), payload.split_first_chunk::<8>()) {
        (1..=4, Some((head, body)), _) => {
            Transmit::with_head(kind, *head, Bytes::copy_from_slice(body))
        }
        (5.., _, Some((head, body))) => {
            Transmit::with_head(kind, *head, Bytes::copy_from_slice(body))
        }
        _ => Transmit::new(kind, payload.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the seeds of both targets: `cargo test -p portway-testkit -- --ignored write_ws_seeds`.
    #[test]
    #[ignore = "writes files"]
    fn write_ws_seeds() {
        crate::harness::seeds::write(seeds());
    }

    #[test]
    fn every_ws_seed_passes() {
        crate::harness::seeds::check(seeds());
    }

    fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
        // Role in bit 0, limit 1000 in bits 1 and 2.
        const CLIENT: u8 = 0b100;
        const SERVER: u8 = 0b101;
        let wire = |first: u8, frames: &[&[u8]]| [&[first], &frames.concat()[..]].concat();
        let long = [&[0x82, 0x7e, 1, 0][..], &[7; 256]].concat();
        let decode = [
            ("v4-prefixes", wire(CLIENT, &[b"\x82\x03\0\x90\x1f", b"\x82\x03\x01\x90\x1f"])),
            ("v4-base64", wire(CLIENT, &[b"\x81\x050kB8=", b"\x81\x050R0VU"])),
            ("masked", wire(SERVER, &[b"\x82\x84\x37\xfa\x21\x3d\x37\xbd\x64\x69"])),
            (
                "masked-fragments",
                wire(
                    SERVER,
                    &[
                        b"\x02\x83\x01\x02\x03\x04abc",
                        b"\x89\x81\x05\x06\x07\x08d",
                        b"\x80\x82\x09\x0a\x0b\x0cef",
                    ],
                ),
            ),
            ("long", wire(CLIENT, &[&long])),
            ("fragments", wire(CLIENT, &[b"\x02\x04SPDY", b"\x89\x02hi", b"\x00\x01!", b"\x80\0"])),
            ("fragments-over-limit", wire(0b010, &[b"\x02\x4d", &[7; 77], b"\x80\x4d", &[7; 77]])),
            ("not-minimal", wire(CLIENT, &[b"\x82\x7f\0\0\0\0\0\0\0\x02ab", b"\x8a\x7e\0\x01c"])),
            ("top-bit", wire(CLIENT, &[b"\x82\x7f\x80\0\0\0\0\0\0\x02ab"])),
            ("close", wire(CLIENT, &[b"\x81\x02hi", b"\x88\x02\x03\xe8", b"\x82\x01x"])),
            ("close-bad-code", wire(CLIENT, &[b"\x88\x03\x03\xedx"])),
            ("close-bad-reason", wire(CLIENT, &[b"\x88\x04\x03\xe8\xff\xfe"])),
            ("reserved", wire(CLIENT, &[b"\xc2\x01x", b"\x83\x01x"])),
        ];
        let message = |kind: u8, head: u8, length: u16| {
            let [high, low] = length.to_be_bytes();
            [kind, head, high, low, 7, 0x37, 0xfa, 0x21, 0x3d]
        };
        let sent =
            |first: u8, messages: &[[u8; MESSAGE]]| [&[first], &messages.concat()[..]].concat();
        let roundtrip = [
            ("client", sent(0, &[message(0, 1, 300), message(1, 0, 5), message(0, 8, 1200)])),
            ("server", sent(1, &[message(0, 1, 300), message(1, 0, 5), message(0, 8, 1200)])),
            ("lengths", sent(0, &[message(0, 0x81, 5), message(0, 0x80, 8), message(0, 0x88, 4)])),
            ("control", sent(1, &[message(2, 0, 0), message(3, 1, 130), message(4, 0, 200)])),
            ("empty", sent(0, &[message(0, 0, 0), message(1, 0, 0), message(4, 0, 0)])),
        ];
        let decode = decode.map(|(name, bytes)| ("ws_decode", name, bytes));
        let roundtrip = roundtrip.map(|(name, bytes)| ("ws_roundtrip", name, bytes));
        decode.into_iter().chain(roundtrip).collect()
    }
}
