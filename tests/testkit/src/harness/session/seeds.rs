//! The committed seeds of the targets here.

use portway_proto::WireForm;

use super::encode;
use crate::transcript::{Seen, Transcript};

/// Writes the seeds: `cargo test -p portway-testkit -- --ignored write_session_seeds`.
#[test]
#[ignore = "writes files"]
fn write_session_seeds() {
    crate::harness::seeds::write(seeds());
}

#[test]
fn every_session_seed_passes() {
    crate::harness::seeds::check(seeds());
}

fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |target: &'static str, name: &str, bytes: Vec<u8>| {
        seeds.push((target, name.to_owned(), bytes));
    };

    // What real peers sent, message by message.
    for transcript in Transcript::load_all("v4-") {
        let base64 = u8::from(transcript.name.contains("base64"));
        let ports = u8::from(transcript.name.contains("two-ports"));
        let mut messages = [Vec::new(), Vec::new()];
        for entry in &transcript.entries {
            if let Seen::Frame { opcode: 1 | 2, payload, .. } = &entry.what {
                messages[usize::from(entry.from_client)].push(payload);
            }
        }
        for (target, messages) in
            ["v4_message_client", "v4_message_server"].into_iter().zip(messages)
        {
            let longest = messages.iter().max_by_key(|message| message.len());
            if let Some(longest) = longest {
                let head = [base64, ports, 0, 0, 5];
                add(target, &transcript.name, [&head[..], longest].concat());
            }
        }
        add("session_client", &transcript.name, hostile(&transcript, false));
        add("session_server", &transcript.name, hostile(&transcript, true));
    }

    // Form, ports, how many channels are announced before, kind, seed.
    for (form, base64) in [(WireForm::V4, 0), (WireForm::V4Base64, 1)] {
        let mut message = |name: &str, head: [u8; 4], channel: u8, payload: &[u8]| {
            let message = encode(form, channel, payload).payload;
            let name = format!("{name}-{base64}");
            let bytes = [&[base64][..], &head, &message].concat();
            add("v4_message_client", &name, bytes.clone());
            add("v4_message_server", &name, bytes);
        };
        message("data", [0, 0, 0, 7], 0, b"hello, world");
        message("error", [0, 0, 0, 7], 1, "no\u{e9} [31m".as_bytes());
        message("second-port", [1, 0, 0, 9], 2, b"hello");
        message("unknown", [0, 0, 0, 9], 9, b"hello");
        message("prefix", [0, 200, 0, 3], 0, &[0x90, 0x1f]);
        message("prefix-and-data", [0, 201, 0, 3], 1, b"\x90\x1fand more");
        message("wrong-prefix", [0, 200, 0, 3], 0, &[0x1f, 0x90]);
        message("short-prefix", [0, 200, 0, 0], 0, &[0x90]);
        message("long-error", [0, 0, 0, 11], 1, &[0xc3; 150]);
    }
    add("v4_message_client", "empty", vec![0, 0, 0, 0, 0]);
    add("v4_message_client", "text-on-binary", vec![0, 0, 0, 15, 0, 0, b'x']);
    add("v4_message_client", "bad-base64", [&[1, 0, 0, 0, 21][..], b"0aGk=aGk="].concat());
    add("v4_message_server", "empty", vec![0, 0, 0, 0, 0]);

    // Form, ports, who writes, limit of a message, seed of the cuts; then frames.
    for head in [[0, 0, 0, 0, 3], [1, 1, 1, 1, 9], [0, 3, 1, 2, 0], [1, 0, 0, 3, 77]] {
        let frames = [0, 5, 1, 200, 0x80, 3, 232, 2, 40, 0, 0, 0x3d, 30, 0, 9];
        let name = head.map(|byte: u8| byte.to_string()).join("-");
        add("v4_roundtrip", &name, [&head[..], &frames].concat());
    }

    // Setup (two bytes and 2 x 6), capacity, seed of the cuts; then ops.
    let write = |side: u8, len: u8| vec![side, 0, len];
    let read = |side: u8| vec![side, 7, side, 15, 199];
    let step = |steps: u8| vec![199 + steps];
    let finish = |side: u8| vec![side, 20];
    let (client, server) = (0, 100);
    let exchange =
        [write(client, 100), step(20), read(server), write(server, 250), step(20), read(client)];
    let half_close = [write(client, 50), finish(client), step(20), write(server, 99), step(9)];
    let fail = [step(10), vec![server, 23, 40], step(10), read(client)];
    let link = [
        vec![246, 1, 5, 5],
        write(client, 220),
        vec![250, 0, 8, 3],
        write(server, 255),
        vec![230, 8],
    ];
    let cut = [write(server, 150), step(3), vec![246, 1, 11], write(client, 3), step(9)];
    let close = [write(server, 255), vec![server, 29, 2], step(2), read(client)];
    for (setup, sizes) in [("wide", [5, 5, 4, 0, 0, 2, 0]), ("narrow", [2, 3, 1, 0, 0, 3, 1])] {
        for form in [0, 1] {
            let head = [&[form, 0][..], &sizes, &sizes, &[0, 5 * form]].concat();
            let mut pair = |name: &str, ops: &[Vec<u8>]| {
                let name = format!("{name}-{setup}-{form}");
                add("pair_honest", &name, [&head[..], &ops.concat()].concat());
            };
            pair("exchange", &exchange);
            pair("half-close", &half_close);
            pair("fail", &fail);
            pair("link", &link);
            pair("cut", &cut);
            pair("close", &close);
            let again = [vec![0, 31], vec![0, 25]].concat();
            let mut spdy = |name: &str, ops: &[Vec<u8>]| {
                let head = [&[form, 0][..], &sizes, &sizes, &[form, 0, 5 * form]].concat();
                let ops = [&ops.concat()[..], &again, &ops.concat()].concat();
                add("pair_spdy", &format!("{name}-{setup}-{form}"), [&head[..], &ops].concat());
            };
            spdy("exchange", &exchange);
            spdy("half-close", &half_close);
            spdy("fail", &fail);
            let late = [step(9), write(server, 99), vec![server, 23, 40], step(9), read(client)];
            spdy("fail-late", &late);
            spdy("link", &link);
            spdy("cut", &cut);
            spdy("close", &close);
        }
    }

    // Side, form, ports, size of the buffer, seed; then messages and reads.
    for (name, head) in [
        ("client", [0, 0, 1, 0, 5]),
        ("server", [1, 1, 3, 2, 9]),
        ("client-spdy", [2, 0, 1, 0, 5]),
        ("server-spdy", [3, 1, 3, 2, 9]),
    ] {
        let ops = [8, 60, 9, 60, 8, 60, 112, 184, 60, 8, 60, 9, 10, 0, 40, 113, 185, 10, 255, 8, 9];
        add("policy_diff", name, [&head[..], &ops].concat());
    }

    // Side, setup (two bytes and 2 x 11), calls.
    for side in [0, 1] {
        let setup = [0, 1, 5, 5, 4, 0, 0, 0, 0, 0, 0, 1, 3, 0, 5, 5, 4, 0, 0, 0, 0, 0, 0, 1, 3, 0];
        let calls = [
            32, 40, 41, 0, 48, 4, 200, 8, 84, 4, 92, 4, 9, 64, 4, 64, 4, 76, 5, 100, 4, 104, 4,
            104, 4, 16, 48, 5, 9,
        ];
        add("api_misuse", &format!("life-{side}"), [&[side][..], &setup, &calls].concat());
    }
    // The same, and form and 2 x 3 more; what the other side says is as in `spdy_seeds`.
    let setup = [0, 1, 5, 5, 4, 0, 0, 0, 0, 0, 0, 1, 3, 0, 5, 5, 4, 0, 0, 0, 0, 0, 0, 1, 3, 0];
    let client = [
        32, 0, 115, 0, 0, 115, 1, 48, 4, 0, 200, 0, 0, 0, 20, 84, 4, 92, 4, 0, 9, 64, 4, 64, 4, 76,
        4, 116, 0, 80, 0, 0, 80, 1, 84, 4, 104, 4, 104, 4, 116, 119, 32, 48, 5, 9,
    ];
    let server = [
        0, 136, 0, 0, 0, 136, 0, 1, 40, 0, 0, 0, 20, 84, 4, 92, 4, 0, 9, 48, 4, 0, 200, 76, 4, 76,
        4, 0, 80, 0, 64, 4, 100, 4, 104, 4, 104, 4, 116, 32, 41, 48, 5, 9,
    ];
    for (side, calls) in [(2, &client[..]), (3, &server)] {
        let bytes = [&[side][..], &setup, &[0; 7], calls].concat();
        add("api_misuse", &format!("life-{side}"), bytes);
    }
    spdy_seeds(&mut add);
    seeds
}

/// A life of a stream or two over SPDY, at either side.
fn spdy_seeds(add: &mut impl FnMut(&'static str, &str, Vec<u8>)) {
    // Setup (two bytes, 2 x 12, form, 2 x 3); then ops. What the peer says: the op, the kind of frame,
    // which stream (0 is the latest), and what the kind needs.
    let config = [5, 5, 4, 0, 0, 0, 0, 0, 0, 0, 3, 0];
    let head = |form| [&[0, 0][..], &config, &config, &[form], &[0; 6]].concat();
    let (flush, read, ask) = (230, 238, 173);
    // What the application does: the op, the kind of action, and what that needs.
    let (open, write, finish, text_40, release) =
        ([0, 31], [0, 0, 30], [0, 20], [0, 23, 40], [0, 25]);
    let replies = [72, 115, 0, 72, 115, 1];
    let opened = [&open[..], &write, &[flush], &replies].concat();
    let data = [72, 0, 0, 20];
    let fin = |stream| [72, 80, stream];
    let clean =
        [&opened[..], &data, &fin(0), &fin(1), &[read, flush], &release, &[ask, flush]].concat();
    let text = [72, 0, 1, 9];
    let fail = [&opened[..], &fin(0), &text, &[72, 225, 1, read, flush]].concat();
    let refuse =
        [&open[..], &[flush, 72, 225, 0, read], &release, &opened, &data, &fin(0)].concat();
    let silence = [&opened[..], &fin(0), &[200, 200, 200, read]].concat();
    let away = [&opened[..], &data, &[72, 205, 0, 72, 205, 11], &data, &fin(0), &fin(1)].concat();
    for (name, ops) in
        [("clean", clean), ("fail", fail), ("refuse", refuse), ("silence", silence), ("away", away)]
    {
        add("spdy_client", name, [&head(0)[..], &ops].concat());
    }
    // A SYN_STREAM: kind, stream, shape.
    let pair = |shape: u8| [72, 136, 0, shape, 72, 136, 0, shape | 1];
    let opened = [&pair(0)[..], &[flush, 248]].concat();
    let clean = [&opened[..], &data, &fin(0), &[read], &finish, &[flush], &release].concat();
    let fail = [&opened[..], &data, &text_40, &[flush, read], &data].concat();
    let half = [&[72, 136, 0, 0x10, 200, flush][..], &pair(0x10), &[flush, 248], &data].concat();
    let reset = [&opened[..], &write, &[72, 225, 0, flush, read], &release].concat();
    for (name, ops) in [("clean", clean), ("fail", fail), ("half", half), ("reset", reset)] {
        add("spdy_server", name, [&head(1)[..], &ops].concat());
    }
    // Side, seed; then what the peer says, without the op.
    let client =
        [115, 0, 115, 1, 0, 0, 33, 190, 4, 208, 0, 9, 0, 0, 20, 80, 0, 80, 1, 0, 3, 8, 225, 3];
    add("pair_chunking", "client", [&[0, 7][..], &client].concat());
    let server =
        [136, 0, 0, 136, 0, 1, 0, 0, 33, 190, 5, 80, 0, 136, 0, 2, 136, 0, 3, 0, 0, 9, 205, 0];
    add("pair_chunking", "server", [&[1, 9][..], &server].concat());
}

/// What one real peer sent, to the other one of ours; reads in between.
fn hostile(transcript: &Transcript, from_client: bool) -> Vec<u8> {
    let base64 = u8::from(transcript.name.contains("base64"));
    let ports = u8::from(transcript.name.contains("two-ports"));
    let config = [5, 5, 4, 0, 0, 0, 0, 0, 0, 1, 3, 0];
    let mut bytes = [&[base64, ports][..], &config, &config, &[0]].concat();
    for entry in transcript.entries.iter().filter(|entry| entry.from_client == from_client) {
        match &entry.what {
            Seen::Frame { opcode: 1 | 2, payload, .. } => {
                for (index, piece) in payload.chunks(11).enumerate() {
                    // Ends where `kind % 3` is not 0.
                    let last = (index + 1) * 11 >= payload.len();
                    bytes.extend([if last { 130 } else { 132 }, piece.len() as u8]);
                    bytes.extend(piece);
                }
            }
            Seen::Frame { opcode: 8, .. } => bytes.extend([170, 1]),
            Seen::Frame { opcode: 9, .. } => bytes.push(160),
            Seen::Frame { opcode: 10, .. } => bytes.push(165),
            _ => bytes.push(174),
        }
        bytes.extend([240, 235]);
    }
    bytes
}
