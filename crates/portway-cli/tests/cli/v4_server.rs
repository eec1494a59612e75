use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use tungstenite::handshake::server::{Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Bytes, Message, WebSocket};

use crate::front;

/// The server's side of a session that a test can misuse: one port, on channels 0 and 1, written with
/// an implementation of WebSocket that is not ours.
pub(crate) struct V4Server {
    address: SocketAddr,
}

/// One session of it.
pub(crate) struct Upgraded {
    socket: WebSocket<TcpStream>,
}

impl V4Server {
    /// Runs the script for every session, the probe's as well. The pod is there when it is asked for.
    pub(crate) fn start(script: impl Fn(&mut Upgraded) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let script = Arc::clone(&script);
                thread::spawn(move || {
                    let Ok(mut stream) = stream else { return };
                    let asked = front::peek(&stream).unwrap_or_default();
                    if !asked.contains("/portforward") {
                        let _ = front::head(&mut stream);
                        let _ = front::answer(&asked, &mut stream);
                        return;
                    }
                    let socket = tungstenite::accept_hdr(stream, choose_v4).expect("an upgrade");
                    let mut upgraded = Upgraded { socket };
                    script(&mut upgraded);
                    upgraded.drain();
                });
            }
        });
        Self { address }
    }

    /// A pod that sends back what it gets.
    pub(crate) fn echo(port: u16) -> Self {
        Self::start(move |session| {
            session.announce(port);
            while let Some(data) = session.receive() {
                session.send(0, &data);
            }
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Upgraded {
    /// Sends a message on a channel. The client may have gone.
    pub(crate) fn send(&mut self, channel: u8, bytes: &[u8]) {
        let message: Vec<u8> = [&[channel], bytes].concat();
        let _ = self.socket.send(Message::Binary(message.into()));
    }

    /// The prefixes of both channels.
    pub(crate) fn announce(&mut self, port: u16) {
        self.send(0, &port.to_le_bytes());
        self.send(1, &port.to_le_bytes());
    }

    /// The next data of the client, until it closes.
    pub(crate) fn receive(&mut self) -> Option<Bytes> {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(message)) if message.first() == Some(&0) => {
                    return Some(message.slice(1..));
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// Sends an error text and ends, as a runtime does.
    pub(crate) fn fail(&mut self, text: &[u8]) {
        self.send(1, text);
        let _ = self.socket.close(None);
    }

    /// Ends without an error.
    pub(crate) fn finish(&mut self) {
        let _ = self.socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }));
    }

    /// Answers the close, or waits for it.
    fn drain(&mut self) {
        while self.receive().is_some() {}
    }
}

#[expect(clippy::result_large_err, reason = "tungstenite wants it so")]
fn choose_v4(
    _: &Request,
    mut response: Response,
) -> Result<Response, tungstenite::handshake::server::ErrorResponse> {
    let v4 = HeaderValue::from_static("v4.channel.k8s.io");
    response.headers_mut().insert("sec-websocket-protocol", v4);
    Ok(response)
}
