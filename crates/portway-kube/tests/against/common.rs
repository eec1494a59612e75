//! A kube client of a cluster in the process.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use kube::{Client, Config};
use portway_testcluster::{Program, TestCluster};
use portway_tokio::Tokio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// No test waits longer than this for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn start() -> (TestCluster, Client) {
    let cluster = TestCluster::start(&Tokio::current()).await.unwrap();
    let client = client(&cluster.url());
    (cluster, client)
}

pub(crate) fn client(url: &str) -> Client {
    Client::try_from(Config::new(url.parse().unwrap())).unwrap()
}

/// Says who it is to everybody who asks, in a line.
pub(crate) fn named(name: &str) -> Program {
    let answer = format!("{name}\n");
    Program::new(move |mut stream| {
        let answer = answer.clone();
        async move {
            let mut asked = [0; 4];
            // Nobody may be there any more.
            if stream.read_exact(&mut asked).await.is_ok() {
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.read(&mut asked).await;
            }
        }
    })
}

/// Which pod a program that connects now gets.
pub(crate) async fn ask(to: SocketAddr) -> io::Result<String> {
    let asking = async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(b"who\n").await?;
        let mut answer = String::new();
        while !answer.ends_with('\n') {
            let mut piece = [0; 64];
            let read = stream.read(&mut piece).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        Ok(answer.trim_end().to_owned())
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Until the watch is open.
pub(crate) async fn watched(cluster: &TestCluster) {
    let waiting = async {
        while cluster.requests("watch", "/api/v1/namespaces/default/pods") == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}
