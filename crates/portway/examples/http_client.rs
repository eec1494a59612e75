//! Speaks HTTP to a pod with hyper, with no local port.
//!
//! The server with its pod is made here; for a cluster, run `kubectl proxy`, say
//! `http://127.0.0.1:8001` instead, and leave `serve_a_pod` out.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use portway::{Options, Port, PortForward, Tokio};
use portway_server::{LocalPod, LocalPods, Server, Serving};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rt = Tokio::current();
    let serving = serve_a_pod(&rt).await?;
    let server = format!("http://{}", serving.local_addr());

    let http: Port = "80".parse()?;
    let pod = rt.http(&server, "default", "web-0")?;
    let stream = rt.forward(pod, &[http], Options::new()).await?.open(http)?;

    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/").header("host", "web-0").body(Empty::<Bytes>::new())?;
    let answer = requests.send_request(request).await?;
    println!("{}", answer.status());
    let page = answer.into_body().collect().await?.to_bytes();
    println!("{}", String::from_utf8_lossy(&page));

    drop(requests);
    connection.await??;
    Ok(())
}

/// Stands in for a cluster: an API server with one pod, which serves a page on its port 80.
async fn serve_a_pod(rt: &Tokio) -> Result<Serving, Box<dyn Error>> {
    let program = std::net::TcpListener::bind("127.0.0.1:0")?;
    let pod = LocalPod::closed().with_port("80".parse()?, program.local_addr()?);
    std::thread::spawn(move || {
        for mut stream in program.incoming().flatten() {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let request: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let page = format!("You asked for: {}", request.join(", "));
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", page.len());
            let _ = stream.write_all((head + &page).as_bytes());
        }
    });
    let pods = LocalPods::new(rt.clone()).with("default", "web-0", pod);
    Ok(Server::new(rt.clone(), pods).listen("127.0.0.1:0".parse()?).await?)
}
