//! Data in both directions.

use portway_proto::{Kind, Side, StreamEvent, WireForm};
use portway_testkit::rig::End;
use portway_testkit::spdy::{Frame, Spdy, data, fin};

use crate::{CLIENT, SERVER};

#[test]
fn writes_are_cut_at_the_limit_and_a_frame_is_a_message() {
    let (mut rig, id) = Spdy::opened(CLIENT.with_max_payload(5));
    rig.write(id, b"hello world");
    for part in ["hello", " worl", "d"] {
        assert_eq!(rig.message().unwrap(), [data(3, part)]);
    }
    assert_eq!(rig.message(), None);
}

#[test]
fn a_frame_never_grows_beyond_what_its_length_can_say() {
    let (mut rig, id) = Spdy::opened(CLIENT.with_max_payload(1 << 25).with_send_buffer(1 << 25));
    rig.write(id, &vec![7; (1 << 24) + 5]);
    let length = |frame| {
        let Frame::Data { id: 3, bytes, .. } = frame else { panic!("{frame:?}") };
        bytes.len()
    };
    let lengths: Vec<_> = rig.frames().into_iter().map(length).collect();
    assert_eq!(lengths, [0xff_ffff, 6]);
}

#[test]
fn streams_take_turns() {
    let mut rig = Spdy::client(CLIENT.with_max_payload(1));
    let (a, b) = (rig.open_replied(1, 1), rig.open_replied(2, 5));
    rig.write(a, b"aaa");
    rig.write(b, b"bb");
    assert_eq!(
        rig.frames(),
        [data(3, "a"), data(7, "b"), data(3, "a"), data(7, "b"), data(3, "a")]
    );
}

#[test]
fn no_window_is_enforced_and_none_is_announced() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    let piece = vec![7; 256 * 1024];
    let mut sent = 0;
    while sent < 64 << 20 {
        rig.write(id, &piece);
        while let Some(transmit) = rig.transmit() {
            assert_eq!(transmit.kind(), Kind::Binary);
            sent += transmit.body().len();
        }
    }
    let mut received = 0;
    while received < 64 << 20 {
        rig.data(3, &piece);
        received += rig.read_all(id).0.len();
        assert_eq!(rig.transmit(), None, "a receiver says nothing");
    }
}

#[test]
fn settings_windows_headers_and_unknown_frames_change_nothing() {
    for side in [Side::Client, Side::Server] {
        let (mut rig, id) =
            if side == Side::Client { Spdy::opened(CLIENT) } else { Spdy::accepted(SERVER) };
        let ignored = [
            // MAX_CONCURRENT_STREAMS 0, INITIAL_WINDOW_SIZE 0.
            Frame::Other {
                kind: 4,
                body: [&[0, 0, 0, 2][..], &[0, 0, 0, 4, 0, 0, 0, 0], &[0, 0, 0, 7, 0, 0, 0, 0]]
                    .concat(),
            },
            Frame::Other { kind: 9, body: vec![0, 0, 0, 3, 0, 0, 0, 1] },
            Frame::Headers { id: 3, fin: false, headers: vec![("a".into(), "b".into())] },
            Frame::Headers { id: 77, fin: false, headers: vec![("c".into(), "d".into())] },
            Frame::Other { kind: 5, body: vec![1, 2, 3] },
            Frame::Other { kind: 10, body: vec![] },
            Frame::Other { kind: 0x7fff, body: vec![0; 100_000] },
        ];
        rig.peer_all(&ignored);
        assert_eq!((rig.frames(), rig.events()), (vec![], vec![]));
        assert_eq!(rig.session.stats().ignored_frames, 7);
        rig.data(3, "in");
        rig.write(id, b"out");
        assert_eq!(rig.read_all(id), (b"in".to_vec(), End::Open));
        assert_eq!(rig.frames(), [data(3, "out")]);
        if side == Side::Server {
            rig.syn_pair(5, 9, "9");
            assert!(rig.session.accept().is_some(), "the HEADERS were inflated");
        }
    }
}

#[test]
fn empty_messages_and_empty_frames_are_no_end() {
    for side in [Side::Client, Side::Server] {
        let (mut rig, id) =
            if side == Side::Client { Spdy::opened(CLIENT) } else { Spdy::accepted(SERVER) };
        rig.bytes(b"");
        rig.data(3, "");
        rig.bytes(b"");
        assert_eq!((rig.events(), rig.frames()), (vec![], vec![]));
        assert_eq!(rig.read_all(id), (vec![], End::Open));
        rig.data(3, "x");
        assert_eq!(rig.events_of(id), [StreamEvent::Readable]);
        assert_eq!(rig.read_all(id), (b"x".to_vec(), End::Open));
    }
}

#[test]
fn plain_spdy_is_the_same_bytes() {
    let mut streams = Vec::new();
    for form in [WireForm::Tunnel, WireForm::Spdy] {
        let mut rig = Spdy::new(Side::Client, form, CLIENT);
        let id = rig.open_replied(8080, 1);
        rig.write(id, b"x");
        rig.finish(id);
        let mut sent = rig.frames();
        rig.after(portway_testkit::rig::secs(5));
        sent.extend(rig.frames());
        streams.push(sent);
    }
    assert_eq!(streams[0], streams[1]);
    assert_eq!(streams[0], [data(3, "x"), fin(3)]);
}

/// Two header blocks of the specification; the second refers to the first.
const FIRST: &[u8] = &[
    0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2, 0x02, 0x25, 0x3a, 0x48, 0xf9, 0x5b, 0x04, 0x4e, 0xea, 0x16,
    0x06, 0x16, 0x06, 0x40, 0x9a, 0xb3, 0x08, 0x12, 0x5f, 0x99, 0xa0, 0x74, 0xcc, 0x68, 0x00, 0x4e,
    0x89, 0x25, 0x45, 0xa9, 0x89, 0xb9, 0xd0, 0xc2, 0x86, 0x35, 0x15, 0x14, 0x15, 0x00, 0x00, 0x00,
    0x00, 0xff, 0xff,
];
const SECOND: &[u8] = &[0x22, 0x53, 0x33, 0xa8, 0xa4, 0x4a, 0x04, 0x00, 0x00, 0x00, 0xff, 0xff];

#[test]
fn a_header_block_that_nobody_wants_is_inflated_because_the_next_refers_to_it() {
    let syn = |id: u32, block: &[u8]| {
        let body = [&id.to_be_bytes()[..], &[0; 6], block].concat();
        Frame::Other { kind: 1, body }
    };
    let headers = Frame::Other { kind: 8, body: [&[0, 0, 0, 9][..], FIRST].concat() };
    let cancelled = portway_testkit::spdy::cancel(3);
    // A HEADERS frame, and a stream that is refused for its number.
    for (first, said) in
        [(headers.clone(), vec![]), (syn(2, FIRST), vec![Frame::Rst { id: 2, status: 1 }])]
    {
        let mut rig = Spdy::server(SERVER);
        rig.peer(&first);
        assert_eq!(rig.frames(), said);
        rig.peer(&syn(3, SECOND));
        assert_eq!(rig.frames(), [portway_testkit::spdy::reply(3)]);
        rig.after(portway_testkit::rig::secs(30));
        assert_eq!(rig.frames(), std::slice::from_ref(&cancelled), "it was a data stream");
    }
    for first in [headers, syn(2, FIRST)] {
        let mut rig = Spdy::client(CLIENT);
        rig.peer(&first);
        rig.frames();
        rig.peer(&Frame::Other { kind: 2, body: [&[0, 0, 0, 1][..], SECOND].concat() });
        assert!(rig.session.wants_read(), "no violation");
    }
}
