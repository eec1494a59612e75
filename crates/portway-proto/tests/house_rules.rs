//! What the core must not have: a runtime, a clock, a socket, a thread, a log.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

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

/// For the platform this runs on: the packages of others need not be there.
fn metadata() -> Metadata {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = std::process::Command::new(rustc).arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .other_options(["--filter-platform".to_owned(), host.to_owned()])
        .exec()
        .unwrap()
}

/// The names of all that `root` is made of, and for each who asked for it.
fn built_into(metadata: &Metadata, root: &PackageId) -> BTreeMap<String, String> {
    let nodes = &metadata.resolve.as_ref().unwrap().nodes;
    let nodes: BTreeMap<_, _> = nodes.iter().map(|node| (&node.id, node)).collect();
    let mut found = BTreeMap::new();
    let mut open = vec![(root, "itself".to_owned())];
    while let Some((id, because)) = open.pop() {
        let name = metadata[id].name.to_string();
        if found.contains_key(&name) {
            continue;
        }
        found.insert(name.clone(), because);
        for dependency in &nodes[id].deps {
            if dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal) {
                open.push((&dependency.pkg, name.clone()));
            }
        }
    }
    found
}

#[test]
fn the_core_is_made_of_what_the_list_allows() {
    let metadata = metadata();
    let core = metadata.packages.iter().find(|package| package.name == "portway-proto").unwrap();
    for (name, because) in built_into(&metadata, &core.id) {
        assert!(
            ALLOWED.contains(&name.as_str()),
            "{name} came in through {because}: is it worth a line in the list of a core that has no runtime?"
        );
    }
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
