//! What a target leads to, and what becomes of that, in the simulator.
use std::net::SocketAddr;
use std::time::Duration;

use super::fake::{Cluster, HTTP, ask, line};
use portway_cluster::{Destination, LookupError, Policy, TargetConnector};
use portway_driver::{
    Events, ListenEvent, Listening, Mapping, Net, Options, PortForward, Protocol, Runtime,
    TargetEvent, until,
};
use portway_resolve::{Selector, Target};
use portway_server::Serving;
use portway_sim::{Builder, Sim};
use serde_json::json;

type Connector = TargetConnector<Cluster, Sim>;

/// A target of a cluster that is listened on.
struct Site {
    sim: Sim,
    cluster: Cluster,
    target: Connector,
    listening: Listening,
    events: Events,
    serving: Serving,
}

impl Site {
    /// The deployment `web` with these pods, on port 8080.
    async fn open(sim: &Sim, pods: &[&str], with: impl FnOnce(Connector) -> Connector) -> Self {
        let (cluster, serving) = Cluster::start(sim).await;
        cluster.put_deployment("web");
        for pod in pods {
            cluster.start_pod(pod, "web").await;
        }
        let target = with(connector(&cluster, sim, "deployment/web"));
        Self::listen(sim, cluster, serving, target).await
    }

    async fn listen(sim: &Sim, cluster: Cluster, serving: Serving, target: Connector) -> Self {
        Self::listen_with(sim, cluster, serving, target, Options::new()).await
    }

    async fn listen_with(
        sim: &Sim,
        cluster: Cluster,
        serving: Serving,
        target: Connector,
        options: Options,
    ) -> Self {
        let mapping = Mapping::new(0, HTTP.to_string().parse().unwrap());
        let listening = sim.listen(target.clone(), [mapping], options).await.unwrap();
        let events = listening.events();
        Self { sim: sim.clone(), cluster, target, listening, events, serving }
    }

    fn addr(&self) -> SocketAddr {
        self.listening.local_addr()
    }

    /// Which pod a program that connects now gets.
    async fn ask(&self) -> String {
        ask(&self.sim, self.addr()).await.unwrap()
    }

    /// The next thing that is told about the target, in words.
    async fn told(&mut self) -> String {
        self.event(|event| match event {
            ListenEvent::Target(event) => Some(shown(event)),
            _ => None,
        })
        .await
    }

    /// The next of them that begins like this.
    async fn told_of(&mut self, what: &str) -> String {
        loop {
            let told = self.told().await;
            if told.starts_with(what) {
                return told;
            }
        }
    }

    async fn event<T>(&mut self, wanted: impl Fn(ListenEvent) -> Option<T>) -> T {
        let events = &mut self.events;
        let next = async {
            loop {
                if let Some(found) = wanted(events.next().await.unwrap()) {
                    return found;
                }
            }
        };
        until(&self.sim, self.sim.now() + ms(20_000), next).await.expect("such an event")
    }

    /// Until the watch has said what there is, and the spare is there.
    async fn rest(&self) {
        self.sim.sleep(ms(500)).await;
        self.sim.settled().await;
    }

    async fn close(self) {
        self.listening.shutdown(ms(1_000)).await;
        self.serving.shutdown(ms(1_000)).await;
    }
}

fn shown(event: TargetEvent) -> String {
    match event {
        TargetEvent::Lost { pod, reason, .. } => format!("lost {pod}: {reason}"),
        TargetEvent::Resolving { error } => format!("resolving: {error}"),
        TargetEvent::Restored { pod, .. } => format!("restored {pod}"),
        TargetEvent::Unwatched { error } => format!("unwatched: {error}"),
        other => panic!("{other:?}"),
    }
}

fn connector(cluster: &Cluster, sim: &Sim, target: &str) -> Connector {
    let target: Target = target.parse().unwrap();
    TargetConnector::new(cluster.clone(), sim.clone(), "default", target)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Each is run from several seeds, that is with several orders of events.
fn run(test: impl AsyncFn(Sim)) {
    for seed in 0..20 {
        Builder::new(seed).run(async |sim| test(sim).await);
    }
}

#[test]
fn a_sticky_target_stays_with_its_pod_until_that_is_gone() {
    run(async |sim| {
        let mut site = Site::open(&sim, &["web-a", "web-b"], |target| target).await;
        site.rest().await;
        assert_eq!(site.ask().await, "web-a");
        assert_eq!(site.ask().await, "web-a");
        site.cluster.requests();
        site.cluster.kill_pod("web-a");
        site.rest().await;
        assert_eq!(site.told().await, "lost web-a: it is gone");
        assert_eq!(site.told().await, "restored web-b");
        assert_eq!(site.ask().await, "web-b");
        // A better one does not move it.
        site.cluster.start_pod("web-0", "web").await;
        site.rest().await;
        assert_eq!(site.ask().await, "web-b");
        // The watch says it all.
        assert_eq!(site.cluster.requests(), [""; 0]);
        site.close().await;
    });
}

#[test]
fn a_pod_that_is_dying_gets_no_connection_any_more() {
    run(async |sim| {
        let mut site = Site::open(&sim, &["web-a", "web-b"], |target| target).await;
        site.rest().await;
        assert_eq!(site.ask().await, "web-a");
        // It runs for as long as it has, and would answer.
        site.cluster.delete_pod("web-a");
        site.rest().await;
        assert_eq!(site.told().await, "lost web-a: it is being deleted");
        assert_eq!(site.ask().await, "web-b");
        site.cluster.start_pod("web-c", "web").await;
        site.cluster.set_ready("web-b", false);
        site.rest().await;
        assert_eq!(site.told().await, "restored web-b");
        assert_eq!(site.told().await, "lost web-b: it is not ready");
        assert_eq!(site.told().await, "restored web-c");
        assert_eq!(site.ask().await, "web-c");
        site.cluster.change_pod("web-c", |pod| pod["status"]["phase"] = json!("Failed"));
        site.cluster.set_ready("web-b", true);
        site.rest().await;
        assert_eq!(site.told().await, "lost web-c: it is Failed");
        assert_eq!(site.ask().await, "web-b");
        site.close().await;
    });
}

#[test]
fn a_connection_that_is_open_stays_with_its_pod() {
    run(async |sim| {
        let site = Site::open(&sim, &["web-a", "web-b"], |target| target).await;
        site.rest().await;
        let mut program = sim.connect(&site.addr().into()).await.unwrap();
        program.write_all(b"slow\n").await.unwrap();
        sim.sleep(ms(100)).await;
        site.cluster.delete_pod("web-a");
        site.rest().await;
        assert_eq!(site.ask().await, "web-b");
        assert_eq!(line(&mut program).await.unwrap(), "web-a");
        drop(program);
        site.close().await;
    });
}

#[test]
fn a_connection_waits_for_the_next_pod_and_gets_it_at_once() {
    run(async |sim| {
        let mut site = Site::open(&sim, &["web-a"], |target| target).await;
        site.rest().await;
        assert_eq!(site.ask().await, "web-a");
        site.cluster.kill_pod("web-a");
        sim.sleep(ms(10)).await;
        let asked = sim.start("program", {
            let (sim, to) = (sim.clone(), site.addr());
            async move { ask(&sim, to).await }
        });
        sim.sleep(ms(1_000)).await;
        site.cluster.create_pod("web-b", "web");
        sim.sleep(ms(1_000)).await;
        site.cluster.run_pod("web-b").await;
        sim.sleep(ms(1_000)).await;
        site.cluster.set_ready("web-b", true);
        let ready = sim.now();
        assert_eq!(asked.await.unwrap(), "web-b");
        assert!(sim.now() - ready < ms(100), "{:?}", sim.now() - ready);
        assert_eq!(site.told().await, "lost web-a: it is gone");
        let target = "there is no pod of deployment/web in namespace default";
        assert_eq!(site.told().await, format!("resolving: {target}"));
        assert_eq!(site.told().await, "resolving: pod 'web-b' is not running: it is Pending");
        assert_eq!(site.told().await, "resolving: pod 'web-b' is not ready");
        assert_eq!(site.told().await, "restored web-b");
        site.close().await;
    });
}

#[test]
fn without_a_pod_it_waits_no_longer_than_it_may() {
    run(async |sim| {
        let patience = ms(3_000);
        let mut site = Site::open(&sim, &["web-a"], |target| target.with_patience(patience)).await;
        site.rest().await;
        site.cluster.kill_pod("web-a");
        site.rest().await;
        let started = sim.now();
        ask(&sim, site.addr()).await.unwrap_err();
        let waited = sim.now() - started;
        assert!(patience <= waited && waited < patience + ms(200), "{waited:?}");
        let failed = site.event(|event| match event {
            ListenEvent::Failed { error, .. } => Some(error.to_string()),
            _ => None,
        });
        assert_eq!(failed.await, "there is no pod of deployment/web in namespace default");
        // It is listened on all the same.
        site.cluster.start_pod("web-b", "web").await;
        assert_eq!(site.ask().await, "web-b");
        site.close().await;
    });
}

#[test]
fn a_pod_that_is_not_ready_will_do_where_there_never_was_one_and_as_the_last_resort() {
    run(async |sim| {
        let (cluster, serving) = Cluster::start(&sim).await;
        cluster.put_deployment("web");
        cluster.create_pod("web-a", "web");
        cluster.run_pod("web-a").await;
        let target = connector(&cluster, &sim, "deployment/web").with_patience(ms(2_000));
        let site = Site::listen(&sim, cluster, serving, target).await;
        let started = sim.now();
        assert_eq!(site.ask().await, "web-a");
        assert!(sim.now() - started < ms(100));
        site.cluster.set_ready("web-a", true);
        site.rest().await;
        site.cluster.set_ready("web-a", false);
        site.rest().await;
        // It was ready, so it may be again.
        let started = sim.now();
        assert_eq!(site.ask().await, "web-a");
        let waited = sim.now() - started;
        assert!(ms(2_000) <= waited && waited < ms(2_200), "{waited:?}");
        site.close().await;
    });
}

#[test]
fn of_several_ready_pods_each_gets_its_turn() {
    run(async |sim| {
        let pods = ["web-a", "web-b", "web-c"];
        let turns = |target: Connector| target.with_policy(Policy::RoundRobin);
        let site = Site::open(&sim, &pods, turns).await;
        site.rest().await;
        let mut got = Vec::new();
        for _ in 0..6 {
            got.push(site.ask().await);
        }
        assert_eq!(got, ["web-a", "web-b", "web-c", "web-a", "web-b", "web-c"]);
        site.cluster.set_ready("web-b", false);
        site.rest().await;
        assert_eq!([site.ask().await, site.ask().await], ["web-a", "web-c"]);
        assert_eq!(site.listening.stats().reused, 0);
        site.close().await;
    });
}

#[test]
fn every_connection_gets_the_best_pod_of_its_moment_if_so_wanted() {
    run(async |sim| {
        let best = |target: Connector| target.with_policy(Policy::PerConnection);
        let site = Site::open(&sim, &["web-b"], best).await;
        site.rest().await;
        assert_eq!(site.ask().await, "web-b");
        site.cluster.start_pod("web-c", "web").await;
        site.cluster.change_pod("web-c", |pod| {
            pod["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
        });
        site.rest().await;
        assert_eq!(site.ask().await, "web-c");
        site.close().await;
    });
}

#[test]
fn a_pod_with_the_name_of_another_is_another() {
    run(async |sim| {
        let (cluster, serving) = Cluster::start(&sim).await;
        cluster.start_pod("db-0", "db").await;
        let target = connector(&cluster, &sim, "db-0").with_watch(false);
        let mut site = Site::listen(&sim, cluster, serving, target).await;
        site.rest().await;
        assert_eq!(site.ask().await, "db-0");
        site.cluster.kill_pod("db-0");
        site.cluster.start_pod("db-0", "db").await;
        site.rest().await;
        assert_eq!(site.ask().await, "db-0");
        assert_eq!(site.told().await, "lost db-0: another pod has its name now");
        assert_eq!(site.listening.stats().failed, 0);
        site.close().await;
    });
}

#[test]
fn without_the_right_to_watch_every_connection_looks_its_pod_up() {
    run(async |sim| {
        let (cluster, serving) = Cluster::start(&sim).await;
        cluster.put_deployment("web");
        cluster.start_pod("web-a", "web").await;
        cluster.start_pod("web-b", "web").await;
        cluster.refuse("watch pods", 403, "pods is forbidden: User \"x\" cannot watch");
        let target = connector(&cluster, &sim, "deployment/web");
        let mut site = Site::listen(&sim, cluster, serving, target).await;
        assert_eq!(
            site.told().await,
            "unwatched: cannot watch pods in namespace default: pods is forbidden: User \"x\" cannot watch (403 Forbidden); the role lacks this right"
        );
        site.rest().await;
        assert_eq!(site.ask().await, "web-a");
        site.cluster.requests();
        assert_eq!(site.ask().await, "web-a");
        assert_eq!(site.cluster.requests(), ["get pods/web-a"]);
        site.cluster.kill_pod("web-a");
        assert_eq!(site.ask().await, "web-b");
        assert_eq!(site.told().await, "lost web-a: it is gone");
        assert_eq!(site.listening.stats().failed, 0);
        site.close().await;
    });
}

#[test]
fn a_right_that_is_missing_is_told_at_once() {
    run(async |sim| {
        let (cluster, serving) = Cluster::start(&sim).await;
        cluster.put_deployment("web");
        cluster.refuse("list pods", 403, "pods is forbidden: User \"x\" cannot list");
        let target = connector(&cluster, &sim, "deployment/web");
        let started = sim.now();
        let error = target.mappings(&["8080".parse().unwrap()]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot list pods in namespace default: pods is forbidden: User \"x\" cannot list (403 Forbidden); the role lacks this right"
        );
        assert!(sim.now() - started < ms(100));
        cluster.allow_all();
        cluster.start_pod("web-a", "web").await;
        // Also later on.
        let site = Site::listen(&sim, cluster, serving, target).await;
        site.rest().await;
        assert_eq!(site.ask().await, "web-a");
        site.cluster.refuse("list pods", 403, "no more");
        site.cluster.refuse("watch pods", 403, "no more");
        site.cluster.cut_watches();
        site.rest().await;
        site.cluster.kill_pod("web-a");
        let started = sim.now();
        ask(&sim, site.addr()).await.unwrap_err();
        assert!(sim.now() - started < ms(200), "{:?}", sim.now() - started);
        site.close().await;
    });
}

#[test]
fn what_is_not_there_is_told_at_once() {
    run(async |sim| {
        let (cluster, serving) = Cluster::start(&sim).await;
        for (target, expected) in [
            (
                "svc/web",
                "cannot get service 'web' in namespace default: services/web not found (404 Not Found)",
            ),
            (
                "web-0",
                "cannot get pod 'web-0' in namespace default: pods/web-0 not found (404 Not Found)",
            ),
        ] {
            let started = sim.now();
            let target = connector(&cluster, &sim, target);
            let error = target.mappings(&["8080".parse().unwrap()]).await.unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(sim.now() - started < ms(100));
        }
        cluster.set_down(true);
        let target = connector(&cluster, &sim, "svc/web");
        let error = target.mappings(&["8080".parse().unwrap()]).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot reach the API server: connection refused");
        serving.shutdown(ms(100)).await;
    });
}

#[test]
fn the_first_pod_is_waited_for_as_long_as_kubectl_does() {
    run(async |sim| {
        let (cluster, serving) = Cluster::start(&sim).await;
        cluster.put_deployment("web");
        let target = connector(&cluster, &sim, "deployment/web");
        let started = sim.now();
        let error = target.mappings(&["8080".parse().unwrap()]).await.unwrap_err();
        assert!(matches!(error, LookupError::NoPod { .. }), "{error}");
        assert_eq!((sim.now() - started).as_secs(), 60);
        // It was asked for now and then, and neither in a rush nor only once.
        let asked = cluster.requests().len();
        assert!((60..200).contains(&asked), "{asked}");
        let waiting = sim.start("waiting", {
            let target = target.clone();
            async move { target.mappings(&["8080".parse().unwrap()]).await }
        });
        sim.sleep(ms(30_000)).await;
        cluster.start_pod("web-a", "web").await;
        let ready = sim.now();
        waiting.await.unwrap();
        assert!(sim.now() - ready < ms(2_000));
        serving.shutdown(ms(100)).await;
    });
}

#[test]
fn many_who_wait_ask_no_more_than_one() {
    run(async |sim| {
        let quiet = |target: Connector| target.with_watch(false);
        let site = Site::open(&sim, &["web-a"], quiet).await;
        assert_eq!(site.ask().await, "web-a");
        site.cluster.kill_pod("web-a");
        site.cluster.requests();
        let programs: Vec<_> = (0..100)
            .map(|number| {
                let (sim, to) = (sim.clone(), site.addr());
                site.sim.start(format!("program {number}"), async move { ask(&sim, to).await })
            })
            .collect();
        sim.sleep(ms(3_000)).await;
        let asked = site.cluster.requests().len();
        assert!(asked < 40, "{asked}");
        site.cluster.start_pod("web-b", "web").await;
        let ready = sim.now();
        for program in programs {
            assert_eq!(program.await.unwrap(), "web-b");
        }
        assert!(sim.now() - ready < ms(2_000), "{:?}", sim.now() - ready);
        site.close().await;
    });
}

#[test]
fn a_watch_goes_on_after_it_was_cut_and_after_its_past_was_forgotten() {
    run(async |sim| {
        let site = Site::open(&sim, &["web-a", "web-b"], |target| target).await;
        site.rest().await;
        sim.sleep(ms(2_000)).await;
        site.cluster.requests();
        site.cluster.cut_watches();
        site.rest().await;
        let asked = site.cluster.requests();
        assert!(asked.contains(&"watch pods".to_owned()), "{asked:?}");
        assert!(
            !asked.contains(&"list pods".to_owned()),
            "it goes on from where it was: {asked:?}"
        );
        site.cluster.set_ready("web-b", false);
        site.cluster.set_ready("web-b", true);
        // It was not told of this one, and so goes on from before it.
        site.cluster.start_pod("api-a", "api").await;
        sim.sleep(ms(2_000)).await;
        site.cluster.requests();
        site.cluster.forget_history();
        site.cluster.cut_watches();
        site.rest().await;
        assert!(site.cluster.requests().contains(&"list pods".to_owned()));
        site.cluster.kill_pod("web-a");
        site.rest().await;
        site.cluster.requests();
        assert_eq!(site.ask().await, "web-b");
        assert_eq!(site.cluster.requests(), [""; 0], "the watch has told");
        site.close().await;
    });
}

#[test]
fn a_watch_goes_on_from_its_last_bookmark() {
    run(async |sim| {
        let site = Site::open(&sim, &["web-a"], |target| target).await;
        sim.sleep(ms(2_000)).await;
        site.cluster.bookmark();
        sim.sleep(ms(10)).await;
        // What was before that is not needed.
        site.cluster.forget_history();
        site.cluster.requests();
        site.cluster.cut_watches();
        site.rest().await;
        let asked = site.cluster.requests();
        assert!(asked.contains(&"watch pods".to_owned()), "{asked:?}");
        assert!(!asked.contains(&"list pods".to_owned()), "{asked:?}");
        site.close().await;
    });
}

#[test]
fn a_server_that_is_away_ends_nothing_and_is_waited_for() {
    run(async |sim| {
        let mut site = Site::open(&sim, &["web-a"], |target| target).await;
        site.rest().await;
        site.cluster.set_down(true);
        site.cluster.cut_watches();
        let asked = sim.start("program", {
            let (sim, to) = (sim.clone(), site.addr());
            async move {
                sim.sleep(ms(100)).await;
                // The session that is there is not asked about.
                ask(&sim, to).await.unwrap();
                let one = ask(&sim, to);
                let other = ask(&sim, to);
                (one.await, other.await)
            }
        });
        sim.sleep(ms(3_000)).await;
        site.cluster.set_down(false);
        let (one, other) = asked.await;
        assert_eq!([one.unwrap(), other.unwrap()], ["web-a", "web-a"]);
        site.rest().await;
        site.cluster.requests();
        site.cluster.kill_pod("web-a");
        assert_eq!(site.told_of("lost").await, "lost web-a: it is gone");
        site.close().await;
    });
}

/// Nobody is told that it is gone, and an idle session leads to it.
#[test]
fn a_pod_that_gives_nothing_but_errors_is_looked_up_once() {
    run(async |sim| {
        let site = Site::open(&sim, &["web-a", "web-b"], |target| target).await;
        site.rest().await;
        assert_eq!(site.ask().await, "web-a");
        site.rest().await;
        site.cluster.requests();
        site.cluster.break_pod("web-a");
        ask(&sim, site.addr()).await.unwrap_err();
        site.rest().await;
        // It is what it was: a port of it is closed, that is all.
        assert_eq!(site.cluster.requests(), ["get pods/web-a"]);
        ask(&sim, site.addr()).await.unwrap_err();
        site.cluster.kill_pod("web-a");
        site.rest().await;
        assert_eq!(site.ask().await, "web-b");
        site.close().await;
    });
}

/// The watch is silent, and only the dial finds out.
#[test]
fn a_dial_that_finds_no_pod_is_done_again_elsewhere() {
    run(async |sim| {
        let best = |target: Connector| target.with_policy(Policy::PerConnection);
        let site = Site::open(&sim, &["web-a", "web-b"], best).await;
        site.rest().await;
        assert_eq!(site.ask().await, "web-a");
        site.cluster.lose_pod("web-a");
        let started = sim.now();
        assert_eq!(site.ask().await, "web-b");
        assert!(sim.now() - started < ms(1_000), "{:?}", sim.now() - started);
        assert_eq!(site.listening.stats().failed, 0);
        site.close().await;
    });
}

/// A session waits that leads to it, or is dialled to it, and only its port finds out.
#[test]
fn a_connection_that_does_not_reach_its_pod_goes_where_the_target_leads_by_now() {
    for protocol in [Protocol::Auto, Protocol::V4, Protocol::Spdy] {
        run(async |sim| {
            let (cluster, serving) = Cluster::start(&sim).await;
            cluster.put_deployment("web");
            cluster.start_pod("web-a", "web").await;
            cluster.start_pod("web-b", "web").await;
            let target = connector(&cluster, &sim, "deployment/web");
            let options = Options::new().with_protocol(protocol);
            let mut site = Site::listen_with(&sim, cluster, serving, target, options).await;
            site.rest().await;
            assert_eq!(site.ask().await, "web-a");
            sim.sleep(ms(5_000)).await;
            site.cluster.strand_pod("web-a");
            // Its socket is closed by then.
            sim.sleep(ms(1)).await;
            // What it has sent by then goes with it.
            assert_eq!(site.ask().await, "web-b");
            assert_eq!(site.told_of("lost").await, "lost web-a: it is gone");
            let stats = site.listening.stats();
            assert_eq!((stats.failed, stats.broken), (0, 0));
            site.close().await;
        });
    }
}

/// What is deleted by force may run on for a while, and of what is gone the last words may be on their
/// way: the end of a connection is for the node to say.
#[test]
fn a_connection_outlives_the_object_of_its_pod() {
    run(async |sim| {
        let mut site = Site::open(&sim, &["web-a", "web-b"], |target| target).await;
        site.rest().await;
        let mut program = sim.connect(&site.addr().into()).await.unwrap();
        program.write_all(b"slow\n").await.unwrap();
        sim.sleep(ms(100)).await;
        site.cluster.orphan_pod("web-a");
        assert_eq!(site.told_of("lost").await, "lost web-a: it is gone");
        assert_eq!(site.ask().await, "web-b");
        assert_eq!(line(&mut program).await.unwrap(), "web-a");
        drop(program);
        site.close().await;
    });
}

#[test]
fn a_target_that_selects_other_pods_leads_to_them() {
    run(async |sim| {
        let mut site = Site::open(&sim, &["web-a"], |target| target).await;
        site.cluster.start_pod("green-a", "green").await;
        site.rest().await;
        assert_eq!(site.ask().await, "web-a");
        site.rest().await;
        // What it says besides does not matter.
        site.cluster.requests();
        site.cluster.put_deployment_of("web", "web");
        site.rest().await;
        assert_eq!(site.cluster.requests(), [""; 0]);
        site.cluster.put_deployment_of("web", "green");
        site.rest().await;
        assert_eq!(site.told().await, "lost web-a: the target does not select it any more");
        assert_eq!(site.told().await, "restored green-a");
        site.cluster.requests();
        assert_eq!(site.ask().await, "green-a");
        assert_eq!(site.cluster.requests(), [""; 0], "the watch has told");
        // So does a pod that is relabelled.
        site.cluster.start_pod("green-b", "green").await;
        site.cluster.change_pod("green-a", |pod| pod["metadata"]["labels"] = json!({}));
        site.rest().await;
        assert_eq!(site.told().await, "lost green-a: the target does not select it any more");
        assert_eq!(site.ask().await, "green-b");
        // Without the target its pods are still there.
        site.cluster.delete("/apis/apps/v1/namespaces/default/deployments/web");
        site.rest().await;
        assert_eq!(site.ask().await, "green-b");
        site.cluster.put_deployment("web");
        site.rest().await;
        assert_eq!(site.ask().await, "web-a");
        assert_eq!(site.listening.stats().failed, 0);
        site.close().await;
    });
}

#[test]
fn a_target_that_may_not_be_watched_is_read_now_and_then() {
    for forbidden in ["watch deployments", "watch"] {
        run(async |sim| {
            let (cluster, serving) = Cluster::start(&sim).await;
            cluster.put_deployment("web");
            cluster.start_pod("web-a", "web").await;
            cluster.start_pod("green-a", "green").await;
            cluster.refuse(forbidden, 403, "forbidden");
            let target = connector(&cluster, &sim, "deployment/web");
            let site = Site::listen(&sim, cluster, serving, target).await;
            site.rest().await;
            assert_eq!(site.ask().await, "web-a");
            site.cluster.requests();
            site.cluster.put_deployment_of("web", "green");
            sim.sleep(ms(59_000)).await;
            let asked = site.cluster.requests();
            assert!(asked.len() < 3, "{asked:?}");
            sim.sleep(ms(3_000)).await;
            assert_eq!(site.ask().await, "green-a");
            site.close().await;
        });
    }
}

#[test]
fn services_translate_ports_and_names_follow_the_pod() {
    run(async |sim| {
        let (cluster, serving) = Cluster::start(&sim).await;
        cluster.put_service(
            "web",
            json!({
                "selector": {"app": "web"},
                "ports": [
                    {"name": "http", "port": 80, "targetPort": "http"},
                    {"name": "alt", "port": 8000, "targetPort": HTTP},
                ],
            }),
        );
        cluster.start_pod("web-a", "web").await;
        let target = connector(&cluster, &sim, "svc/web");
        let specs = ["0:http", "0:80", "0:alt"].map(|spec| spec.parse().unwrap());
        let mappings = target.mappings(&specs).await.unwrap();
        let remotes: Vec<_> = mappings.iter().map(|mapping| mapping.remote().get()).collect();
        assert_eq!(remotes, [80, 80, 8000]);
        let listening = sim.listen(target, mappings, Options::new()).await.unwrap();
        // Two ports that lead to one in the pod go into one session.
        sim.sleep(ms(500)).await;
        assert_eq!(listening.stats().idle, 1);
        for bound in listening.bound() {
            assert_eq!(ask(&sim, bound.local.socket_addr().unwrap()).await.unwrap(), "web-a");
        }
        // The next pod has it elsewhere.
        cluster.create_pod("web-b", "web");
        cluster.change_pod("web-b", |pod| {
            pod["spec"]["containers"][0]["ports"] = json!([{"name": "http", "containerPort": 81}]);
        });
        cluster.run_pod_on("web-b", 81).await;
        cluster.set_ready("web-b", true);
        cluster.kill_pod("web-a");
        sim.sleep(ms(500)).await;
        assert_eq!(ask(&sim, listening.local_addr()).await.unwrap(), "web-b");
        listening.shutdown(ms(100)).await;
        serving.shutdown(ms(100)).await;
    });
}

#[test]
fn a_dial_that_never_finds_its_pod_is_given_up_in_time() {
    run(async |sim| {
        let patience = ms(3_000);
        let (cluster, serving) = Cluster::start(&sim).await;
        cluster.put_deployment("web");
        cluster.start_pod("web-a", "web").await;
        let target = connector(&cluster, &sim, "deployment/web").with_patience(patience);
        // Every connection dials.
        let options = Options::new().with_protocol(Protocol::V4);
        let mut site = Site::listen_with(&sim, cluster, serving, target, options).await;
        site.rest().await;
        site.cluster.requests();
        site.cluster.unplug_pod("web-a");
        sim.sleep(ms(10)).await;
        let started = sim.now();
        ask(&sim, site.addr()).await.unwrap_err();
        let waited = sim.now() - started;
        assert!(ms(1_000) < waited && waited <= patience, "{waited:?}");
        let asked = site.cluster.requests().len();
        assert!((3..30).contains(&asked), "{asked}");
        let failed = site.event(|event| match event {
            ListenEvent::Failed { error, .. } => Some(error.to_string()),
            _ => None,
        });
        let failed = failed.await;
        assert!(failed.contains("404"), "{failed}");
        site.close().await;
    });
}

#[test]
fn a_named_port_of_a_workload_follows_the_pod() {
    run(async |sim| {
        let (cluster, serving) = Cluster::start(&sim).await;
        cluster.put_deployment("web");
        cluster.start_pod("web-a", "web").await;
        let target = connector(&cluster, &sim, "deployment/web");
        let mappings = target.mappings(&["0:http".parse().unwrap()]).await.unwrap();
        let listening = sim.listen(target, mappings, Options::new()).await.unwrap();
        cluster.create_pod("web-b", "web");
        cluster.change_pod("web-b", |pod| {
            pod["spec"]["containers"][0]["ports"] = json!([{"name": "http", "containerPort": 81}]);
        });
        cluster.run_pod_on("web-b", 81).await;
        cluster.set_ready("web-b", true);
        cluster.kill_pod("web-a");
        sim.sleep(ms(500)).await;
        assert_eq!(ask(&sim, listening.local_addr()).await.unwrap(), "web-b");
        listening.shutdown(ms(100)).await;
        serving.shutdown(ms(100)).await;
    });
}

#[test]
fn a_number_stays_a_number_where_a_name_means_the_same() {
    run(async |sim| {
        let (cluster, serving) = Cluster::start(&sim).await;
        cluster.put_deployment("web");
        cluster.start_pod("web-a", "web").await;
        let target = connector(&cluster, &sim, "deployment/web");
        let specs = ["0:http", "0:8080"].map(|spec| spec.parse().unwrap());
        let mappings = target.mappings(&specs).await.unwrap();
        let listening = sim.listen(target, mappings, Options::new()).await.unwrap();
        // The next pod has the name elsewhere.
        cluster.create_pod("web-b", "web");
        cluster.change_pod("web-b", |pod| {
            pod["spec"]["containers"][0]["ports"] = json!([{"name": "http", "containerPort": 81}]);
        });
        cluster.run_pod("web-b").await;
        cluster.set_ready("web-b", true);
        cluster.kill_pod("web-a");
        sim.sleep(ms(500)).await;
        assert_eq!(
            ask(&sim, listening.bound()[1].local.socket_addr().unwrap()).await.unwrap(),
            "web-b"
        );
        listening.shutdown(ms(100)).await;
        serving.shutdown(ms(100)).await;
    });
}

#[test]
fn pods_can_be_selected_by_their_labels() {
    run(async |sim| {
        let (cluster, serving) = Cluster::start(&sim).await;
        cluster.start_pod("api-a", "api").await;
        cluster.start_pod("web-a", "web").await;
        let selector: Selector = "app in (web)".parse().unwrap();
        let destination = Destination::from(selector);
        let target = TargetConnector::new(cluster.clone(), sim.clone(), "default", destination);
        let site = Site::listen(&sim, cluster, serving, target).await;
        assert_eq!(site.ask().await, "web-a");
        site.close().await;
    });
}

#[test]
fn nothing_of_it_outlives_the_listener() {
    for seed in 0..20 {
        Builder::new(seed).strict().run(async |sim| {
            let site = Site::open(&sim, &["web-a"], |target| target).await;
            site.rest().await;
            assert_eq!(site.ask().await, "web-a");
            let other = sim.listen(
                site.target.clone(),
                [Mapping::new(0, "8080".parse().unwrap())],
                Options::new(),
            );
            let other = other.await.unwrap();
            site.rest().await;
            site.cluster.kill_pod("web-a");
            site.rest().await;
            // The second takes the watch over from the first.
            site.listening.shutdown(ms(100)).await;
            sim.sleep(ms(500)).await;
            site.cluster.start_pod("web-b", "web").await;
            sim.sleep(ms(500)).await;
            site.cluster.requests();
            assert_eq!(ask(&sim, other.local_addr()).await.unwrap(), "web-b");
            assert_eq!(site.cluster.requests(), [""; 0]);
            site.cluster.kill_pod("web-b");
            other.shutdown(ms(100)).await;
            site.serving.shutdown(ms(100)).await;
            sim.settled().await;
        });
    }
}
