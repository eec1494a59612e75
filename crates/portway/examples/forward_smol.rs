//! Sends bytes through a pod and reads them back, with no local port.
//!
//! The server with its pod is made here; for a cluster, run `kubectl proxy`, say
//! `http://127.0.0.1:8001` instead, and leave `serve_a_pod` out.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;

use portway::{Options, Port, PortForward, Smol};
use portway_server::{LocalPod, LocalPods, Server, Serving};
use smol::io::{AsyncReadExt, AsyncWriteExt};

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let rt = Smol::global();
    let serving = serve_a_pod(&rt).await?;
    let server = format!("http://{}", serving.local_addr());

    let echo: Port = "7".parse()?;
    let pod = rt.http(&server, "default", "demo")?;
    let mut forward = rt.forward(pod, &[echo], Options::new()).await?;
    println!("Reached pod {} over {}", forward.endpoint().pod, forward.form());

    let mut stream = forward.open(echo)?;
    stream.write_all(b"Hello, pod!").await?;
    let mut answer = [0; 11];
    stream.read_exact(&mut answer).await?;
    println!("It answers: {}", String::from_utf8_lossy(&answer));

    // What was written is still sent; this waits until all is over.
    drop(stream);
    println!("Closed: {}", forward.shutdown().await);
    Ok(())
}

/// Stands in for a cluster: an API server with one pod, which echoes on its port 7.
async fn serve_a_pod(rt: &Smol) -> Result<Serving, Box<dyn Error>> {
    let program = std::net::TcpListener::bind("127.0.0.1:0")?;
    let pod = LocalPod::closed().with_port("7".parse()?, program.local_addr()?);
    std::thread::spawn(move || {
        for stream in program.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    let pods = LocalPods::new(rt.clone()).with("default", "demo", pod);
    Ok(Server::new(rt.clone(), pods).listen("127.0.0.1:0".parse()?).await?)
}
