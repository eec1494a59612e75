//! The committed fuzz corpus, replayed by `cargo test`.

use std::collections::BTreeSet;
use std::path::Path;

use portway_testkit::harness::TARGETS;

const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz");

#[test]
fn every_seed_passes() {
    for (name, body) in TARGETS {
        let folder = Path::new(FUZZ).join("corpus").join(name);
        let mut seeds = 0;
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder:?}: {e}")) {
            let path = entry.unwrap().path();
            let seed = std::fs::read(&path).unwrap();
            let result = std::panic::catch_unwind(|| body(&seed));
            assert!(result.is_ok(), "target {name} fails on {path:?}");
            seeds += 1;
        }
        assert!(seeds > 0, "target {name} has no seeds in {folder:?}");
    }
}

#[test]
fn every_target_has_a_body_and_a_row_in_the_readme() {
    let bodies: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files: BTreeSet<String> = std::fs::read_dir(Path::new(FUZZ).join("fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(bodies, files, "bodies in testkit against fuzz/fuzz_targets");
    let readme = std::fs::read_to_string(Path::new(FUZZ).join("README.md")).unwrap();
    for name in &bodies {
        assert!(readme.contains(&format!("| `{name}` |")), "fuzz/README.md has no row for {name}");
    }
}

#[test]
fn every_dictionary_is_that_of_a_target_or_of_a_family() {
    for entry in std::fs::read_dir(Path::new(FUZZ).join("dictionaries")).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        // As `fuzz/smoke` looks for it.
        let known = TARGETS.iter().any(|(name, _)| {
            *name == stem || name.rsplit_once('_').is_some_and(|(family, _)| family == stem)
        });
        assert!(known, "no target takes {path:?}");
    }
}
