use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::form::Form;
use crate::input::Input;

/// A connection that has changed from HTTP to what its client asked for.
pub(crate) struct Upgrade {
    pub(crate) form: Form,
    /// The port in the request, which counts on v4.
    pub(crate) port: u16,
    pub(crate) input: Input,
    pub(crate) output: TcpStream,
}

impl Upgrade {
    pub(crate) fn accept(mut stream: TcpStream) -> io::Result<Self> {
        let mut input = Input::new(stream.try_clone()?);
        let head = input.head()?;
        let port = head.split_once("ports=").map_or("", |(_, rest)| rest);
        let port = port.split(|c: char| !c.is_ascii_digit()).next().and_then(|p| p.parse().ok());
        let port = port.ok_or(ErrorKind::InvalidData)?;
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (of, value) = line.split_once(':')?;
                of.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let offered = header("sec-websocket-protocol").unwrap_or_default();
        let asks_for = |name| offered.split(',').any(|offered| offered.trim() == name);
        let form = if header("upgrade") == Some("SPDY/3.1") {
            Form::Spdy
        } else if asks_for(TUNNEL) {
            Form::Tunnel
        } else {
            Form::V4
        };
        let names = match form {
            Form::Spdy => {
                "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io".to_owned()
            }
            Form::Tunnel | Form::V4 => {
                let key = header("sec-websocket-key").ok_or(ErrorKind::InvalidData)?;
                let accept = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
                let accept = STANDARD.encode(accept);
                let name = if form == Form::V4 { V4 } else { TUNNEL };
                input.in_messages();
                format!(
                    "Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\
                     Sec-WebSocket-Protocol: {name}"
                )
            }
        };
        let answer =
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{names}\r\n\r\n");
        stream.write_all(answer.as_bytes())?;
        Ok(Self { form, port, input, output: stream })
    }
}

const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const V4: &str = "v4.channel.k8s.io";
