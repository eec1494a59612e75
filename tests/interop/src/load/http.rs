use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use super::Report;
use super::bulk::checksum;
use crate::{Pattern, Target};

/// A real HTTP client in front of a real HTTP server (8091): twenty pages on one connection, a
/// download and an upload. Passes with a note where there is no `curl`.
///
/// # Errors
///
/// When curl or the bytes say that something went wrong.
pub fn scenario_http_keep_alive(target: &Target) -> Result<Report, String> {
    const PAGES: usize = 20;
    const PAGE: &str = "<!doctype html><title>demo</title><p>Hello from the pod.\n";
    const BYTES: u64 = 32 << 20;
    let site = format!("http://{}", target.addr(8091));

    let urls = vec![format!("{site}/"); PAGES];
    let mut pages = match curl(target, &["-w", "%{stderr}%{num_connects} "], &urls) {
        Ok(child) => child,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Report::new().note("no curl here")),
        Err(e) => return Err(format!("run curl: {e}")),
    };
    let start = Instant::now();
    let mut body = String::new();
    output(&mut pages).read_to_string(&mut body).map_err(|e| format!("the pages: {e}"))?;
    let connects = finish(pages)?;
    if body != PAGE.repeat(PAGES) {
        return Err(format!("expected {PAGES} pages, saw {body:?}"));
    }
    let total: u64 = connects.split_whitespace().filter_map(|n| n.parse::<u64>().ok()).sum();
    if total != 1 {
        return Err(format!("expected {PAGES} pages on one connection, saw {total} connections"));
    }
    let report = Report::new().time("20 pages", start.elapsed());

    let start = Instant::now();
    let mut download = curl(target, &[], &[format!("{site}/download?bytes={BYTES}")])
        .map_err(|e| format!("run curl: {e}"))?;
    let mut pattern = Pattern::new(0);
    let mut out = output(&mut download);
    let mut buf = vec![0; 64 * 1024];
    loop {
        match out.read(&mut buf).map_err(|e| format!("the download: {e}"))? {
            0 => break,
            n => pattern
                .check(&buf[..n])
                .map_err(|at| format!("the byte at {at} of the download is wrong"))?,
        }
    }
    finish(download)?;
    if pattern.position() != BYTES {
        let got = pattern.position();
        return Err(format!("expected a download of {BYTES} bytes, saw {got}"));
    }
    let report = report.rate("download", BYTES, start.elapsed());

    let start = Instant::now();
    let mut upload = curl(target, &["--data-binary", "@-"], &[format!("{site}/upload")])
        .map_err(|e| format!("run curl: {e}"))?;
    let mut stdin = upload.stdin.take().ok_or("curl has no stdin")?;
    let feeder = thread::spawn(move || {
        let mut pattern = Pattern::new(0);
        let mut buf = vec![0; 64 * 1024];
        while pattern.position() < BYTES {
            pattern.fill(&mut buf);
            stdin.write_all(&buf)?;
        }
        Ok::<(), io::Error>(())
    });
    let mut answer = String::new();
    output(&mut upload).read_to_string(&mut answer).map_err(|e| format!("the upload: {e}"))?;
    finish(upload)?;
    let expected = checksum(BYTES);
    if answer != expected {
        return Err(format!(
            "expected the upload to be answered with {expected:?}, saw {answer:?}"
        ));
    }
    let fed = feeder.join().map_err(|_| "panicked")?;
    fed.map_err(|e| format!("feeding curl: {e}"))?;
    Ok(report.rate("upload", BYTES, start.elapsed()))
}

fn curl(target: &Target, args: &[&str], urls: &[String]) -> io::Result<Child> {
    Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time"])
        .arg(target.patient_for().as_secs().max(1).to_string())
        .args(args)
        .args(urls)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn output(child: &mut Child) -> Box<dyn Read> {
    child.stdout.take().map_or_else(|| Box::new(io::empty()) as Box<dyn Read>, |out| Box::new(out))
}

/// What it said on standard error, if it was content.
fn finish(child: Child) -> Result<String, String> {
    let output = child.wait_with_output().map_err(|e| format!("wait for curl: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(said) } else { Err(said.trim().to_owned()) }
}
