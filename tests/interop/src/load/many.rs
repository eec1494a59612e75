use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Report;
use super::neighbours::echo;
use crate::{Target, Vitals};

/// Runs `task` with 0 to `n - 1`, all at once. What went wrong comes as one text, with a count.
pub(super) fn at_once<T: Send>(
    n: usize,
    task: impl Fn(usize) -> Result<T, String> + Sync,
) -> Result<Vec<T>, String> {
    let outcomes = thread::scope(|scope| {
        let task = &task;
        let threads: Vec<_> = (0..n).map(|i| scope.spawn(move || task(i))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("panicked".to_owned())))
            .collect::<Vec<_>>()
    });
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    let outcomes: Result<Vec<T>, String> = outcomes.into_iter().collect();
    outcomes.map_err(|first| {
        if n == 1 { first } else { format!("{failed} of {n} failed, the first: {first}") }
    })
}

const WORKERS: usize = 32;
const STORM: usize = 2_000;

/// 2,000 short connections, 32 at a time: each connects, echoes 64 bytes and goes.
///
/// # Errors
///
/// When one of them is not served.
pub fn scenario_storm(target: &Target) -> Result<Report, String> {
    let taken = AtomicUsize::new(0);
    let latencies = Mutex::new(Vec::with_capacity(STORM));
    let start = Instant::now();
    at_once(WORKERS, |worker| {
        let mut mine = Vec::new();
        while taken.fetch_add(1, Ordering::Relaxed) < STORM {
            let start = Instant::now();
            echo(&mut target.open(8080)?, worker as u64)?;
            mine.push(start.elapsed());
        }
        latencies.lock().map_err(|_| "poisoned")?.extend(mine);
        Ok(())
    })?;
    let time = start.elapsed();
    let latencies = latencies.into_inner().map_err(|_| "poisoned")?;
    let per_second =
        f64::from(u32::try_from(latencies.len()).unwrap_or(u32::MAX)) / time.as_secs_f64();
    Ok(Report::new()
        .figure("connect and echo", per_second, "per second")
        .latencies("median", "p99", latencies))
}

/// How much more a forwarder may hold after many connections than before them.
const MORE_FDS: u64 = 16;
const MORE_KIB: u64 = 16 * 1024;
/// Connections before the first look, so that pools are full and allocators warm.
const WARM_UP: usize = 200;
/// A session may linger for the second that a runtime takes to say that the pod is gone.
const SETTLE: Duration = Duration::from_secs(10);

/// Connections one after another, each connects, echoes 64 bytes and goes. If the target can be
/// looked at, it must not hold more memory or descriptors afterwards.
///
/// # Errors
///
/// When one of them is not served, or something leaked.
pub fn scenario_sequential(target: &Target, connections: usize) -> Result<Report, String> {
    let (latencies, report) = leaving_nothing(target, connections, || {
        let mut latencies = Vec::with_capacity(connections);
        for i in 0..connections {
            let start = Instant::now();
            round(target, i).map_err(|e| format!("connection {i}: {e}"))?;
            latencies.push(start.elapsed());
        }
        Ok(latencies)
    })?;
    Ok(report.latencies("connect and echo: median", "p99", latencies))
}

/// Half of the connections one after another, the other half 50 at once, again and again. If the target
/// can be looked at, it must not hold more memory or descriptors afterwards.
///
/// # Errors
///
/// When one of them is not served, or something leaked.
pub fn scenario_crowds(target: &Target, connections: usize) -> Result<Report, String> {
    const CROWD: usize = 50;
    let start = Instant::now();
    let ((), report) = leaving_nothing(target, connections, || {
        let alone = connections / 2;
        for i in 0..alone {
            round(target, i).map_err(|e| format!("connection {i}: {e}"))?;
        }
        for crowd in 0..(connections - alone).div_ceil(CROWD) {
            at_once(CROWD, |i| round(target, i)).map_err(|e| format!("crowd {crowd}: {e}"))?;
        }
        Ok(())
    })?;
    Ok(report.time("took", start.elapsed()))
}

/// Connects, echoes 64 bytes and goes.
fn round(target: &Target, seed: usize) -> Result<(), String> {
    echo(&mut target.open(8080)?, seed as u64)
}

/// Looks at the target before and after `load` of so many connections, if it can be looked at.
fn leaving_nothing<T>(
    target: &Target,
    connections: usize,
    load: impl FnOnce() -> Result<T, String>,
) -> Result<(T, Report), String> {
    (0..WARM_UP.min(connections)).try_for_each(|i| round(target, i))?;
    let before = settled(target, None)?;
    let outcome = load()?;
    let report = Report::new();
    let Some(before) = before else {
        return Ok((outcome, report.note("no process to look at for leaks")));
    };
    let after = settled(target, Some(before))?.unwrap_or(before);
    if leaked(before, after) {
        return Err(format!(
            "expected about {before} after {connections} connections, saw {after}"
        ));
    }
    Ok((outcome, report.note(format!("{before} before, {after} after"))))
}

/// Looks until the figures are not above those of `before`, or, without one, until they stay the
/// same for a while; for [`SETTLE`] at most.
fn settled(target: &Target, before: Option<Vitals>) -> Result<Option<Vitals>, String> {
    let deadline = Instant::now() + SETTLE;
    let mut last = None;
    let mut same = 0;
    loop {
        let Some(sample) = target.sample() else { return Ok(None) };
        let sample = sample?;
        let done = match before {
            Some(before) => !leaked(before, sample),
            None => {
                same = if last == Some(sample.fds) { same + 1 } else { 0 };
                same >= 15
            }
        };
        if done || Instant::now() > deadline {
            return Ok(Some(sample));
        }
        last = Some(sample.fds);
        thread::sleep(Duration::from_millis(100));
    }
}

fn leaked(before: Vitals, after: Vitals) -> bool {
    after.fds > before.fds + MORE_FDS || after.rss_kib > before.rss_kib + MORE_KIB
}
