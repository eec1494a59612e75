//! Nodes of other releases.

use std::time::Duration;

use portway_interop::{Peer, PeerOptions, load};
use portway_tokio::Protocol;

use portway_runtimes::TestRuntime;

use crate::common::Opened;

/// An API server of today before a node of Kubernetes 1.28, whose streams end with a FIN where today's
/// are reset: what is promised in front of today's is kept.
pub(crate) fn of_1_28<T: TestRuntime>(form: Protocol) {
    let peer = Peer::start_with(PeerOptions::new().old_node());
    let ports = [8080, 8081, 8083, 8084, 8085, 8086, 8087, 8088];
    let mut opened = Opened::<T>::new(&peer, "demo", &ports, form);
    assert_eq!(opened.exchange(8085), (Vec::new(), true));
    assert_eq!(opened.next_end(), Err(peer.error_text("demo", 8085).trim_end().to_owned()));
    let target = opened.target().promptness(Duration::from_secs(10));
    load::scenario_line_answer(&target).unwrap();
    load::scenario_refused_port(&target).unwrap();
    load::scenario_pod_reset(&target).unwrap();
    load::scenario_aborted_clients(&target).unwrap();
    load::scenario_server_speaks_first(&target).unwrap();
    load::scenario_upload(&target, 16).unwrap();
    load::scenario_download(&target, 16).unwrap();
    load::scenario_early_local_eof(&target).unwrap();
    load::scenario_sequential(&target, 100).unwrap();
}
