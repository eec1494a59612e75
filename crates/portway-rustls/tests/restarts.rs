//! A pod that is killed and replaced, a hundred times, under load, over TLS, on every runtime.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for what it is about")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ::smol::channel::{Receiver, unbounded};
use ::smol::io::{AsyncReadExt, AsyncWriteExt};
use ::smol::net::TcpStream;
use portway_driver::{
    Events, ListenEvent, Net, Options, PortForward, RelayFailure, Runtime, after,
};
use portway_runtimes::on_every_runtime;
use portway_rustls::{ApiServer, ClientTls, Target, Token};
use portway_testcluster::{Program, TestCluster, User};

const RESTARTS: usize = 100;

/// How many programs come and go beside that.
const WORKERS: usize = 3;

/// Within this time of a new pod being ready a connection has to work.
const SOON: Duration = Duration::from_secs(2);

/// Greets whoever connects, and answers when asked.
fn answers() -> Program {
    Program::new(|mut stream| async move {
        let mut asked = [0; 4];
        // Nobody may be there any more.
        if stream.write_all(b".").await.is_ok() && stream.read_exact(&mut asked).await.is_ok() {
            let _ = stream.write_all(b"here\n").await;
            let _ = stream.read(&mut asked).await;
        }
    })
}

async fn ask(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(b"who\n").await?;
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b".here\n");
    Ok(())
}

/// A program that connects again and again, until it is told to stop: how often it got no answer.
async fn work<R: Runtime>(
    rt: R,
    to: SocketAddr,
    over: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
) -> usize {
    let mut lost = 0;
    while !over.load(Ordering::SeqCst) {
        lost += usize::from(ask(to).await.is_err());
        asked.fetch_add(1, Ordering::SeqCst);
        rt.sleep_until(after(rt.now(), Duration::from_millis(5))).await;
    }
    lost
}

/// A connection that broke, the UID of the pod it was on, and what was said.
type Broken = (u64, String, String);

/// What broke, up to the end of the listener.
async fn broken(mut events: Events) -> Vec<Broken> {
    let mut on = BTreeMap::new();
    let mut broken = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            ListenEvent::Connected { connection, endpoint, .. } => {
                on.insert(connection, endpoint.uid.unwrap());
            }
            ListenEvent::Ended { connection, report, .. } => {
                let on = on.remove(&connection).unwrap();
                match report.failure {
                    None | Some(RelayFailure::Socket(_)) => {}
                    Some(failure) => broken.push((connection, on, failure.to_string())),
                }
            }
            ListenEvent::Failed { connection, error, .. } => {
                broken.push((connection, String::new(), error.to_string()));
            }
            ListenEvent::Missed(events) => panic!("{events} events were missed"),
            _ => {}
        }
    }
    broken
}

/// Runs beside the test; what it comes to is in the channel.
fn beside<R: Runtime, T: Send + 'static>(
    rt: &R,
    work: impl Future<Output = T> + Send + 'static,
) -> Receiver<T> {
    let (sender, receiver) = unbounded();
    rt.spawn(async move {
        let _ = sender.send(work.await).await;
    });
    receiver
}

async fn a_hundred_restarts_lose_only_what_was_on_the_dead_pod<R: Runtime + Net>(rt: R) {
    let cluster = TestCluster::builder().tls().no_anonymous().start(&rt).await.unwrap();
    cluster.add_token("secret", User::new("jane"));
    let web = cluster.deployment("web", 1).port("http", 8080, answers()).create();
    let authority = cluster.authority_pem().unwrap();
    let tls = ClientTls::new().with_authorities(authority.as_bytes()).unwrap();
    let server = ApiServer::new(rt.clone(), &cluster.url(), tls).unwrap();
    let server = server.with_token(Token::new("secret").unwrap());
    let target = server.target("default", "deploy/web".parse::<Target>().unwrap());
    let mappings = target.mappings(&[":8080".parse().unwrap()]).await.unwrap();
    let listening = rt.listen(target, mappings, Options::new()).await.unwrap();
    let to = listening.local_addr();
    let seen = beside(&rt, broken(listening.events()));
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| beside(&rt, work(rt.clone(), to, Arc::clone(&over), Arc::clone(&asked))))
        .collect();
    let mut dead = BTreeSet::new();
    for _ in 0..RESTARTS {
        // Somebody is always in the middle of something.
        let before = asked.load(Ordering::SeqCst);
        let mut transfer = TcpStream::connect(to).await.unwrap();
        transfer.read_exact(&mut [0]).await.unwrap();
        while asked.load(Ordering::SeqCst) < before + WORKERS {
            rt.sleep_until(after(rt.now(), Duration::from_millis(1))).await;
        }
        let pod = web.pods().remove(0);
        dead.insert(pod.uid().unwrap());
        pod.delete();
        let replaced = rt.now();
        while let Err(error) = ask(to).await {
            assert!(rt.now() - replaced < SOON, "{error}");
        }
        let mut rest = Vec::new();
        let cut = transfer.read_to_end(&mut rest).await;
        assert!(cut.is_err(), "an end that looks clean: {rest:?}");
    }
    over.store(true, Ordering::SeqCst);
    let mut lost = 0;
    for worker in workers {
        lost += worker.recv().await.unwrap();
    }
    listening.shutdown(Duration::from_secs(10)).await;
    let broken = seen.recv().await.unwrap();
    for (connection, on, failure) in &broken {
        assert!(dead.contains(on), "connection {connection} was on a pod that lives: {failure}");
    }
    assert!(broken.len() >= RESTARTS, "{} were cut: this proves nothing", broken.len());
    // A worker is on one connection at a time.
    let asked = asked.load(Ordering::SeqCst);
    assert!(lost <= RESTARTS * WORKERS, "{lost} of {asked} programs got no answer");
}

on_every_runtime!(a_hundred_restarts_lose_only_what_was_on_the_dead_pod);
