//! Everything that programs behind a forwarder do.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use portway_interop::load::{self, SCENARIOS};
use portway_interop::{Peer, Target};
use portway_tokio::Protocol;

use portway_runtimes::TestRuntime;

use crate::common::Opened;
use crate::grid::{Need, Scenario, Share};

/// The scenarios of the load, and an end after all of them.
pub(crate) fn scenarios<T: TestRuntime>() -> Vec<Scenario> {
    let sites = Arc::new(Sites::<T>(Mutex::new(None)));
    let mut all = Vec::new();
    for scenario in SCENARIOS {
        let sites = Arc::clone(&sites);
        all.push(Scenario {
            name: scenario.name,
            need: Need::Nothing,
            share: share(scenario.name),
            run: Arc::new(move |form| sites.run(form, scenario)),
        });
    }
    all.push(Scenario {
        name: "end_after_the_load",
        need: Need::Nothing,
        share: Share::All,
        run: Arc::new(move |form| sites.end(form)),
    });
    all
}

/// What takes long, or moves much, takes turns.
fn share(name: &str) -> Share {
    match name {
        "line_answer" | "refused_port" | "aborted_clients" => Share::All,
        _ => Share::Turns,
    }
}

/// The listener that the load goes through: one in each form, for one scenario after the other, so that
/// what one has left behind is there for the next.
struct Sites<T: TestRuntime>(Mutex<Option<Site<T>>>);

struct Site<T: TestRuntime> {
    form: Protocol,
    peer: Peer,
    opened: Opened<T>,
}

impl<T: TestRuntime> Sites<T> {
    fn take(&self, form: Protocol) -> Site<T> {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        left.filter(|site| site.form == form).unwrap_or_else(|| Site::new(form))
    }

    /// A site in which something went wrong is not kept.
    fn run(&self, form: Protocol, scenario: &load::Scenario) {
        let site = self.take(form);
        if let Err(error) = (scenario.run)(&site.target()) {
            panic!("{error}");
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(site);
    }

    fn end(&self, form: Protocol) {
        let site = self.take(form);
        load::scenario_sequential(&site.target(), 10).unwrap();
        let Site { peer, opened: Opened { runtime, listening, .. }, .. } = site;
        let left = runtime.block_on(listening.shutdown(Duration::from_secs(10)));
        assert_eq!(left.connections, 0, "left after everything had ended");
        if matches!(form, Protocol::Tunnel | Protocol::Spdy) {
            // Our sockets are closed. Kubernetes' SPDY server does not look at them behind a pod that
            // takes nothing, or a worker that is stuck (protocol.md C.8, trap 34).
            return;
        }
        // Kubernetes' server takes a second to end a session, and does not hear of our end at all while
        // a pod takes nothing from it (protocol.md trap 10): the six of `deaf_pod` may live on.
        let patience = Instant::now() + Duration::from_secs(20);
        while peer.stats().live_upgrades > 6 {
            let stats = peer.stats();
            assert!(Instant::now() < patience, "the server still has sessions: {stats:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl<T: TestRuntime> Site<T> {
    fn new(form: Protocol) -> Self {
        let peer = Peer::start();
        let opened = Opened::new(&peer, "demo", &load::ports(), form);
        Self { form, peer, opened }
    }

    fn target(&self) -> Target {
        let target = self.opened.target().watching(std::process::id());
        // Other builds may want the same two cores.
        target.promptness(Duration::from_secs(10))
    }
}
