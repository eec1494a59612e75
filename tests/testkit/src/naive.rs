//! A naive reader of the wire.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portway_proto::{Incoming, Port, Side, WireForm};

/// A naive reader of v4 messages: gathers a whole message, then looks at it. It shares nothing with
/// the session but the specification (protocol.md B).
#[derive(Debug)]
pub struct Naive {
    side: Side,
    base64: bool,
    ports: Vec<u16>,
    announced: Vec<bool>,
    /// The message that is coming in.
    gathered: Vec<u8>,
    gathering: bool,
    data: Vec<Vec<u8>>,
    text: Vec<Vec<u8>>,
    broken: bool,
    /// Messages without a byte.
    pub empty: u64,
    /// Messages on a channel of no port.
    pub unknown: u64,
}

/// What the message so far is about.
enum Meaning {
    /// Nothing yet, or nothing for us.
    Nothing,
    /// So much of the data of a stream.
    Data(usize, Vec<u8>),
    /// So much of the error text of a stream.
    Text(usize, Vec<u8>),
    /// It breaks the protocol.
    Broken,
}

impl Naive {
    /// A reader on that side of a session of those ports.
    pub fn new(side: Side, form: WireForm, ports: &[Port]) -> Self {
        Self {
            side,
            base64: form == WireForm::V4Base64,
            ports: ports.iter().map(|port| port.get()).collect(),
            announced: vec![side == Side::Server; 2 * ports.len()],
            gathered: Vec::new(),
            gathering: false,
            data: vec![Vec::new(); ports.len()],
            text: vec![Vec::new(); ports.len()],
            broken: false,
            empty: 0,
            unknown: 0,
        }
    }

    /// Takes what the session is handed.
    pub fn take(&mut self, piece: &Incoming) {
        let (bytes, end) = match piece {
            Incoming::Text { .. } if self.side == Side::Client && !self.base64 => {
                self.broken = true;
                return;
            }
            Incoming::Binary { bytes, end } | Incoming::Text { bytes, end } => (bytes, *end),
            _ => return,
        };
        if self.broken {
            return;
        }
        self.gathering |= !bytes.is_empty();
        self.gathered.extend_from_slice(bytes);
        if end && !self.gathering {
            self.empty += 1;
        }
        match self.meaning(end) {
            Meaning::Broken => self.broken = true,
            meaning if end => {
                if let Some(&first) = self.gathered.first() {
                    let channel = self.channel(first);
                    match self.announced.get_mut(channel) {
                        Some(announced) => *announced = true,
                        None => self.unknown += 1,
                    }
                }
                match meaning {
                    Meaning::Data(stream, bytes) => self.data[stream].extend(bytes),
                    Meaning::Text(stream, bytes) => self.text[stream].extend(bytes),
                    Meaning::Nothing | Meaning::Broken => {}
                }
            }
            _ => {}
        }
        // A broken message stays: what it said before it broke may have been delivered.
        if end && !self.broken {
            self.gathered.clear();
            self.gathering = false;
        }
    }

    /// The data that came for a stream, the message that is coming in included.
    pub fn data(&self, stream: usize) -> Vec<u8> {
        match self.said() {
            Meaning::Data(of, bytes) if of == stream => [&self.data[stream][..], &bytes].concat(),
            _ => self.data[stream].clone(),
        }
    }

    /// The error text that came for a stream.
    pub fn text(&self, stream: usize) -> Vec<u8> {
        match self.said() {
            Meaning::Text(of, bytes) if of == stream => [&self.text[stream][..], &bytes].concat(),
            _ => self.text[stream].clone(),
        }
    }

    /// A message broke the protocol.
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Every channel was announced.
    pub fn is_ready(&self) -> bool {
        self.announced.iter().all(|announced| *announced)
    }

    fn channel(&self, first: u8) -> usize {
        usize::from(if self.base64 { first.wrapping_sub(b'0') } else { first })
    }

    /// What the message says so far, or all of it.
    fn meaning(&self, whole: bool) -> Meaning {
        let Some((_, text)) = self.gathered.split_first() else { return Meaning::Nothing };
        // Whole groups of four can be judged before the end.
        let text = if whole { text } else { &text[..text.len() / 4 * 4] };
        let known = self.announced.get(self.channel(self.gathered[0])).is_some();
        if self.base64 && known && STANDARD.decode(text).is_err() {
            return Meaning::Broken;
        }
        self.read(whole)
    }

    /// What the message says so far, up to where it breaks.
    fn said(&self) -> Meaning {
        self.read(false)
    }

    fn read(&self, whole: bool) -> Meaning {
        let Some((&first, rest)) = self.gathered.split_first() else { return Meaning::Nothing };
        let channel = self.channel(first);
        let Some(announced) = self.announced.get(channel) else { return Meaning::Nothing };
        let payload: Vec<u8> = if self.base64 {
            rest.chunks_exact(4).map_while(|group| STANDARD.decode(group).ok()).flatten().collect()
        } else {
            rest.to_vec()
        };
        let mut payload = &payload[..];
        if !announced {
            let Some((port, rest)) = payload.split_first_chunk() else {
                return if whole { Meaning::Broken } else { Meaning::Nothing };
            };
            if u16::from_le_bytes(*port) != self.ports[channel / 2] {
                return Meaning::Broken;
            }
            payload = rest;
        }
        match (channel % 2, self.side) {
            (0, _) => Meaning::Data(channel / 2, payload.to_vec()),
            (_, Side::Client) => Meaning::Text(channel / 2, payload.to_vec()),
            (_, Side::Server) => Meaning::Nothing,
        }
    }
}
