//! All streams of one session, read and written by hand (protocol.md B.3, C.5).

use portway_driver::proto::Side;
use portway_driver::{Socket, WireForm};
use portway_testkit::spdy::{self, Frame};

use super::{Answer, Asked, Message, Raw, Seen};
use crate::pipe::Pipe;

/// A session with several streams, each by its place in the order in which they were opened. What is
/// said of an end is told as it comes; [`RawStream`](super::RawStream) knows what it means.
#[derive(Debug)]
pub struct RawStreams<S> {
    raw: Raw<S>,
    side: Side,
    channels: bool,
    streams: Vec<Numbers>,
    /// SPDY: an error stream whose data stream is still to come.
    half: Option<u32>,
}

/// What a stream is called on the wire: SPDY's numbers, or the channels of v4.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    port: u16,
    error: u32,
    data: u32,
}

impl<S: Socket> RawStreams<S> {
    /// A server: grants the form on a fresh connection. v4 announces its ports; where streams are
    /// opened as it goes, each is replied to as it comes.
    pub async fn serve(mut pipe: Pipe<S>, form: WireForm) -> Self {
        let asked = Asked::read(&mut pipe).await.expect("a request");
        asked.grant(&mut pipe, form);
        let mut session = Self::new(pipe, form, Side::Server);
        if session.channels {
            for port in asked.ports() {
                session.name(port);
                for channel in [session.last().data, session.last().error] {
                    session.push_channel(channel, &port.to_le_bytes());
                }
            }
        }
        session.flush().await;
        session
    }

    /// A client: asks for the form, and opens a stream to each of the ports.
    pub async fn connect(mut pipe: Pipe<S>, form: WireForm, ports: &[u16]) -> Self {
        Answer::to(&mut pipe, form, ports).await.assert_granted(form);
        let mut session = Self::new(pipe, form, Side::Client);
        for port in ports {
            session.name(*port);
            let Numbers { error, data, .. } = session.last();
            if session.channels {
                for channel in [data, error] {
                    let announced = session.raw.next().await.expect("no error");
                    let named = Message::Channel(channel as u8, port.to_le_bytes().to_vec());
                    assert_eq!(announced, Some(named));
                }
                continue;
            }
            let request = error.to_string();
            session.raw.push(&Message::Spdy(spdy::syn(error, "error", *port, &request)));
            session.raw.push(&Message::Spdy(spdy::fin(error)));
            session.raw.push(&Message::Spdy(spdy::syn(data, "data", *port, &request)));
        }
        session.flush().await;
        session
    }

    /// The ports of the streams so far.
    pub fn ports(&self) -> Vec<u16> {
        self.streams.iter().map(|stream| stream.port).collect()
    }

    /// Says some bytes, with the next read at the latest.
    pub fn push_data(&mut self, stream: usize, bytes: &[u8]) {
        let id = self.streams[stream].data;
        for piece in bytes.chunks(32 * 1024) {
            match self.channels {
                true => self.push_channel(id, piece),
                false => self.raw.push(&Message::Spdy(spdy::data(id, piece))),
            }
        }
    }

    /// A server: says why one stream failed, as containerd does where the session goes on
    /// (protocol.md B.5, C.6).
    pub fn push_failure(&mut self, stream: usize, text: &str) {
        let Numbers { error, data, .. } = self.streams[stream];
        if self.channels {
            return self.push_channel(error, text.as_bytes());
        }
        self.raw.push(&Message::Spdy(spdy::fin(data)));
        self.raw.push(&Message::Spdy(spdy::data(error, text)));
        self.raw.push(&Message::Spdy(spdy::cancel(error)));
    }

    /// Sends what was pushed.
    pub async fn flush(&mut self) {
        self.raw.pipe.flush().await.expect("the bytes are taken");
    }

    /// What is said next, and on which stream; `None` is the end of the session. Sends what was pushed.
    pub async fn next(&mut self) -> Option<(usize, Seen)> {
        loop {
            let said = match self.raw.next().await.ok()?? {
                Message::Channel(channel, bytes) => self.take_bytes(channel.into(), bytes),
                Message::Spdy(frame) => self.take_frame(frame),
                Message::Ping(bytes) => {
                    self.raw.push(&Message::Pong(bytes));
                    None
                }
                Message::Close(..) => return None,
                Message::Empty | Message::Pong(_) => None,
            };
            if said.is_some() {
                return said;
            }
        }
    }

    /// These bytes come next on that stream; what comes on others is dropped. What is to be answered
    /// is answered.
    pub async fn expect(&mut self, stream: usize, bytes: &[u8]) {
        let mut all = Vec::new();
        while all.len() < bytes.len() {
            match self.next().await.expect("the session goes on") {
                (at, Seen::Bytes(some)) if at == stream => all.extend(some),
                (at, end) if at == stream => panic!("{end:?} after {}", all.escape_ascii()),
                _ => {}
            }
        }
        assert!(all == bytes, "{}", all.escape_ascii());
        self.flush().await;
    }

    /// Gives up the connection below the session, with an RST.
    pub fn cut(self) {
        self.raw.pipe.reset();
    }

    fn new(pipe: Pipe<S>, form: WireForm, side: Side) -> Self {
        Self {
            raw: Raw::new(pipe, form, side),
            side,
            channels: !form.capabilities().dynamic_open,
            streams: Vec::new(),
            half: None,
        }
    }

    /// One more stream, by the numbers that a client gives it.
    fn name(&mut self, port: u16) {
        let number = u32::try_from(self.streams.len()).expect("a few");
        let (error, data) = match self.channels {
            true => (2 * number + 1, 2 * number),
            false => (4 * number + 1, 4 * number + 3),
        };
        self.streams.push(Numbers { port, error, data });
    }

    fn last(&self) -> Numbers {
        *self.streams.last().expect("one was named")
    }

    fn push_channel(&mut self, channel: u32, bytes: &[u8]) {
        self.raw.push(&Message::Channel(channel as u8, bytes.to_vec()));
    }

    fn take_frame(&mut self, frame: Frame) -> Option<(usize, Seen)> {
        match frame {
            Frame::Ping(id) => {
                if id % 2 == u32::from(self.side == Side::Server) {
                    self.raw.push(&Message::Spdy(Frame::Ping(id)));
                }
                None
            }
            Frame::Syn { id, headers, .. } => {
                let port = headers.iter().find(|(name, _)| name == "port").expect("a port");
                let port = port.1.parse().expect("a number");
                self.raw.push(&Message::Spdy(spdy::reply(id)));
                match self.half.take() {
                    None => self.half = Some(id),
                    Some(error) => self.streams.push(Numbers { port, error, data: id }),
                }
                None
            }
            Frame::Data { id, bytes, fin } => {
                let said = self.take_bytes(id, bytes);
                let at = self.at(id);
                said.or_else(|| Some((at.filter(|_| fin)?, Seen::End)))
            }
            Frame::Rst { id, .. } => Some((self.at(id)?, Seen::Reset)),
            Frame::Reply { .. } | Frame::GoAway { .. } => None,
            other => panic!("{other:?}"),
        }
    }

    fn take_bytes(&self, id: u32, bytes: Vec<u8>) -> Option<(usize, Seen)> {
        if bytes.is_empty() {
            return None;
        }
        let failed = |stream: &Numbers| stream.error == id;
        if let Some(stream) = self.streams.iter().position(failed) {
            let text = String::from_utf8(bytes).expect("a text in UTF-8");
            return Some((stream, Seen::Failed(text)));
        }
        Some((self.at(id)?, Seen::Bytes(bytes)))
    }

    /// The stream whose data has this number.
    fn at(&self, id: u32) -> Option<usize> {
        self.streams.iter().position(|stream| stream.data == id)
    }
}
