use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

/// Whether the tests that need Go can run.
///
/// Without Go this says so on standard error and returns false, so that a test can return early.
/// With `CI` in the environment a missing Go is a failure: nothing may be skipped there.
#[must_use]
pub fn require_go() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let found = Command::new("go")
            .arg("version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !found {
            let why = "no `go` to build Kubernetes' own code with";
            assert!(env::var_os("CI").is_none(), "{why}, and CI skips nothing");
            // Straight to the descriptor: a test harness would keep a print to itself.
            let _ =
                writeln!(io::stderr(), "SKIPPED: {why} (install Go, see tests/interop/README.md)");
        }
        found
    })
}

/// Builds the program in this folder of the suite, at most once in a process and only if its sources
/// are newer.
pub(crate) fn build(folder: &'static str) -> PathBuf {
    static BUILT: OnceLock<Mutex<BTreeMap<&str, PathBuf>>> = OnceLock::new();
    let built = BUILT.get_or_init(Mutex::default).lock();
    built
        .unwrap_or_else(PoisonError::into_inner)
        .entry(folder)
        .or_insert_with(|| binary(folder))
        .clone()
}

fn binary(folder: &str) -> PathBuf {
    let directory = interop_directory();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = package.join(folder);
    let binary = directory.join(folder);
    // The pod and its programs belong to more than one of them.
    if newest(&source).max(newest(&package.join("pod"))) < modified(&binary) {
        return binary;
    }
    fs::create_dir_all(&directory).expect("make a directory for what is built");
    // Another test process may be building or running it: put it in place whole.
    let fresh = directory.join(format!("{folder}.{}", std::process::id()));
    let output = Command::new("go")
        .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(&fresh)
        .arg(".")
        .current_dir(&source)
        .output()
        .expect("run `go build` (is Go installed?)");
    assert!(
        output.status.success(),
        "`go build` in {}: {}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&fresh, &binary).expect("put what was built in place");
    binary
}

/// Where programs that are built or fetched for these tests are kept.
pub(crate) fn interop_directory() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), Into::into);
    path::absolute(target).expect("a working directory").join("interop")
}

fn newest(directory: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(directory).expect("read the sources");
    entries.filter_map(|entry| modified(&entry.ok()?.path())).max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}
