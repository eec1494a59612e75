//! Bodies of the fuzz targets: one function a target, taking the raw input.
//!
//! They live here and not in `fuzz/` so that `cargo test` replays the committed corpus on a stable
//! compiler (`tests/corpus.rs`) and so that a crash becomes an ordinary test.

pub mod handshake;
pub mod session;
pub mod spdy;
pub mod ws;

/// A fuzz body: panics when a promise is broken.
pub type Body = fn(&[u8]);

/// Every target by name, for the corpus replay. `tests/corpus.rs` fails when `fuzz/` and this list differ.
pub const TARGETS: &[(&str, Body)] = &[
    ("api_misuse", session::api_misuse),
    ("handshake_request", handshake::request),
    ("handshake_response", handshake::response),
    ("pair_chunking", session::pair_chunking),
    ("pair_honest", session::pair_honest),
    ("pair_spdy", session::pair_spdy),
    ("policy_diff", session::policy_diff),
    ("session_client", session::session_client),
    ("session_server", session::session_server),
    ("spdy_frame", spdy::frame),
    ("spdy_headers", spdy::headers),
    ("spdy_client", session::spdy_client),
    ("spdy_server", session::spdy_server),
    ("v4_message_client", session::v4_message_client),
    ("v4_message_server", session::v4_message_server),
    ("v4_roundtrip", session::v4_roundtrip),
    ("ws_decode", ws::decode),
    ("ws_roundtrip", ws::roundtrip),
];

/// What the seeds of every harness go through.
#[cfg(test)]
mod seeds {
    use std::path::Path;

    use super::TARGETS;

    /// Writes seeds (target, name, bytes) to where the fuzzer and `tests/corpus.rs` look for them.
    pub(super) fn write<N: AsRef<Path>>(
        seeds: impl IntoIterator<Item = (&'static str, N, Vec<u8>)>,
    ) {
        let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus"));
        for (target, name, bytes) in seeds {
            let folder = corpus.join(target);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }

    /// Each goes through the body of its target.
    pub(super) fn check<N: AsRef<Path>>(
        seeds: impl IntoIterator<Item = (&'static str, N, Vec<u8>)>,
    ) {
        for (target, name, bytes) in seeds {
            let (_, body) = TARGETS.iter().find(|(known, _)| *known == target).unwrap();
            let result = std::panic::catch_unwind(|| body(&bytes));
            assert!(result.is_ok(), "{target}/{}", name.as_ref().display());
        }
    }
}
