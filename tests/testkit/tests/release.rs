//! What must be true of the crates before they are published.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// What a feature turns on that needs a newer Rust than the crate without it, and says so in its manifest.
const NEWER_BY_FEATURE: &[(&str, &str)] = &[("portway", "portway-kube")];

fn workspace() -> &'static Metadata {
    static WORKSPACE: LazyLock<Metadata> = LazyLock::new(|| {
        MetadataCommand::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .other_options(["--locked".to_owned()])
            .exec()
            .unwrap()
    });
    &WORKSPACE
}

fn published(workspace: &Metadata) -> impl Iterator<Item = &Package> {
    workspace.workspace_packages().into_iter().filter(|package| package.publish.is_none())
}

/// All that a crate is built with, its tests left out, but for what is built with what is left out.
fn built_with<'a>(workspace: &'a Metadata, package: &'a Package) -> BTreeSet<&'a PackageId> {
    let nodes = &workspace.resolve.as_ref().unwrap().nodes;
    let nodes: BTreeMap<_, _> = nodes.iter().map(|node| (&node.id, node)).collect();
    let left_out = |id: &PackageId| {
        NEWER_BY_FEATURE
            .iter()
            .any(|(user, used)| package.name == *user && workspace[id].name == *used)
    };
    let mut found = BTreeSet::from([&package.id]);
    let mut open = vec![&package.id];
    while let Some(id) = open.pop() {
        let normal = |dep: &&cargo_metadata::NodeDep| {
            dep.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development)
        };
        for dep in nodes[id].deps.iter().filter(normal) {
            if !left_out(&dep.pkg) && found.insert(&dep.pkg) {
                open.push(&dep.pkg);
            }
        }
    }
    found
}

#[test]
fn no_crate_needs_a_newer_rust_than_it_says() {
    let workspace = workspace();
    let mut wrong = Vec::new();
    for package in published(workspace) {
        let says = package.rust_version.as_ref().unwrap();
        let built_with = built_with(workspace, package);
        assert!(built_with.len() > 5, "{}: {}", package.name, built_with.len());
        for needed in built_with.iter().map(|id| &workspace[*id]) {
            if needed.rust_version.as_ref().is_some_and(|needs| needs > says) {
                let needs = needed.rust_version.as_ref().unwrap();
                wrong.push(format!(
                    "{} says {says}, {} {} needs {needs}",
                    package.name, needed.name, needed.version
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_crate_tells_what_it_is() {
    let workspace = workspace();
    let mut names = BTreeSet::new();
    for package in published(workspace) {
        let name = package.name.as_str();
        names.insert(name);
        assert!(package.description.as_ref().is_some_and(|text| text.len() >= 10), "{name}");
        assert_eq!(package.license.as_deref(), Some("MIT OR Apache-2.0"), "{name}");
        assert!(package.repository.is_some(), "{name}");
        assert!((1..=5).contains(&package.categories.len()), "{name}");
        assert!((1..=5).contains(&package.keywords.len()), "{name}");
        let readme = package.readme().unwrap_or_else(|| panic!("{name} has no README"));
        assert!(readme.as_std_path().is_file(), "{name}: {readme}");
    }
    assert!(names.contains("portway") && names.contains("portway-cli") && names.len() >= 13);
}

#[test]
fn what_is_published_is_built_with_what_is_published() {
    let workspace = workspace();
    let names: BTreeSet<_> = published(workspace).map(|package| package.name.as_str()).collect();
    for package in published(workspace) {
        for dependency in package.dependencies.iter().filter(|it| it.path.is_some()) {
            let name = &dependency.name;
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            assert!(names.contains(name.as_str()), "{} is built with {name}", package.name);
            assert_ne!(dependency.req.to_string(), "*", "{}: {name} has no version", package.name);
        }
    }
}

#[test]
fn what_is_published_can_be_published_one_after_the_other() {
    // A dependency of tests counts too where it has a version: the registry must have it.
    let workspace = workspace();
    let mut waiting: BTreeMap<&str, BTreeSet<&str>> = published(workspace)
        .map(|package| {
            let needs = package.dependencies.iter();
            let needs = needs.filter(|it| it.path.is_some() && it.req.to_string() != "*");
            (package.name.as_str(), needs.map(|it| it.name.as_str()).collect())
        })
        .collect();
    while !waiting.is_empty() {
        let ready: Vec<&str> = waiting
            .iter()
            .filter(|(_, needs)| !needs.iter().any(|name| waiting.contains_key(name)))
            .map(|(name, _)| *name)
            .collect();
        assert!(!ready.is_empty(), "each of these waits for another one: {waiting:#?}");
        waiting.retain(|name, _| !ready.contains(name));
    }
}
