//! Time and tasks: who runs, when, and what is found when nobody does.
#![allow(missing_docs, clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use portway_driver::{Net, Runtime, Sleep, until};
use portway_sim::{Builder, Sim};

const MINUTE: Duration = Duration::from_secs(60);

/// What a run that has to fail says.
fn failure<T>(builder: Builder, body: impl AsyncFnOnce(Sim) -> T) -> String {
    let caught = catch_unwind(AssertUnwindSafe(|| drop(builder.run(body))));
    *caught.unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn time_jumps_to_the_next_deadline_and_no_further() {
    portway_sim::run(1, async |sim| {
        let (long, short) = (sim.start("long", pause(&sim, 3)), sim.start("short", pause(&sim, 2)));
        assert_eq!((short.await, long.await), (MINUTE * 2, MINUTE * 3));
        assert_eq!(sim.elapsed(), MINUTE * 3);
    });
}

fn pause(sim: &Sim, minutes: u32) -> impl Future<Output = Duration> + use<> {
    let sim = sim.clone();
    async move {
        sim.sleep(MINUTE * minutes).await;
        sim.elapsed()
    }
}

#[test]
fn a_timer_that_is_set_anew_keeps_who_waits_for_it() {
    portway_sim::run(1, async |sim| {
        let mut sleep = sim.sleep_until(sim.now() + MINUTE * 9);
        let early = until(&sim, sim.now() + MINUTE, &mut sleep).await;
        assert!(early.is_err());
        sleep.reset(sim.now() + MINUTE);
        sleep.await;
        assert_eq!(sim.elapsed(), MINUTE * 2);
    });
}

#[test]
fn seeds_change_who_is_first_and_the_same_seed_does_not() {
    let order = |seed| {
        portway_sim::run(seed, async |sim| {
            let order = Arc::new(Mutex::new(Vec::new()));
            for n in 0..4 {
                let order = Arc::clone(&order);
                sim.spawn(async move { order.lock().unwrap().push(n) });
            }
            sim.settled().await;
            (std::mem::take(&mut *order.lock().unwrap()), sim.trace())
        })
    };
    let orders: std::collections::BTreeSet<_> = (0..64).map(|seed| order(seed).0).collect();
    assert!(orders.len() > 8, "{orders:?}");
    for seed in 0..8 {
        assert_eq!(order(seed), order(seed));
    }
    assert_ne!(order(0).1, order(1).1);
}

#[test]
fn a_deadlock_is_found_and_names_who_waits() {
    let text = failure(Builder::new(1), async |sim: Sim| {
        let mut listener = sim.bind(([127, 0, 0, 1], 80).into()).await.unwrap();
        let accepting = sim.start("the one that accepts", async move {
            std::future::poll_fn(|cx| portway_driver::Listener::poll_accept(&mut listener, cx))
                .await
                .map(drop)
        });
        accepting.await.unwrap();
    });
    assert!(text.starts_with("deadlock"), "{text}");
    assert!(text.contains("the one that accepts"), "{text}");
    assert!(text.contains("Accept { port: 80 }"), "{text}");
    assert!(text.contains("listener 127.0.0.1:80: 0 wait to be accepted, somebody accepts"));
}

#[test]
fn a_livelock_is_found() {
    let text = failure(Builder::new(1).with_max_polls(1_000), async |_: Sim| {
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })
        .await;
    });
    assert!(text.starts_with("livelock: 1000 polls"), "{text}");
}

/// A flag, and one waker that is told of it: unless it forgets to.
#[derive(Default)]
struct Flag {
    set: AtomicBool,
    waker: Mutex<Option<Waker>>,
    forgetful: bool,
}

impl Flag {
    fn set(&self) {
        self.set.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap().take();
        if !self.forgetful {
            waker.into_iter().for_each(Waker::wake);
        }
    }

    async fn wait(&self) {
        std::future::poll_fn(|cx| {
            *self.waker.lock().unwrap() = Some(cx.waker().clone());
            if self.set.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Somebody waits for a flag, which is set a minute later; long after that something else ends.
async fn wait_for_flag(sim: Sim, forgetful: bool) {
    let flag = Arc::new(Flag { forgetful, ..Flag::default() });
    let waits = Arc::clone(&flag);
    sim.start("the forgotten one", async move { waits.wait().await });
    sim.sleep(MINUTE).await;
    flag.set();
    sim.sleep(MINUTE).await;
    sim.sleep(MINUTE).await;
    sim.assert_nothing_left().await;
}

#[test]
fn a_lost_wake_up_is_found_though_time_goes_on() {
    let quiet = || Builder::new(1).with_spurious(0).with_probes(1);
    let text = failure(quiet(), async |sim: Sim| wait_for_flag(sim, true).await);
    assert!(text.starts_with("lost wake-up: task 1 the forgotten one"), "{text}");
    quiet().run(async |sim| wait_for_flag(sim, false).await);
}

#[test]
fn a_wake_up_for_nothing_comes_now_and_then() {
    let polls = |one_in| {
        Builder::new(1).with_spurious(one_in).with_probes(0).run(async |sim| {
            let polls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&polls);
            sim.spawn(std::future::poll_fn(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                Poll::Pending
            }));
            for _ in 0..1_000 {
                sim.sleep(MINUTE).await;
            }
            polls.load(Ordering::Relaxed)
        })
    };
    assert_eq!(polls(0), 1);
    assert!((10..500).contains(&polls(10)), "{}", polls(10));
}

#[test]
fn what_is_left_is_named() {
    let text = failure(Builder::new(1).strict(), async |sim: Sim| {
        sim.start("the one that stays", std::future::pending::<()>());
        let _ = sim.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    });
    assert!(text.contains("Leftovers { tasks: 1, sockets: 0, listeners: 0, timers: 0 }"), "{text}");
    assert!(text.contains("the one that stays"), "{text}");
}

#[test]
fn a_panic_of_a_task_is_one_of_the_run() {
    let caught = catch_unwind(|| {
        portway_sim::run(1, async |sim| sim.start("bad", async { panic!("on purpose") }).await)
    });
    assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "on purpose");
}
