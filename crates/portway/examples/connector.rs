//! A connector for hyper-util's client, and for anything else that takes a `tower::Service<Uri>`: the
//! client keeps its pool, and the host of a URL is the name of a pod.
//!
//! The server with its pod is made here; for a cluster, run `kubectl proxy`, say
//! `http://127.0.0.1:8001` instead, and leave `serve_a_pod` out.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::future::Future;
use std::io::{self, BufRead, BufReader, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portway::{Options, Port, PortForward, PortStream, Tokio};
use portway_server::{LocalPod, LocalPods, Server, Serving};

/// Connects to the pods of one namespace.
#[derive(Clone)]
struct PodConnector {
    rt: Tokio,
    server: String,
    namespace: String,
}

impl tower_service::Service<Uri> for PodConnector {
    type Response = PodIo;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<PodIo, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { rt, server, namespace } = self.clone();
        Box::pin(async move {
            let port = Port::new(uri.port_u16().unwrap_or(80)).ok_or("port 0")?;
            let pod = rt.http(&server, &namespace, uri.host().ok_or("no pod is named")?)?;
            let stream = rt.forward(pod, &[port], Options::new()).await?.open(port)?;
            Ok(PodIo(TokioIo::new(stream)))
        })
    }
}

/// A connection into a pod as hyper-util wants it.
struct PodIo(TokioIo<PortStream>);

impl Connection for PodIo {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for PodIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for PodIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rt = Tokio::current();
    let serving = serve_a_pod(&rt).await?;
    let server = format!("http://{}", serving.local_addr());

    let pods = PodConnector { rt, server, namespace: "default".to_owned() };
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(pods);
    for page in ["/one", "/two"] {
        let answer = client.get(format!("http://web-0{page}").parse()?).await?;
        println!("{page}: {}", answer.status());
        println!("{}", String::from_utf8_lossy(&answer.into_body().collect().await?.to_bytes()));
    }
    // Of a pod that is not there the client hears in the server's own words.
    let error = client.get("http://web-1/".parse()?).await.expect_err("there is no such pod");
    let because = std::iter::successors(error.source(), |&error| error.source()).last();
    println!("web-1: {}", because.map(ToString::to_string).unwrap_or_default());
    Ok(())
}

/// Stands in for a cluster: an API server with one pod, which serves pages on its port 80. Each tells
/// how many requests its connection has brought.
async fn serve_a_pod(rt: &Tokio) -> Result<Serving, Box<dyn Error>> {
    let program = std::net::TcpListener::bind("127.0.0.1:0")?;
    let pod = LocalPod::closed().with_port("80".parse()?, program.local_addr()?);
    std::thread::spawn(move || {
        for mut stream in program.incoming().flatten() {
            let Ok(from) = stream.try_clone() else { continue };
            let lines = BufReader::new(from).lines().map_while(Result::ok);
            for (i, _) in lines.filter(|line| line.is_empty()).enumerate() {
                let page = format!("request {} of this connection", i + 1);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", page.len());
                let _ = stream.write_all((head + &page).as_bytes());
            }
        }
    });
    let pods = LocalPods::new(rt.clone()).with("default", "web-0", pod);
    Ok(Server::new(rt.clone(), pods).listen("127.0.0.1:0".parse()?).await?)
}
