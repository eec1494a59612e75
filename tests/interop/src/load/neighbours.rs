use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Report;
use super::many::at_once;
use crate::{Conn, Pattern, Target};

/// Echoes 64 bytes on 8080 that no other connection echoes.
pub(super) fn echo(conn: &mut Conn, seed: u64) -> Result<(), String> {
    let mut bytes = [0; 64];
    Pattern::new(seed).fill(&mut bytes);
    conn.send(&bytes)?;
    conn.expect(&bytes)
}

const NEIGHBOURS: usize = 4;

/// Lets `trouble` happen while neighbours echo all the time, on connections opened before and on
/// fresh ones, each of which has to be prompt; and for a while after it.
pub(super) fn with_neighbours<T: Send>(
    target: &Target,
    trouble: impl FnOnce() -> Result<T, String> + Send,
) -> Result<(T, Report), String> {
    let over = AtomicBool::new(false);
    let (outcome, neighbours) = thread::scope(|scope| {
        let neighbours = scope.spawn(|| {
            at_once(NEIGHBOURS, |i| neighbour(target, i as u64, &over))
                .map_err(|e| format!("the neighbours: {e}"))
        });
        // So that they are there when it starts.
        thread::sleep(Duration::from_millis(200));
        let outcome = trouble();
        thread::sleep(Duration::from_millis(500));
        over.store(true, Ordering::Relaxed);
        (outcome, neighbours.join().unwrap_or_else(|_| Err("panicked".to_owned())))
    });
    // What happened to the neighbours is what these scenarios are about.
    let latencies = neighbours?.concat();
    let report = Report::new().latencies("neighbours: median", "p99", latencies);
    Ok((outcome?, report))
}

fn neighbour(target: &Target, seed: u64, over: &AtomicBool) -> Result<Vec<Duration>, String> {
    let limit = target.prompt_within();
    let prompt = |start: Instant, what: &str| {
        let took = start.elapsed();
        if took > limit {
            return Err(format!("expected {what} within {limit:?}, saw it after {took:?}"));
        }
        Ok(took)
    };
    let mut old = target.open(8080)?;
    let mut latencies = Vec::new();
    let mut round = 0_u64;
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        echo(&mut old, seed)?;
        latencies.push(prompt(start, "an echo on an old connection")?);
        if round.is_multiple_of(20) {
            let start = Instant::now();
            echo(&mut target.open(8080)?, seed)?;
            prompt(start, "an echo on a new connection")?;
        }
        round += 1;
        thread::sleep(Duration::from_millis(5));
    }
    Ok(latencies)
}

/// 50 clients that connect, send something and crash: nobody else notices.
///
/// # Errors
///
/// When somebody does.
pub fn scenario_aborted_clients(target: &Target) -> Result<Report, String> {
    let ((), report) = with_neighbours(target, || {
        at_once(50, |i| {
            let mut conn = target.open(8080)?;
            // Some with nothing sent, some with answers on their way, some with all read.
            match i % 3 {
                0 => {}
                1 => conn.send_pattern(0, 10_000)?,
                _ => echo(&mut conn, i as u64)?,
            }
            conn.abort()
        })?;
        at_once(8, |i| echo(&mut target.open(8080)?, i as u64)).map(drop)
    })?;
    Ok(report)
}

/// Local programs that ask for a lot and read nothing (8088) leave the others alone, whose echoes take
/// no longer than they did before; one that starts to read after all gets every byte.
///
/// # Errors
///
/// When the others wait, or bytes are missing.
pub fn scenario_stalled_reader(target: &Target) -> Result<Report, String> {
    const BYTES: u64 = 64 << 20;
    let mut quiet = target.open(8080)?;
    let before = median_echo(&mut quiet)?;
    let (during, report) = with_neighbours(target, || {
        let mut stalled = (0..4)
            .map(|seed| {
                let mut conn = target.open(8088)?;
                conn.send(format!("{BYTES} {seed}\n").as_bytes())?;
                Ok(conn)
            })
            .collect::<Result<Vec<_>, String>>()?;
        // By now what was asked for fills every buffer on the way.
        thread::sleep(Duration::from_secs(2));
        let during = median_echo(&mut quiet)?;
        thread::sleep(Duration::from_secs(2));
        let mut patient = stalled.remove(2);
        patient.expect_pattern(2, BYTES)?;
        patient.expect_end(crate::End::Fin)?;
        stalled.into_iter().try_for_each(Conn::abort)?;
        Ok(during)
    })?;
    let limit = before * 10 + Duration::from_millis(50);
    if during > limit {
        return Err(format!(
            "expected an echo beside stalled readers within {limit:?}, saw {during:?} \
             ({before:?} without them)"
        ));
    }
    Ok(report.time("echo before", before).time("during", during))
}

/// What an echo takes on a connection that does nothing else.
fn median_echo(conn: &mut Conn) -> Result<Duration, String> {
    let mut times = (0..51)
        .map(|seed| {
            let start = Instant::now();
            echo(conn, seed).map(|()| start.elapsed())
        })
        .collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// Pods that read nothing (8093), or nothing while they talk for ever (8090), leave the others
/// alone, and a local program in front of one can still go away.
///
/// # Errors
///
/// When the others wait.
pub fn scenario_deaf_pod(target: &Target) -> Result<Report, String> {
    let ((), report) = with_neighbours(target, || {
        at_once(6, |i| {
            let mut conn = target.open(if i % 2 == 0 { 8090 } else { 8093 })?;
            conn.pour(64 << 20, Duration::from_secs(3));
            conn.abort()
        })
        .map(drop)
    })?;
    Ok(report)
}

/// 20 uploads into pods that close cleanly after 100 bytes while many more are on their way (8089): the
/// next 200 connections all work at once, whatever the forwarder does with what it had in flight.
///
/// Kubernetes' server loses a fifth of a session to two frames that come after the pod's end.
///
/// # Errors
///
/// When one of the 200 is not served promptly.
pub fn scenario_late_frames(target: &Target) -> Result<Report, String> {
    const UPLOADS: usize = 20;
    const END_WITHIN: Duration = Duration::from_secs(15);
    let limit = target.prompt_within();
    let prompt = |i: usize| {
        let start = Instant::now();
        echo(&mut target.open(8080)?, i as u64)?;
        let took = start.elapsed();
        if took > limit {
            return Err(format!("connection {i}: expected an echo within {limit:?}, saw {took:?}"));
        }
        Ok(took)
    };
    at_once(UPLOADS, |_| {
        let mut conn = target.open(8089)?;
        let end = Instant::now() + END_WITHIN;
        // Small pieces with pauses: always some on their way, and never all of them stuck.
        while conn.pour(4 * 1024, Duration::from_millis(200)) > 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
        conn.end().map(drop)
    })?;
    let mut latencies = (0..100).map(prompt).collect::<Result<Vec<_>, _>>()?;
    for _ in 0..5 {
        latencies.extend(at_once(20, prompt)?);
    }
    Ok(Report::new().latencies("connect and echo: median", "p99", latencies))
}

/// 40 uploads into pods that close after 100 bytes, half of them cleanly (8089) and half with a
/// reset (8092): every one of them ends, and the others go on.
///
/// # Errors
///
/// When an upload hangs, or the others wait.
pub fn scenario_early_closer(target: &Target) -> Result<Report, String> {
    /// The second of a container runtime, the five of the pod program, and room for load.
    const END_WITHIN: Duration = Duration::from_secs(15);
    let (ends, report) = with_neighbours(target, || {
        at_once(40, |i| {
            let port = if i % 2 == 0 { 8089 } else { 8092 };
            let mut conn = target.open(port)?;
            let start = Instant::now();
            conn.pour(32 << 20, END_WITHIN);
            conn.end()?;
            let took = start.elapsed();
            if took > END_WITHIN {
                return Err(format!(
                    "port {port}: expected the upload to end within {END_WITHIN:?}, saw {took:?}"
                ));
            }
            Ok(took)
        })
    })?;
    Ok(report.latencies("end: median", "p99", ends))
}
