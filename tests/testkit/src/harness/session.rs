//! The session of both sides. The oracles are a naive reader of the wire, a model of what the
//! applications did, and promises that hold at any time.

mod hostile;
mod message;
mod misuse;
mod pair;
mod policy;
mod roundtrip;
#[cfg(test)]
mod seeds;
mod spdy;

pub use hostile::{session_client, session_server};
pub use message::{v4_message_client, v4_message_server};
pub use misuse::api_misuse;
pub use pair::{pair_honest, pair_spdy};
pub use policy::policy_diff;
pub use roundtrip::v4_roundtrip;
pub use spdy::{pair_chunking, spdy_client, spdy_server};

use bytes::Bytes;
use portway_proto::{Port, Side, WireForm};

use crate::message::Message;

/// A data message of that form.
fn encode(form: WireForm, channel: u8, payload: &[u8]) -> Message {
    use base64::Engine;
    match form {
        WireForm::V4Base64 => {
            let text = base64::engine::general_purpose::STANDARD.encode(payload);
            Message::text([&[b'0'.wrapping_add(channel)], text.as_bytes()].concat())
        }
        _ => Message::binary([&[channel], payload].concat()),
    }
}

/// What a server says first.
fn announcement(form: WireForm, ports: &[Port]) -> Vec<Message> {
    let channels = ports.iter().flat_map(|port| [port, port]).zip(0..);
    channels.map(|(port, channel)| encode(form, channel, &port.get().to_le_bytes())).collect()
}

/// The same bytes as another kind of data message.
fn with_text(message: Message, text: bool) -> Message {
    let payload: Bytes = message.payload;
    if text { Message::text(payload) } else { Message::binary(payload) }
}

const fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}
