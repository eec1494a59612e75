//! No allocation per message once the buffers have their size.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a panic fails the test")]

use allocation_counter::measure;
use bytes::{Buf, Bytes, BytesMut};
use portway_proto::ws::{Decoder, encode, encode_masked};
use portway_proto::{Incoming, Kind, Side, Transmit};

const MESSAGES: usize = 10_000;

/// Shared already: the first clone of a fresh `Bytes` allocates.
fn body() -> Bytes {
    let body = Bytes::from(vec![7; 3000]);
    drop(body.clone());
    body
}

fn message(body: &Bytes) -> Transmit {
    Transmit::with_head(Kind::Binary, [0], body.clone())
}

/// Reads `wire` again and again through one buffer, in reads of 1000 bytes.
fn decode_again_and_again(side: Side, wire: &[u8], per_wire: usize) {
    let mut decoder = Decoder::new(side, 1 << 20);
    let mut input = BytesMut::with_capacity(4096);
    let mut payload = 0;
    let mut run = |times: usize| {
        let mut ends = 0;
        for _ in 0..times {
            for read in wire.chunks(1000) {
                input.reserve(read.len());
                input.extend_from_slice(read);
                while let Some(piece) = decoder.decode(&mut input).unwrap() {
                    match piece {
                        Incoming::Binary { bytes, end } => {
                            payload += bytes.len();
                            ends += usize::from(end);
                        }
                        Incoming::Ping(bytes) => {
                            payload += bytes.len();
                            ends += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        ends
    };
    run(2);
    let mut ends = 0;
    let allocations = measure(|| ends = run(MESSAGES / per_wire)).count_total;
    assert_eq!(ends, MESSAGES);
    assert_eq!(allocations, 0, "over {MESSAGES} messages");
    assert!(payload > MESSAGES);
}

#[test]
fn a_client_decodes_without_allocating() {
    let long = [&[0x82, 0x7e, 0x10, 0][..], &[7; 4096]].concat();
    let fragments = b"\x02\x03abc\x89\x02hi\x80\x03def";
    decode_again_and_again(Side::Client, &[&long[..], b"\x82\x04\0GET", fragments].concat(), 4);
}

#[test]
fn a_server_decodes_without_allocating() {
    let mut wire = BytesMut::new();
    let body = body();
    encode_masked(&message(&body), [1, 2, 3, 4], &mut wire);
    encode_masked(&Transmit::new(Kind::Ping, Bytes::from_static(b"hi")), [5, 6, 7, 8], &mut wire);
    decode_again_and_again(Side::Server, &wire, 2);
}

#[test]
fn a_client_encodes_without_allocating() {
    let body = body();
    let mut out = BytesMut::with_capacity(4096);
    let allocations = measure(|| {
        for _ in 0..MESSAGES {
            encode_masked(&message(&body), [1, 2, 3, 4], &mut out);
            out.clear();
        }
    });
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn a_server_encodes_without_allocating() {
    let body = body();
    let mut written = 0;
    let allocations = measure(|| {
        for _ in 0..MESSAGES {
            let mut frame = encode(message(&body));
            while frame.has_remaining() {
                let chunk = frame.chunk().len();
                written += chunk;
                frame.advance(chunk);
            }
        }
    });
    assert_eq!(allocations.count_total, 0);
    assert_eq!(written, MESSAGES * (4 + 1 + 3000));
}

/// A peer that claims the longest frame there is costs nothing.
#[test]
fn a_length_leads_to_no_allocation() {
    for wire in [
        &b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x02\x7f\x7f\xff\xff\xff\xff\xff\xff\xffabc",
        b"\x89\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut input = BytesMut::from(wire);
        let mut decoder = Decoder::new(Side::Client, usize::MAX);
        let allocations = measure(|| drop(decoder.decode(&mut input)));
        // The buffer is made shareable, which is once a buffer.
        assert!(allocations.count_total <= 1 && allocations.bytes_max < 100, "{allocations:?}");
    }
}
