//! docs/PROTOCOL.md names a test or a recording for each fact: they exist.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::Path;

#[test]
fn what_the_protocol_page_names_exists() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(suite.join(path)).unwrap();
    let page = read("../../docs/PROTOCOL.md");
    let go: String = fs::read_dir(suite.join("peer"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with("_test.go"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let client_go = read("../../crates/portway-server/tests/clientgo.rs");
    let recordings: Vec<_> = fs::read_dir(suite.join("../transcripts"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();

    let mut named = 0;
    for name in page.split('`').skip(1).step_by(2) {
        let exists = if let Some(test) = name.strip_prefix("clientgo::") {
            // A module of tests, or a test; the start of its name will do.
            let last = test.rsplit("::").next().unwrap().trim_end_matches("...");
            client_go.contains(&format!("fn {last}")) || client_go.contains(&format!("{last}:"))
        } else if name.starts_with("Test") && name != "Test..." {
            go.contains(&format!("func {name}(t *testing.T)"))
        } else if let Some(pattern) = name.strip_suffix(".txt").filter(|name| !name.is_empty()) {
            let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
            recordings.iter().any(|it| it.starts_with(start) && it.ends_with(&format!("{end}.txt")))
        } else {
            continue;
        };
        assert!(exists, "{name} is named, and is not there");
        named += 1;
    }
    assert!(named > 80, "only {named} tests are named");
}
