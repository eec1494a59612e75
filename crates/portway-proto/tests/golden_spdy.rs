//! Recorded bytes of kubectl, of Kubernetes' server and of the API server in front of it, in the tunnel
//! and over plain SPDY, played against both of our sides: nobody can make the client and the server wrong
//! in the same way and stay green.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what a test does not name it does not judge")]

use std::collections::BTreeMap;

use portway_proto::{CloseReason, Config, Event, HalfClose, Incoming, Side, StreamId, WireForm};
use portway_testkit::rig::{End, Rig, remote_text};
use portway_testkit::spdy::{Frame, Reader, Spdy};
use portway_testkit::transcript::{Seen, Transcript};

/// One thing that one side did, understood without the code under test.
#[derive(Debug, Clone)]
enum Step {
    /// A message or a fragment of one, whether it was the last, and the frames that it completed.
    Bytes(Vec<u8>, bool, Vec<Frame>),
    Close,
    End,
}

struct Recording {
    name: String,
    form: WireForm,
    /// In the order in which the client opened them.
    pairs: Vec<Pair>,
    /// Whether the client did it, and what.
    steps: Vec<(bool, Step)>,
}

/// The streams of one forward.
#[derive(Debug, Clone, Copy)]
struct Pair {
    error: u32,
    data: u32,
}

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Fate {
    port: u16,
    received: Vec<u8>,
    end: End,
    text: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// By the number of their data stream.
    streams: BTreeMap<u32, Fate>,
    /// By stream: what we said on it.
    said: BTreeMap<u32, Vec<Frame>>,
    closed: CloseReason,
}

/// Where messages are cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Nowhere,
    At(usize),
    Everywhere,
    Random(u64),
}

impl Recording {
    fn all() -> Vec<Self> {
        let of = |prefix, form| {
            Transcript::load_all(prefix).into_iter().map(move |it| Self::new(it, form))
        };
        of("tunnel-", WireForm::Tunnel).chain(of("spdy-", WireForm::Spdy)).collect()
    }

    fn new(transcript: Transcript, form: WireForm) -> Self {
        let mut readers = [Reader::default(), Reader::default()];
        let mut steps = Vec::new();
        for entry in transcript.entries {
            let reader = &mut readers[usize::from(entry.from_client)];
            let step = match entry.what {
                Seen::Frame { opcode: 8, .. } => Step::Close,
                Seen::Frame { opcode, fin, payload } => {
                    assert!(matches!(opcode, 0 | 2), "opcode {opcode}");
                    let frames = reader.take(&payload);
                    Step::Bytes(payload, fin, frames)
                }
                Seen::Bytes(bytes) => {
                    let frames = reader.take(&bytes);
                    Step::Bytes(bytes, true, frames)
                }
                Seen::End => Step::End,
            };
            steps.push((entry.from_client, step));
        }
        let mut recording = Self { name: transcript.name, form, pairs: Vec::new(), steps };
        recording.pairs = recording.find_pairs();
        recording
    }

    /// Those that our client could have been the client of: it opens both streams of a pair at once, so
    /// that they have the numbers that kubectl gives them only if it opens nothing else meanwhile.
    fn of_pairs() -> Vec<Self> {
        let all = Self::all().into_iter();
        let at_once = |it: &Self| {
            let numbers = it.pairs.iter().flat_map(|pair| [pair.error, pair.data]);
            numbers.eq((1..).step_by(2).take(2 * it.pairs.len()))
        };
        let (ours, others): (Vec<_>, Vec<_>) = all.partition(at_once);
        assert!(
            others.iter().all(|it| it.name.contains("kubectl") && it.name.ends_with("-parallel"))
        );
        ours
    }

    /// Those whose openings name the same request.
    fn find_pairs(&self) -> Vec<Pair> {
        let opened: Vec<_> = self
            .frames(true)
            .filter_map(|frame| match frame {
                Frame::Syn { id, headers, .. } => Some((*id, &headers[1].1, &*headers[2].1)),
                _ => None,
            })
            .collect();
        let of_kind = |wanted| opened.iter().filter(move |(_, _, kind)| *kind == wanted);
        let data = |request| of_kind("data").find(|(_, of, _)| *of == request).unwrap().0;
        of_kind("error").map(|(id, request, _)| Pair { error: *id, data: data(*request) }).collect()
    }

    /// The pair of a stream, its index and whether the stream is the data stream.
    fn pair_of(&self, stream: u32) -> (usize, Pair, bool) {
        let mut pairs = self.pairs.iter().enumerate();
        let (index, pair) =
            pairs.find(|(_, pair)| pair.error == stream || pair.data == stream).unwrap();
        (index, *pair, pair.data == stream)
    }

    /// All frames of one side.
    fn frames(&self, by_client: bool) -> impl Iterator<Item = &Frame> {
        let of_side = self.steps.iter().filter(move |(client, _)| *client == by_client);
        of_side.flat_map(|(_, step)| match step {
            Step::Bytes(_, _, frames) => frames.as_slice(),
            Step::Close | Step::End => &[],
        })
    }

    /// The error text of the pair whose error stream that is.
    fn text(&self, error: u32) -> Option<String> {
        let bytes: Vec<u8> = self
            .frames(false)
            .filter_map(|frame| match frame {
                Frame::Data { id, bytes, .. } if *id == error => Some(&bytes[..]),
                _ => None,
            })
            .collect::<Vec<_>>()
            .concat();
        Some(String::from_utf8(bytes).unwrap()).filter(|text| !text.is_empty())
    }

    /// What one side said on a data stream.
    fn data(&self, by_client: bool, data: u32) -> Vec<u8> {
        self.frames(by_client)
            .filter_map(|frame| match frame {
                Frame::Data { id, bytes, .. } if *id == data => Some(&bytes[..]),
                _ => None,
            })
            .collect::<Vec<_>>()
            .concat()
    }

    /// That side ended that stream with a FIN.
    fn is_finished(&self, by_client: bool, stream: u32) -> bool {
        let mut frames = self.frames(by_client);
        frames.any(|frame| matches!(frame, Frame::Data { id, fin: true, .. } if *id == stream))
    }

    /// The server is one of Kubernetes 1.28.
    fn is_of_old_node(&self) -> bool {
        self.name.contains("-node-1.28-")
    }

    /// The server said goodbye.
    fn has_go_away(&self) -> bool {
        self.frames(false).any(|frame| matches!(frame, Frame::GoAway { .. }))
    }
}

fn feed(rig: &mut Rig, bytes: &[u8], last: bool, cut: Cut) {
    let cuts: Vec<usize> = match cut {
        Cut::Nowhere => vec![],
        Cut::At(at) => vec![at.min(bytes.len())],
        Cut::Everywhere => (0..bytes.len()).collect(),
        Cut::Random(seed) => {
            let mut state = seed | 1;
            (1..bytes.len())
                .filter(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                    state >> 62 == 0
                })
                .collect()
        }
    };
    let mut from = 0;
    for to in cuts.into_iter().chain([bytes.len()]) {
        let end = if to == bytes.len() { last } else { to % 2 == 0 };
        rig.feed(Incoming::Binary { bytes: bytes[from..to].to_vec().into(), end });
        from = to;
    }
}

fn stream_of(frame: &Frame) -> Option<u32> {
    match frame {
        Frame::Syn { id, .. }
        | Frame::Reply { id, .. }
        | Frame::Headers { id, .. }
        | Frame::Data { id, .. }
        | Frame::Rst { id, .. } => Some(*id),
        _ => None,
    }
}

/// One more frame of a stream; data that were only cut differently are the same data.
fn note(said: &mut BTreeMap<u32, Vec<Frame>>, stream: u32, frame: Frame) {
    let said = said.entry(stream).or_default();
    match (&frame, said.last_mut()) {
        (Frame::Data { bytes, fin: false, .. }, Some(Frame::Data { bytes: before, .. })) => {
            before.extend(bytes);
        }
        _ => said.push(frame),
    }
}

/// A side of ours in the place of the recorded one.
struct Player<'a> {
    recording: &'a Recording,
    rig: Spdy,
    /// By the number of their data stream.
    streams: BTreeMap<u32, (StreamId, u16, Vec<u8>)>,
    said: BTreeMap<u32, Vec<Frame>>,
    closing: bool,
}

impl<'a> Player<'a> {
    fn new(recording: &'a Recording, side: Side, config: Config) -> Self {
        let rig = Spdy::new(side, recording.form, config);
        let (streams, said) = (BTreeMap::new(), BTreeMap::new());
        Self { recording, rig, streams, said, closing: false }
    }

    /// Reads what came, as an application does that keeps up, and sends what there is to send.
    fn turn(&mut self) {
        while let Some(id) = self.rig.session.accept() {
            // A pair is complete with its data stream, and those are opened in their order.
            let mut opened: Vec<_> = self.recording.pairs.iter().map(|pair| pair.data).collect();
            opened.sort_unstable();
            let port = self.rig.session.port(id).unwrap().get();
            self.streams.insert(opened[self.streams.len()], (id, port, Vec::new()));
        }
        for (id, _, received) in self.streams.values_mut() {
            received.extend(self.rig.read_all(*id).0);
        }
        for frame in self.rig.frames() {
            // The goodbye resets what is unfinished; kubectl does not where it had finished.
            if let Some(stream) = stream_of(&frame).filter(|_| !self.closing) {
                note(&mut self.said, stream, frame);
            }
        }
    }

    fn outcome(mut self) -> Outcome {
        let closed = self.rig.events().pop();
        let Some(Event::Closed(closed)) = closed else { panic!("{closed:?}") };
        let rig = &mut self.rig;
        let fates = std::mem::take(&mut self.streams).into_iter();
        let streams = fates.map(|(data, (id, port, received))| {
            let end = rig.read_all(id).1;
            let text = match rig.failure(id) {
                Some(portway_proto::StreamError::Remote(_)) => {
                    Some(remote_text(rig.failure(id).as_ref()).to_owned())
                }
                _ => None,
            };
            (data, Fate { port, received, end, text })
        });
        Outcome { streams: streams.collect(), said: self.said, closed }
    }
}

/// Our client in the place of the recorded one: it opens, writes and finishes when that did.
fn play_client(recording: &Recording, cut: Cut) -> Outcome {
    let config = Config::client().with_half_close(HalfClose::Immediate);
    let mut player = Player::new(recording, Side::Client, config);
    for (by_client, step) in &recording.steps {
        match (by_client, step) {
            (false, Step::Bytes(bytes, last, _)) => feed(&mut player.rig, bytes, *last, cut),
            (false, Step::Close) => player.rig.peer_close(1000),
            (false, Step::End) => player.rig.disconnect(),
            (true, Step::Bytes(_, _, frames)) => {
                for frame in frames {
                    act_as_client(&mut player, frame);
                }
            }
            (true, Step::Close | Step::End) => {}
        }
        player.turn();
    }
    player.outcome()
}

fn act_as_client(player: &mut Player<'_>, frame: &Frame) {
    match frame {
        Frame::Syn { id, headers, .. } if headers[2].1 == "error" => {
            let port = headers[0].1.parse().unwrap();
            let stream = player.rig.open(port);
            let (_, pair, _) = player.recording.pair_of(*id);
            player.streams.insert(pair.data, (stream, port, Vec::new()));
        }
        Frame::Data { id, bytes, fin } => {
            let Some((stream, ..)) = player.streams.get(id) else { return };
            // What kubectl wrote behind the pod's end is refused.
            if !bytes.is_empty() {
                let _ = player.rig.try_write(*stream, bytes);
            }
            if *fin {
                let _ = player.rig.try_finish(*stream);
            }
        }
        Frame::GoAway { .. } => {
            player.turn();
            player.closing = true;
            player.rig.close(CloseReason::Local);
        }
        _ => {}
    }
}

/// Our server in the place of Kubernetes': its pods do what the recorded server passed on.
fn play_server(recording: &Recording, cut: Cut) -> Outcome {
    let mut player = Player::new(recording, Side::Server, Config::server());
    for (by_client, step) in &recording.steps {
        match (by_client, step) {
            (true, Step::Bytes(bytes, last, frames)) => {
                player.closing |= frames.iter().any(|f| matches!(f, Frame::GoAway { .. }));
                feed(&mut player.rig, bytes, *last, cut);
            }
            (true, Step::Close) => player.rig.peer_close(1000),
            (true, Step::End) => player.rig.disconnect(),
            (false, Step::Bytes(_, _, frames)) => {
                for frame in frames {
                    act_as_pod(&mut player, frame);
                }
            }
            (false, Step::Close | Step::End) => {}
        }
        player.turn();
    }
    player.outcome()
}

fn act_as_pod(player: &mut Player<'_>, frame: &Frame) {
    if matches!(frame, Frame::GoAway { .. }) {
        player.rig.close(CloseReason::Idle);
    }
    let Frame::Data { id, bytes, fin } = frame else { return };
    let (_, pair, is_data) = player.recording.pair_of(*id);
    let (stream, ..) = player.streams[&pair.data];
    if !is_data {
        if !bytes.is_empty() {
            let failed = player.rig.fail(stream, std::str::from_utf8(bytes).unwrap());
            // A node of 1.28 ends the data first, by a FIN, and kubectl may have let go of the stream before
            // the text.
            assert!(failed.is_ok() || player.recording.is_of_old_node(), "{failed:?}");
        }
        return;
    }
    if !bytes.is_empty() {
        player.rig.write(stream, bytes);
    }
    // With a text to come the end is told by it.
    if *fin && player.recording.text(pair.error).is_none() {
        player.rig.finish(stream);
    }
}

#[test]
fn our_client_understands_the_recorded_server() {
    for recording in Recording::of_pairs() {
        let name = &recording.name;
        let seen = play_client(&recording, Cut::Nowhere);
        assert_eq!(seen.streams.len(), recording.pairs.len(), "{name}");
        assert!(!seen.streams.is_empty(), "{name}");
        for (data, fate) in &seen.streams {
            let (_, pair, _) = recording.pair_of(*data);
            let text = recording.text(pair.error);
            assert_eq!(fate.received, recording.data(false, *data), "{name}");
            assert_eq!(fate.text, text, "{name}");
            let finished = recording.is_finished(false, *data);
            let end = if finished && text.is_none() { End::Eof } else { End::Failed };
            assert_eq!(fate.end, end, "{name} {data}");
        }
        let server_first = recording.has_go_away();
        let closed = if server_first { CloseReason::GoingAway } else { CloseReason::Local };
        assert_eq!(seen.closed, closed, "{name}");
    }
}

#[test]
fn our_client_says_on_each_stream_what_the_recorded_client_said() {
    for recording in Recording::of_pairs() {
        let seen = play_client(&recording, Cut::Nowhere);
        let mut expected: BTreeMap<u32, Vec<Frame>> = BTreeMap::new();
        let mut over = Vec::new();
        for (by_client, step) in &recording.steps {
            let Step::Bytes(_, _, frames) = step else { continue };
            for frame in frames {
                let Some(stream) = stream_of(frame) else { continue };
                if !by_client {
                    let ends = matches!(frame, Frame::Data { fin: true, .. } | Frame::Rst { .. });
                    over.extend(ends.then_some(stream));
                    continue;
                }
                let mut frame = frame.clone();
                match &mut frame {
                    // What kubectl sent into a stream that had ended is what wedges workers.
                    Frame::Data { .. } if over.contains(&stream) => continue,
                    // It counts requests of all its tunnels.
                    Frame::Syn { headers, .. } => {
                        headers[1].1 = recording.pair_of(stream).0.to_string();
                    }
                    _ => {}
                }
                note(&mut expected, stream, frame);
            }
        }
        assert_eq!(seen.said, expected, "{}", recording.name);
    }
}

#[test]
fn our_server_hands_the_pods_what_the_recorded_client_wrote() {
    for recording in Recording::all() {
        let name = &recording.name;
        let seen = play_server(&recording, Cut::Nowhere);
        assert_eq!(seen.streams.len(), recording.pairs.len(), "{name}");
        for (data, fate) in &seen.streams {
            let syn = recording.frames(true).find_map(|frame| match frame {
                Frame::Syn { id, headers, .. } if id == data => Some(headers),
                _ => None,
            });
            assert_eq!(fate.port.to_string(), syn.unwrap()[0].1, "{name}");
            // What it wrote behind a pod's failure reaches nobody.
            if recording.text(recording.pair_of(*data).1.error).is_none() {
                assert_eq!(fate.received, recording.data(true, *data), "{name}");
            }
            assert_eq!(fate.text, None, "{name}: nothing fails on the pods' side");
        }
    }
}

#[test]
fn our_server_says_on_each_stream_what_the_recorded_server_said() {
    // Ours ends streams as those of today.
    for recording in Recording::all().into_iter().filter(|it| !it.is_of_old_node()) {
        let seen = play_server(&recording, Cut::Nowhere);
        let mut expected: BTreeMap<u32, Vec<Frame>> = BTreeMap::new();
        for frame in recording.frames(false) {
            let Some(stream) = stream_of(frame) else { continue };
            let mut frame = frame.clone();
            // We say the text first and then reset both (protocol.md D.5); containerd closes the
            // data stream first.
            let (_, pair, is_data) = recording.pair_of(stream);
            let has_text = is_data && recording.text(pair.error).is_some();
            if matches!(frame, Frame::Data { fin: true, .. }) && has_text {
                frame = Frame::Rst { id: stream, status: 5 };
            }
            note(&mut expected, stream, frame);
        }
        assert_eq!(seen.said, expected, "{}", recording.name);
    }
}

#[test]
fn the_cuts_change_nothing() {
    fn check(play: fn(&Recording, Cut) -> Outcome, recordings: Vec<Recording>) {
        for recording in recordings {
            let whole = play(&recording, Cut::Nowhere);
            let cuts = (0..170).step_by(3).map(Cut::At).chain([Cut::Everywhere]);
            for cut in cuts.chain((0..20).map(Cut::Random)) {
                assert_eq!(play(&recording, cut), whole, "{} {cut:?}", recording.name);
            }
        }
    }
    check(play_client, Recording::of_pairs());
    check(play_server, Recording::all());
}

#[test]
fn every_recording_of_spdy_was_played() {
    let names: Vec<_> = Recording::all().into_iter().map(|recording| recording.name).collect();
    for name in [
        "spdy-kubectl-1.30-goaway",
        "spdy-kubectl-1.30-half-close",
        "spdy-kubectl-1.30-parallel",
        "spdy-kubectl-1.30-refused",
        "spdy-kubectl-echo",
        "spdy-node-1.28-kubectl-1.30-echo",
        "spdy-node-1.28-kubectl-1.30-pod-reset",
        "spdy-node-1.28-kubectl-1.30-refused",
        "tunnel-apiserver-kubectl-echo",
        "tunnel-apiserver-kubectl-half-close",
        "tunnel-apiserver-kubectl-long-answer",
        "tunnel-apiserver-kubectl-parallel",
        "tunnel-apiserver-kubectl-pod-reset",
        "tunnel-apiserver-kubectl-refused",
        "tunnel-apiserver-portway-echo",
        "tunnel-apiserver-portway-half-close",
        "tunnel-apiserver-portway-parallel",
        "tunnel-apiserver-portway-refused",
        "tunnel-kubectl-1.32-echo",
        "tunnel-kubectl-early-eof",
        "tunnel-kubectl-early-eof-fin-passed-on",
        "tunnel-kubectl-echo",
        "tunnel-kubectl-pod-reset",
        "tunnel-kubectl-refused",
        "tunnel-kubectl-three-connections",
        "tunnel-node-1.28-kubectl-echo",
        "tunnel-node-1.28-kubectl-parallel",
        "tunnel-node-1.28-kubectl-pod-reset",
        "tunnel-node-1.28-kubectl-refused",
        "tunnel-node-1.28-portway-echo",
        "tunnel-node-1.28-portway-refused",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} is not among {names:?}");
    }
}
