//! SPDY/3.1 frames and header blocks. The oracles are a naive reader and zlib.

use portway_proto::spdy::Limits;

use crate::spdy_oracle::{judge, judge_blocks, round_trip};

/// Any bytes mean the same frames and the same violation wherever the reads cut them, and the same as
/// to a naive reader; what we can send of them comes back as it was.
///
/// The first byte: limits (1 bit), seed of the cuts (7 bits). The rest is the wire.
pub fn frame(data: &[u8]) {
    let Some((&first, wire)) = data.split_first() else { return };
    let limits = match first & 1 {
        0 => Limits::new(),
        _ => Limits::new().with_control_frame(100).with_settings(2),
    };
    judge(limits, wire, u64::from(first >> 1));
}

/// Header blocks: any bytes within the limits, or real headers there and back.
///
/// Bit 0 of the first byte decides. For bytes, bit 1 is for narrow limits, bit 2 puts the start of a
/// stream in front of the first block, and bit 3 a sync flush behind each; then come blocks with their
/// length in front, in 2 bytes. For headers, the other bits are zlib's level; then come headers of
/// `HEADER` bytes: length of the name and whether a block starts, the name's first letter, length and
/// content of the value.
pub fn headers(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    if first & 1 == 0 {
        any_blocks(first, rest);
    } else {
        real_headers(i32::from(first >> 1) % 10, rest);
    }
}

fn any_blocks(first: u8, mut rest: &[u8]) {
    let limits = match first & 2 {
        0 => Limits::new(),
        _ => Limits::new().with_header_block(300).with_headers(3).with_name(12).with_value(40),
    };
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    while blocks.len() < 40
        && let Some(([high, low], after)) = rest.split_first_chunk()
    {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (block, after) = after.split_at(length);
        rest = after;
        let start = blocks.is_empty() && first & 4 != 0;
        let start: &[u8] = if start { b"\x78\xbb\xe3\xc6\xa7\xc2" } else { b"" };
        let end: &[u8] = if first & 8 != 0 { b"\0\0\0\xff\xff" } else { b"" };
        blocks.push([start, block, end].concat());
    }
    judge_blocks(limits, blocks.iter().map(Vec::as_slice));
}

fn real_headers(level: i32, rest: &[u8]) {
    let mut blocks: Vec<Vec<(String, String)>> = vec![Vec::new()];
    let mut room = 64_000;
    for &[flags, letter, high, low, fill] in rest.as_chunks::<HEADER>().0 {
        let length = usize::from(u16::from_be_bytes([high, low])) % 5000;
        if length > room {
            break;
        }
        room -= length;
        if flags & 0x80 != 0 {
            blocks.push(Vec::new());
        }
        let block = blocks.last_mut().expect("there is one");
        let letter = char::from(b'a' + letter % 26);
        let name = format!("{}{}", letter.to_string().repeat(flags.into()), block.len());
        let value = (0..length).map(|at| char::from(at as u8 & 0x3f ^ fill & 0x7f)).collect();
        block.push((name, value));
    }
    round_trip(level, &blocks);
}

/// Bytes of input for one of [`real_headers`].
const HEADER: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spdy_oracle::{blocks, content, recorded};
    use crate::transcript::Transcript;

    /// Writes the seeds of both targets: `cargo test -p portway-testkit -- --ignored write_spdy_seeds`.
    #[test]
    #[ignore = "writes files"]
    fn write_spdy_seeds() {
        crate::harness::seeds::write(seeds());
    }

    #[test]
    fn every_spdy_seed_passes() {
        crate::harness::seeds::check(seeds());
    }

    fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
        let mut seeds = Vec::new();
        for name in [
            "tunnel-kubectl-refused",
            "tunnel-kubectl-three-connections",
            "tunnel-apiserver-kubectl-long-answer",
            "tunnel-apiserver-kubectl-parallel",
            "tunnel-apiserver-portway-parallel",
            "spdy-kubectl-1.30-goaway",
        ] {
            let transcript = Transcript::load(name);
            let name = name.trim_start_matches("tunnel-");
            for (side, from_client) in [("client", true), ("server", false)] {
                let wire = recorded(&transcript, from_client);
                let mut of_blocks = vec![0];
                for block in blocks(&judge(Limits::new(), &wire, 1).frames) {
                    of_blocks.extend((block.len() as u16).to_be_bytes());
                    of_blocks.extend(block);
                }
                seeds.push(("spdy_headers", format!("{name}-{side}"), of_blocks));
                seeds.push(("spdy_frame", format!("{name}-{side}"), [&[2], &wire[..]].concat()));
            }
        }
        let mut frame = |name: &str, first: u8, wire: &[&[u8]]| {
            let bytes = [&[first], &wire.concat()[..]].concat();
            seeds.push(("spdy_frame", name.to_owned(), bytes));
        };
        frame("data", 2, &[b"\0\0\0\x03\0\0\0\x03GET", b"\0\0\0\x03\x01\0\0\0"]);
        frame("headers", 2, &[b"\x80\x03\0\x08\x01\0\0\x06\0\0\0\x01ab"]);
        frame("window-update", 2, &[b"\x80\x03\0\x09\0\0\0\x08\0\0\0\0\0\0\0\x09"]);
        let settings =
            b"\x80\x03\0\x04\0\0\0\x14\0\0\0\x02\0\0\0\x04\0\0\0\x64\0\0\0\x07\0\0\0\x01";
        frame("settings", 3, &[settings, b"\x80\x03\0\x06\0\0\0\x04\0\0\0\x01"]);
        frame("settings-over-limit", 3, &[b"\x80\x03\0\x04\0\0\0\x1c\0\0\0\x03"]);
        frame("unknown", 2, &[b"\x80\x03\0\x0a\x07\0\0\x05abcde", b"\x80\x03\0\x05\0\0\0\0"]);
        frame("big", 3, &[b"\x80\x03\0\x02\0\0\0\x65\0\0\0\x01"]);
        frame("stream-zero", 2, &[b"\x80\x03\0\x01\0\0\0\x0a\0\0\0\0\0\0\0\0\0\0"]);
        frame("status-zero", 2, &[b"\x80\x03\0\x03\0\0\0\x08\0\0\0\x01\0\0\0\0"]);
        frame("version", 2, &[b"\x80\x02\0\x06\0\0\0\x04\0\0\0\x01"]);

        // Flags: narrow limits, with a start, with a flush.
        const NARROW: u8 = 2;
        const HELPED: u8 = 4 | 8;
        let mut headers = |name: &str, first: u8, parts: &[&[u8]]| {
            let mut bytes = vec![first];
            for part in parts {
                bytes.extend((part.len() as u16).to_be_bytes());
                bytes.extend(*part);
            }
            seeds.push(("spdy_headers", name.to_owned(), bytes));
        };
        let stored = |texts: &[(&str, &str)]| {
            let texts: Vec<_> =
                texts.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            let content = content(texts.into_iter());
            let length = content.len() as u16;
            [&[0], &length.to_le_bytes()[..], &(!length).to_le_bytes(), &content].concat()
        };
        let block = stored(&[("port", "8080"), ("requestid", "0")]);
        headers("stored", NARROW | HELPED, &[&block, &stored(&[]), &block]);
        headers("twice", HELPED, &[&stored(&[("a", "1"), ("a", "2")])]);
        headers("upper-case", HELPED, &[&stored(&[("Port", "1")])]);
        headers("too-many", NARROW | HELPED, &[&stored(&[("a", ""); 4])]);
        headers("long-value", NARROW | HELPED, &[&stored(&[("a", &"v".repeat(41))])]);
        headers("final", HELPED, &[&[1, 4, 0, 0xfb, 0xff, 0, 0, 0, 0]]);
        headers("fixed", HELPED, &[&[0x62, 0x60, 0x60, 0x60, 0], &[0x02, 0x82, 0x03]]);

        let record = |flags: u8, letter: u8, length: u16, fill: u8| {
            let [high, low] = length.to_be_bytes();
            [flags, letter, high, low, fill]
        };
        let mut real = |name: &str, level: u8, records: &[[u8; HEADER]]| {
            let bytes = [&[level << 1 | 1], &records.concat()[..]].concat();
            seeds.push(("spdy_headers", name.to_owned(), bytes));
        };
        real("three", 9, &[record(4, 15, 4, 8), record(9, 17, 1, 0), record(0x8a, 18, 5, 1)]);
        let many: Vec<_> = (0..40).map(|i| record(0x83 + i % 5, i, 1500, i * 3)).collect();
        real("past-the-window", 9, &many);
        real("past-the-window-stored", 0, &many);
        seeds
    }
}
