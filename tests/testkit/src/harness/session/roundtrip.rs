use std::time::Duration;

use portway_proto::{Config, Kind, Side, StreamError};

use super::{announcement, encode, other};
use crate::app::App;
use crate::clock::Clock;
use crate::cuts::Cuts;
use crate::invariants::Subject;
use crate::message::Message;
use crate::model::Ending;
use crate::ops::{self, Action};
use crate::source::Source;

/// What one side writes is on the wire as the specification has it, and the other side reads it.
///
/// Form, ports, which side writes, limit of a message, seed of the cuts; then frames of a stream
/// (2 bits), whether it is an error text, and a length.
pub fn v4_roundtrip(data: &[u8]) {
    let mut source = Source::new(data);
    let form = ops::form(&mut source);
    let ports = ops::ports(&mut source);
    let side = if source.flag() { Side::Server } else { Side::Client };
    let max = source.pick(&[65_536, 100, 1, 33]);
    let mut cuts = Cuts::new(u64::from(source.byte()));

    let mut clock = Clock::default();
    let end = |side, now| {
        let config = Config::of(side).with_max_payload(max);
        let mut subject = Subject::new(side, form, config, &ports, now);
        let app = App::new(&mut subject, &ports, now);
        (subject, app)
    };
    let (mut writer, mut from) = end(side, clock.now());
    let (mut reader, mut to) = end(other(side), clock.now());

    // The server announces the ports, whoever writes.
    let server = if side == Side::Server { &mut writer } else { &mut reader };
    let client = server.flush(clock.now());
    assert_eq!(client, announcement(form, &ports));
    let client_side = if side == Side::Server { &mut reader } else { &mut writer };
    for piece in client.into_iter().flat_map(|message| cuts.pieces(message)) {
        client_side.hand(piece, clock.now());
    }
    assert!({
        client_side.events();
        client_side.is_ready()
    });

    let mut room = 10_000.min(200 * max);
    while !source.is_empty() && room > 0 {
        let kind = source.byte();
        let stream = usize::from(kind & 3) % ports.len();
        let error = side == Side::Server && kind & 0x3c == 0x3c;
        let len = if kind & 0x80 == 0 { source.below(256) } else { source.below(5000) };
        let len = len.min(room);
        room -= len;
        let sent = from.account(stream).sent.len();
        let action =
            if error { Action::Fail { stream, len } } else { Action::Write { stream, len } };
        let failed_before = from.account(stream).failed_with.is_some();
        from.act(&mut writer, &action, clock.now());

        let channel = (2 * stream) as u8;
        let mut expected: Vec<Message> = from.account(stream).sent[sent..]
            .chunks(max)
            .map(|chunk| encode(form, channel, chunk))
            .collect();
        if let Some(text) = from.account(stream).failed_with.as_ref().filter(|_| !failed_before) {
            expected.push(encode(form, channel + 1, text.as_bytes()));
        }
        let messages = writer.flush(clock.now());
        let (close, messages): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.kind == Kind::Close);
        assert_eq!(messages, expected);
        for piece in messages.into_iter().chain(close).flat_map(|message| cuts.pieces(message)) {
            reader.hand(piece, clock.now());
            to.read_all(&mut reader, clock.now());
        }
    }

    clock.advance(Duration::from_secs(1));
    reader.time(clock.now());
    to.read_all(&mut reader, clock.now());
    for stream in 0..ports.len() {
        let (from, to) = (from.account(stream), to.account(stream));
        assert_eq!(from.sent, to.received, "data of stream {stream}");
        match (&from.failed_with, &to.ending) {
            (Some(sent), Some(Ending::Failed(StreamError::Remote(text)))) => {
                assert_eq!(sent, text.as_str());
            }
            (None, None | Some(Ending::Clean)) => {}
            other => panic!("{other:?}"),
        }
    }
}
