//! Opens local ports that lead into a pod:
//!
//!     listen_async_std --server URL [--protocol P] [-n NAMESPACE] POD LOCAL:REMOTE...
//!
//! With no arguments it makes itself a server with one pod, which echoes on its port 7.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;

use portway::{AsyncStd, Mapping, Options, Port, PortForward};
use portway_server::{LocalPod, LocalPods, Server, Serving};

#[async_std::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rt = AsyncStd::global();
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut of_our_own = None;
    if args.is_empty() {
        let serving = of_our_own.insert(serve_a_pod(&rt).await?);
        let server = format!("http://{}", serving.local_addr());
        args = ["--server", &server, "demo", "0:7"].map(str::to_owned).to_vec();
    }
    let Arguments { server, options, namespace, pod, mappings } = Arguments::parse(args)?;

    let connector = rt.http(&server, &namespace, &pod)?;
    let listening = rt.listen(connector, mappings, options).await?;
    for bound in listening.bound() {
        println!("Forwarding from {} -> {}", bound.local, bound.remote);
    }
    let mut events = listening.events();
    while let Some(event) = events.next().await {
        println!("{event:?}");
    }
    Ok(())
}

struct Arguments {
    server: String,
    options: Options,
    namespace: String,
    pod: String,
    mappings: Vec<Mapping>,
}

impl Arguments {
    fn parse(args: Vec<String>) -> Result<Self, Box<dyn Error>> {
        let usage = "usage: listen --server URL [--protocol P] [-n NAMESPACE] POD LOCAL:REMOTE...";
        let (mut server, mut namespace, mut rest) = (None, "default".to_owned(), Vec::new());
        let mut options = Options::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--server" => server = args.next(),
                "--protocol" => {
                    let p = args.next().ok_or(usage)?;
                    options = options.with_protocol(p.parse()?);
                }
                "-n" => namespace = args.next().ok_or(usage)?,
                _ => rest.push(arg),
            }
        }
        let mut rest = rest.into_iter();
        let pod = rest.next().ok_or(usage)?;
        let mapping = |spec: String| -> Result<Mapping, Box<dyn Error>> {
            let (local, remote) = spec.split_once(':').ok_or(usage)?;
            Ok(Mapping::new(local.parse()?, remote.parse::<Port>()?))
        };
        let mappings = rest.map(mapping).collect::<Result<_, _>>()?;
        Ok(Self { server: server.ok_or(usage)?, options, namespace, pod, mappings })
    }
}

/// Stands in for a cluster: an API server with one pod, which echoes on its port 7.
async fn serve_a_pod(rt: &AsyncStd) -> Result<Serving, Box<dyn Error>> {
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
