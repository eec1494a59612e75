//! Opens local ports that lead to anything that pods stand behind, over a kube client:
//!
//!     listen_kube [-n NAMESPACE] TARGET [LOCAL:]REMOTE...
//!
//! `listen_kube svc/web 8080:80`, say, with the cluster of the kubeconfig. With no arguments it makes
//! itself a cluster with the service `web`.
#![allow(clippy::print_stdout, reason = "an example talks")]

use std::error::Error;

use kube::{Client, Config};
use portway::Tokio;
use portway::kube::KubeForward;
use portway_testcluster::{Program, TestCluster};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut of_our_own = None;
    let client = if args.is_empty() {
        let cluster = of_our_own.insert(start_a_cluster().await?);
        args = ["svc/web", ":80"].map(str::to_owned).to_vec();
        Client::try_from(Config::new(cluster.url().parse()?))?
    } else {
        Client::try_default().await?
    };
    let mut namespace = client.default_namespace().to_owned();
    if args.first().is_some_and(|arg| arg == "-n") && args.len() > 1 {
        namespace = args.drain(..2).nth(1).unwrap_or_default();
    }
    let [target, ports @ ..] = &args[..] else { return Err("no target is given".into()) };

    let target = client.target(target.as_str())?.with_namespace(&namespace);
    let listening = target.listen(ports).await?;
    for bound in listening.bound() {
        println!("Forwarding from {} -> {}", bound.local, bound.remote);
    }
    let mut events = listening.events();
    while let Some(event) = events.next().await {
        println!("{event:?}");
    }
    Ok(())
}

/// Stands in for a real one: the service `web`, whose one pod echoes.
async fn start_a_cluster() -> Result<TestCluster, Box<dyn Error>> {
    let cluster = TestCluster::start(&Tokio::current()).await?;
    cluster.deployment("web", 1).port("echo", 7, Program::echo()).create();
    cluster.service("web").selector("app", "web").port("", 80, "echo").create();
    Ok(cluster)
}
