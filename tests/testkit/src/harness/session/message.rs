use std::time::Duration;

use portway_proto::{CloseReason, Config, Port, Side, StreamError, WireForm};

use super::{announcement, with_text};
use crate::app::App;
use crate::clock::Clock;
use crate::cuts::Cuts;
use crate::invariants::Subject;
use crate::message::Message;
use crate::model::Ending;
use crate::naive::Naive;
use crate::ops;
use crate::source::Source;

/// Any message means to a client what it means to a naive reader, wherever it is cut.
///
/// Form, ports, how many channels are announced before, binary or text, seed of the cuts; the rest is
/// the message.
pub fn v4_message_client(data: &[u8]) {
    message(Side::Client, data);
}

/// Any message means to a server what it means to a naive reader, wherever it is cut.
///
/// The input is that of [`v4_message_client`]; what is announced before means nothing here.
pub fn v4_message_server(data: &[u8]) {
    message(Side::Server, data);
}

fn message(side: Side, data: &[u8]) {
    let mut source = Source::new(data);
    let form = ops::form(&mut source);
    let ports = ops::ports(&mut source);
    // Most of the time all of them.
    let announced = usize::from(source.byte()).checked_sub(200).unwrap_or(2 * ports.len());
    let text = (form == WireForm::V4Base64) ^ (source.below(16) == 15);
    let seed = u64::from(source.byte());
    let last = with_text(Message::binary(source.rest().to_vec()), text);

    let mut reader = Reader::new(side, form, &ports);
    if side == Side::Client {
        for message in announcement(form, &ports).into_iter().take(announced) {
            reader.take(message, 0);
        }
    }
    reader.take(last, seed);
    reader.judge();
}

/// A session and a naive reader of the same messages.
struct Reader {
    clock: Clock,
    subject: Subject,
    app: App,
    naive: Naive,
}

impl Reader {
    fn new(side: Side, form: WireForm, ports: &[Port]) -> Self {
        let clock = Clock::default();
        let config = Config::of(side).with_error_text(100).with_recv_buffer(1 << 20);
        let mut subject = Subject::new(side, form, config, ports, clock.now());
        let app = App::new(&mut subject, ports, clock.now());
        Self { clock, subject, app, naive: Naive::new(side, form, ports) }
    }

    fn take(&mut self, message: Message, seed: u64) {
        for piece in Cuts::new(seed).pieces(message) {
            self.naive.take(&piece);
            self.subject.hand(piece, self.clock.now());
            self.app.read_all(&mut self.subject, self.clock.now());
        }
    }

    fn judge(mut self) {
        let stats = self.subject.look().stats();
        if self.naive.is_broken() {
            let mut now = self.clock.now();
            self.subject.drain(&mut now);
            let reason = self.subject.closed();
            assert!(matches!(reason, Some(CloseReason::Violation(_))), "{reason:?}");
        } else {
            assert!(self.subject.look().wants_read(), "closed by a message that is right");
            assert_eq!(stats.ignored_empty, self.naive.empty);
            assert_eq!(stats.ignored_channel, self.naive.unknown);
            assert_eq!(self.subject.is_ready(), self.naive.is_ready());
            // The error text may have more to come for a while.
            self.clock.advance(Duration::from_secs(1));
            self.subject.time(self.clock.now());
            self.app.read_all(&mut self.subject, self.clock.now());
        }
        let mut bytes_in = 0;
        for stream in 0..self.app.len() {
            let account = self.app.account(stream);
            let data = self.naive.data(stream);
            let text = self.naive.text(stream);
            if self.naive.is_broken() {
                // What the broken message said before it broke may have been delivered or not.
                assert!(data.starts_with(&account.received));
                continue;
            }
            assert_eq!(account.received, data, "data of stream {stream}");
            bytes_in += data.len() as u64;
            if text.is_empty() {
                assert_eq!(account.ending, None);
                continue;
            }
            let Some(Ending::Failed(StreamError::Remote(remote))) = &account.ending else {
                panic!("{:?} instead of an error text", account.ending);
            };
            let kept = &text[..text.len().min(100)];
            assert_eq!(remote.as_str(), String::from_utf8_lossy(kept), "text of stream {stream}");
            assert_eq!(remote.truncated(), text.len() > kept.len());
        }
        assert!(self.naive.is_broken() || stats.bytes_in == bytes_in);
    }
}
