//! Recorded bytes of Kubernetes' own server, played against both of our sides: nobody can make the
//! client and the server wrong in the same way and stay green.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use portway_proto::{
    CloseReason, Config, Event, Incoming, Kind, Port, Side, StreamId, WireForm, WriteError,
};
use portway_testkit::rig::{End, Rig, close_frame, payload, remote_text};
use portway_testkit::transcript::{Entry, Seen, Transcript};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One frame: opcode and payload.
type Frame = (u8, Vec<u8>);

/// A recording, understood without the code under test.
struct Recording {
    name: String,
    form: WireForm,
    ports: Vec<u16>,
    entries: Vec<Entry>,
}

/// What one side made of a recording.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    frames: Vec<Frame>,
    received: Vec<Vec<u8>>,
    ends: Vec<End>,
    texts: Vec<Option<String>>,
    opened: Vec<u16>,
    closed: CloseReason,
}

/// Where a message is cut into pieces.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Nowhere,
    /// Into two pieces at this byte, or at the end if it is shorter.
    At(usize),
    /// Into pieces of one byte, and an empty last one.
    Everywhere,
}

impl Recording {
    fn all() -> Vec<Self> {
        Transcript::load_all("v4-").into_iter().map(Self::new).collect()
    }

    fn new(transcript: Transcript) -> Self {
        let query = transcript.request[0].split(['?', ' ']).nth(2).unwrap();
        let ports = query.split('&').map(|pair| pair.strip_prefix("ports=").unwrap());
        let ports = ports.map(|port| port.parse().unwrap()).collect();
        let base64 = transcript
            .response
            .contains(&"Sec-WebSocket-Protocol: v4.base64.channel.k8s.io".to_owned());
        let form = if base64 { WireForm::V4Base64 } else { WireForm::V4 };
        Self { name: transcript.name, form, ports, entries: transcript.entries }
    }

    /// The frames of one side.
    fn frames(&self, from_client: bool) -> Vec<Frame> {
        let of_side = self.entries.iter().filter(|entry| entry.from_client == from_client);
        of_side.filter_map(frame).collect()
    }

    /// The channel and payload of a data frame.
    fn open_message(&self, frame: &Frame) -> Option<(u8, Vec<u8>)> {
        let (opcode, bytes) = frame;
        if !matches!(*opcode, TEXT | BINARY) {
            return None;
        }
        let (first, rest) = bytes.split_first()?;
        Some(if self.form == WireForm::V4Base64 {
            (first - b'0', STANDARD.decode(rest).unwrap())
        } else {
            (*first, rest.to_vec())
        })
    }

    /// All that one side said on a channel after the first `skip` messages.
    fn said(&self, by_client: bool, channel: u8, skip: usize) -> Vec<u8> {
        let frames = self.frames(by_client);
        let messages = frames.iter().filter_map(|frame| self.open_message(frame));
        messages.filter(|(on, _)| *on == channel).skip(skip).flat_map(|(_, bytes)| bytes).collect()
    }

    /// What the server said was wrong with each port.
    fn texts(&self) -> Vec<Option<String>> {
        (0..self.ports.len())
            .map(|pair| {
                let text = self.said(false, u8::try_from(pair * 2 + 1).unwrap(), 1);
                Some(String::from_utf8(text).unwrap()).filter(|text| !text.is_empty())
            })
            .collect()
    }
}

fn frame(entry: &Entry) -> Option<Frame> {
    match &entry.what {
        Seen::Frame { opcode, fin, payload } => {
            assert!(fin, "v4 servers do not fragment");
            Some((*opcode, payload.clone()))
        }
        Seen::Bytes(_) => panic!("v4 is spoken in a WebSocket"),
        Seen::End => None,
    }
}

fn incoming((opcode, bytes): &Frame, end: bool) -> Incoming {
    let payload = Bytes::copy_from_slice(bytes);
    match *opcode {
        TEXT => Incoming::Text { bytes: payload, end },
        BINARY => Incoming::Binary { bytes: payload, end },
        CLOSE => Incoming::Close(close_frame(bytes)),
        PING => Incoming::Ping(payload),
        PONG => Incoming::Pong(payload),
        other => panic!("opcode {other}"),
    }
}

fn feed(rig: &mut Rig, frame: &Frame, cut: Cut) {
    let (opcode, bytes) = frame;
    let at = match cut {
        Cut::At(at) => at.min(bytes.len()),
        Cut::Nowhere | Cut::Everywhere => 0,
    };
    match (*opcode, cut) {
        (TEXT | BINARY, Cut::At(_)) => {
            rig.feed(incoming(&(*opcode, bytes[..at].to_vec()), false));
            rig.feed(incoming(&(*opcode, bytes[at..].to_vec()), true));
        }
        (TEXT | BINARY, Cut::Everywhere) => {
            for byte in bytes {
                rig.feed(incoming(&(*opcode, vec![*byte]), false));
            }
            rig.feed(incoming(&(*opcode, Vec::new()), true));
        }
        _ => rig.feed(incoming(frame, true)),
    }
}

fn drain(rig: &mut Rig, frames: &mut Vec<Frame>) {
    while let Some(transmit) = rig.transmit() {
        let opcode = match transmit.kind() {
            Kind::Text => TEXT,
            Kind::Binary => BINARY,
            Kind::Close => CLOSE,
            Kind::Ping => PING,
            Kind::Pong => PONG,
            other => panic!("{other:?}"),
        };
        frames.push((opcode, payload(&transmit).to_vec()));
    }
}

/// Reads what came, as an application does that keeps up.
fn read(rig: &mut Rig, ids: &[StreamId], received: &mut [Vec<u8>]) {
    for (id, received) in ids.iter().zip(received) {
        received.extend_from_slice(&rig.read_all(*id).0);
    }
}

fn outcome(mut rig: Rig, ids: &[StreamId], frames: Vec<Frame>, received: Vec<Vec<u8>>) -> Outcome {
    let events = rig.events();
    let mut opened = Vec::new();
    let mut closed = None;
    for event in events {
        match event {
            Event::Stream { event: portway_proto::StreamEvent::Opened { port }, .. } => {
                opened.push(port.get());
            }
            Event::Closed(reason) => closed = Some(reason),
            Event::Ready | Event::Stream { .. } | _ => {}
        }
    }
    let ends = ids.iter().map(|id| rig.read_all(*id).1).collect();
    let texts = ids.iter().map(|id| rig.failure(*id));
    let texts = texts.map(|failure| failure.map(|it| remote_text(Some(&it)).to_owned())).collect();
    Outcome { frames, received, ends, texts, opened, closed: closed.expect("Closed") }
}

/// Our client in the place of the recorded one.
fn play_client(recording: &Recording, cut: Cut) -> Outcome {
    let mut rig = Rig::new(Side::Client, recording.form, Config::client(), &recording.ports);
    let ids: Vec<_> = recording.ports.iter().map(|port| rig.open(*port)).collect();
    let (mut frames, mut server_closed) = (Vec::new(), false);
    let mut received = vec![Vec::new(); ids.len()];
    for entry in &recording.entries {
        let Some(frame) = frame(entry) else {
            if !entry.from_client {
                rig.disconnect();
            }
            continue;
        };
        if !entry.from_client {
            server_closed |= frame.0 == CLOSE;
            feed(&mut rig, &frame, cut);
            read(&mut rig, &ids, &mut received);
        } else if frame.0 == CLOSE && !server_closed {
            rig.session.close(CloseReason::Local, rig.now());
        } else if let Some((id, bytes)) = written(recording, &ids, &frame) {
            let result = rig.try_write(id, &bytes);
            assert!(matches!(result, Ok(()) | Err(WriteError::Ended)), "{result:?}");
        }
        drain(&mut rig, &mut frames);
    }
    outcome(rig, &ids, frames, received)
}

/// What an application would have to write to send that frame.
fn written(recording: &Recording, ids: &[StreamId], frame: &Frame) -> Option<(StreamId, Vec<u8>)> {
    let (channel, bytes) = recording.open_message(frame)?;
    let id = ids.get(usize::from(channel) / 2).filter(|_| channel % 2 == 0)?;
    Some((*id, bytes))
}

/// Our server in the place of the recorded one; its pods do what the recorded server passed on.
fn play_server(recording: &Recording, cut: Cut) -> Outcome {
    let mut rig = Rig::new(Side::Server, recording.form, Config::server(), &recording.ports);
    let ids = rig.accept_all();
    let (mut frames, mut client_closed) = (Vec::new(), false);
    let mut received = vec![Vec::new(); ids.len()];
    let mut prefixes = recording.ports.len() * 2;
    drain(&mut rig, &mut frames);
    for entry in &recording.entries {
        let Some(frame) = frame(entry) else {
            if entry.from_client {
                rig.disconnect();
            }
            continue;
        };
        if entry.from_client {
            client_closed |= frame.0 == CLOSE;
            feed(&mut rig, &frame, cut);
            read(&mut rig, &ids, &mut received);
        } else if let Some((channel, bytes)) = recording.open_message(&frame) {
            let id = ids[usize::from(channel) / 2];
            if prefixes > 0 {
                prefixes -= 1;
            } else if channel % 2 == 0 {
                rig.write(id, &bytes);
            } else {
                rig.fail(id, std::str::from_utf8(&bytes).unwrap()).unwrap();
            }
        } else if frame.0 == CLOSE && !client_closed {
            // The pods have ended.
            for id in &ids {
                if !rig.session.is_done(*id) {
                    rig.finish(*id);
                    rig.stop(*id);
                }
            }
        }
        drain(&mut rig, &mut frames);
    }
    outcome(rig, &ids, frames, received)
}

#[test]
fn our_client_understands_the_recorded_server() {
    for recording in Recording::all() {
        let seen = play_client(&recording, Cut::Nowhere);
        let name = &recording.name;
        assert_eq!(seen.opened, recording.ports, "{name}");
        assert_eq!(seen.texts, recording.texts(), "{name}");
        for (pair, text) in seen.texts.iter().enumerate() {
            let channel = u8::try_from(pair * 2).unwrap();
            assert_eq!(seen.received[pair], recording.said(false, channel, 1), "{name}");
            let end = if text.is_some() { End::Failed } else { End::Eof };
            assert_eq!(seen.ends[pair], end, "{name}");
        }
        let client_first =
            recording.entries.iter().find(|e| frame(e).is_some_and(|f| f.0 == CLOSE));
        let local = client_first.unwrap().from_client;
        let closed = if local { CloseReason::Local } else { CloseReason::Done };
        assert_eq!(seen.closed, closed, "{name}");
    }
}

#[test]
fn our_client_says_what_the_recorded_client_said() {
    for recording in Recording::all() {
        let texts = recording.texts();
        let mut failed = BTreeMap::new();
        let mut expected = Vec::new();
        for entry in &recording.entries {
            let Some(frame) = frame(entry) else { continue };
            let message = recording.open_message(&frame);
            match (entry.from_client, message) {
                // Its own pings, empty messages and messages on channels that are not for it to
                // write were the script's curiosity.
                (true, None) if frame.0 == CLOSE => expected.push(frame),
                (true, None) => {}
                (true, Some((channel, _))) => {
                    let pair = usize::from(channel) / 2;
                    let ours = channel % 2 == 0 && pair < recording.ports.len();
                    if ours && !failed.contains_key(&pair) {
                        expected.push(frame);
                    }
                }
                (false, Some((channel, bytes))) if channel % 2 == 1 => {
                    let pair = usize::from(channel) / 2;
                    if texts[pair].as_ref().is_some_and(|text| text.as_bytes() == bytes) {
                        failed.insert(pair, ());
                    }
                }
                (false, _) => {}
            }
        }
        // A client that got the server's Close answers it; the script just hung up.
        if expected.last().is_none_or(|(opcode, _)| *opcode != CLOSE) {
            expected.push((CLOSE, vec![0x03, 0xe8]));
        }
        let seen = play_client(&recording, Cut::Nowhere);
        assert_eq!(seen.frames, expected, "{}", recording.name);
    }
}

#[test]
fn our_server_says_what_the_recorded_server_said_byte_for_byte() {
    for recording in Recording::all() {
        let seen = play_server(&recording, Cut::Nowhere);
        assert_eq!(seen.frames, recording.frames(false), "{}", recording.name);
    }
}

#[test]
fn our_server_hands_the_pods_what_the_recorded_client_wrote() {
    for recording in Recording::all() {
        let seen = play_server(&recording, Cut::Nowhere);
        for (pair, text) in recording.texts().iter().enumerate() {
            let channel = u8::try_from(pair * 2).unwrap();
            // What a client wrote after its pod had failed reached nobody then either.
            if text.is_none() || recording.ports.len() == 1 {
                let said = recording.said(true, channel, 0);
                assert_eq!(seen.received[pair], said, "{}", recording.name);
            }
            assert_ne!(seen.ends[pair], End::Open, "{}", recording.name);
        }
        assert_eq!(
            seen.texts,
            vec![None; recording.ports.len()],
            "nothing fails on the pods' side"
        );
    }
}

#[test]
fn the_cuts_change_nothing() {
    for recording in Recording::all() {
        let longest =
            recording.entries.iter().filter_map(frame).map(|(_, bytes)| bytes.len()).max();
        for play in [play_client, play_server] {
            let whole = play(&recording, Cut::Nowhere);
            let cuts = (0..=longest.unwrap()).map(Cut::At).chain([Cut::Everywhere]);
            for cut in cuts {
                assert_eq!(play(&recording, cut), whole, "{} {cut:?}", recording.name);
            }
        }
    }
}

#[test]
fn every_recording_of_v4_was_played() {
    let names: Vec<_> = Recording::all().into_iter().map(|recording| recording.name).collect();
    for name in [
        "v4-base64-echo",
        "v4-base64-refused",
        "v4-echo",
        "v4-nothing-offered",
        "v4-offered-with-v5",
        "v4-ping-and-empty",
        "v4-pod-closes-first",
        "v4-pod-reset",
        "v4-pod-speaks-first",
        "v4-proxied-echo",
        "v4-proxied-pod-reset",
        "v4-proxied-refused",
        "v4-refused",
        "v4-two-ports-one-refused",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} is not among {names:?}");
    }
    let port = Port::new(8080).unwrap();
    assert_eq!(Recording::all()[0].ports, [port.get()]);
}
