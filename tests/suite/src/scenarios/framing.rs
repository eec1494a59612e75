//! Bytes may be cut anywhere on their way: nothing depends on where.

use portway_driver::{Net, Runtime};
use portway_testkit::spdy::{self, Frame};

use crate::env::Env;
use crate::matrix::Role;
use crate::raw::{Message, Seen};

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

/// Data without a byte is no data, and no end.
pub async fn may_be_of_nothing<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let wire = line.wire();
    for text in [&b""[..], b"not", b"", b"", b"hing", b""] {
        let nothing = match env.can().dynamic_open {
            true => Message::Spdy(spdy::data(wire.data_id(), text)),
            false => Message::Channel(0, text.to_vec()),
        };
        wire.push(&nothing);
    }
    wire.pipe.flush().await.unwrap();
    let (left, right) = match env.role() {
        Role::Client => (&mut line.program, &mut line.pod),
        Role::Server => (&mut line.pod, &mut line.program),
    };
    left.expect(b"nothing").await;
    left.write(b"still").await;
    right.expect(b"still").await;
}

/// Whoever says text where bytes were agreed on is not understood: the session ends, by name.
pub async fn in_text_is_none<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    // A pod that is not reached yet has nothing to be reset.
    line.program.write(b"hello").await;
    line.pod.expect(b"hello").await;
    let wire = line.wire();
    let (_, message) = wire.data_message(b"text");
    wire.push_frame(1, true, &message);
    // Closed over what of the message was not read yet, a connection is reset, and that may overtake it.
    if let Some(goodbye) = wire.goodbye().await {
        let refused = matches!(
            goodbye,
            Message::Close(1003, _) | Message::Spdy(Frame::GoAway { status: 1, .. })
        );
        assert!(refused, "{goodbye:?}");
    }
    let left = if env.role() == Role::Client { &mut line.program } else { &mut line.pod };
    assert_eq!(left.read().await, Seen::Reset);
    if env.role() == Role::Client {
        let failure = line.failure().await;
        assert!(failure.contains("text"), "{failure}");
    }
}

/// A v4 client's text is taken for the bytes that it is, as Kubernetes does (protocol.md B.2).
pub async fn in_text_is_taken_of_a_client<R: Runtime + Net>(env: &Env<R>) {
    let mut line = env.line().await;
    let wire = line.wire();
    let (_, message) = wire.data_message(b"text");
    wire.push_frame(1, true, &message);
    wire.pipe.flush().await.unwrap();
    line.pod.expect(b"text").await;
}
