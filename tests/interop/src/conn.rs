use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::Pattern;

const PIECE: usize = 64 * 1024;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Cleanly: the other side said it has no more to send.
    Fin,
    /// By a reset: the program is told that something went wrong.
    Reset,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fin => "a clean end",
            Self::Reset => "a reset",
        })
    }
}

/// A blocking connection whose every step fails, with words, when it takes too long.
#[derive(Debug)]
pub struct Conn {
    stream: TcpStream,
    port: u16,
    patience: Duration,
}

impl Conn {
    /// Connects to `addr`, where `port` of the pod is forwarded.
    ///
    /// # Errors
    ///
    /// When nothing accepts there in time.
    pub fn open(addr: SocketAddr, port: u16, patience: Duration) -> Result<Self, String> {
        let conn = Self::open_or_reset(addr, port, patience)?;
        conn.ok_or_else(|| format!("port {port}: expected {addr} to accept, saw a reset"))
    }

    /// The same, where `None` is a connection that was accepted and reset before we came to look: the
    /// system tells that as a failure to connect.
    ///
    /// # Errors
    ///
    /// When nothing accepts there in time.
    pub fn open_or_reset(
        addr: SocketAddr,
        port: u16,
        patience: Duration,
    ) -> Result<Option<Self>, String> {
        let stream = match TcpStream::connect_timeout(&addr, patience) {
            Ok(stream) => stream,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return Ok(None),
            Err(e) => return Err(format!("port {port}: expected {addr} to accept, saw: {e}")),
        };
        // What is measured is the forwarder's delay and not ours.
        stream.set_nodelay(true).map_err(|e| format!("port {port}: set TCP_NODELAY: {e}"))?;
        Ok(Some(Self { stream, port, patience }))
    }

    /// A second handle, to read and write at the same time.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn split(&self) -> Result<Self, String> {
        let stream = self.stream.try_clone().map_err(|e| self.wrong("cloning the socket", &e))?;
        Ok(Self { stream, port: self.port, patience: self.patience })
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// When they are not taken in time, or the connection ended.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let (sent, end) = self.write_until(bytes, Instant::now() + self.patience);
        match end {
            None => Ok(()),
            Some(e) => {
                Err(self.wrong(&format!("sending {} bytes, after {sent} of them", bytes.len()), &e))
            }
        }
    }

    /// Sends `n` bytes of the pattern.
    ///
    /// # Errors
    ///
    /// When they are not taken in time, or the connection ended.
    pub fn send_pattern(&mut self, seed: u64, n: u64) -> Result<(), String> {
        let deadline = Instant::now() + self.patience;
        let mut pattern = Pattern::new(seed);
        let mut buf = vec![0; PIECE];
        while pattern.position() < n {
            let start = pattern.position();
            let piece = part(&mut buf, n - start);
            pattern.fill(piece);
            if let (sent, Some(e)) = self.write_until(piece, deadline) {
                let sent = start + sent as u64;
                return Err(self.wrong(&format!("sending {n} bytes, after {sent} of them"), &e));
            }
        }
        Ok(())
    }

    /// Sends zeros until `limit` bytes are taken, the connection ends or `time` is over. Returns
    /// how many were taken.
    pub fn pour(&mut self, limit: u64, time: Duration) -> u64 {
        let deadline = Instant::now() + time;
        let mut buf = vec![0; PIECE];
        let mut sent = 0;
        while sent < limit {
            let (n, end) = self.write_until(part(&mut buf, limit - sent), deadline);
            sent += n as u64;
            if end.is_some() {
                break;
            }
        }
        sent
    }

    /// Receives exactly these bytes.
    ///
    /// # Errors
    ///
    /// When others come, or too few, or too late.
    pub fn expect(&mut self, bytes: &[u8]) -> Result<(), String> {
        let got = self.receive(bytes.len())?;
        if got == bytes {
            return Ok(());
        }
        Err(format!(
            "port {}: expected {:?}, saw {:?}",
            self.port,
            String::from_utf8_lossy(bytes),
            String::from_utf8_lossy(&got)
        ))
    }

    /// Receives `n` bytes.
    ///
    /// # Errors
    ///
    /// When too few come, or too late.
    pub fn receive(&mut self, n: usize) -> Result<Vec<u8>, String> {
        let deadline = Instant::now() + self.patience;
        let mut bytes = vec![0; n];
        let mut got = 0;
        while got < n {
            match self.read_until(&mut bytes[got..], deadline) {
                Ok(0) => {
                    let e = io::Error::from(ErrorKind::UnexpectedEof);
                    return Err(self.wrong(&format!("expected {n} bytes, after {got} of them"), &e));
                }
                Ok(m) => got += m,
                Err(e) => {
                    return Err(self.wrong(&format!("expected {n} bytes, after {got} of them"), &e));
                }
            }
        }
        Ok(bytes)
    }

    /// Receives `n` bytes that are those of the pattern.
    ///
    /// # Errors
    ///
    /// When others come, or too few, or too late.
    pub fn expect_pattern(&mut self, seed: u64, n: u64) -> Result<(), String> {
        let deadline = Instant::now() + self.patience;
        let mut pattern = Pattern::new(seed);
        let mut buf = vec![0; PIECE];
        while pattern.position() < n {
            let got = pattern.position();
            let what = format!("expected {n} bytes, after {got} of them");
            match self.read_until(part(&mut buf, n - got), deadline) {
                Ok(0) => return Err(self.wrong(&what, &ErrorKind::UnexpectedEof.into())),
                Ok(m) => pattern.check(&buf[..m]).map_err(|at| {
                    format!("port {}: of {n} expected bytes the one at {at} is wrong", self.port)
                })?,
                Err(e) => return Err(self.wrong(&what, &e)),
            }
        }
        Ok(())
    }

    /// Receives up to the end a text of at most 64 KiB.
    ///
    /// # Errors
    ///
    /// When the end is not clean, or too late, or it is more than that.
    pub fn text_to_end(&mut self) -> Result<String, String> {
        let deadline = Instant::now() + self.patience;
        let mut text = Vec::new();
        let mut buf = vec![0; PIECE];
        loop {
            match self.read_until(&mut buf, deadline) {
                Ok(0) => return Ok(String::from_utf8_lossy(&text).into_owned()),
                Ok(n) => text.extend_from_slice(&buf[..n]),
                Err(e) => {
                    let what = format!("expected a clean end, after {} bytes", text.len());
                    return Err(self.wrong(&what, &e));
                }
            }
            if text.len() > PIECE {
                return Err(format!("port {}: expected a short answer, saw 64 KiB", self.port));
            }
        }
    }

    /// Waits for the end of the connection and passes over what still comes before it.
    ///
    /// # Errors
    ///
    /// When there is no end in time.
    pub fn end(&mut self) -> Result<(u64, End), String> {
        let deadline = Instant::now() + self.patience;
        let mut buf = vec![0; PIECE];
        let mut passed_over = 0;
        loop {
            match self.read_until(&mut buf, deadline) {
                Ok(0) => return Ok((passed_over, End::Fin)),
                Ok(n) => passed_over += n as u64,
                Err(e) if is_reset(&e) => return Ok((passed_over, End::Reset)),
                Err(e) => return Err(self.wrong("expected the connection to end", &e)),
            }
        }
    }

    /// Waits for the end, which has to be this one and to come with no byte before it.
    ///
    /// # Errors
    ///
    /// When it is another one, or too late, or bytes come.
    pub fn expect_end(&mut self, expected: End) -> Result<(), String> {
        match self.end()? {
            (0, end) if end == expected => Ok(()),
            (0, end) => Err(format!("port {}: expected {expected}, saw {end}", self.port)),
            (n, end) => {
                Err(format!("port {}: expected {expected}, saw {n} bytes and {end}", self.port))
            }
        }
    }

    /// Says that no more will be sent, and goes on receiving.
    ///
    /// # Errors
    ///
    /// When the connection has already ended.
    pub fn finish(&mut self) -> Result<(), String> {
        self.stream.shutdown(Shutdown::Write).map_err(|e| self.wrong("sending a FIN", &e))
    }

    /// Goes away by a reset, as a program that crashed does.
    ///
    /// # Errors
    ///
    /// When the socket does not take the option.
    pub fn abort(self) -> Result<(), String> {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .map_err(|e| self.wrong("setting SO_LINGER", &e))
    }

    fn write_until(&mut self, bytes: &[u8], deadline: Instant) -> (usize, Option<io::Error>) {
        let mut sent = 0;
        while sent < bytes.len() {
            let outcome = remaining(deadline).and_then(|time| {
                self.stream.set_write_timeout(Some(time))?;
                self.stream.write(&bytes[sent..])
            });
            match outcome {
                Ok(0) => return (sent, Some(ErrorKind::WriteZero.into())),
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return (sent, Some(e)),
            }
        }
        (sent, None)
    }

    fn read_until(&mut self, buf: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(Some(remaining(deadline)?))?;
            match self.stream.read(buf) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    fn wrong(&self, what: &str, e: &io::Error) -> String {
        let saw = if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            format!("nothing more within {:?}", self.patience)
        } else if e.kind() == ErrorKind::UnexpectedEof {
            End::Fin.to_string()
        } else if is_reset(e) {
            End::Reset.to_string()
        } else {
            e.to_string()
        };
        format!("port {}: {what}, saw {saw}", self.port)
    }
}

fn part(buf: &mut [u8], at_most: u64) -> &mut [u8] {
    let n = usize::try_from(at_most).map_or(buf.len(), |n| n.min(buf.len()));
    &mut buf[..n]
}

fn remaining(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn is_reset(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}
