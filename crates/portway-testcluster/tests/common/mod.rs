//! What the tests share: a client made of nothing but a socket.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portway_testcluster::{Pod, Program, TestCluster};
use portway_tokio::Tokio;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const PODS: &str = "/api/v1/namespaces/default/pods";

pub async fn cluster() -> TestCluster {
    TestCluster::start(&Tokio::current()).await.unwrap()
}

/// A pod whose port 7 is an echo.
pub fn echo_pod(cluster: &TestCluster, name: &str) -> Pod {
    cluster.pod(name).label("app", "web").port("echo", 7, Program::echo()).create()
}

/// The target directory.
pub fn target() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().unwrap().to_owned()
}

/// A file of this process with this in it.
pub fn file(name: &str, content: &str) -> PathBuf {
    let name = format!("testcluster-{name}-{}", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// One request on a connection of its own.
pub async fn ask(addr: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub async fn get(cluster: &TestCluster, path: &str) -> Answer {
    ask(cluster.addr(), "GET", path, "", "").await
}

/// The names of what a list holds.
#[track_caller]
pub fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

/// A watch: its events, one by one.
pub struct Watch(BufReader<TcpStream>);

impl Watch {
    pub async fn begin(cluster: &TestCluster, path: &str) -> Self {
        let mut stream = TcpStream::connect(cluster.addr()).await.unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        timeout(PATIENCE, reader.read_line(&mut line)).await.unwrap().unwrap();
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            timeout(PATIENCE, reader.read_line(&mut line)).await.unwrap().unwrap();
        }
        Self(reader)
    }

    /// The next event: what it is, and its object. `None` at the end of the watch.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        let mut size = String::new();
        timeout(PATIENCE, self.0.read_line(&mut size)).await.unwrap().unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        timeout(PATIENCE, self.0.read_exact(&mut chunk)).await.unwrap().unwrap();
        if size == 0 {
            return None;
        }
        // Every event is a chunk of its own.
        let event: Value = serde_json::from_slice(&chunk).unwrap();
        Some((event["type"].as_str().unwrap().to_owned(), event["object"].clone()))
    }

    /// The next event, shortly: `ADDED web-0`.
    pub async fn told(&mut self) -> String {
        match self.next().await {
            Some((kind, object)) => {
                format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or_default())
            }
            None => "END".to_owned(),
        }
    }
}
