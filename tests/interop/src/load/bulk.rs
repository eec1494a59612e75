use std::thread;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::Report;
use super::many::at_once;
use crate::{End, Pattern, Target};

/// A server that says 5,000,000 bytes before it hears any, and closes (8081): 50 programs at once
/// get all of them and a clean end.
///
/// # Errors
///
/// When bytes are missing or an end is not clean.
pub fn scenario_server_speaks_first(target: &Target) -> Result<Report, String> {
    const BYTES: u64 = 5_000_000;
    const PROGRAMS: usize = 50;
    let start = Instant::now();
    at_once(PROGRAMS, |_| {
        let mut conn = target.open(8081)?;
        conn.expect_pattern(0, BYTES)?;
        conn.expect_end(End::Fin)
    })?;
    let time = start.elapsed();
    Ok(Report::new().time("took", time).rate("down", BYTES * PROGRAMS as u64, time))
}

/// 64 connections at once echo 4 MiB each, every one its own, byte for byte (8080).
///
/// # Errors
///
/// When bytes are missing, wrong or another connection's.
pub fn scenario_parallel_echo(target: &Target) -> Result<Report, String> {
    const BYTES: u64 = 4 << 20;
    const CONNECTIONS: usize = 64;
    let start = Instant::now();
    at_once(CONNECTIONS, |i| echo_both_ways(target, i as u64, BYTES))?;
    let time = start.elapsed();
    Ok(Report::new().time("took", time).rate("each way", BYTES * CONNECTIONS as u64, time))
}

/// Uploads this many MiB; the pod tells their checksum (8087).
///
/// # Errors
///
/// When it is another one, or the end is not clean.
pub fn scenario_upload(target: &Target, mib: u64) -> Result<Report, String> {
    let bytes = mib << 20;
    let expected = checksum(bytes);
    let mut conn = target.open(8087)?;
    let start = Instant::now();
    conn.send(format!("{bytes}\n").as_bytes())?;
    conn.send_pattern(0, bytes)?;
    let answer = conn.receive(expected.len())?;
    let time = start.elapsed();
    if answer != expected.as_bytes() {
        let answer = String::from_utf8_lossy(&answer);
        return Err(format!("port 8087: expected {expected:?}, saw {answer:?}"));
    }
    conn.expect_end(End::Fin)?;
    Ok(Report::new().rate("up", bytes, time))
}

/// Downloads this many MiB and looks at every byte (8088).
///
/// # Errors
///
/// When bytes are missing or wrong, or the end is not clean.
pub fn scenario_download(target: &Target, mib: u64) -> Result<Report, String> {
    const SEED: u64 = 42;
    let bytes = mib << 20;
    let mut conn = target.open(8088)?;
    let start = Instant::now();
    conn.send(format!("{bytes} {SEED}\n").as_bytes())?;
    conn.expect_pattern(SEED, bytes)?;
    let time = start.elapsed();
    conn.expect_end(End::Fin)?;
    Ok(Report::new().rate("down", bytes, time))
}

/// This many MiB up, down, and on one connection both ways at once, at the same time (8087, 8088, 8080).
///
/// # Errors
///
/// When bytes are missing or wrong, or an end is not clean.
pub fn scenario_both_ways(target: &Target, mib: u64) -> Result<Report, String> {
    let bytes = mib << 20;
    let start = Instant::now();
    at_once(3, |i| match i {
        0 => scenario_upload(target, mib).map(drop),
        1 => scenario_download(target, mib).map(drop),
        _ => echo_both_ways(target, 1, bytes),
    })?;
    let time = start.elapsed();
    Ok(Report::new().time("took", time).rate("each way", bytes * 2, time))
}

/// Sends and receives at the same time.
fn echo_both_ways(target: &Target, seed: u64, bytes: u64) -> Result<(), String> {
    let mut receiver = target.open(8080)?;
    let mut sender = receiver.split()?;
    thread::scope(|scope| {
        let sent = scope.spawn(move || sender.send_pattern(seed, bytes));
        let received = receiver.expect_pattern(seed, bytes);
        let sent = sent.join().unwrap_or_else(|_| Err("panicked".to_owned()));
        received.and(sent)
    })
}

/// What the pod answers to so many bytes of the pattern: how many they are, and their SHA-256.
pub(super) fn checksum(bytes: u64) -> String {
    let mut pattern = Pattern::new(0);
    let mut hash = Sha256::new();
    let mut buf = [0; 4096];
    while pattern.position() < bytes {
        let n = usize::try_from(bytes - pattern.position()).map_or(buf.len(), |n| n.min(buf.len()));
        pattern.fill(&mut buf[..n]);
        hash.update(&buf[..n]);
    }
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{bytes} {hex}\n")
}
