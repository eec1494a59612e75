//! What programs behind a forwarder do, as scenarios: each a promise that a forwarder should keep.
//!
//! They want the pod programs of the peer (`tests/interop/peer/pod.go`) on the ports that a
//! [`Scenario`] names, and fail with words that say what was expected and what was seen.

mod bulk;
mod ends;
mod http;
mod many;
mod neighbours;
mod report;

pub use bulk::{
    scenario_both_ways, scenario_download, scenario_parallel_echo, scenario_server_speaks_first,
    scenario_upload,
};
pub use ends::{
    scenario_answer_after_eof, scenario_early_local_eof, scenario_line_answer, scenario_pod_reset,
    scenario_refused_port,
};
pub use http::scenario_http_keep_alive;
pub use many::{scenario_crowds, scenario_sequential, scenario_storm};
pub use neighbours::{
    scenario_aborted_clients, scenario_deaf_pod, scenario_early_closer, scenario_late_frames,
    scenario_stalled_reader,
};
pub use report::{Figure, Report};

use crate::Target;

/// A scenario by name.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Scenario {
    /// What to call it.
    pub name: &'static str,
    /// The ports of the pod that have to be forwarded.
    pub ports: &'static [u16],
    /// Runs it.
    pub run: fn(&Target) -> Result<Report, String>,
}

const fn scenario(
    name: &'static str,
    ports: &'static [u16],
    run: fn(&Target) -> Result<Report, String>,
) -> Scenario {
    Scenario { name, ports, run }
}

/// What every forwarder should stand, in front of a pod that behaves as pods do.
pub const SCENARIOS: &[Scenario] = &[
    scenario("line_answer", &[8084], scenario_line_answer),
    scenario("early_local_eof", &[8086], scenario_early_local_eof),
    scenario("server_speaks_first", &[8081], scenario_server_speaks_first),
    scenario("refused_port", &[8080, 8085], scenario_refused_port),
    scenario("pod_reset", &[8080, 8083], scenario_pod_reset),
    scenario("aborted_clients", &[8080], scenario_aborted_clients),
    scenario("stalled_reader", &[8080, 8088], scenario_stalled_reader),
    scenario("deaf_pod", &[8080, 8090, 8093], scenario_deaf_pod),
    scenario("early_closer", &[8080, 8089, 8092], scenario_early_closer),
    scenario("late_frames", &[8080, 8089], scenario_late_frames),
    scenario("parallel_echo", &[8080], scenario_parallel_echo),
    scenario("upload", &[8087], |target| scenario_upload(target, 64)),
    scenario("download", &[8088], |target| scenario_download(target, 64)),
    scenario("http_keep_alive", &[8091], scenario_http_keep_alive),
    scenario("storm", &[8080], scenario_storm),
    scenario("sequential", &[8080], |target| scenario_sequential(target, 1_000)),
];

/// Every port that [`SCENARIOS`] use.
#[must_use]
pub fn ports() -> Vec<u16> {
    let mut ports: Vec<_> = SCENARIOS.iter().flat_map(|scenario| scenario.ports).copied().collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
