//! A feature brings its own runtime, and no other.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::MetadataCommand;

/// A runtime: our feature, our crate for it, and what else comes with it and with no other.
struct Runtime {
    feature: &'static str,
    ours: &'static str,
    theirs: &'static [&'static str],
}

/// smol and async-std are made of the same crates, which are in neither list.
const RUNTIMES: &[Runtime] = &[
    Runtime { feature: "tokio", ours: "portway-tokio", theirs: &["mio"] },
    Runtime { feature: "smol", ours: "portway-smol", theirs: &["smol"] },
    Runtime {
        feature: "async-std",
        ours: "portway-async-std",
        theirs: &["async-std", "async-global-executor"],
    },
];

/// What is over a runtime and no runtime itself, and what its feature turns on besides.
const OVER: &[(&str, &str)] = &[("kube", "tokio")];

/// What smol and async-std are made of.
const COMMON: &[&str] = &["async-io", "async-executor", "blocking"];

/// Without these tokio is traits and channels, which hyper takes from it and which run nowhere.
const TOKIO_RUNS: &[&str] = &["fs", "net", "process", "rt", "rt-multi-thread", "signal", "time"];

#[test]
fn without_a_feature_there_is_no_runtime() {
    let tree = Tree::with(&[]);
    tree.has_none_but(&[]);
    tree.lacks(COMMON);
}

#[test]
fn a_feature_brings_its_runtime_and_no_other() {
    for runtime in RUNTIMES {
        let tree = Tree::with(&[runtime.feature]);
        tree.has_none_but(&[runtime.feature]);
        if runtime.feature == "tokio" {
            tree.lacks(COMMON);
        }
    }
}

#[test]
fn what_is_over_a_runtime_brings_that_and_no_other() {
    for (feature, runtime) in OVER {
        let tree = Tree::with(&[feature]);
        assert!(
            tree.crates.contains_key(*feature)
                && tree.crates.contains_key(&format!("portway-{feature}"))
        );
        tree.has_none_but(&[runtime]);
        tree.lacks(COMMON);
    }
    for runtime in RUNTIMES {
        let names: Vec<_> = OVER.iter().map(|(feature, _)| *feature).collect();
        Tree::with(&[runtime.feature]).lacks(&names);
    }
}

#[test]
fn features_add_up() {
    let all: Vec<_> = RUNTIMES.iter().map(|runtime| runtime.feature).collect();
    Tree::with(&all).has_none_but(&all);
    for left_out in &all {
        let rest: Vec<_> = all.iter().copied().filter(|feature| feature != left_out).collect();
        Tree::with(&rest).has_none_but(&rest);
    }
}

#[test]
fn every_feature_is_held_apart_here_and_none_is_on_by_default() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap();
    let portway = metadata.packages.iter().find(|package| package.name == "portway").unwrap();
    let there: BTreeSet<_> = portway.features.keys().map(String::as_str).collect();
    let over = OVER.iter().map(|(feature, _)| *feature);
    assert_eq!(there, RUNTIMES.iter().map(|runtime| runtime.feature).chain(over).collect());
}

/// What is built into a program that depends on `portway`: each crate with its features.
struct Tree {
    asked_for: String,
    crates: BTreeMap<String, BTreeSet<String>>,
}

impl Tree {
    fn with(features: &[&str]) -> Self {
        let asked_for = features.join(",");
        let output = Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["tree", "--locked", "--package", "portway", "--edges", "normal"])
            .args(["--no-default-features", "--features", &asked_for])
            .args(["--prefix", "none", "--format", "{p};{f}"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let (package, features) = line.trim_end_matches(" (*)").split_once(';').unwrap();
            let name = package.split(' ').next().unwrap().to_owned();
            let features = features.split(',').map(str::to_owned);
            crates.entry(name).or_default().extend(features);
        }
        assert!(crates.contains_key("portway-driver"), "[{asked_for}]: {crates:?}");
        Self { asked_for, crates }
    }

    /// The runtimes of these features are there, and nothing of the others.
    fn has_none_but(&self, features: &[&str]) {
        for Runtime { feature, ours, theirs } in RUNTIMES {
            for name in theirs.iter().chain([ours]) {
                let wanted = features.contains(feature);
                assert_eq!(self.crates.contains_key(*name), wanted, "[{}]: {name}", self.asked_for);
            }
        }
        let tokio = self.crates.get("tokio").cloned().unwrap_or_default();
        for runs in TOKIO_RUNS.iter().filter(|_| !features.contains(&"tokio")) {
            assert!(!tokio.contains(*runs), "[{}]: tokio's {runs} is on", self.asked_for);
        }
    }

    fn lacks(&self, names: &[&str]) {
        for name in names {
            assert!(!self.crates.contains_key(*name), "[{}]: {name}", self.asked_for);
        }
    }
}
