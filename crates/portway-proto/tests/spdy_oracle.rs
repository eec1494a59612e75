//! Our SPDY codec against a naive reader and zlib, over frames and headers of any kind.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use bytes::{Bytes, BytesMut};
use portway_proto::spdy::{Frame, HeaderDecoder, HeaderEncoder, Limits, SpdyViolation};
use portway_testkit::spdy_oracle::{
    Compressor, Decompressor, content, content_of, encode, judge, judge_blocks, round_trip,
};
use proptest::prelude::*;

fn id() -> impl Strategy<Value = u32> {
    prop_oneof![1..10_u32, 1..=0x7fff_ffff_u32]
}

fn some_bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        proptest::collection::vec(any::<u8>(), 0..3000),
    ]
    .prop_map(Bytes::from)
}

/// Frames that we send.
fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (id(), some_bytes(), any::<bool>()).prop_map(|(stream, bytes, fin)| Frame::Data {
            stream,
            bytes,
            fin,
            end: true
        }),
        (id(), some_bytes(), any::<bool>()).prop_map(|(stream, block, fin)| Frame::SynStream {
            stream,
            associated: 0,
            fin,
            block
        }),
        (id(), some_bytes(), any::<bool>()).prop_map(|(stream, block, fin)| Frame::SynReply {
            stream,
            fin,
            block
        }),
        (id(), 1..=u32::MAX).prop_map(|(stream, status)| Frame::RstStream { stream, status }),
        (1..=u32::MAX).prop_map(|id| Frame::Ping { id }),
        (0..=0x7fff_ffff_u32, any::<u32>())
            .prop_map(|(last, status)| Frame::GoAway { last, status }),
    ]
}

fn block() -> impl Strategy<Value = Vec<(String, String)>> {
    let value = prop_oneof!["[ -~]{0,20}", "[a-c]{0,2000}", "\\PC{0,100}"];
    proptest::collection::btree_map("[a-z0-9-]{1,20}", value, 0..6)
        .prop_map(|headers| headers.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn frames_come_back_as_they_were(
        frames in proptest::collection::vec(frame(), 0..10),
        seed in any::<u64>(),
    ) {
        let mut wire = BytesMut::new();
        for frame in &frames {
            prop_assert!(encode(frame, &mut wire));
        }
        let reading = judge(Limits::new(), &wire, seed);
        prop_assert_eq!(reading.frames, frames);
        prop_assert!(reading.idle);
    }

    /// A good start, and then a byte that is not as it was.
    #[test]
    fn what_is_wrong_is_wrong_at_every_cut(
        frames in proptest::collection::vec(frame(), 1..6),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        seed in any::<u64>(),
    ) {
        let mut wire = BytesMut::new();
        for frame in &frames {
            encode(frame, &mut wire);
        }
        let at = at.index(wire.len());
        wire[at] = byte;
        judge(Limits::new().with_control_frame(1000), &wire, seed);
    }

    #[test]
    fn headers_come_back_as_they_were(
        blocks in proptest::collection::vec(block(), 1..12),
        level in 0..=9,
    ) {
        round_trip(level, &blocks);
    }

    /// A good stream of zlib's, and then a byte that is not as it was.
    #[test]
    fn a_damaged_block_means_what_zlib_makes_of_it(
        blocks in proptest::collection::vec(block(), 1..6),
        level in 0..=9,
        which in any::<proptest::sample::Index>(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut compressor = Compressor::new(level);
        let mut blocks: Vec<Vec<u8>> = blocks
            .iter()
            .map(|block| {
                let texts = block.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                compressor.block(&content(texts))
            })
            .collect();
        let block = which.get(&blocks).len();
        let which = which.index(blocks.len());
        blocks[which][at.index(block)] = byte;
        judge_blocks(Limits::new(), blocks.iter().map(Vec::as_slice));
    }
}

/// One connection after the other on one tunnel, until the window has gone round several times.
#[test]
fn a_thousand_connections_keep_one_header_stream() {
    let (mut encoder, mut compressor) = (HeaderEncoder::new(), Compressor::new(9));
    let (mut of_ours, mut of_zlib) =
        (HeaderDecoder::new(Limits::new()), HeaderDecoder::new(Limits::new()));
    let mut zlib = Decompressor::new();
    let mut out = BytesMut::new();
    let mut length = 0;
    for request in 0..1000 {
        let (port, request) = ((request % 7 + 8080).to_string(), request.to_string());
        for kind in ["error", "data"] {
            let headers = [("port", &*port), ("requestid", &*request), ("streamtype", kind)];
            let meant = content(headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
            length += meant.len();
            out.clear();
            encoder.encode(&headers, &mut out);
            assert_eq!(zlib.block(&out, 100).as_ref(), Some(&meant));
            assert_eq!(content_of(&of_ours.decode(&out).unwrap()), meant);
            let block = compressor.block(&meant);
            assert_eq!(content_of(&of_zlib.decode(&block).unwrap()), meant);
        }
    }
    assert!(length > 3 * 32 * 1024, "{length}");
}

/// Matches over the whole of what a window reaches, and no further.
#[test]
fn matches_reach_back_32_kib() {
    // No three bytes of it occur twice within 40,000.
    let text: String = (0..12_000).map(|number| format!("{number:04x}-")).collect();
    for distance in [32_000, 32_300, 32_500, 32_700, 40_000] {
        let value = |from: usize| text[from..from + 2000].to_owned();
        let mut blocks = vec![vec![("first".to_owned(), value(0))]];
        for at in 1..distance / 2000 {
            blocks.push(vec![("next".to_owned(), value(2000 * at))]);
        }
        blocks.push(vec![("first".to_owned(), value(0))]);
        round_trip(9, &blocks);
    }
}

/// 4 KiB from zlib that would be 4 MiB.
#[test]
fn a_bomb_of_zlibs_ends_at_the_limit() {
    let bomb = Compressor::new(9).block(&vec![b'a'; 4 << 20]);
    assert!(bomb.len() < 5000, "{}", bomb.len());
    let limits = Limits::new();
    let violation = SpdyViolation::BlockTooBig { limit: limits.header_block() };
    assert_eq!(HeaderDecoder::new(limits).decode(&bomb), Err(violation));
}
