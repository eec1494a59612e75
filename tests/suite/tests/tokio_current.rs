//! The suite on tokio, everything on one thread.

portway_suite::conformance!(portway_suite::TokioCurrent);
