//! `portway demo`: everything between a local port and a program in a pod, in one process.

mod cluster;
mod kubeconfig;
mod web;

use std::collections::HashMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use http::StatusCode;
use portway_testcluster::TestCluster;
use portway_tokio::{
    Events, ListenEvent, Listening, Mapping, Options, Port, PortForward, Protocol, Tokio, WireForm,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args::DemoArgs;
use crate::event::Event;
use crate::failure::Failure;
use crate::forward::{Told, reason, stop};
use crate::interrupt::Interrupts;
use crate::output;
use crate::report::{Report, Reporter, Text, Words, forwarding};
use crate::transfer::{Transfer, both_ways};
use cluster::{DEPLOYMENT, ECHO, NAMESPACE, POD, SERVICE, WEB};
use kubeconfig::Kubeconfig;

/// Forwards that stand, and what their listener has to say.
struct Demo {
    cluster: TestCluster,
    listening: Listening,
    events: Events,
    told: Told,
    report: Text,
}

/// Shows that it works, and stays if asked to.
pub(crate) async fn run(args: DemoArgs) -> Result<ExitCode, Failure> {
    let mut interrupts = Interrupts::install().map_err(Failure::new)?;
    let demo = tokio::select! {
        demo = Demo::show(&args) => demo?,
        signal = interrupts.next() => return Ok(signal.exit_code()),
    };
    if !args.serve {
        // Sessions linger for as long as pods may still answer; here everything was answered.
        output::line("Every byte came through.");
        return Ok(ExitCode::SUCCESS);
    }
    let content = demo.cluster.kubeconfig().map_err(Failure::new)?;
    let kubeconfig = Kubeconfig::write(&content, args.kubeconfig_out.as_deref())?;
    demo.invite(&kubeconfig);
    let reporter = Reporter::start(Box::new(demo.report));
    let teller = reporter.teller();
    let telling = tokio::spawn(demo.told.tell(demo.events, teller.clone(), || {}));
    interrupts.next().await;
    let code = stop(vec![demo.listening], &teller, interrupts).await;
    // It ends with the listener.
    let _ = telling.await;
    drop(teller);
    reporter.finish().await;
    Ok(code)
}

/// How long anything may take that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

impl Demo {
    async fn show(args: &DemoArgs) -> Result<Self, Failure> {
        let mut demo = Self::start(args.protocol).await?;
        demo.get_the_page().await?;
        demo.send_and_receive(args.mib).await?;
        Ok(demo)
    }

    /// Starts the programs, the server, and the forwards between them.
    async fn start(protocol: Protocol) -> Result<Self, Failure> {
        let runtime = Tokio::current();
        let cluster = cluster::start(&runtime).await?;
        output::line(format_args!(
            "Serving pod {POD} (a web page on port {WEB}, an echo on port {ECHO}) at {}",
            cluster.url()
        ));
        let connector = runtime.http(&cluster.url(), NAMESPACE, POD).map_err(Failure::new)?;
        let mappings = [WEB, ECHO].map(|port| Mapping::new(0, port));
        let options = Options::new().with_protocol(protocol);
        let listening = runtime.listen(connector, mappings, options).await.map_err(Failure::new)?;
        let events = listening.events();
        for bound in listening.bound() {
            output::line(forwarding(&bound.local, bound.remote.get()));
        }
        let told = Told::new(POD.into(), HashMap::new());
        Ok(Self { cluster, listening, events, told, report: Text::new(Words::Stdout) })
    }

    /// One HTTP request through the forward.
    async fn get_the_page(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        let (local, stream, form) = self.connect(WEB).await?;
        let (status, body) = in_time("the page", web::get(stream)).await?;
        let took = started.elapsed().as_secs_f64() * 1e3;
        let url = format!("http://{local}/");
        if status != StatusCode::OK || body != web::PAGE {
            return Err(Failure::new(format_args!(
                "GET {url} brought {status} and {} bytes, not the page that the pod serves",
                body.len()
            )));
        }
        output::line(format_args!(
            "GET {url}: {status}, {} bytes in {took:.1} ms over {form}, the page that the pod serves",
            body.len()
        ));
        Ok(())
    }

    /// Bytes through the echo, both ways at once.
    async fn send_and_receive(&mut self, mib: u64) -> Result<(), Failure> {
        let (_, stream, _) = self.connect(ECHO).await?;
        let transfer = async {
            stream.set_nodelay(true)?;
            both_ways(stream, mib * 1024 * 1024).await
        };
        let transfer = transfer.await;
        let transfer =
            transfer.map_err(|e| Failure::new(format_args!("the transfer broke: {e}")))?;
        let Transfer { sent, received, took } = transfer;
        if !transfer.is_whole() {
            return Err(Failure::new(format_args!(
                "{} bytes with crc32 {:08x} were sent, {} with crc32 {:08x} came back",
                sent.bytes, sent.crc32, received.bytes, received.crc32
            )));
        }
        output::line(format_args!(
            "Echo: {mib} MiB up and {mib} MiB down at once in {:.2} s, {:.0} MiB/s each way, crc32 {:08x} on both ends",
            took.as_secs_f64(),
            transfer.rate(),
            received.crc32
        ));
        Ok(())
    }

    /// Connects to the local port that leads to `port`, says that it is handled, and waits for the
    /// session.
    async fn connect(&mut self, port: Port) -> Result<(SocketAddr, TcpStream, WireForm), Failure> {
        let local = self.local(port)?;
        let stream = in_time("the local port", TcpStream::connect(local)).await?;
        let connected = async {
            while let Some(event) = self.events.next().await {
                let outcome = match &event {
                    ListenEvent::Connected { form, .. } => Some(Ok(*form)),
                    ListenEvent::Failed { error, .. } => Some(Err(reason(error))),
                    ListenEvent::Accepted { .. }
                    | ListenEvent::Retried { .. }
                    | ListenEvent::Ended { .. }
                    | ListenEvent::AcceptFailed { .. }
                    | ListenEvent::Full { .. }
                    | ListenEvent::Missed(_)
                    | _ => None,
                };
                if let Some(what) = self.told.what(event, Instant::now()) {
                    self.report.tell(&Event::now(what));
                }
                if let Some(outcome) = outcome {
                    return outcome;
                }
            }
            Err("it is gone".to_owned())
        };
        let form = in_time("the listener", connected).await?;
        Ok((local, stream, form))
    }

    fn local(&self, port: Port) -> Result<SocketAddr, Failure> {
        let mut bound = self.listening.bound().iter();
        let bound = bound.find(|bound| bound.remote == port);
        let local = bound.and_then(|bound| bound.local.socket_addr());
        local.ok_or_else(|| Failure::new("a port was not opened"))
    }

    /// What to try while it stays.
    fn invite(&self, kubeconfig: &Kubeconfig) {
        if let Ok(local) = self.local(WEB) {
            output::line(format_args!(
                "Open http://{local}/ in a browser, or: curl http://{local}/"
            ));
        }
        output::line(format_args!(
            "In another terminal: portway {POD} :{WEB} :{ECHO} --server {}",
            self.cluster.url()
        ));
        output::line(format_args!(
            "Or: kubectl --server={} port-forward pod/{POD} :{WEB} :{ECHO}",
            self.cluster.url()
        ));
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.path().display());
        for tried in [
            format!("portway service/{SERVICE} :{WEB} {kubeconfig}"),
            format!("portway check deployment/{DEPLOYMENT} {WEB} {kubeconfig}"),
        ] {
            output::line(format_args!("With a kubeconfig: {tried}"));
        }
        let kubectl = format!("kubectl {kubeconfig}");
        output::line(format_args!("With a kubeconfig: {kubectl} get pods,services,deployments"));
        for target in [format!("service/{SERVICE}"), format!("deployment/{DEPLOYMENT}")] {
            output::line(format_args!("With a kubeconfig: {kubectl} port-forward {target} :{WEB}"));
        }
        output::line("Ctrl-C ends it.");
    }
}

/// Waits for what cannot take long.
async fn in_time<T, E: Display>(
    what: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match timeout(PATIENCE, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Failure::new(format_args!("{what}: {error}"))),
        Err(_) => {
            Err(Failure::new(format_args!("{what} took longer than {} s", PATIENCE.as_secs())))
        }
    }
}
