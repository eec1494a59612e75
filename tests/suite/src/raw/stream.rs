//! One stream of a session, read and written by hand (protocol.md B.3, B.8, C.5, C.6).

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

use portway_driver::proto::Side;
use portway_driver::{Socket, WireForm};
use portway_testkit::spdy::{self, Frame};

use super::{Answer, Asked, Message, Raw, Seen};
use crate::pipe::Pipe;

/// The stream that a test has in hand, and the session it is on.
#[derive(Debug)]
pub struct RawStream<S> {
    raw: Raw<S>,
    side: Side,
    channels: bool,
    /// The numbers of the stream: SPDY's, or the channels of v4.
    error: u32,
    data: u32,
    text: Vec<u8>,
    /// SPDY: what the other side said of its ends.
    data_ended: Option<Seen>,
    error_ended: bool,
    replied: bool,
    /// We said the end of the data.
    finished: bool,
    pending: VecDeque<Seen>,
    over: Option<Seen>,
    /// Frames of streams that were not accepted yet.
    ahead: VecDeque<Frame>,
    /// Pings are answered.
    pub answers: bool,
    /// Pings that came.
    pub pings: usize,
}

impl<S> Deref for RawStream<S> {
    type Target = Raw<S>;

    fn deref(&self) -> &Raw<S> {
        &self.raw
    }
}

impl<S> DerefMut for RawStream<S> {
    fn deref_mut(&mut self) -> &mut Raw<S> {
        &mut self.raw
    }
}

impl<S: Socket> RawStream<S> {
    /// A server: grants the form on a fresh connection, and opens the stream that is asked for.
    pub async fn serve(mut pipe: Pipe<S>, form: WireForm, port: u16) -> Self {
        let asked = Asked::read(&mut pipe).await.expect("a request");
        let mut stream = Self::granted(pipe, &asked, form);
        stream.open_as_server(port).await;
        stream
    }

    /// A server: grants the form, and does nothing more.
    pub fn granted(mut pipe: Pipe<S>, asked: &Asked, form: WireForm) -> Self {
        asked.grant(&mut pipe, form);
        Self::new(pipe, form, Side::Server)
    }

    /// A client: asks for the form, and opens the stream.
    pub async fn connect(mut pipe: Pipe<S>, form: WireForm, port: u16) -> Self {
        Answer::to(&mut pipe, form, &[port]).await.assert_granted(form);
        let mut stream = Self::new_client(pipe, form);
        stream.open_as_client(port).await;
        stream
    }

    /// A client of a session that was granted.
    pub fn new_client(pipe: Pipe<S>, form: WireForm) -> Self {
        Self::new(pipe, form, Side::Client)
    }

    /// SPDY: the number of the data stream.
    pub const fn data_id(&self) -> u32 {
        self.data
    }

    /// The WebSocket message that says some bytes, with its opcode.
    pub fn data_message(&mut self, bytes: &[u8]) -> (u8, Vec<u8>) {
        if self.channels {
            self.raw.channel_message(0, bytes)
        } else {
            (2, self.raw.encode(&spdy::data(self.data, bytes)))
        }
    }

    fn new(pipe: Pipe<S>, form: WireForm, side: Side) -> Self {
        Self {
            raw: Raw::new(pipe, form, side),
            side,
            channels: !form.capabilities().dynamic_open,
            error: 1,
            data: 0,
            text: Vec::new(),
            data_ended: None,
            error_ended: false,
            replied: false,
            finished: false,
            pending: VecDeque::new(),
            over: None,
            ahead: VecDeque::new(),
            answers: true,
            pings: 0,
        }
    }

    /// A server: announces the port, or waits for a stream to it and replies.
    pub async fn open_as_server(&mut self, port: u16) {
        self.wait_for_opening(port).await;
        if self.channels {
            for channel in [0, 1] {
                self.raw.push(&Message::Channel(channel, port.to_le_bytes().to_vec()));
            }
        } else {
            self.reply();
        }
        self.raw.pipe.flush().await.expect("the opening is taken");
    }

    /// A server: takes the next stream in hand, and says nothing yet.
    pub async fn wait_for_opening(&mut self, port: u16) {
        self.begin();
        if self.channels {
            return;
        }
        // The error stream comes first (protocol.md C.5).
        self.error = self.next_syn("error", port).await;
        self.data = self.next_syn("data", port).await;
        for frame in std::mem::take(&mut self.ahead) {
            self.take_spdy(frame);
        }
    }

    /// A server: replies to both halves of the stream.
    pub fn reply(&mut self) {
        for id in [self.error, self.data] {
            self.raw.push(&Message::Spdy(spdy::reply(id)));
        }
    }

    /// A client: checks the announcement, or opens a stream. Replies are read with what follows.
    pub async fn open_as_client(&mut self, port: u16) {
        let first = if self.data == 0 { 1 } else { self.data + 2 };
        self.begin();
        if self.channels {
            for channel in [0, 1] {
                let announced = self.raw.next().await.expect("no error").expect("a message");
                assert_eq!(announced, Message::Channel(channel, port.to_le_bytes().to_vec()));
            }
            return;
        }
        (self.error, self.data) = (first, first + 2);
        let request = first.to_string();
        self.raw.push(&Message::Spdy(spdy::syn(self.error, "error", port, &request)));
        self.raw.push(&Message::Spdy(spdy::fin(self.error)));
        self.raw.push(&Message::Spdy(spdy::syn(self.data, "data", port, &request)));
        self.raw.pipe.flush().await.expect("the opening is taken");
    }

    /// Says some bytes, with the next read at the latest.
    pub fn push_data(&mut self, bytes: &[u8]) {
        // A pod's bytes come in such pieces (protocol.md B.5).
        for piece in bytes.chunks(32 * 1024) {
            let message = match self.channels {
                true => Message::Channel(0, piece.to_vec()),
                false => Message::Spdy(spdy::data(self.data, piece)),
            };
            self.raw.push(&message);
        }
    }

    /// Says that nothing more comes: on v4 that is the end of the session.
    pub fn push_end(&mut self) {
        self.finished = true;
        if self.channels {
            return self.raw.push(&Message::Close(1000, String::new()));
        }
        self.raw.push(&Message::Spdy(spdy::fin(self.data)));
        if self.side == Side::Server {
            self.raw.push(&Message::Spdy(spdy::fin(self.error)));
        }
    }

    /// A server: says a piece of an error text.
    pub fn push_text(&mut self, text: &[u8]) {
        self.raw.push(&match self.channels {
            true => Message::Channel(1, text.into()),
            false => Message::Spdy(spdy::data(self.error, text)),
        });
    }

    /// A server: says why the stream failed, as containerd does (protocol.md B.8 #2, C.6).
    pub fn push_failure(&mut self, text: &str) {
        self.finished = true;
        if self.channels {
            self.push_text(text.as_bytes());
            return self.raw.push(&Message::Close(1000, String::new()));
        }
        self.raw.push(&Message::Spdy(spdy::fin(self.data)));
        self.push_text(text.as_bytes());
        self.raw.push(&Message::Spdy(spdy::cancel(self.error)));
    }

    /// Gives the stream up; v4 can only give up the session.
    pub fn push_reset(&mut self) {
        self.finished = true;
        assert!(!self.channels, "v4 has no reset");
        self.raw.push(&Message::Spdy(spdy::cancel(self.data)));
        if self.side == Side::Server {
            self.raw.push(&Message::Spdy(spdy::fin(self.error)));
        }
    }

    /// Gives up the connection below the session, with an RST.
    pub fn cut(self) {
        self.raw.pipe.reset();
    }

    /// What comes next; an end is told again and again. Sends what was pushed.
    pub async fn read(&mut self) -> Seen {
        loop {
            if let Some(seen) = self.pending.pop_front() {
                return seen;
            }
            if let Some(over) = &self.over {
                return over.clone();
            }
            match self.raw.next().await {
                Ok(Some(message)) => self.take(message),
                Ok(None) | Err(_) => self.session_ended(false),
            }
        }
    }

    /// Takes part in the session until `enough` is true, or its end.
    pub async fn attend(&mut self, enough: impl Fn(&Self) -> bool) {
        while !enough(self)
            && let Ok(Some(message)) = self.raw.next().await
        {
            self.take(message);
        }
        // What was pushed last; who is gone needs no answer.
        let _ = self.raw.pipe.flush().await;
    }

    /// What the other side says of the session as a whole: a goodbye, and not the end of a stream.
    pub async fn goodbye(&mut self) -> Option<Message> {
        loop {
            match self.raw.next().await.ok()?? {
                goodbye @ (Message::Close(..) | Message::Spdy(Frame::GoAway { .. })) => {
                    if let Message::Close(code, reason) = &goodbye {
                        self.raw.push(&Message::Close(*code, reason.clone()));
                        let _ = self.raw.pipe.flush().await;
                    }
                    return Some(goodbye);
                }
                other => self.take(other),
            }
        }
    }

    /// These bytes come next, in any pieces.
    pub async fn expect(&mut self, bytes: &[u8]) {
        let mut all = Vec::new();
        while all.len() < bytes.len() {
            match self.read().await {
                Seen::Bytes(some) => all.extend(some),
                end => panic!("{end:?} after {}", all.escape_ascii()),
            }
        }
        assert!(all == bytes, "{}", all.escape_ascii());
    }

    fn begin(&mut self) {
        self.text.clear();
        self.data_ended = None;
        self.error_ended = false;
        self.replied = false;
        self.finished = false;
        self.over = None;
    }

    /// Waits for the opening of one half of a stream.
    async fn next_syn(&mut self, kind: &str, port: u16) -> u32 {
        loop {
            match self.raw.next().await.expect("no error").expect("an opening") {
                Message::Spdy(Frame::Syn { id, fin, headers }) => {
                    let get = |name: &str| {
                        let found = headers.iter().find(|(known, _)| known == name);
                        found.map(|(_, value)| &**value)
                    };
                    assert_eq!((get("streamtype"), id % 2), (Some(kind), 1), "{headers:?}");
                    assert_eq!(get("port"), Some(&*port.to_string()));
                    self.error_ended |= fin && kind == "error";
                    return id;
                }
                Message::Spdy(frame @ Frame::Data { .. }) => self.ahead.push_back(frame),
                other => self.take(other),
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Empty | Message::Pong(_) => {}
            Message::Ping(bytes) => {
                self.pings += 1;
                if self.answers {
                    self.raw.push(&Message::Pong(bytes));
                }
            }
            Message::Channel(0, bytes) => self.note_bytes(bytes),
            Message::Channel(1, bytes) if self.side == Side::Client => self.text.extend(bytes),
            Message::Channel(channel, bytes) => panic!("{bytes:?} on channel {channel}"),
            Message::Close(code, reason) => {
                self.raw.push(&Message::Close(code, reason));
                self.session_ended(code == 1000);
            }
            Message::Spdy(frame) => self.take_spdy(frame),
        }
    }

    fn take_spdy(&mut self, frame: Frame) {
        match frame {
            Frame::Ping(id) => {
                // The other side's have its parity; those of ours that come back are answers.
                let theirs = id % 2 == u32::from(self.side == Side::Server);
                self.pings += usize::from(theirs);
                if theirs && self.answers {
                    self.raw.push(&Message::Spdy(Frame::Ping(id)));
                }
            }
            Frame::Reply { id, .. } => {
                assert!(self.side == Side::Client && [self.error, self.data].contains(&id));
                self.replied |= id == self.data;
            }
            Frame::Data { id, bytes, fin } if id == self.data => {
                assert!(self.side == Side::Server || self.replied, "data before the reply");
                if !bytes.is_empty() {
                    self.note_bytes(bytes);
                }
                if fin {
                    self.note_data_end(Seen::End);
                }
            }
            Frame::Data { id, bytes, fin } if id == self.error => {
                assert!(bytes.is_empty() || self.side == Side::Client, "a client says nothing");
                self.text.extend(bytes);
                self.note_error_end(fin);
            }
            Frame::Rst { id, .. } if id == self.data => self.note_data_end(Seen::Reset),
            Frame::Rst { id, .. } if id == self.error => self.note_error_end(true),
            // The end of the transport follows, and says the same.
            Frame::GoAway { .. } => {}
            // Of streams before this one (protocol.md C.6).
            Frame::Data { .. } | Frame::Rst { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn note_bytes(&mut self, bytes: Vec<u8>) {
        assert!(self.data_ended.is_none(), "data after the end");
        self.pending.push_back(Seen::Bytes(bytes));
    }

    fn note_data_end(&mut self, end: Seen) {
        // A client that has not said its end resets the stream once the server has said its own.
        if self.data_ended.is_none() && !(self.finished && end == Seen::Reset) {
            self.data_ended = Some(end);
        }
        self.conclude();
    }

    fn note_error_end(&mut self, ended: bool) {
        self.error_ended |= ended;
        self.conclude();
    }

    fn conclude(&mut self) {
        // A client knows how the stream ended once both halves have (protocol.md C.6).
        if self.side == Side::Server || self.error_ended {
            self.over = self.data_ended.clone().map(|end| self.with_text(end));
        }
    }

    fn session_ended(&mut self, clean: bool) {
        let end = match &self.data_ended {
            Some(end) => end.clone(),
            None if clean && self.channels => Seen::End,
            None => Seen::Reset,
        };
        let end = self.with_text(end);
        self.over.get_or_insert(end);
    }

    fn with_text(&self, end: Seen) -> Seen {
        if self.text.is_empty() {
            return end;
        }
        Seen::Failed(String::from_utf8(self.text.clone()).expect("a text in UTF-8"))
    }
}
