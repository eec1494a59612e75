//! The suite on tokio with threads of its own.

portway_suite::conformance!(portway_suite::TokioThreads);
