//! Opens local ports that lead into a pod: `listen --server URL [--protocol P] [-n NAMESPACE] POD LOCAL:REMOTE...`
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;

use portway_async_std::{AsyncStd, Mapping, Options, Port, PortForward};

fn main() -> Result<(), Box<dyn Error>> {
    async_std::task::block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let Arguments { server, options, namespace, pod, mappings } =
        Arguments::parse(std::env::args())?;
    let rt = AsyncStd::global();
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
    fn parse(args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let usage = "usage: listen --server URL [--protocol P] [-n NAMESPACE] POD LOCAL:REMOTE...";
        let (mut server, mut namespace, mut rest) = (None, "default".to_owned(), Vec::new());
        let mut options = Options::new();
        let mut args = args.skip(1);
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
