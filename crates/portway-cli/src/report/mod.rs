//! Where events go.

mod json;
mod screen;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use self::json::Json;
use self::screen::Screen;
pub(crate) use self::text::{Text, Words, forwarding};
use crate::args::{Output, OutputArgs};
use crate::event::{Event, What};

/// A way to tell a user or a program of events.
pub(crate) trait Report: Send {
    /// Tells it, or not, if nobody there needs to know. It may block: it has a thread of its own.
    fn tell(&mut self, event: &Event);

    /// How often [`What::Progress`] of a forward is wanted, at most.
    fn progress(&self) -> Option<Duration> {
        None
    }

    /// Tells everything until there is no more to come.
    fn run(mut self: Box<Self>, mut queue: Queue, _runtime: &Handle) {
        while let Some(event) = queue.blocking_next() {
            self.tell(&event);
        }
    }
}

/// What the command line asks for, with what would go to stdout going to `words`.
pub(crate) fn of(args: OutputArgs, words: Words) -> Box<dyn Report> {
    match args {
        OutputArgs { quiet: true, .. } => Box::new(Text::new(Words::Nowhere)),
        OutputArgs { output: Output::Text, .. }
            if words == Words::Stdout && screen::is_wanted() =>
        {
            Box::new(Screen::new(std::io::stderr()))
        }
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

/// Events that wait to be told.
#[derive(Debug)]
pub(crate) struct Queue {
    events: mpsc::UnboundedReceiver<Event>,
    waiting: Arc<AtomicUsize>,
}

impl Reporter {
    pub(crate) fn start(report: Box<dyn Report>) -> Self {
        let (events, queue) = mpsc::unbounded_channel();
        let (ended, done) = oneshot::channel();
        let teller = Teller { events, waiting: Arc::default() };
        let queue = Queue { events: queue, waiting: Arc::clone(&teller.waiting) };
        let progress = report.progress();
        let runtime = Handle::current();
        thread::spawn(move || {
            report.run(queue, &runtime);
            let _ = ended.send(());
        });
        Self { teller, progress, done }
    }

    pub(crate) fn teller(&self) -> Teller {
        self.teller.clone()
    }

    /// How often [`What::Progress`] of a forward is wanted, at most.
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

impl Queue {
    /// The next one; `None` once all tellers are gone.
    async fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().await;
        self.taken(event)
    }

    /// The next one, if it is there already.
    fn try_next(&mut self) -> Option<Event> {
        let event = self.events.try_recv().ok();
        self.taken(event)
    }

    fn blocking_next(&mut self) -> Option<Event> {
        let event = self.events.blocking_recv();
        self.taken(event)
    }

    fn taken(&self, event: Option<Event>) -> Option<Event> {
        if event.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        event
    }
}
