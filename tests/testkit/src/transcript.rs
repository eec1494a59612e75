//! Recorded bytes of real peers: `tests/transcripts/*.txt`, format in the README.md there.

use std::path::PathBuf;

/// One upgraded (or refused) connection as a proxy between the two real peers saw it.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs)]
pub struct Transcript {
    /// File name without `.txt`.
    pub name: String,
    /// Header lines of the request, request line first.
    pub request: Vec<String>,
    /// Header lines of the answer, status line first.
    pub response: Vec<String>,
    /// Body of a refusal.
    pub body: Option<String>,
    /// What followed an upgrade, in the order the proxy saw it.
    pub entries: Vec<Entry>,
}

/// One line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Entry {
    /// Sent by the client (`>`), not by the server (`<`).
    pub from_client: bool,
    /// What was seen.
    pub what: Seen,
}

/// A frame or the end of a direction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Seen {
    /// One WebSocket frame, unmasked.
    Frame {
        /// RFC 6455 opcode.
        opcode: u8,
        /// The FIN bit.
        fin: bool,
        /// The payload.
        payload: Vec<u8>,
    },
    /// Bytes of a connection without WebSocket, as one read of the proxy gave them.
    Bytes(Vec<u8>),
    /// The direction's transport ended.
    End,
}

impl Transcript {
    /// All transcripts whose name starts with `prefix`, by name. Panics when there is none.
    pub fn load_all(prefix: &str) -> Vec<Self> {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../transcripts"));
        let mut names: Vec<String> = std::fs::read_dir(&folder)
            .expect("tests/transcripts exists")
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".txt").map(str::to_owned))
            .filter(|name| name.starts_with(prefix))
            .collect();
        names.sort();
        assert!(!names.is_empty(), "no transcript starts with {prefix:?}");
        names.iter().map(|name| Self::load(name)).collect()
    }

    /// The transcript of that name.
    pub fn load(name: &str) -> Self {
        let path = format!("{}/../transcripts/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut transcript = Self {
            name: name.to_owned(),
            request: Vec::new(),
            response: Vec::new(),
            body: None,
            entries: Vec::new(),
        };
        for (number, line) in text.lines().enumerate() {
            transcript
                .take_line(line)
                .unwrap_or_else(|| panic!("{path}:{}: not understood: {line:?}", number + 1));
        }
        transcript
    }

    fn take_line(&mut self, line: &str) -> Option<()> {
        let (mark, rest) = line.split_once(' ')?;
        if mark == "!" {
            let from_client = rest.starts_with('>');
            self.entries.push(Entry { from_client, what: Seen::End });
            return Some(());
        }
        let from_client = match mark {
            ">" => true,
            "<" => false,
            _ => return None,
        };
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "HTTP" if from_client => self.request.push(rest.to_owned()),
            "HTTP" => self.response.push(rest.to_owned()),
            "BODY" => self.body = Some(rest.to_owned()),
            "spdy" => {
                self.entries.push(Entry { from_client, what: Seen::Bytes(unhex(rest)?) });
            }
            frame => {
                let fin = !frame.ends_with('+');
                let opcode = match frame.trim_end_matches('+') {
                    "cont" => 0,
                    "text" => 1,
                    "bin" => 2,
                    "close" => 8,
                    "ping" => 9,
                    "pong" => 10,
                    _ => return None,
                };
                let what = Seen::Frame { opcode, fin, payload: unhex(rest)? };
                self.entries.push(Entry { from_client, what });
            }
        }
        Some(())
    }
}

fn unhex(words: &str) -> Option<Vec<u8>> {
    words.split_ascii_whitespace().map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transcript_parses() {
        let all = Transcript::load_all("");
        assert!(all.len() >= 53, "{}", all.len());
        let echo = Transcript::load("v4-echo");
        assert_eq!(
            echo.entries[0],
            Entry {
                from_client: false,
                what: Seen::Frame { opcode: 2, fin: true, payload: vec![0, 0x90, 0x1f] }
            }
        );
        assert_eq!(Transcript::load("refused-v5-only").body.as_deref(), Some(""));
    }
}
