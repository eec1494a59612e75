//! A pod that is killed and replaced, a hundred times, while programs come and go.
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::fake::{Cluster, HTTP, ask, line};
use portway_cluster::TargetConnector;
use portway_driver::{Mapping, Net, Options, PortForward, Protocol, Runtime};
use portway_resolve::Target;
use portway_sim::{Builder, Sim};

/// How long after a pod was killed a program may still be sent to it: the news is on its way.
const NEWS: Duration = Duration::from_millis(20);

/// A program, and what it got.
#[derive(Debug, Clone, Copy)]
struct Asked {
    from: Instant,
    until: Instant,
    answered: bool,
}

/// Replaces the pod again and again under load, and returns what became of each program.
async fn restart(
    sim: &Sim,
    times: usize,
    protocol: Protocol,
    watch: bool,
) -> (Vec<Instant>, Vec<Asked>) {
    let (cluster, serving) = Cluster::start(sim).await;
    cluster.put_deployment("web");
    cluster.start_pod("web-0", "web").await;
    let web: Target = "deployment/web".parse().unwrap();
    let target =
        TargetConnector::new(cluster.clone(), sim.clone(), "default", web).with_watch(watch);
    let mapping = Mapping::new(0, HTTP.to_string().parse().unwrap());
    let options = Options::new().with_protocol(protocol);
    let listening = sim.listen(target, [mapping], options).await.unwrap();
    let to = listening.local_addr();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let over = Arc::new(Mutex::new(false));
    let load: Vec<_> = (0..3)
        .map(|worker| {
            let (sim, asked, over) = (sim.clone(), Arc::clone(&asked), Arc::clone(&over));
            let name = format!("worker {worker}");
            sim.clone().start(name, async move {
                while !*over.lock().unwrap() {
                    let from = sim.now();
                    let answered = ask(&sim, to).await.is_ok();
                    asked.lock().unwrap().push(Asked { from, until: sim.now(), answered });
                    sim.sleep(Duration::from_millis(60)).await;
                }
            })
        })
        .collect();
    let mut kills = Vec::new();
    for number in 1..=times {
        sim.sleep(Duration::from_millis(700)).await;
        // One that is in the middle of something.
        let mut transfer = sim.connect(&to.into()).await.unwrap();
        transfer.write_all(b"slow\n").await.unwrap();
        sim.sleep(Duration::from_millis(200)).await;
        kills.push(sim.now());
        cluster.kill_pod(&format!("web-{}", number - 1));
        let cut = line(&mut transfer).await;
        assert!(cut.is_err(), "an end that looks clean: {cut:?}");
        let name = format!("web-{number}");
        cluster.create_pod(&name, "web");
        sim.sleep(Duration::from_millis(300)).await;
        cluster.run_pod(&name).await;
        sim.sleep(Duration::from_millis(200)).await;
        cluster.set_ready(&name, true);
        let ready = sim.now();
        assert_eq!(ask(sim, to).await.unwrap(), name);
        assert!(sim.now() - ready < Duration::from_secs(2), "{:?}", sim.now() - ready);
    }
    *over.lock().unwrap() = true;
    for worker in load {
        worker.await;
    }
    listening.shutdown(Duration::from_secs(5)).await;
    serving.shutdown(Duration::from_secs(5)).await;
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    (kills, asked)
}

/// Nobody is lost who was not on a pod as it died.
fn check(kills: &[Instant], asked: &[Asked], news: Duration) {
    let mut lost = 0;
    for program in asked.iter().filter(|program| !program.answered) {
        let on_it = |kill: &&Instant| program.from <= **kill + news && **kill <= program.until;
        assert!(kills.iter().any(|kill| on_it(&kill)), "{program:?} was lost: {kills:?}");
        lost += 1;
    }
    assert!(asked.len() > 20 * kills.len(), "{} programs are no load", asked.len());
    assert!(lost <= 4 * kills.len(), "{lost} of {}", asked.len());
}

/// In every form, and most often in the one that is spoken most.
const FORMS: [(u64, Protocol, usize); 3] =
    [(1, Protocol::Auto, 100), (2, Protocol::V4, 20), (3, Protocol::Spdy, 20)];

#[test]
fn a_hundred_restarts_lose_only_what_was_on_the_dead_pod() {
    for (seed, protocol, times) in FORMS {
        Builder::new(seed).run(async |sim| {
            let (kills, asked) = restart(&sim, times, protocol, true).await;
            check(&kills, &asked, NEWS);
        });
    }
}

#[test]
fn a_hundred_restarts_lose_nothing_more_without_a_watch() {
    for (seed, protocol, times) in FORMS {
        Builder::new(seed).run(async |sim| {
            let (kills, asked) = restart(&sim, times, protocol, false).await;
            check(&kills, &asked, NEWS);
        });
    }
}
