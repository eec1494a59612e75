//! Recorded bytes of kubectl and of Kubernetes' server, played against both of our sides: nobody can
//! make the client and the server wrong in the same way and stay green.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what a test does not name it does not judge")]

use std::collections::BTreeMap;

use portway_proto::{CloseReason, Config, Event, HalfClose, Incoming, StreamId};
use portway_testkit::rig::{End, Rig, remote_text};
use portway_testkit::spdy::{Frame, Reader, Spdy};
use portway_testkit::transcript::{Seen, Transcript};

/// One thing that one side did, understood without the code under test.
#[derive(Debug, Clone)]
enum Step {
    /// A message, and the frames that it completed.
    Message(Vec<u8>, Vec<Frame>),
    Close,
    End,
}

struct Recording {
    name: String,
    /// Whether the client did it, and what.
    steps: Vec<(bool, Step)>,
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
    streams: Vec<Fate>,
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
        Transcript::load_all("tunnel-").into_iter().map(Self::new).collect()
    }

    fn new(transcript: Transcript) -> Self {
        let mut readers = [Reader::default(), Reader::default()];
        let steps = transcript.entries.into_iter().map(|entry| {
            let step = match entry.what {
                Seen::Frame { opcode: 8, .. } => Step::Close,
                Seen::Frame { opcode, fin, payload } => {
                    assert!(opcode == 2 && fin, "kubectl's messages are short");
                    let frames = readers[usize::from(entry.from_client)].take(&payload);
                    Step::Message(payload, frames)
                }
                Seen::End => Step::End,
            };
            (entry.from_client, step)
        });
        Self { name: transcript.name, steps: steps.collect() }
    }

    /// All frames of one side.
    fn frames(&self, by_client: bool) -> impl Iterator<Item = &Frame> {
        let of_side = self.steps.iter().filter(move |(client, _)| *client == by_client);
        of_side.flat_map(|(_, step)| match step {
            Step::Message(_, frames) => frames.as_slice(),
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

    /// The server ended that stream, by FIN or RST.
    fn is_ended(&self, by_client: bool, stream: u32) -> bool {
        self.frames(by_client).any(|frame| match frame {
            Frame::Data { id, fin, .. } => *id == stream && *fin,
            Frame::Rst { id, .. } => *id == stream,
            _ => false,
        })
    }
}

fn feed(rig: &mut Rig, bytes: &[u8], cut: Cut) {
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
        let end = to == bytes.len() || to % 2 == 0;
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

/// A side of ours in the place of the recorded one.
struct Player {
    rig: Spdy,
    /// By the number of their data stream.
    streams: BTreeMap<u32, (StreamId, u16, Vec<u8>)>,
    said: BTreeMap<u32, Vec<Frame>>,
    closing: bool,
}

impl Player {
    fn new(rig: Spdy) -> Self {
        Self { rig, streams: BTreeMap::new(), said: BTreeMap::new(), closing: false }
    }

    /// Reads what came, as an application does that keeps up, and sends what there is to send.
    fn turn(&mut self) {
        while let Some(id) = self.rig.session.accept() {
            let data = 3 + 4 * u32::try_from(self.streams.len()).unwrap();
            let port = self.rig.session.port(id).unwrap().get();
            self.streams.insert(data, (id, port, Vec::new()));
        }
        for (id, _, received) in self.streams.values_mut() {
            received.extend(self.rig.read_all(*id).0);
        }
        for frame in self.rig.frames() {
            // The goodbye resets what is unfinished; kubectl does not where it had finished.
            if let Some(stream) = stream_of(&frame).filter(|_| !self.closing) {
                self.said.entry(stream).or_default().push(frame);
            }
        }
    }

    fn outcome(mut self) -> Outcome {
        let closed = self.rig.events().pop();
        let Some(Event::Closed(closed)) = closed else { panic!("{closed:?}") };
        let rig = &mut self.rig;
        let fates = std::mem::take(&mut self.streams).into_values();
        let streams = fates.map(|(id, port, received)| {
            let end = rig.read_all(id).1;
            let text = match rig.failure(id) {
                Some(portway_proto::StreamError::Remote(_)) => {
                    Some(remote_text(rig.failure(id).as_ref()).to_owned())
                }
                _ => None,
            };
            Fate { port, received, end, text }
        });
        Outcome { streams: streams.collect(), said: self.said, closed }
    }
}

/// Our client in the place of kubectl: it opens, writes and finishes when kubectl did.
fn play_client(recording: &Recording, cut: Cut) -> Outcome {
    let config = Config::client().with_half_close(HalfClose::Immediate);
    let mut player = Player::new(Spdy::client(config));
    for (by_client, step) in &recording.steps {
        match (by_client, step) {
            (false, Step::Message(bytes, _)) => feed(&mut player.rig, bytes, cut),
            (false, Step::Close) => player.rig.peer_close(1000),
            (false, Step::End) => player.rig.disconnect(),
            (true, Step::Message(_, frames)) => {
                for frame in frames {
                    act_as_kubectl(&mut player, frame);
                }
            }
            (true, Step::Close | Step::End) => {}
        }
        player.turn();
    }
    player.outcome()
}

fn act_as_kubectl(player: &mut Player, frame: &Frame) {
    match frame {
        Frame::Syn { id, headers, .. } if headers[2].1 == "error" => {
            let port = headers[0].1.parse().unwrap();
            let stream = player.rig.open(port);
            player.streams.insert(id + 2, (stream, port, Vec::new()));
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
    let mut player = Player::new(Spdy::server(Config::server()));
    for (by_client, step) in &recording.steps {
        match (by_client, step) {
            (true, Step::Message(bytes, frames)) => {
                player.closing |= frames.iter().any(|f| matches!(f, Frame::GoAway { .. }));
                feed(&mut player.rig, bytes, cut);
            }
            (true, Step::Close) => player.rig.peer_close(1000),
            (true, Step::End) => player.rig.disconnect(),
            (false, Step::Message(_, frames)) => {
                for frame in frames {
                    act_as_pod(&mut player, recording, frame);
                }
            }
            (false, Step::Close | Step::End) => {}
        }
        player.turn();
    }
    player.outcome()
}

fn act_as_pod(player: &mut Player, recording: &Recording, frame: &Frame) {
    let Frame::Data { id, bytes, fin } = frame else { return };
    if let Some((stream, ..)) = player.streams.get(id) {
        let stream = *stream;
        if !bytes.is_empty() {
            player.rig.write(stream, bytes);
        }
        // With a text to come the end is told by it.
        if *fin && recording.text(id - 2).is_none() {
            player.rig.finish(stream);
        }
    } else if !bytes.is_empty() {
        let (stream, ..) = player.streams[&(id + 2)];
        player.rig.fail(stream, std::str::from_utf8(bytes).unwrap()).unwrap();
    }
}

#[test]
fn our_client_understands_the_recorded_server() {
    for recording in Recording::all() {
        let name = &recording.name;
        let seen = play_client(&recording, Cut::Nowhere);
        assert!(!seen.streams.is_empty());
        for (stream, fate) in seen.streams.iter().enumerate() {
            let data = 3 + 4 * u32::try_from(stream).unwrap();
            let text = recording.text(data - 2);
            assert_eq!(fate.received, recording.data(false, data), "{name}");
            assert_eq!(fate.text, text, "{name}");
            let ended = recording.is_ended(false, data);
            let end = if ended && text.is_none() { End::Eof } else { End::Failed };
            assert_eq!(fate.end, end, "{name} {data}");
        }
        assert_eq!(seen.closed, CloseReason::Local, "{name}");
    }
}

#[test]
fn our_client_says_on_each_stream_what_kubectl_said() {
    for recording in Recording::all() {
        let seen = play_client(&recording, Cut::Nowhere);
        let mut expected: BTreeMap<u32, Vec<Frame>> = BTreeMap::new();
        let mut over = Vec::new();
        for (by_client, step) in &recording.steps {
            let Step::Message(_, frames) = step else { continue };
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
                        headers[1].1 = ((stream - 1) / 4).to_string();
                    }
                    _ => {}
                }
                expected.entry(stream).or_default().push(frame);
            }
        }
        assert_eq!(seen.said, expected, "{}", recording.name);
    }
}

#[test]
fn our_server_hands_the_pods_what_kubectl_wrote() {
    for recording in Recording::all() {
        let name = &recording.name;
        let seen = play_server(&recording, Cut::Nowhere);
        for (stream, fate) in seen.streams.iter().enumerate() {
            let data = 3 + 4 * u32::try_from(stream).unwrap();
            let syn = recording.frames(true).find_map(|frame| match frame {
                Frame::Syn { id, headers, .. } if *id == data => Some(headers),
                _ => None,
            });
            assert_eq!(fate.port.to_string(), syn.unwrap()[0].1, "{name}");
            // What it wrote behind a pod's failure reaches nobody.
            if recording.text(data - 2).is_none() {
                assert_eq!(fate.received, recording.data(true, data), "{name}");
            }
            assert_eq!(fate.text, None, "{name}: nothing fails on the pods' side");
        }
        let opened = recording.frames(true).filter(|f| matches!(f, Frame::Syn { .. })).count();
        assert_eq!(opened, 2 * seen.streams.len(), "{name}");
    }
}

#[test]
fn our_server_says_on_each_stream_what_the_recorded_server_said() {
    for recording in Recording::all() {
        let seen = play_server(&recording, Cut::Nowhere);
        let mut expected: BTreeMap<u32, Vec<Frame>> = BTreeMap::new();
        for frame in recording.frames(false) {
            let stream = stream_of(frame).unwrap();
            let mut frame = frame.clone();
            // We say the text first and then reset both (protocol.md D.5); containerd closes the
            // data stream first.
            let has_text = stream % 4 == 3 && recording.text(stream - 2).is_some();
            if matches!(frame, Frame::Data { fin: true, .. }) && has_text {
                frame = Frame::Rst { id: stream, status: 5 };
            }
            let said = expected.entry(stream).or_default();
            match (&frame, said.last_mut()) {
                // Cut differently, the same bytes.
                (
                    Frame::Data { bytes, fin: false, .. },
                    Some(Frame::Data { bytes: before, .. }),
                ) => {
                    before.extend(bytes);
                }
                _ => said.push(frame),
            }
        }
        assert_eq!(seen.said, expected, "{}", recording.name);
    }
}

#[test]
fn the_cuts_change_nothing() {
    for recording in Recording::all() {
        for play in [play_client, play_server] {
            let whole = play(&recording, Cut::Nowhere);
            let cuts = (0..170).step_by(3).map(Cut::At).chain([Cut::Everywhere]);
            for cut in cuts.chain((0..20).map(Cut::Random)) {
                assert_eq!(play(&recording, cut), whole, "{} {cut:?}", recording.name);
            }
        }
    }
}

#[test]
fn every_recording_of_the_tunnel_was_played() {
    let names: Vec<_> = Recording::all().into_iter().map(|recording| recording.name).collect();
    for name in [
        "tunnel-kubectl-1.32-echo",
        "tunnel-kubectl-early-eof",
        "tunnel-kubectl-early-eof-fin-passed-on",
        "tunnel-kubectl-echo",
        "tunnel-kubectl-pod-reset",
        "tunnel-kubectl-refused",
        "tunnel-kubectl-three-connections",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} is not among {names:?}");
    }
}
