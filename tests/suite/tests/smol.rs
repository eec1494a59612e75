//! The suite on smol.

portway_suite::conformance!(portway_suite::SmolGlobal);
