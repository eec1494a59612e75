//! Messages and frames have nothing to do with each other (C.1).

use bytes::Bytes;
use portway_proto::{Incoming, StreamError, StreamId};
use portway_testkit::rig::End;
use portway_testkit::spdy::{Frame, Spdy, cancel, data, fin, reply, syn};

use crate::{CLIENT, SERVER, TEXT};

/// What a session made of some bytes.
#[derive(Debug, PartialEq)]
struct Outcome {
    streams: Vec<(Vec<u8>, End, Option<StreamError>)>,
    sent: Vec<Frame>,
    is_closed: bool,
}

fn feed(rig: &mut Spdy, piece: &[u8], end: bool) {
    rig.feed(Incoming::Binary { bytes: Bytes::copy_from_slice(piece), end });
}

fn play(
    make: impl Fn() -> (Spdy, Vec<StreamId>),
    bytes: &[u8],
    cuts: &[usize],
    fragments: bool,
) -> Outcome {
    let (mut rig, mut ids) = make();
    let mut received: Vec<Vec<u8>> = vec![Vec::new(); 8];
    let mut from = 0;
    for to in cuts.iter().copied().chain([bytes.len()]) {
        feed(&mut rig, &bytes[from..to], !fragments || to == bytes.len());
        from = to;
        ids.extend(rig.accept_all());
        for (id, received) in ids.iter().zip(&mut received) {
            received.extend(rig.read_all(*id).0);
        }
    }
    let streams = ids.iter().zip(received).map(|(id, received)| {
        let end = rig.read_all(*id).1;
        (received, end, rig.failure(*id))
    });
    let streams = streams.collect();
    Outcome { streams, sent: rig.frames(), is_closed: rig.session.is_closed() }
}

fn client() -> (Spdy, Vec<StreamId>) {
    let mut rig = Spdy::client(CLIENT);
    let ids = [1, 2].map(|port| rig.open(port)).into();
    rig.frames();
    (rig, ids)
}

fn server() -> (Spdy, Vec<StreamId>) {
    (Spdy::server(SERVER), Vec::new())
}

fn encode(frames: &[Frame]) -> Vec<u8> {
    let mut writer = portway_testkit::spdy::Writer::default();
    frames.iter().flat_map(|frame| writer.frame(frame)).collect()
}

fn everything_is_the_same(make: impl Fn() -> (Spdy, Vec<StreamId>) + Copy, bytes: &[u8]) {
    let whole = play(make, bytes, &[], false);
    assert!(whole.streams.iter().all(|stream| stream.1 != End::Open), "{whole:?}");
    let every: Vec<usize> = (1..bytes.len()).collect();
    for fragments in [false, true] {
        assert_eq!(play(make, bytes, &every, fragments), whole, "byte by byte");
        for cut in 0..=bytes.len() {
            assert_eq!(play(make, bytes, &[cut], fragments), whole, "cut at {cut}");
        }
        for step in [2, 3, 5, 7, 8, 11] {
            let cuts: Vec<usize> = (step..bytes.len()).step_by(step).collect();
            assert_eq!(play(make, bytes, &cuts, fragments), whole, "every {step}");
        }
    }
}

#[test]
fn a_client_sees_the_same_wherever_messages_are_cut() {
    let frames = [
        reply(1),
        reply(3),
        Frame::Ping(2),
        data(3, "hello"),
        reply(5),
        Frame::Other { kind: 4, body: vec![0, 0, 0, 0] },
        reply(7),
        data(7, ""),
        Frame::Headers { id: 3, fin: false, headers: vec![("a".into(), "b".into())] },
        data(3, "more"),
        fin(3),
        fin(1),
        fin(7),
        data(5, TEXT),
        cancel(5),
        data(3, "late"),
    ];
    everything_is_the_same(client, &encode(&frames));
}

#[test]
fn a_server_sees_the_same_wherever_messages_are_cut() {
    let frames = [
        syn(1, "error", 8080, "0"),
        fin(1),
        syn(3, "data", 8080, "0"),
        data(3, "request"),
        Frame::Ping(1),
        syn(5, "data", 1, "1"),
        syn(7, "error", 1, "1"),
        fin(3),
        data(5, "x"),
        cancel(5),
        Frame::GoAway { last: 0, status: 0 },
    ];
    everything_is_the_same(server, &encode(&frames));
}

#[test]
fn a_violation_is_found_wherever_messages_are_cut() {
    let mut bytes = encode(&[reply(1), reply(3), data(3, "x"), fin(3), fin(1), fin(7), fin(5)]);
    bytes.extend([0x80, 3, 0, 6, 0, 0, 0, 5]);
    everything_is_the_same(client, &bytes);
}

#[test]
fn a_piece_of_a_frame_is_handed_on_before_the_rest_of_it_has_come() {
    let (mut rig, id) = Spdy::opened(CLIENT);
    let bytes = rig.encode(&data(3, vec![7; 100_000]));
    rig.bytes(&bytes[..8 + 1000]);
    assert_eq!(rig.read_all(id).0.len(), 1000);
    rig.bytes(&bytes[8 + 1000..]);
    assert_eq!(rig.read_all(id).0.len(), 99_000);
}
