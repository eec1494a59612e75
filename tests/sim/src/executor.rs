use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::Sim;
use crate::task::{Job, Ready, Tasks, waker};
use crate::trace::Happening;

/// Runs the body of a test and every task it leads to, one poll at a time, until the body is done.
///
/// # Panics
/// The body or a task does; nothing can run and no time is waited for; nothing ever rests; a task was
/// forgotten. Each with all that is known of who waits for what.
pub(crate) fn run<T>(sim: &Sim, body: impl Future<Output = T>) -> T {
    let mut executor = Executor {
        sim,
        ready: Arc::clone(sim.ready()),
        root: waker(Tasks::ROOT, sim.ready()),
        tasks: BTreeMap::new(),
        polls: 0,
    };
    sim.with(|world| world.tasks.add_root());
    executor.ready.push(Tasks::ROOT);
    executor.run(body)
}

struct Executor<'a> {
    sim: &'a Sim,
    ready: Arc<Ready>,
    root: Waker,
    tasks: BTreeMap<u64, (Job, Waker)>,
    /// Since the last rest.
    polls: u64,
}

impl Executor<'_> {
    fn run<T>(&mut self, body: impl Future<Output = T>) -> T {
        let mut body = pin!(body);
        loop {
            self.adopt();
            self.sim.with(crate::world::World::fire_due);
            let Some(id) = self.pick() else {
                self.rest();
                continue;
            };
            let polled = if id == Tasks::ROOT {
                let root = self.root.clone();
                self.poll(id, |_| body.as_mut().poll(&mut Context::from_waker(&root)))
            } else {
                self.poll(id, |executor| executor.poll_task(id));
                Poll::Pending
            };
            if let Poll::Ready(output) = polled {
                self.finish();
                return output;
            }
        }
    }

    /// Takes over what was spawned.
    fn adopt(&mut self) {
        for (id, job) in self.sim.with(|world| world.tasks.take_spawned()) {
            self.tasks.insert(id, (job, waker(id, &self.ready)));
            self.ready.push(id);
        }
    }

    /// Who is next: one of those that were woken, or now and then anybody.
    fn pick(&self) -> Option<u64> {
        self.sim.with(|world| {
            if world.rng.one_in(world.settings.spurious) && !self.ready.is_empty() {
                let anybody = world.rng.below(self.tasks.len() + 1);
                return Some(self.tasks.keys().nth(anybody).copied().unwrap_or(Tasks::ROOT));
            }
            self.ready.pop(&mut world.rng)
        })
    }

    fn poll<T>(&mut self, id: u64, poll: impl FnOnce(&mut Self) -> T) -> T {
        self.polls += 1;
        let limit = self.sim.with(|world| {
            world.tasks.begin_poll(id, world.now);
            world.note(Happening::Polled { task: id });
            world.settings.max_polls
        });
        assert!(self.polls <= limit, "livelock: {limit} polls without rest\n{}", self.sim.dump());
        let polled = poll(self);
        self.sim.with(|world| {
            let cost = world.settings.poll_cost;
            if !cost.is_zero() && !world.probing {
                world.now += world.rng.time(std::time::Duration::ZERO..=cost);
            }
        });
        polled
    }

    fn poll_task(&mut self, id: u64) {
        let Some((job, waker)) = self.tasks.get_mut(&id) else { return };
        let waker = waker.clone();
        if job.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            // Not locked: what is dropped closes sockets and wakes others.
            drop(self.tasks.remove(&id));
            self.sim.with(|world| {
                world.note(Happening::Ended { task: id });
                world.tasks.remove(id);
            });
        }
    }

    /// Nobody can run: time moves to the next moment at which something happens.
    fn rest(&mut self) {
        self.polls = 0;
        if self.sim.with(|world| world.rng.one_in(world.settings.probe)) {
            self.probe();
            if !self.ready.is_empty() {
                return;
            }
        }
        let settling = self.sim.with(|world| std::mem::take(&mut world.settling));
        if !settling.is_empty() {
            return settling.into_iter().for_each(Waker::wake);
        }
        let goes_on = self.sim.with(|world| {
            let next = world.agenda.next();
            world.now = next.map_or(world.now, |at| world.now.max(at));
            next.is_some()
        });
        assert!(
            goes_on,
            "deadlock: nobody can run, and no time is waited for\n{}",
            self.sim.dump()
        );
    }

    /// Polls a task that nobody has woken. Who waits has nothing to do, so a task that does something
    /// now was forgotten, and would have been until something else came along.
    fn probe(&mut self) {
        let picked = self.sim.with(|world| {
            let index = world.rng.below(self.tasks.len());
            let id = self.tasks.keys().nth(index).copied()?;
            world.probing = true;
            world.worked = None;
            Some((id, world.tasks.name(id).to_owned()))
        });
        let Some((id, name)) = picked else { return };
        self.poll(id, |executor| executor.poll_task(id));
        let worked = self.sim.with(|world| {
            world.probing = false;
            world.worked.take()
        });
        if let Some(worked) = worked {
            let dump = self.sim.dump();
            panic!("lost wake-up: task {id} {name} had not been woken, and did {worked:?}\n{dump}");
        }
    }

    /// Ends what is left, as the end of a process does.
    fn finish(&mut self) {
        self.sim.with(|world| world.tasks.remove(Tasks::ROOT));
        loop {
            self.adopt();
            let Some((_, task)) = self.tasks.pop_first() else { break };
            drop(task);
        }
    }
}

impl Drop for Executor<'_> {
    /// Also when a test fails: what is queued holds the world that holds the queue.
    fn drop(&mut self) {
        self.finish();
    }
}
