use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::go;

/// One of the programs of the peer.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) addr: SocketAddr,
    pub(crate) pods: BTreeMap<u16, SocketAddr>,
    /// The CA, if it speaks TLS: DER in base64.
    pub(crate) ca: Option<String>,
}

impl Process {
    /// Builds the program if need be and starts it. In TLS it tells its CA.
    pub(crate) fn start(program: &'static str, args: &[String], tls: bool) -> Self {
        let stderr = if env::var_os("PORTWAY_PEER_LOG").is_some() {
            Stdio::inherit()
        } else {
            Stdio::null()
        };
        let mut child = Command::new(go::build(program))
            .args(args)
            // It exits when this is closed, so also when we are killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("start the peer");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let mut line = |first_word: &str| {
            let line = lines.next().and_then(Result::ok).unwrap_or_default();
            let Some(rest) = line.strip_prefix(first_word) else {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the peer said {line:?} (PORTWAY_PEER_LOG=1 shows why)");
            };
            rest.to_owned()
        };
        let addr = line("listening ").parse().expect("the peer's address");
        let pods = line("pods ")
            .split(' ')
            .map(|pair| {
                let (port, addr) = pair.split_once('=').expect("PORT=ADDR");
                (port.parse().expect("a port"), addr.parse().expect("an address"))
            })
            .collect();
        let ca = tls.then(|| line("ca "));
        Self { child, addr, pods, ca }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).expect("connect to the peer");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set a timeout");
        let request = format!("GET {path} HTTP/1.0\r\nHost: peer\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("ask the peer");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("hear from the peer");
        answer
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
