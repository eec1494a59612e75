//! The suite in the simulator.

portway_suite::conformance!(portway_suite::Simulator);
