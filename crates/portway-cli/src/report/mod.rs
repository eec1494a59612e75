//! Where events go.

mod json;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use self::json::Json;
pub(crate) use self::text::{Text, Words, forwarding};
use crate::args::{Output, OutputArgs};
use crate::event::{Event, What};

/// A way to tell a user or a program of events.
pub(crate) trait Report: Send {
    /// Tells it, or not, if nobody there needs to know. It may block: it has a thread of its own.
    fn tell(&mut self, event: &Event);

    /// How often [`What::Progress`] of every forward is wanted.
    fn progress(&self) -> Option<Duration> {
        None
    }
}

/// What the command line asks for, with what would go to stdout going to `words`.
pub(crate) fn of(args: OutputArgs, words: Words) -> Box<dyn Report> {
    match args {
        OutputArgs { quiet: true, .. } => Box::new(Text::new(Words::Nowhere)),
        OutputArgs { output: Output::Text, .. } => Box::new(Text::new(words)),
        OutputArgs { output: Output::Json, .. } => Box::new(Json::new(words)),
    }
}

/// A report that is under way.
///
/// It has a thread of its own: whoever reads our output may be slow or asleep, and neither a forward
/// nor an interrupt may wait for that.
#[derive(Debug)]
pub(crate) struct Reporter {
    teller: Teller,
    progress: Option<Duration>,
    done: oneshot::Receiver<()>,
}

/// Whom to tell of events.
#[derive(Debug, Clone)]
pub(crate) struct Teller {
    events: mpsc::UnboundedSender<Event>,
    waiting: Arc<AtomicUsize>,
}

impl Reporter {
    pub(crate) fn start(mut report: Box<dyn Report>) -> Self {
        let (events, mut queue) = mpsc::unbounded_channel();
        let (ended, done) = oneshot::channel();
        let teller = Teller { events, waiting: Arc::default() };
        let waiting = Arc::clone(&teller.waiting);
        let progress = report.progress();
        thread::spawn(move || {
            while let Some(event) = queue.blocking_recv() {
                report.tell(&event);
                waiting.fetch_sub(1, Ordering::Relaxed);
            }
            drop(report);
            let _ = ended.send(());
        });
        Self { teller, progress, done }
    }

    pub(crate) fn teller(&self) -> Teller {
        self.teller.clone()
    }

    /// How often [`What::Progress`] of every forward is wanted.
    pub(crate) const fn progress(&self) -> Option<Duration> {
        self.progress
    }

    /// Waits until everything is told, unless nobody reads it. All tellers must be gone.
    pub(crate) async fn finish(self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        drop(self.teller);
        let _ = tokio::time::timeout(PATIENCE, self.done).await;
    }
}

impl Teller {
    /// Tells what must not be lost, which is little.
    pub(crate) fn tell(&self, what: What) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // The thread only ends with us.
        let _ = self.events.send(Event::now(what));
    }

    /// Whether there is room for something of which there is a lot. If nobody reads there is none.
    pub(crate) fn has_room(&self) -> bool {
        const MOST: usize = 1_024;
        self.waiting.load(Ordering::Relaxed) < MOST
    }
}
