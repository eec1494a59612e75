use std::sync::Arc;
use std::time::Duration;

use portway_tokio::{Counters, ListenStats};
use tokio::task::JoinSet;

use crate::event::What;
use crate::report::{Reporter, Teller};

/// Tells how much has moved, if a report wants to know: whenever something has, but no more often than
/// the report can use. While nothing moves nobody is woken.
#[derive(Debug)]
pub(crate) struct Progress {
    teller: Teller,
    pause: Option<Duration>,
    forwards: Vec<(Arc<str>, Counters)>,
    // Ends with this.
    following: JoinSet<()>,
}

impl Progress {
    pub(crate) fn new(reporter: &Reporter) -> Self {
        let (teller, pause) = (reporter.teller(), reporter.progress());
        Self { teller, pause, forwards: Vec::new(), following: JoinSet::new() }
    }

    /// Tells of this forward too.
    pub(crate) fn follow(&mut self, forward: &Arc<str>, counters: Counters) {
        let Some(pause) = self.pause else { return };
        self.forwards.push((Arc::clone(forward), counters.clone()));
        let (forward, teller) = (Arc::clone(forward), self.teller.clone());
        self.following.spawn(async move {
            let mut stats = ListenStats::default();
            loop {
                stats = counters.changed(&stats).await;
                if teller.has_room() {
                    teller.tell(what(&forward, &stats));
                }
                tokio::time::sleep(pause).await;
            }
        });
    }

    /// Tells what it came to in the end.
    pub(crate) fn finish(self) {
        for (forward, counters) in &self.forwards {
            self.teller.tell(what(forward, &counters.stats()));
        }
    }
}

fn what(forward: &Arc<str>, stats: &ListenStats) -> What {
    What::Progress {
        forward: Arc::clone(forward),
        open: stats.open,
        accepted: stats.accepted,
        bytes_up: stats.bytes_up,
        bytes_down: stats.bytes_down,
    }
}
