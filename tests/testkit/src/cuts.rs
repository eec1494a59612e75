//! Messages cut into pieces.

use bytes::Bytes;
use portway_proto::{Incoming, Kind};

use crate::message::Message;

/// Cuts messages into pieces as a transport does that hands on what it has read so far.
#[derive(Debug, Clone)]
pub struct Cuts {
    state: u64,
}

impl Cuts {
    /// Cuts at places that `seed` decides; 0 cuts nothing.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The message as one side of a session is handed it.
    pub fn pieces(&mut self, message: Message) -> Vec<Incoming> {
        let Message { kind, payload } = message;
        match kind {
            Kind::Binary => self.data(payload, |bytes, end| Incoming::Binary { bytes, end }),
            Kind::Text => self.data(payload, |bytes, end| Incoming::Text { bytes, end }),
            Kind::Ping => vec![Incoming::Ping(payload)],
            Kind::Pong => vec![Incoming::Pong(payload)],
            Kind::Close => vec![Incoming::Close(Message::close_frame(&payload))],
            other => panic!("no cuts for {other:?}"),
        }
    }

    fn data(
        &mut self,
        mut payload: Bytes,
        piece: impl Fn(Bytes, bool) -> Incoming,
    ) -> Vec<Incoming> {
        let mut pieces = Vec::new();
        while self.state != 0 && payload.len() > 1 && self.next(3) != 0 {
            let at = 1 + self.next(payload.len() - 1);
            pieces.push(piece(payload.split_to(at), false));
        }
        // A fragment can be empty, the last one too.
        if self.state != 0 && self.next(16) == 0 {
            pieces.push(piece(payload.split_to(payload.len()), false));
        }
        pieces.push(piece(payload, true));
        pieces
    }

    /// A number below `end`.
    fn next(&mut self, end: usize) -> usize {
        // xorshift64
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_are_the_message() {
        let payload = Bytes::from((0..200).collect::<Vec<u8>>());
        for seed in 0..200 {
            let pieces =
                Cuts::new(seed).pieces(Message { kind: Kind::Binary, payload: payload.clone() });
            let (last, front) = pieces.split_last().unwrap();
            assert!(front.iter().all(|p| matches!(p, Incoming::Binary { end: false, .. })));
            assert!(matches!(last, Incoming::Binary { end: true, .. }));
            let all: Vec<u8> = pieces
                .iter()
                .flat_map(|piece| match piece {
                    Incoming::Binary { bytes, .. } => bytes.to_vec(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(all, payload);
            assert!(seed != 0 || pieces.len() == 1);
        }
    }
}
