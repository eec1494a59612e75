use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use portway_driver::Sleep;

use crate::Sim;
use crate::task::Wait;

/// A timer in virtual time.
#[derive(Debug)]
pub struct SimSleep {
    sim: Sim,
    id: u64,
}

impl SimSleep {
    pub(crate) fn new(sim: Sim, at: Instant) -> Self {
        let at = sim.since_start(at);
        let id = sim.with(|world| world.agenda.add_timer(at));
        Self { sim, id }
    }
}

impl Future for SimSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let id = self.id;
        self.sim.with(|world| {
            if world.agenda.poll_timer(id, cx.waker(), world.now, &mut world.rng) {
                return Poll::Ready(());
            }
            world.tasks.waits(Wait::Timer(id));
            Poll::Pending
        })
    }
}

impl Sleep for SimSleep {
    fn reset(&mut self, at: Instant) {
        let at = self.sim.since_start(at);
        self.sim.with(|world| world.agenda.reset_timer(self.id, at, &mut world.rng));
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        self.sim.with(|world| world.agenda.drop_timer(self.id));
    }
}
