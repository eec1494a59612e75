use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::front;
use crate::process::PATIENCE;

/// A server that answers with the same bytes.
pub(crate) struct FakeServer {
    address: SocketAddr,
    requests: Receiver<String>,
}

/// What it does behind its answer.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    Close,
    /// Until the client goes away.
    Hold,
}

impl FakeServer {
    /// To everything, also to what is asked before a forward.
    pub(crate) fn start(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        Self::serve(answer.into(), then, false)
    }

    /// To forwards; the pod is there when it is asked for.
    pub(crate) fn forwards(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        Self::serve(answer.into(), then, true)
    }

    fn serve(answer: Vec<u8>, then: Then, front: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, requests) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, sender) = (answer.clone(), sender.clone());
                thread::spawn(move || {
                    let mut stream = stream?;
                    let head = front::head(&mut stream)?;
                    if front && front::answer(&head, &mut stream)? {
                        return Ok(0);
                    }
                    let _ = sender.send(head);
                    stream.write_all(&answer)?;
                    match then {
                        Then::Close => stream.shutdown(std::net::Shutdown::Write)?,
                        Then::Hold => {}
                    }
                    // Closing over unread bytes would reset the connection.
                    std::io::copy(&mut stream, &mut std::io::sink())
                });
            }
        });
        Self { address, requests }
    }

    /// Answers forwards with a status line, and a body of this type.
    pub(crate) fn refusing(status: &str, kind: &str, body: &str) -> Self {
        let len = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n"
        );
        Self::forwards(head + body, Then::Hold)
    }

    /// Answers forwards as an API server does.
    pub(crate) fn status(code: u16, reason: &str, message: &str) -> Self {
        let message = message.replace('"', "\\\"");
        let body = format!(
            r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{message}","reason":"{reason}","code":{code}}}"#
        );
        Self::refusing(&format!("{code} {reason}"), "application/json", &body)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The head of the next request.
    pub(crate) fn request(&self) -> String {
        self.requests.recv_timeout(PATIENCE).expect("a request")
    }

    /// The head of the next request that is not for a session ahead of need: that one is dialled at
    /// the same time, and never offers v4.
    pub(crate) fn request_for_v4_too(&self) -> String {
        let mut requests = std::iter::from_fn(|| Some(self.request()));
        requests.find(|it| it.contains("v4.channel.k8s.io")).expect("endless")
    }
}
