//! Runs the scenarios against listeners of any forwarder.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it is for")]

use std::collections::BTreeMap;
use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use portway_interop::load::{self, SCENARIOS, Scenario};
use portway_interop::{Kubectl, Peer, Relay, Target, require_go};

const USAGE: &str = "\
usage: portway-load [OPTIONS] LOCAL:REMOTE...
       portway-load [OPTIONS] --baseline
       portway-load [OPTIONS] --kubectl RELEASE [--plain-spdy]

Each LOCAL port is where the REMOTE port of the peer's pod is forwarded to. Scenarios whose ports
are not all there are skipped.

  --only NAME         run this scenario (may be repeated)
  --host ADDRESS      where the LOCAL ports are (127.0.0.1)
  --pid PID           look at this process for leaks
  --patience SECONDS  how long one step may take (60)
  --baseline          start the Go peer and a plain TCP relay, and load those
  --kubectl RELEASE   start the Go peer and for each scenario this kubectl (1.30 to 1.37), in the tunnel
  --plain-spdy        tell kubectl to use no WebSocket
  --list              print the names of the scenarios and their ports
";

struct Args {
    only: Vec<String>,
    host: IpAddr,
    pid: Option<u32>,
    patience: Duration,
    baseline: bool,
    kubectl: Option<String>,
    plain_spdy: bool,
    list: bool,
    ports: BTreeMap<u16, u16>,
}

impl Args {
    fn scenarios(&self) -> impl Iterator<Item = &'static Scenario> {
        let wanted = |name| self.only.is_empty() || self.only.iter().any(|only| only == name);
        SCENARIOS.iter().filter(move |scenario| wanted(scenario.name))
    }
}

fn main() -> ExitCode {
    let args = match parse(env::args().skip(1)) {
        Ok(args) => args,
        Err(e) => {
            eprint!("portway-load: {e}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if args.list {
        for scenario in SCENARIOS {
            println!("{:<20} {:?}", scenario.name, scenario.ports);
        }
        return ExitCode::SUCCESS;
    }
    if args.baseline {
        assert!(require_go(), "there is no Go");
        let peer = Peer::start();
        let relay = Relay::start(load::ports(), |port| peer.pod_addr(port), None);
        let target = Target::new(relay.addrs()).watching(std::process::id());
        return run(&args, &target.patience(args.patience), |_| true);
    }
    if let Some(release) = &args.kubectl {
        return run_kubectl(&args, release);
    }
    let (host, ports) = (args.host, args.ports.clone());
    let target = Target::new(move |port| SocketAddr::new(host, ports[&port]));
    let target = match args.pid {
        Some(pid) => target.watching(pid),
        None => target,
    };
    run(&args, &target.patience(args.patience), |port| args.ports.contains_key(&port))
}

/// Each scenario has a kubectl and a server of its own: some of them are the end of it.
fn run_kubectl(args: &Args, release: &str) -> ExitCode {
    assert!(require_go(), "there is no Go");
    let Some(kubectl) = Kubectl::release(release) else { return ExitCode::FAILURE };
    let mut code = ExitCode::SUCCESS;
    for scenario in args.scenarios() {
        let peer = Peer::start();
        let forward = kubectl.port_forward("demo", scenario.ports).server(&peer.server());
        let running = match forward.websockets(!args.plain_spdy).start() {
            Ok(running) => running,
            Err(exit) => {
                eprintln!("portway-load: {kubectl}: {exit:?}");
                return ExitCode::FAILURE;
            }
        };
        let target = Target::new(running.addrs()).watching(running.pid()).patience(args.patience);
        if !run_one(scenario, &target) {
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn run(args: &Args, target: &Target, has: impl Fn(u16) -> bool) -> ExitCode {
    let mut failed = 0;
    for scenario in args.scenarios() {
        let name = scenario.name;
        if let Some(port) = scenario.ports.iter().find(|port| !has(**port)) {
            println!("skip {name:<20} {port} is not forwarded");
            continue;
        }
        failed += usize::from(!run_one(scenario, target));
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_one(scenario: &Scenario, target: &Target) -> bool {
    let name = scenario.name;
    let start = Instant::now();
    let outcome = (scenario.run)(target);
    let took = start.elapsed().as_secs_f64();
    match &outcome {
        Ok(report) => println!("ok   {name:<20} {took:6.2} s  {report}"),
        Err(e) => println!("FAIL {name:<20} {took:6.2} s  {e}"),
    }
    outcome.is_ok()
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args {
        only: Vec::new(),
        host: Ipv4Addr::LOCALHOST.into(),
        pid: None,
        patience: Duration::from_secs(60),
        baseline: false,
        kubectl: None,
        plain_spdy: false,
        list: false,
        ports: BTreeMap::new(),
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--only" => {
                let name = value()?;
                if !SCENARIOS.iter().any(|scenario| scenario.name == name) {
                    return Err(format!("there is no scenario {name:?}"));
                }
                args.only.push(name);
            }
            "--host" => args.host = number("an address", &value()?)?,
            "--pid" => args.pid = Some(number("a process id", &value()?)?),
            "--patience" => {
                args.patience = Duration::from_secs(number("a number of seconds", &value()?)?);
            }
            "--baseline" => args.baseline = true,
            "--kubectl" => args.kubectl = Some(value()?),
            "--plain-spdy" => args.plain_spdy = true,
            "--list" => args.list = true,
            pair => {
                let (local, remote) =
                    pair.split_once(':').ok_or_else(|| format!("{pair:?} is not LOCAL:REMOTE"))?;
                args.ports.insert(number("a port", remote)?, number("a port", local)?);
            }
        }
    }
    if args.ports.is_empty() && !args.baseline && args.kubectl.is_none() && !args.list {
        return Err("no LOCAL:REMOTE given".to_owned());
    }
    Ok(args)
}

fn number<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not {what}"))
}
