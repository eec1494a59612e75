//! The HTTP in front of a session, read and written by hand (protocol.md A).

use portway_driver::{Socket, WireForm};
use tungstenite::handshake::derive_accept_key;

use crate::pipe::Pipe;

/// The path of the pod that everything here is about.
const PATH: &str = "/api/v1/namespaces/default/pods/demo/portforward";

/// A key for one request: base64 of sixteen bytes.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A request that was read.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs)]
pub struct Asked {
    /// Method and target.
    pub line: String,
    headers: Vec<(String, String)>,
}

/// An answer that was read.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body of a refusal.
    pub body: String,
    headers: Vec<(String, String)>,
}

impl Asked {
    /// Reads a request; `None` if the connection ends before one.
    pub async fn read<S: Socket>(pipe: &mut Pipe<S>) -> Option<Self> {
        let (line, headers) = head(pipe).await?;
        Some(Self { line, headers })
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The ports asked for, in their order (protocol.md A.2).
    pub fn ports(&self) -> Vec<u16> {
        let target = self.line.split(' ').nth(1).expect("a target");
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let named = query.split('&').filter_map(|pair| pair.strip_prefix("ports="));
        let numbers = named.flat_map(|ports| ports.split(','));
        numbers.map(|port| port.parse().expect("a number")).collect()
    }

    /// Whether that form is among those asked for.
    pub fn wants(&self, form: WireForm) -> bool {
        match form.subprotocol() {
            Some(name) => {
                let offered = self.header("sec-websocket-protocol").unwrap_or_default();
                offered.split(", ").any(|offer| offer == name)
            }
            None => self.header("upgrade") == Some("SPDY/3.1"),
        }
    }

    /// The form asked for can be had: says yes to it.
    pub fn grant<S: Socket>(&self, pipe: &mut Pipe<S>, form: WireForm) {
        pipe.push(self.granting(form).as_bytes());
    }

    /// How one says yes to that form.
    pub fn granting(&self, form: WireForm) -> String {
        assert!(self.wants(form), "{self:?}");
        let more = match form.subprotocol() {
            Some(name) => {
                assert_eq!(self.header("sec-websocket-version"), Some("13"));
                assert!(self.line.starts_with("GET "), "{self:?}");
                let key = self.header("sec-websocket-key").expect("a key");
                let accept = derive_accept_key(key.as_bytes());
                format!(
                    "Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\
                     Sec-WebSocket-Protocol: {name}\r\n"
                )
            }
            None => {
                assert_eq!(self.header("x-stream-protocol-version"), Some("portforward.k8s.io"));
                "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n".to_owned()
            }
        };
        format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{more}\r\n")
    }

    /// Says no.
    pub async fn refuse<S: Socket>(pipe: &mut Pipe<S>, status: &str, body: &str) {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        pipe.push(answer.as_bytes());
        pipe.finish().await.expect("the refusal is taken");
    }
}

impl Answer {
    /// Asks for a form and for ports, and reads what comes back.
    pub async fn to<S: Socket>(pipe: &mut Pipe<S>, form: WireForm, ports: &[u16]) -> Self {
        Self::to_request(pipe, &request(form, ports)).await
    }

    /// Sends a request and reads what comes back.
    pub async fn to_request<S: Socket>(pipe: &mut Pipe<S>, request: &str) -> Self {
        pipe.push(request.as_bytes());
        let (line, headers) = head(pipe).await.expect("an answer");
        let status = line.split(' ').nth(1).expect("a status").parse().expect("a number");
        let mut answer = Self { status, body: String::new(), headers };
        if let Some(length) = answer.header("content-length").filter(|_| status != 101) {
            let length = length.parse().expect("a length");
            let body = pipe.take(length).await.expect("a body");
            assert_eq!(body.len(), length, "the body was cut");
            answer.body = String::from_utf8(body.to_vec()).expect("text");
        }
        answer
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// It is a yes to that form.
    pub fn assert_granted(&self, form: WireForm) {
        assert_eq!(self.status, 101, "{self:?}");
        match form.subprotocol() {
            Some(_) => {
                assert_eq!(self.header("sec-websocket-protocol"), form.subprotocol());
                let accept = derive_accept_key(KEY.as_bytes());
                assert_eq!(self.header("sec-websocket-accept"), Some(&*accept));
            }
            None => {
                assert_eq!(self.header("upgrade"), Some("SPDY/3.1"));
                assert_eq!(self.header("x-stream-protocol-version"), Some("portforward.k8s.io"));
            }
        }
    }
}

/// A request for ports in a form.
pub(crate) fn request(form: WireForm, ports: &[u16]) -> String {
    let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
    request_of(form, &format!("?ports={}", ports.join(",")), "")
}

/// The same with a query and further headers as given.
pub(crate) fn request_of(form: WireForm, query: &str, more: &str) -> String {
    match form.subprotocol() {
        Some(name) => format!(
            "GET {PATH}{query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\
             Sec-WebSocket-Protocol: {name}\r\n{more}\r\n"
        ),
        None => format!(
            "POST {PATH}{query} HTTP/1.1\r\nHost: x\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\
             X-Stream-Protocol-Version: portforward.k8s.io\r\nContent-Length: 0\r\n{more}\r\n"
        ),
    }
}

/// The first line of a head and its headers, names in lower case.
async fn head<S: Socket>(pipe: &mut Pipe<S>) -> Option<(String, Vec<(String, String)>)> {
    const END: &[u8] = b"\r\n\r\n";
    let end = loop {
        if let Some(at) = pipe.bytes().windows(END.len()).position(|window| window == END) {
            break at;
        }
        if !pipe.fill().await.is_ok_and(|read| read > 0) {
            return None;
        }
    };
    let head = pipe.bytes().split_to(end + END.len());
    let head = String::from_utf8(head.to_vec()).expect("a head in ASCII");
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').expect("a header");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    Some((first, lines.map(header).collect()))
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
}
