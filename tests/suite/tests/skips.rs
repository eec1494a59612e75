//! What is skipped, and nothing else, is in `skips.txt`.

use portway_suite::{SCENARIOS, matrix};

#[test]
fn skips_are_those_of_the_list() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/skips.txt");
    let skips = matrix::skips(SCENARIOS);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &skips).expect("the list can be written");
    }
    let listed = std::fs::read_to_string(path).expect("the list");
    assert_eq!(listed, skips, "listed on the left; UPDATE=1 writes it anew: look at what changed");
}
