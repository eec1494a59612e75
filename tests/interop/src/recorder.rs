use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::mem;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A proxy between a real client and a real server that writes down what it passes on, in the format of
/// `tests/transcripts`.
#[derive(Debug)]
pub struct Recorder {
    addr: SocketAddr,
    tape: Arc<Tape>,
}

impl Recorder {
    /// Listens on a free port and passes everything on to `server`.
    #[must_use]
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let addr = listener.local_addr().expect("the address just bound");
        let tape = Arc::<Tape>::default();
        thread::spawn({
            let tape = Arc::clone(&tape);
            move || {
                while let Ok((client, _)) = listener.accept() {
                    let server = TcpStream::connect(server).expect("connect to the server");
                    tape.record(client, server);
                }
            }
        });
        Self { addr, tape }
    }

    /// Where the client is to go.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The API server that it stands for.
    #[must_use]
    pub fn server(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Waits until `count` forwards are over, and returns their transcripts in the order in which they
    /// began; fewer, if it takes more than so long. What else was asked for is not in them.
    #[must_use]
    pub fn transcripts(&self, count: usize, wait: Duration) -> Vec<String> {
        let is_over = |sessions: &mut Vec<Session>| {
            sessions.iter().filter(|session| session.is_over()).count() >= count
        };
        let sessions = self.tape.lock();
        let waited = self.tape.more.wait_timeout_while(sessions, wait, |all| !is_over(all));
        let (sessions, _) = waited.unwrap_or_else(PoisonError::into_inner);
        sessions.iter().filter(|session| session.is_over()).map(|it| it.text.clone()).collect()
    }
}

/// What was recorded so far.
#[derive(Debug, Default)]
struct Tape {
    sessions: Mutex<Vec<Session>>,
    more: Condvar,
}

impl Tape {
    fn lock(&self) -> MutexGuard<'_, Vec<Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let number = {
            let mut sessions = self.lock();
            sessions.push(Session::default());
            sessions.len() - 1
        };
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("set an option");
        }
        let pair = (client.try_clone().expect("clone"), server.try_clone().expect("clone"));
        for (from_client, from, to) in [(true, client, server), (false, pair.1, pair.0)] {
            let tape = Arc::clone(self);
            thread::spawn(move || tape.pass_on(number, from_client, from, to));
        }
    }

    /// Noted first and passed on then, so that an answer never stands before what it answers.
    fn pass_on(&self, number: usize, from_client: bool, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = from.read(&mut buffer).unwrap_or(0);
            self.lock()[number].take(from_client, &buffer[..n]);
            self.more.notify_all();
            if n == 0 {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            if to.write_all(&buffer[..n]).is_err() {
                // Whoever reads nothing more is heard to the end all the same.
                let _ = from.shutdown(Shutdown::Read);
            }
        }
    }
}

/// One connection.
#[derive(Debug, Default)]
struct Session {
    text: String,
    /// Of the client, and of the server.
    sides: [Side; 2],
    is_forward: bool,
    speaks: Speaks,
}

/// What one side of a connection sent and is not noted yet.
#[derive(Debug, Default)]
struct Side {
    pending: Vec<u8>,
    head_over: bool,
    over: bool,
}

/// What follows the header blocks.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// Nothing: it was refused.
    #[default]
    Http,
    WebSocket,
    Spdy,
}

impl Session {
    fn is_over(&self) -> bool {
        self.is_forward && self.sides.iter().all(|side| side.over)
    }

    /// No bytes are the end of a direction.
    fn take(&mut self, from_client: bool, bytes: &[u8]) {
        let (side, mark) = if from_client { (0, '>') } else { (1, '<') };
        self.sides[side].pending.extend_from_slice(bytes);
        if !self.sides[side].head_over {
            self.take_head(side, mark);
        }
        if self.sides[side].head_over {
            match self.speaks {
                Speaks::WebSocket => self.take_frames(side, mark),
                Speaks::Spdy => self.take_bytes(side, mark),
                Speaks::Http => {}
            }
        }
        if bytes.is_empty() {
            let rest = mem::take(&mut self.sides[side].pending);
            if self.speaks == Speaks::Http && !from_client {
                let body = String::from_utf8_lossy(&rest);
                let _ = writeln!(self.text, "< BODY {}", body.trim_end_matches('\n'));
            } else if self.speaks != Speaks::Http {
                let _ = writeln!(self.text, "! {mark} end of transport");
            }
            self.sides[side].over = true;
        }
    }

    fn take_head(&mut self, side: usize, mark: char) {
        const END: &[u8] = b"\r\n\r\n";
        let pending = &mut self.sides[side].pending;
        let Some(end) = pending.windows(END.len()).position(|window| window == END) else { return };
        let head: Vec<u8> = pending.drain(..end + END.len()).collect();
        let head = String::from_utf8_lossy(&head[..end]).into_owned();
        self.sides[side].head_over = true;
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        if side == 0 {
            self.is_forward = first.contains("/portforward");
        }
        let _ = writeln!(self.text, "{mark} HTTP {first}");
        for line in lines {
            let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
            if side == 1 && name == "upgrade" && first.contains(" 101 ") {
                let spdy = line.to_ascii_lowercase().contains("spdy");
                self.speaks = if spdy { Speaks::Spdy } else { Speaks::WebSocket };
            }
            if !LEFT_OUT.contains(&&*name) {
                let _ = writeln!(self.text, "{mark} HTTP {line}");
            }
        }
    }

    fn take_frames(&mut self, side: usize, mark: char) {
        while let Some((len, frame)) = whole_frame(&self.sides[side].pending) {
            self.sides[side].pending.drain(..len);
            let word = match frame.opcode {
                0 => "cont",
                1 => "text",
                2 => "bin",
                8 => "close",
                9 => "ping",
                10 => "pong",
                other => panic!("a frame with the opcode {other}"),
            };
            let more = if frame.fin { "" } else { "+" };
            self.note(mark, &format!("{word}{more}"), &frame.payload);
        }
    }

    fn take_bytes(&mut self, side: usize, mark: char) {
        let bytes = mem::take(&mut self.sides[side].pending);
        if !bytes.is_empty() {
            self.note(mark, "spdy", &bytes);
        }
    }

    fn note(&mut self, mark: char, word: &str, bytes: &[u8]) {
        let _ = write!(self.text, "{mark} {word} ");
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(self.text, "{}", hex.join(" "));
    }
}

/// What differs from run to run, or says who we are.
const LEFT_OUT: &[&str] = &[
    "accept-encoding",
    "authorization",
    "date",
    "host",
    "kubectl-session",
    "origin",
    "sec-websocket-accept",
    "sec-websocket-key",
    "user-agent",
];

struct Frame {
    opcode: u8,
    fin: bool,
    payload: Vec<u8>,
}

/// The WebSocket frame at the start, unmasked, and its length on the wire; none if it is not whole.
fn whole_frame(bytes: &[u8]) -> Option<(usize, Frame)> {
    let [first, second] = *bytes.first_chunk()?;
    let (mut at, len) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?),
        short => (2, usize::from(short)),
    };
    let mask: [u8; 4] = if second & 0x80 == 0 {
        [0; 4]
    } else {
        at += 4;
        *bytes.get(at - 4..)?.first_chunk()?
    };
    let masked = bytes.get(at..)?.get(..len)?;
    let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some((at + len, Frame { opcode: first & 0x0f, fin: first & 0x80 != 0, payload }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(steps: &[(bool, &[u8])]) -> String {
        let mut session = Session::default();
        for (from_client, bytes) in steps {
            session.take(*from_client, bytes);
        }
        session.text
    }

    #[test]
    fn a_websocket_is_noted_frame_by_frame_wherever_it_is_cut() {
        let client = b"GET /portforward?ports=80 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n";
        let server = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x82\x03\0\x50\0\x02\x01h";
        let frame = [0x82, 0x83, 1, 2, 3, 4, 1, b'h' ^ 2, b'i' ^ 3];
        let expected = "> HTTP GET /portforward?ports=80 HTTP/1.1\n> HTTP Upgrade: websocket\n\
                        < HTTP HTTP/1.1 101 Switching Protocols\n< HTTP Upgrade: websocket\n\
                        < bin 00 50 00\n< bin+ 68\n> bin 00 68 69\n! > end of transport\n";
        let whole = noted(&[(true, client), (false, server), (true, &frame), (true, b"")]);
        assert_eq!(whole, expected);
        let mut steps: Vec<(bool, &[u8])> = Vec::new();
        steps.extend(client.chunks(1).map(|byte| (true, byte)));
        steps.extend(server.chunks(1).map(|byte| (false, byte)));
        steps.extend(frame.chunks(1).map(|byte| (true, byte)));
        assert_eq!(noted(&[&steps[..], &[(true, b"")]].concat()), expected);
    }

    #[test]
    fn a_refusal_is_noted_with_its_body() {
        let client = b"GET /portforward HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        let server = b"HTTP/1.1 403 Forbidden\r\nDate: today\r\nContent-Length: 3\r\n\r\nno\n";
        assert_eq!(
            noted(&[(true, client), (false, server), (false, b""), (true, b"")]),
            "> HTTP GET /portforward HTTP/1.1\n> HTTP Upgrade: websocket\n\
             < HTTP HTTP/1.1 403 Forbidden\n< HTTP Content-Length: 3\n< BODY no\n"
        );
    }

    #[test]
    fn plain_spdy_is_noted_as_it_was_read() {
        let client = b"POST /portforward HTTP/1.1\r\nUpgrade: SPDY/3.1\r\n\r\n";
        let server = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\n\r\n";
        let text =
            noted(&[(true, client), (false, server), (true, b"\x80\x03"), (true, b"\0\x06")]);
        assert!(text.ends_with("> spdy 80 03\n> spdy 00 06\n"), "{text}");
    }
}
