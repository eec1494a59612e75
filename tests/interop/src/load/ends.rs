use std::time::{Duration, Instant};

use super::Report;
use super::many::at_once;
use super::neighbours::{echo, with_neighbours};
use crate::{End, Target};

/// A line, its answer, and the pod's FIN (8084).
///
/// # Errors
///
/// When the answer is another one or the end is not clean.
pub fn scenario_line_answer(target: &Target) -> Result<Report, String> {
    let mut conn = target.open(8084)?;
    let start = Instant::now();
    conn.send(b"hello\n")?;
    conn.expect(b"got hello\n")?;
    let answered = start.elapsed();
    conn.expect_end(End::Fin)?;
    Ok(Report::new().time("answer", answered).time("end", start.elapsed()))
}

/// A program that sends a line and closes its sending side gets the whole answer of 1,000,000 bytes
/// that starts 3 s later (8086).
///
/// # Errors
///
/// When bytes are missing or the end is not clean.
pub fn scenario_early_local_eof(target: &Target) -> Result<Report, String> {
    let start = Instant::now();
    at_once(4, |_| {
        let mut conn = target.open(8086)?;
        conn.send(b"hello\n")?;
        conn.finish()?;
        conn.expect_pattern(0, 1_000_000)?;
        conn.expect_end(End::Fin)
    })?;
    Ok(Report::new().time("took", start.elapsed()))
}

/// A program that sends its question, closes its sending side and gets an answer to that (8082).
/// Only for a peer that passes the FIN on, and a wire that can say it.
///
/// # Errors
///
/// When the answer is another one or the end is not clean.
pub fn scenario_answer_after_eof(target: &Target) -> Result<Report, String> {
    let start = Instant::now();
    let mut conn = target.open(8082)?;
    conn.send_pattern(0, 100_000)?;
    conn.finish()?;
    conn.expect(b"100000\n")?;
    conn.expect_end(End::Fin)?;
    Ok(Report::new().time("took", start.elapsed()))
}

/// A port that refuses (8085) ends the local connection with a reset, soon, and nothing else.
///
/// # Errors
///
/// When it ends otherwise, or other connections notice.
pub fn scenario_refused_port(target: &Target) -> Result<Report, String> {
    let (times, report) = with_neighbours(target, || {
        at_once(10, |i| {
            let start = Instant::now();
            let Some(mut conn) = target.open_or_reset(8085)? else { return Ok(start.elapsed()) };
            // Half of them say something first; it may already be too late for that.
            if i % 2 == 0 {
                let _ = conn.send(b"hello\n");
            }
            conn.expect_end(End::Reset)?;
            Ok(start.elapsed())
        })
    })?;
    prompt("the reset after a refusal", &times)?;
    Ok(report.latencies("reset: median", "p99", times))
}

/// A pod that resets (8083): what it said before arrives, then a reset and not a clean end.
///
/// # Errors
///
/// When it ends otherwise, or other connections notice.
pub fn scenario_pod_reset(target: &Target) -> Result<Report, String> {
    let (times, report) = with_neighbours(target, || {
        at_once(10, |_| {
            let mut conn = target.open(8083)?;
            let start = Instant::now();
            conn.send(b"A")?;
            conn.expect(b"partial")?;
            conn.expect_end(End::Reset)?;
            Ok(start.elapsed())
        })
    })?;
    prompt("the pod's reset", &times)?;
    let mut conn = target.open(8080)?;
    echo(&mut conn, 0)?;
    Ok(report.latencies("reset: median", "p99", times))
}

/// A failure that is passed on has to come before a user gives up.
fn prompt(what: &str, times: &[Duration]) -> Result<(), String> {
    const LIMIT: Duration = Duration::from_secs(5);
    match times.iter().max() {
        Some(slowest) if *slowest > LIMIT => {
            Err(format!("expected {what} within {LIMIT:?}, saw it after {slowest:?}"))
        }
        _ => Ok(()),
    }
}
