//! Bytes may be cut anywhere on their way: nothing depends on where.

use portway_driver::{Net, Runtime};
use portway_testkit::spdy;

use crate::env::Env;
use crate::matrix::Role;

/// SPDY frames come in pieces of one to three bytes, with empty messages between them, as Go sends them.
pub async fn of_spdy_does_not_matter<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let wire = line.wire();
    let id = wire.data_id();
    for text in [&b"cut "[..], b"into ", b"pieces"] {
        let frame = wire.encode(&spdy::data(id, text));
        let mut rest = &frame[..];
        for len in [1, 2, 3].into_iter().cycle() {
            let (piece, after) = rest.split_at(rest.len().min(len));
            wire.push_bytes(piece);
            if env.form().subprotocol().is_some() {
                wire.push_bytes(b"");
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
    }
    wire.pipe.flush().await.unwrap();
    let other = if env.role() == Role::Client { &mut line.program } else { &mut line.pod };
    other.expect(b"cut into pieces").await;
}

/// A WebSocket message in fragments is one message, also with a ping within and an empty last one.
pub async fn of_messages_does_not_matter<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let wire = line.wire();
    let (opcode, message) = wire.data_message(b"cut into pieces");
    let (first, rest) = message.split_at(7);
    wire.push_frame(opcode, false, first);
    wire.push_frame(9, true, b"in between");
    wire.push_frame(0, false, rest);
    wire.push_frame(0, true, b"");
    wire.pipe.flush().await.unwrap();
    let other = if env.role() == Role::Client { &mut line.program } else { &mut line.pod };
    other.expect(b"cut into pieces").await;
}
