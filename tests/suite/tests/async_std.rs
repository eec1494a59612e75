//! The suite on async-std.

portway_suite::conformance!(portway_suite::AsyncStdGlobal);
