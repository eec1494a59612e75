//! What the core must not have: a runtime, a clock, a socket, a thread, a log.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Everything that may be built into a program through the core, or run in the compiler for it.
const ALLOWED: &[&str] = &[
    "adler2",
    "base64",
    "block-buffer",
    "bytes",
    "cfg-if",
    "const-oid",
    "cpufeatures",
    "crypto-common",
    "digest",
    "http",
    "hybrid-array",
    "itoa",
    "libc",
    "memchr",
    "miniz_oxide",
    "portway-proto",
    "proc-macro2",
    "quote",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "sha1",
    "syn",
    "thiserror",
    "thiserror-impl",
    "typenum",
    "unicode-ident",
    "zmij",
];

/// Those that the core names itself.
const DIRECT: &[&str] =
    &["base64", "bytes", "http", "miniz_oxide", "serde", "serde_json", "sha1", "thiserror"];

/// Words that no line of the core's code may have, and why.
const BANNED: &[(&str, &str)] = &[
    ("std::net", "the core opens no socket"),
    ("std::thread", "the core starts no thread"),
    ("std::fs", "the core opens no file"),
    ("std::time::SystemTime", "the core reads no clock"),
    ("SystemTime", "the core reads no clock"),
    ("Instant::now", "the core reads no clock: `now` is an argument"),
    (".elapsed()", "the core reads no clock: `now` is an argument"),
    ("async fn", "the core has no runtime"),
    (".await", "the core has no runtime"),
    ("tokio", "the core has no runtime"),
    ("tracing", "the core logs nothing"),
    ("println!", "the core logs nothing"),
    ("rand::", "the core has no randomness: seeds are arguments"),
    ("HashMap", "iteration in an order that differs from run to run"),
    ("HashSet", "iteration in an order that differs from run to run"),
    ("Mutex", "the core is not shared"),
    ("Rc<", "a session is Send"),
    ("dyn Fn", "the core calls nobody back"),
];

/// The names of all that is built into the core, for the platform this runs on. Asked for the core
/// alone: among others in a build, what it depends on may have more features.
fn built_into_the_core() -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = std::process::Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--locked", "--package", "portway-proto", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}"])
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).unwrap();
    lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_core_is_made_of_what_the_list_allows() {
    let built = built_into_the_core();
    assert!(built.contains("portway-proto"), "{built:?}");
    for name in built {
        assert!(
            ALLOWED.contains(&name.as_str()),
            "{name} came in: is it worth a line in the list of a core that has no runtime?"
        );
    }
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let core = metadata.packages.iter().find(|package| package.name == "portway-proto").unwrap();
    let direct: BTreeSet<_> = core
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.as_str())
        .collect();
    let allowed: BTreeSet<_> = DIRECT.iter().copied().collect();
    assert_eq!(direct, allowed, "the core's own dependencies");
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file: neither comments nor what stands in `mod tests` at its end.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..tests].lines().enumerate();
    lines.map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
}

#[test]
fn the_core_reads_no_clock_and_does_no_io() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    assert!(files.len() > 15, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in code(&text) {
            for (word, why) in BANNED {
                assert!(!line.contains(word), "{}:{number}: {word}: {why}", file.display());
            }
        }
    }
}

#[test]
fn the_scan_sees_code_and_no_comments() {
    let text = "//! Instant::now\nlet now = Instant::now(); // x\n/// tokio\n#[cfg(test)]\nmod tests {\nstd::net";
    let seen: Vec<_> = code(text).filter(|(_, line)| !line.trim().is_empty()).collect();
    assert_eq!(seen, [(2, "let now = Instant::now(); ")]);
}
