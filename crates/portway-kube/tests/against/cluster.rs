//! Forwards over a kube client, into a cluster in the process.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::common::{PATIENCE, ask, client, named, start, watched};
use portway_driver::{Events, ListenEvent, TargetEvent};
use portway_kube::{KubeForward, Policy, Selector};
use portway_testcluster::{Rule, TestCluster};
use portway_tokio::Tokio;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

#[tokio::test]
async fn a_listener_leads_to_what_stands_behind_a_service() {
    let (cluster, client) = start().await;
    let web = cluster.pod("web-a").label("app", "web").port("http", 8080, named("web-a")).create();
    cluster.service("web").selector("app", "web").port("http", 80, "http").create();
    let listening = client.listen("svc/web", [":http", ":80"]).await.unwrap();
    for bound in listening.bound() {
        assert_eq!(bound.remote.get(), 80);
        assert_eq!(ask(bound.local.socket_addr().unwrap()).await.unwrap(), "web-a");
    }
    assert!(web.connections() >= 2);
    listening.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_forward_leads_there_with_no_local_port() {
    let (cluster, client) = start().await;
    cluster.pod("db-0").namespace("data").label("app", "db").port("db", 5432, named("db")).create();
    let selector: Selector = "app=db".parse().unwrap();
    let target = client.target(selector).unwrap().with_namespace("data");
    let mut forward = target.forward(["db"]).await.unwrap();
    assert_eq!(forward.endpoint().pod, "db-0");
    let port = forward.ports()[0];
    assert_eq!(port.get(), 5432);
    let mut stream = forward.open(port).unwrap();
    stream.write_all(b"who\n").await.unwrap();
    let mut answer = [0; 3];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"db\n");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_a_line_and_at_once() {
    let (cluster, client) = start().await;
    cluster.pod("web-a").label("app", "web").port("http", 8080, named("web-a")).create();
    cluster.service("web").selector("app", "web").port("http", 80, "http").create();
    let refused = async |target: &str, port: &str| {
        let started = Instant::now();
        let error = client.listen(target, [port]).await.unwrap_err().to_string();
        assert!(started.elapsed() < Duration::from_secs(10), "{error}: {:?}", started.elapsed());
        assert!(!error.contains('\n'), "{error}");
        error
    };
    assert_eq!(
        refused("svc/web", ":81").await,
        "service 'web' does not have a service port 81; of ports it has 80"
    );
    assert_eq!(
        refused("svc/wob", ":80").await,
        "cannot get service 'wob' in namespace default: services \"wob\" not found (404 Not Found)"
    );
    assert_eq!(
        refused("cron/web", ":80").await,
        "cannot forward to 'cron/web': nothing can be forwarded to a 'cron'; give a pod, service, deployment, replicaset, statefulset, daemonset, job or replicationcontroller"
    );
    assert_eq!(
        refused("web-a", "a:b").await,
        "cannot forward port 'a:b': local port 'a' is a name; give its number, or none for a free port"
    );
    cluster.deny(Rule::of("system:anonymous").verbs(["list"]).on("pods"));
    let forbidden = refused("svc/web", ":80").await;
    let begin = "cannot list pods in namespace default: pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\"";
    assert!(forbidden.starts_with(begin), "{forbidden}");
    assert!(forbidden.ends_with("(403 Forbidden); the role lacks this right"), "{forbidden}");
}

#[tokio::test]
async fn who_we_are_and_whether_there_is_a_server_is_said_as_well() {
    let builder = TestCluster::builder().no_anonymous();
    let cluster = builder.start(&Tokio::current()).await.unwrap();
    let error = client(&cluster.url()).listen("web-a", [":80"]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot get pod 'web-a' in namespace default: Unauthorized (401 Unauthorized); get fresh credentials"
    );
    let url = cluster.url();
    cluster.shutdown(Duration::ZERO).await;
    let error = client(&url).listen("web-a", [":80"]).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot reach the API server: Connection refused (os error 111)");
}

#[tokio::test]
async fn a_pod_that_dies_takes_its_transfer_along_and_nothing_else() {
    let (cluster, client) = start().await;
    let web = cluster.deployment("web", 1).port("http", 8080, named("web")).create();
    let listening = client.listen("deploy/web", [":8080"]).await.unwrap();
    let mut events = listening.events();
    let mut transfer = TcpStream::connect(listening.local_addr()).await.unwrap();
    transfer.write_all(b"wh").await.unwrap();
    connected(&mut events).await;
    let old = web.pods().remove(0);
    // One that has not reached it yet goes on to the next.
    while old.connections() == 0 {
        tokio::task::yield_now().await;
    }
    old.delete();
    let mut rest = Vec::new();
    let cut = timeout(PATIENCE, transfer.read_to_end(&mut rest)).await.unwrap();
    assert!(cut.is_err(), "an end that looks clean: {rest:?}");
    let started = Instant::now();
    assert_eq!(ask(listening.local_addr()).await.unwrap(), "web");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_ne!(connected(&mut events).await, old.name());
    listening.shutdown(Duration::from_secs(5)).await;
}

/// The watch is told before the next connection comes, which costs nothing then.
#[tokio::test]
async fn a_pod_that_is_on_its_way_out_is_left_before_it_is_gone() {
    let (cluster, client) = start().await;
    for name in ["web-a", "web-b"] {
        cluster.pod(name).label("app", "web").port("http", 8080, named(name)).create();
    }
    cluster.service("web").selector("app", "web").port("", 80, 8080).create();
    let listening = client.listen("svc/web", [":80"]).await.unwrap();
    let mut events = listening.events();
    let first = ask(listening.local_addr()).await.unwrap();
    watched(&cluster).await;
    cluster.find_pod("default", &first).terminate();
    assert_eq!(target_event(&mut events).await, format!("lost pod {first}: it is being deleted"));
    let second = ask(listening.local_addr()).await.unwrap();
    assert_ne!(first, second);
    listening.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn pods_take_turns_if_so_wanted() {
    let (cluster, client) = start().await;
    for name in ["web-a", "web-b", "web-c"] {
        cluster.pod(name).label("app", "web").port("http", 8080, named(name)).create();
    }
    cluster.service("web").selector("app", "web").port("", 80, 8080).create();
    let target = client.target("svc/web").unwrap().with_policy(Policy::RoundRobin);
    let listening = target.listen([":80"]).await.unwrap();
    let mut got = BTreeMap::new();
    for _ in 0..9 {
        *got.entry(ask(listening.local_addr()).await.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(got.into_values().collect::<Vec<_>>(), [3, 3, 3]);
    listening.shutdown(Duration::from_secs(5)).await;
}

/// Whoever was lost was on a pod that is dead, and nobody was refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_restarts_lose_only_what_was_on_the_dead_pod() {
    const RESTARTS: usize = 100;
    let (cluster, client) = start().await;
    let web = cluster.deployment("web", 1).port("http", 8080, named("web")).create();
    let listening = client.listen("deploy/web", [":8080"]).await.unwrap();
    let to = listening.local_addr();
    let mut events = listening.events();
    let over = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                let mut asked = 0;
                while !over.load(Ordering::SeqCst) {
                    let _ = ask(to).await;
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    let seen = tokio::spawn(async move {
        let mut on = BTreeMap::new();
        let mut broken = Vec::new();
        while let Some(event) = events.next().await {
            match event {
                ListenEvent::Connected { connection, endpoint, .. } => {
                    on.insert(connection, endpoint.uid.unwrap());
                }
                ListenEvent::Ended { connection, report, .. } => {
                    let on = on.remove(&connection).unwrap();
                    if let Some(failure) = report.failure {
                        broken.push((connection, on, failure.to_string()));
                    }
                }
                ListenEvent::Failed { error, .. } => panic!("refused: {error}"),
                ListenEvent::Missed(events) => panic!("{events} events were missed"),
                _ => {}
            }
        }
        broken
    });
    let mut dead = BTreeSet::new();
    for _ in 0..RESTARTS {
        sleep(Duration::from_millis(30)).await;
        let pod = web.pods().remove(0);
        dead.insert(pod.uid().unwrap());
        pod.delete();
        let started = Instant::now();
        while let Err(error) = ask(to).await {
            assert!(started.elapsed() < Duration::from_secs(2), "{error}");
        }
    }
    over.store(true, Ordering::SeqCst);
    let mut asked = 0;
    for worker in workers {
        asked += worker.await.unwrap();
    }
    listening.shutdown(Duration::from_secs(10)).await;
    let broken = seen.await.unwrap();
    for (connection, on, failure) in &broken {
        assert!(dead.contains(on), "connection {connection} was on a pod that lives: {failure}");
    }
    assert!(asked > 10 * RESTARTS, "{asked} programs are no load");
    assert!(!broken.is_empty(), "nothing was cut: this proves nothing");
}

/// The next pod that a connection gets.
async fn connected(events: &mut Events) -> String {
    let next = async {
        loop {
            if let ListenEvent::Connected { endpoint, .. } = events.next().await.unwrap() {
                return endpoint.pod;
            }
        }
    };
    timeout(PATIENCE, next).await.unwrap()
}

/// The next thing that is told about the target.
async fn target_event(events: &mut Events) -> String {
    let next = async {
        loop {
            match events.next().await.unwrap() {
                ListenEvent::Target(TargetEvent::Restored { .. }) => {}
                ListenEvent::Target(event) => return event.to_string(),
                _ => {}
            }
        }
    };
    timeout(PATIENCE, next).await.unwrap()
}
